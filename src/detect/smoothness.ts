import type { Arrival } from './arrival.ts';
import {
  at,
  COUNT,
  GATE,
  HIGH,
  HIGH_90,
  LOW,
  LOW_10,
  type SeriesState,
  STEP_90,
} from './series-state.ts';

/**
 * Is it a series in which faults can be told? Its large steps (the 90th of 100) beside the range
 * that it is in (10th to 90th of 100). A temperature takes small steps through a wide range; a
 * server's load jumps through all of its range, and nothing in it is a fault by its shape.
 */

const SHARE = 0.9;
const FIRST = 20;
/** Step of the estimates in a second, of their own size; early ones by count. */
const GAIN_S = 1 / 150_000;
const MAX_GAIN = 0.02;
const EARLY_GAIN = 5;
/** Smooth below; clearly rough from 1.5 times as much. */
const SMOOTH = 0.38;
const ROUGH = 1.5 * SMOOTH;
const UNKNOWN = 9;

/** `size`: of the step, as one of a usual interval. After `faults.ts` has seen the range. */
export function learnSmoothness(state: SeriesState, arrival: Arrival, size: number): void {
  const { value, sinceS } = arrival;
  const count = at(state, COUNT);
  const step = at(state, STEP_90);
  let low = at(state, LOW_10);
  let high = at(state, HIGH_90);
  if (count < FIRST) {
    state[STEP_90] = step + (size - step) / count;
    if (value > high) high = value;
    if (value < low) low = value;
  } else {
    const width = at(state, HIGH) - at(state, LOW);
    const gain = Math.max(Math.min(MAX_GAIN, sinceS * GAIN_S), EARLY_GAIN / count);
    const up = size > step ? SHARE : SHARE - 1;
    state[STEP_90] = step + up * gain * Math.max(step, 0.001 * width);
    const span = (high - low) * gain;
    high += span * (value > high ? SHARE : SHARE - 1);
    low -= span * (value < low ? SHARE : SHARE - 1);
    if (!(high > low)) {
      const middle = low / 2 + high / 2;
      low = middle - 0.005 * width;
      high = middle + 0.005 * width;
    }
  }
  state[LOW_10] = low;
  state[HIGH_90] = high;
  state[GATE] = high > low ? at(state, STEP_90) / (high - low) : UNKNOWN;
}

export function isSmooth(state: SeriesState): boolean {
  return at(state, GATE) < SMOOTH;
}

export function isRough(state: SeriesState): boolean {
  return at(state, GATE) >= ROUGH;
}
