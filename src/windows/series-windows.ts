import { type Buckets, emptySummary } from './buckets.ts';
import { ItemPool } from './item-pool.ts';
import { type WindowStatistics, windowStatistics } from './window-statistics.ts';

/** A window slides by its buckets: the one that is being filled, and those before it. */
export interface WindowShape {
  readonly name: '1m' | '15m' | '1h';
  readonly bucketMs: number;
  readonly buckets: number;
}

export const WINDOWS: readonly WindowShape[] = [
  { name: '1m', bucketMs: 10_000, buckets: 6 },
  { name: '15m', bucketMs: 60_000, buckets: 15 },
  { name: '1h', bucketMs: 300_000, buckets: 12 },
];

/** What is older is in no window. */
export const LONGEST_MS = 3_600_000;
const UNITS = WINDOWS.reduce((sum, { buckets }) => sum + buckets, 0);

/** Times before the log began are below 0. */
function slotOf(index: number, buckets: number): number {
  const slot = index % buckets;
  return slot < 0 ? slot + buckets : slot;
}

export type WindowName = WindowShape['name'];
export type SeriesWindows = Readonly<Record<WindowName, WindowStatistics>>;

/**
 * The windows of all series. Those of one are a ring of buckets for each window; in which bucket a
 * value lands depends on its time alone, so the order in which values come does not matter.
 */
export class WindowRings {
  readonly #buckets: Buckets;
  /** Of each bucket of each window: which stretch of time it is, and its name; 0 for none. */
  readonly #rings = new ItemPool(UNITS);

  constructor(buckets: Buckets) {
    this.#buckets = buckets;
  }

  get bytes(): number {
    return this.#rings.bytes;
  }

  create(): number {
    const rings = this.#rings.take();
    const at = 2 * this.#rings.at(rings);
    this.#rings.words(rings).fill(0, at, at + 2 * UNITS);
    return rings;
  }

  free(rings: number): void {
    const words = this.#rings.words(rings);
    const at = 2 * this.#rings.at(rings);
    for (let word = at; word < at + 2 * UNITS; word += 2) {
      const bucket = words[word + 1] as number;
      if (bucket !== 0) this.#buckets.free(bucket);
    }
    this.#rings.giveBack(rings);
  }

  /**
   * A value of a moment that came at another one, both by the run clock. False: it is too old for
   * every window.
   */
  add(rings: number, value: number, runMs: number, arrivedRunMs: number): boolean {
    const words = this.#rings.words(rings);
    let word = 2 * this.#rings.at(rings);
    let isTaken = false;
    for (const { bucketMs, buckets } of WINDOWS) {
      const index = Math.floor(runMs / bucketMs);
      if (index > Math.floor(arrivedRunMs / bucketMs) - buckets) {
        isTaken = true;
        this.#put(words, word + 2 * slotOf(index, buckets), index, value);
      }
      word += 2 * buckets;
    }
    return isTaken;
  }

  #put(words: Int32Array, slot: number, index: number, value: number): void {
    const bucket = words[slot + 1] as number;
    const there = words[slot] as number;
    if (bucket !== 0 && there === index) {
      words[slot + 1] = this.#buckets.add(bucket, value);
      return;
    }
    // Read from the log again: a newer bucket has taken the place.
    if (bucket !== 0 && there > index) return;
    if (bucket !== 0) this.#buckets.free(bucket);
    words[slot] = index;
    words[slot + 1] = this.#buckets.create(value);
  }

  /** At a moment of the run clock. */
  at(rings: number, nowRunMs: number): SeriesWindows {
    const words = this.#rings.words(rings);
    let word = 2 * this.#rings.at(rings);
    const found: Partial<Record<WindowName, WindowStatistics>> = {};
    for (const { name, bucketMs, buckets } of WINDOWS) {
      const newest = Math.floor(nowRunMs / bucketMs);
      const summary = emptySummary();
      // Oldest first: sums of the same buckets are the same to the last bit.
      for (let index = newest - buckets + 1; index <= newest; index++) {
        const slot = word + 2 * slotOf(index, buckets);
        const bucket = words[slot + 1] as number;
        if (bucket !== 0 && words[slot] === index) this.#buckets.addTo(summary, bucket);
      }
      const coveredMs = nowRunMs - Math.max(0, newest - buckets + 1) * bucketMs;
      found[name] = windowStatistics(summary, coveredMs);
      word += 2 * buckets;
    }
    return found as SeriesWindows;
  }
}
