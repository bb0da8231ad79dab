import type { LabelledSeries, ScoredSeries } from './scorer.ts';

/**
 * The scoring of the Numenta Anomaly Benchmark: A. Lavin and S. Ahmad, "Evaluating Real-time
 * Anomaly Detection Algorithms", 2015; S. Ahmad et al., "Unsupervised real-time anomaly detection
 * for streaming data", 2017. A row with a score of the threshold or more is a detection. The
 * earliest one in a window earns most, one after a window costs the more the further it is from it,
 * and a window without one costs too. The sum is told between 0, which finding nothing earns, and
 * 100, which finding each window at its first row and nothing else earns. Pure.
 */

/** What a profile counts: a window that is found, one that is missed, a detection elsewhere. */
export interface Costs {
  readonly tp: number;
  readonly fn: number;
  readonly fp: number;
}

/** As published with the data. */
export const NAB_PROFILES: Readonly<Record<string, Costs>> = {
  standard: { tp: 1, fn: 1, fp: 0.11 },
  reward_low_FP_rate: { tp: 1, fn: 1, fp: 0.22 },
  reward_low_FN_rate: { tp: 1, fn: 2, fp: 0.11 },
};

export interface Tally {
  readonly threshold: number;
  /** 0 to 100, below 0 where it is worse than finding nothing; NaN where there are no windows. */
  readonly score: number;
  /** The sum that the score is made from. */
  readonly sum: number;
  readonly windows: number;
  readonly found: number;
  readonly falsePositives: number;
}

const PROBATION_SHARE = 0.15;
const PROBATION_MOST = 750;
/** From here on a detection is as far from the window as it can be. */
const FARTHEST = 3;

/** The first rows of a series, in which nothing counts: a detector learns there. */
export function probationRows(rows: number): number {
  return Math.min(Math.floor(PROBATION_SHARE * rows), PROBATION_MOST);
}

/** From 1 well before the end of a window through 0 at its end to -1 well after it. */
function sigmoid(position: number): number {
  return position > FARTHEST ? -1 : 2 / (1 + Math.exp(5 * position)) - 1;
}

/** What a detection at this row is worth, and the window that it finds; -1: none. */
interface Worth {
  readonly unit: number;
  readonly window: number;
}

function worthAt(row: number, windows: LabelledSeries['windows'], passed: number): Worth {
  const open = windows[passed];
  if (open !== undefined && row >= open.from) {
    const width = open.to - open.from + 1;
    return { unit: sigmoid((row - open.to - 1) / width) / sigmoid(-1), window: passed };
  }
  const last = windows[passed - 1];
  if (last === undefined) return { unit: -1, window: -1 };
  return { unit: sigmoid((row - last.to) / (last.to - last.from)), window: -1 };
}

/** Rows that count, whose score is at least `least`. */
function* detections({ series, scores }: ScoredSeries, least: number): Generator<[number, Worth]> {
  const { windows } = series;
  let passed = 0;
  for (let row = 0; row < scores.length; row++) {
    while (row > (windows[passed]?.to ?? Number.POSITIVE_INFINITY)) passed += 1;
    const score = scores[row] ?? 0;
    if (row < probationRows(scores.length) || !(score >= least)) continue;
    yield [score, worthAt(row, windows, passed)];
  }
}

/** Takes detections in, in any order, and keeps the books. */
class Book {
  readonly #costs: Costs;
  /** By window: what its best detection earns. */
  readonly #earned: Float64Array;
  #sum: number;
  #found = 0;
  #falsePositives = 0;

  constructor(windows: number, costs: Costs) {
    this.#costs = costs;
    this.#earned = new Float64Array(windows).fill(-costs.fn);
    this.#sum = -costs.fn * windows;
  }

  get sum(): number {
    return this.#sum;
  }

  take({ unit, window }: Worth): void {
    const { tp, fp, fn } = this.#costs;
    if (window < 0) {
      this.#sum += unit * fp;
      this.#falsePositives += 1;
      return;
    }
    const before = this.#earned[window] ?? 0;
    if (before === -fn) this.#found += 1;
    const better = Math.max(before, unit * tp);
    this.#earned[window] = better;
    this.#sum += better - before;
  }

  close(threshold: number): Tally {
    const { tp, fn } = this.#costs;
    const windows = this.#earned.length;
    const share = (this.#sum + fn * windows) / ((tp + fn) * windows);
    const score = windows === 0 ? Number.NaN : 100 * share;
    const [found, falsePositives] = [this.#found, this.#falsePositives];
    return { threshold, score, sum: this.#sum, windows, found, falsePositives };
  }
}

function windowsOf(all: readonly ScoredSeries[]): number {
  return all.reduce((sum, { series }) => sum + series.windows.length, 0);
}

/** Of all series together: windows are counted through. */
function* allDetections(
  all: readonly ScoredSeries[],
  least: number,
): Generator<[score: number, worth: Worth]> {
  let before = 0;
  for (const one of all) {
    for (const [score, { unit, window }] of detections(one, least)) {
      yield [score, { unit, window: window < 0 ? -1 : before + window }];
    }
    before += one.series.windows.length;
  }
}

/** At one threshold for all series. */
export function tallyAt(all: readonly ScoredSeries[], costs: Costs, threshold: number): Tally {
  const book = new Book(windowsOf(all), costs);
  for (const [, worth] of allDetections(all, threshold)) book.take(worth);
  return book.close(threshold);
}

/**
 * At the one threshold that is the best for all series together; above 1, which nothing reaches,
 * where finding nothing is. What no live detector can have: the answers choose it.
 */
export function bestTally(all: readonly ScoredSeries[], costs: Costs): Tally {
  // A score of 0 is what a detector says of what it does not call unusual at all.
  const rows = [...allDetections(all, Number.MIN_VALUE)].sort(([a], [b]) => b - a);
  const book = new Book(windowsOf(all), costs);
  let best = book.close(1 + Number.EPSILON);
  for (const [i, [score, worth]] of rows.entries()) {
    book.take(worth);
    const isLastOfIts = rows[i + 1]?.[0] !== score;
    if (isLastOfIts && book.sum > best.sum) best = book.close(score);
  }
  return best;
}
