import type { Summary } from './buckets.ts';
import { relativeErrorAt, valueOfKey } from './value-key.ts';

/** The values of one window: docs/state.md. */
export type WindowStatistics =
  | { readonly coveredMs: number; readonly count: 0 }
  | {
      /** What the window reaches back, ms of the run clock. */
      readonly coveredMs: number;
      readonly count: number;
      readonly min: number;
      readonly max: number;
      readonly mean: number;
      readonly p50: number;
      readonly p90: number;
      readonly p99: number;
      /** Each quantile is nearer to the exact one than this share of it. */
      readonly relativeError: number;
    };

/** The bins of all buckets at the shift of the coarsest, in order. */
function merged({ bins, shift }: Summary): Array<[key: number, count: number]> {
  const counts = new Map<number, number>();
  for (const bin of bins) {
    const key = bin.key >> (shift - bin.shift);
    counts.set(key, (counts.get(key) ?? 0) + bin.count);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

const QUANTILES = [0.5, 0.9, 0.99] as const;

/** By nearest rank: the least value that has this share of the values at or below it. */
function quantiles(summary: Summary): number[] {
  const { count, min, max, shift } = summary;
  const bins = merged(summary);
  const found: number[] = [];
  let at = 0;
  let passed = bins[0]?.[1] ?? 0;
  for (const share of QUANTILES) {
    const rank = Math.ceil(share * count);
    while (passed < rank && at + 1 < bins.length) {
      at += 1;
      passed += bins[at]?.[1] ?? 0;
    }
    const [key, inBin] = bins[at] ?? [0, 1];
    const value = valueOfKey(key, shift, (rank - (passed - inBin) - 0.5) / inBin);
    found.push(Math.min(max, Math.max(min, value)) + 0);
  }
  return found;
}

function meanOf({ count, sum, min, max }: Summary): number {
  // Of numbers so large that their sum is none.
  if (!Number.isFinite(sum)) return min / 2 + max / 2;
  return Math.min(max, Math.max(min, sum / count));
}

export function windowStatistics(summary: Summary, coveredMs: number): WindowStatistics {
  const { count, min, max, shift } = summary;
  const covered = Math.round(coveredMs);
  if (count === 0) return { coveredMs: covered, count: 0 };
  const [p50 = 0, p90 = 0, p99 = 0] = quantiles(summary);
  const mean = meanOf(summary);
  const relativeError = relativeErrorAt(shift);
  // Adding 0 makes 0 of -0.
  const ends = { min: min + 0, max: max + 0 };
  return { coveredMs: covered, count, ...ends, mean: mean + 0, p50, p90, p99, relativeError };
}
