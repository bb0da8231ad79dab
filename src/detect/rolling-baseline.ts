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
}

/** Makes the median absolute deviation of a normal distribution its standard deviation. */
const MAD_TO_SIGMA = 1.4826;
const RELATIVE_FLOOR = 0.001;
const ABSOLUTE_FLOOR = 1e-9;
const STEP_SHARE = 0.02;
const MAX = Number.MAX_VALUE / 4;

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
  const { values, next, seen, step } = value as Partial<Record<keyof BaselineState, unknown>>;
  if (!Array.isArray(values) || !values.every(Number.isFinite)) return false;
  const full = values.length === BASELINE_VALUES;
  return (
    (full || values.length < BASELINE_VALUES) &&
    isIndex(next, full ? BASELINE_VALUES : 1) &&
    isIndex(seen, Number.MAX_SAFE_INTEGER) &&
    (seen as number) >= values.length &&
    Number.isFinite(step) &&
    (step as number) >= 0
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
  #last: number | undefined;

  /** Values taken so far. */
  get seen(): number {
    return this.#seen;
  }

  compare(value: number): Comparison {
    const median = this.#median();
    const scale = Math.max(
      MAD_TO_SIGMA * this.#deviation(median),
      this.#step,
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
    return { values: [...this.#values], next: this.#next, seen: this.#seen, step: this.#step };
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
    const newest = (state.next + state.values.length - 1) % Math.max(1, state.values.length);
    baseline.#last = state.values[newest];
    return baseline;
  }
}
