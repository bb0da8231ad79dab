import { at, COUNT, GRID, type SeriesState } from './series-state.ts';

/**
 * Many sensors know only so many values: tenths, sixteenths, whole degrees. That such a value goes
 * by one notch says nothing, however long it has rested.
 */

/** Notches that sensors have: decimal ones, and the binary ones of their converters. */
const GRIDS = [
  100, 10, 1, 0.5, 0.25, 0.2, 0.125, 0.1, 0.0625, 0.05, 0.03125, 0.02, 0.01, 0.005, 0.002, 0.001,
  5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6,
] as const;
/** A grid coarser than this share of the value is none: 400 is no sensor of hundreds. */
const GRID_SHARE = 0.025;

function isOn(value: number, grid: number): boolean {
  const notches = value / grid;
  const whole = Math.round(notches);
  return Math.abs(notches - whole) <= 1e-9 * Math.abs(whole) && (whole !== 0 || value === 0);
}

/** The coarsest grid, no coarser than `grid`, that the value is on; 0: none that is known. */
function refined(grid: number, value: number): number {
  if (grid === 0 || isOn(value, grid)) return grid;
  return GRIDS.find((one) => one < grid && isOn(value, one)) ?? 0;
}

/** Takes the value in. Returns one notch of the grid that all values so far are on; 0: no grid. */
export function notchOf(state: SeriesState, value: number): number {
  const before = at(state, COUNT) === 0 ? GRIDS[0] : at(state, GRID);
  const grid = refined(before, value);
  state[GRID] = grid;
  return Math.min(grid, Math.max(1, GRID_SHARE * Math.abs(value)));
}
