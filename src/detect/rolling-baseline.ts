/**
 * What is ordinary for one series: median and spread of its last values. Robust (a few wild values
 * move neither), and with a bounded state: at most 128 numbers. Pure; any finite value is taken,
 * and nothing comes out as NaN.
 */
export const BASELINE_VALUES = 128;

/** How a value compares with what is ordinary. */
export interface Comparison {
  readonly median: number;
  /** What one unit of score is worth, in the value's own unit; never 0. */
  readonly scale: number;
  /** Distance from the median in units of `scale`; finite, 0 or more. */
  readonly score: number;
}

export interface BaselineState {
  readonly values: readonly number[];
  readonly next: number;
  readonly seen: number;
  readonly step: number;
  /** Absent in what earlier versions stored. */
  readonly grid?: number;
}

/** Makes the median absolute deviation of a normal distribution its standard deviation. */
const MAD_TO_SIGMA = 1.4826;
const RELATIVE_FLOOR = 0.001;
const ABSOLUTE_FLOOR = 1e-9;
const STEP_SHARE = 0.02;
/** A grid coarser than this share of the median is not one: 400 is no sensor of hundreds. */
const GRID_SHARE = 0.01;
const MAX = Number.MAX_VALUE / 4;

/** Notches that sensors have: decimal ones, and the binary ones of their converters. */
const GRIDS = [
  100, 10, 1, 0.5, 0.25, 0.2, 0.125, 0.1, 0.0625, 0.05, 0.03125, 0.02, 0.01, 0.005, 0.002, 0.001,
  5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6,
] as const;

function isOnGrid(value: number, grid: number): boolean {
  if (value === 0) return true;
  const notches = value / grid;
  const whole = Math.round(notches);
  return whole !== 0 && Math.abs(notches - whole) <= 1e-9 * Math.abs(whole);
}

/** The coarsest grid, no coarser than `grid`, that the value is on; 0: none that is known. */
function refined(grid: number, value: number): number {
  if (grid === 0 || isOnGrid(value, grid)) return grid;
  return GRIDS.find((one) => one < grid && isOnGrid(value, one)) ?? 0;
}

/** Adding 0 makes 0 of -0: JSON does not keep its sign, and what is restored must be the same. */
function clamp(value: number): number {
  return Math.min(MAX, Math.max(-MAX, value)) + 0;
}

function isIndex(value: unknown, end: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < end;
}

/** State comes from a store that other versions wrote to, too. */
function isState(value: unknown): value is BaselineState {
  if (typeof value !== 'object' || value === null) return false;
  const { values, next, seen, step, grid } = value as Partial<Record<keyof BaselineState, unknown>>;
  if (!Array.isArray(values) || !values.every(Number.isFinite)) return false;
  const full = values.length === BASELINE_VALUES;
  return (
    (full || values.length < BASELINE_VALUES) &&
    isIndex(next, full ? BASELINE_VALUES : 1) &&
    isIndex(seen, Number.MAX_SAFE_INTEGER) &&
    (seen as number) >= values.length &&
    Number.isFinite(step) &&
    (step as number) >= 0 &&
    (grid === undefined || (Number.isFinite(grid) && (grid as number) >= 0))
  );
}

/** First index whose value is not below `value`. */
function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class RollingBaseline {
  /** The last values as they came, a ring. */
  #values: number[] = [];
  /** The same values, sorted. */
  #sorted: number[] = [];
  #next = 0;
  #seen = 0;
  /** Slow mean of the step from one value to the next: what a coarse sensor moves by. */
  #step = 0;
  /** The coarsest grid that all values so far are on: a move of one notch says little. */
  #grid: number = GRIDS[0];
  #last: number | undefined;

  /** Values taken so far. */
  get seen(): number {
    return this.#seen;
  }

  compare(value: number): Comparison {
    const median = this.#median();
    const coarsest = Math.max(1, GRID_SHARE * Math.abs(median));
    const scale = Math.max(
      MAD_TO_SIGMA * this.#deviation(median),
      this.#step,
      Math.min(refined(this.#grid, value), coarsest),
      RELATIVE_FLOOR * Math.abs(median),
      ABSOLUTE_FLOOR,
    );
    const score = Math.min(MAX, Math.abs(clamp(value) - median) / scale);
    return { median, scale, score };
  }

  /** Takes a value in; `scale` is what `compare` said of it. */
  add(raw: number, scale: number): void {
    const value = clamp(raw);
    const last = this.#last ?? value;
    const stepShare = Math.max(STEP_SHARE, 1 / (this.#seen + 1));
    // Steps far beyond the ordinary are what is to be found: they do not make themselves ordinary.
    const limit = this.#seen < 8 ? MAX : 4 * scale;
    const step = Math.min(Math.abs(value - last), limit);
    this.#step += stepShare * (step - this.#step);
    this.#grid = refined(this.#grid, value);
    this.#last = value;
    this.#seen += 1;
    if (this.#values.length < BASELINE_VALUES) {
      this.#values.push(value);
    } else {
      const old = this.#values[this.#next] ?? 0;
      this.#sorted.splice(lowerBound(this.#sorted, old), 1);
      this.#values[this.#next] = value;
      this.#next = (this.#next + 1) % BASELINE_VALUES;
    }
    this.#sorted.splice(lowerBound(this.#sorted, value), 0, value);
  }

  #median(): number {
    const n = this.#sorted.length;
    if (n === 0) return 0;
    const low = this.#sorted[(n - 1) >>> 1] ?? 0;
    const high = this.#sorted[n >>> 1] ?? 0;
    return low / 2 + high / 2;
  }

  /**
   * Median distance from the median: the two sides of the sorted row are merged from the middle
   * outwards.
   */
  #deviation(median: number): number {
    const sorted = this.#sorted;
    const n = sorted.length;
    if (n === 0) return 0;
    let right = lowerBound(sorted, median);
    let left = right - 1;
    let distance = 0;
    for (let taken = 0; taken <= (n - 1) >>> 1; taken++) {
      const below = left < 0 ? Number.POSITIVE_INFINITY : median - (sorted[left] ?? 0);
      const above = right >= n ? Number.POSITIVE_INFINITY : (sorted[right] ?? 0) - median;
      if (below <= above) left -= 1;
      else right += 1;
      distance = Math.min(below, above);
    }
    return distance;
  }

  save(): BaselineState {
    const values = [...this.#values];
    return { values, next: this.#next, seen: this.#seen, step: this.#step, grid: this.#grid };
  }

  /** The inverse of `save`; undefined for anything that `save` does not give. */
  static restore(state: unknown): RollingBaseline | undefined {
    if (!isState(state)) return undefined;
    const baseline = new RollingBaseline();
    baseline.#values = [...state.values];
    baseline.#sorted = [...state.values].sort((a, b) => a - b);
    baseline.#next = state.next;
    baseline.#seen = state.seen;
    baseline.#step = state.step;
    baseline.#grid = state.grid ?? state.values.reduce(refined, GRIDS[0]);
    const newest = (state.next + state.values.length - 1) % Math.max(1, state.values.length);
    baseline.#last = state.values[newest];
    return baseline;
  }
}
