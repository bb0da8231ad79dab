import { ItemPool } from './item-pool.ts';
import { keyOf } from './value-key.ts';

/** Bins that a bucket may have, by its size class: few values need little room. */
export const CLASS_BINS = [2, 8, 32] as const;
/** Sum, least and greatest value, and a pair of words: values, and bins and shift. */
const HEAD_UNITS = 4;
const LARGEST = CLASS_BINS.length - 1;
/** A bucket's name holds its class in the lowest bits; 0 is none. */
const CLASS_BITS = 2;

/** What of a bucket is added up for a window. */
export interface Summary {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** Of the coarsest bucket. */
  shift: number;
  /** Values by key, at the shift that each bucket has. */
  readonly bins: Array<{ key: number; shift: number; count: number }>;
}

export function emptySummary(): Summary {
  return { count: 0, sum: 0, min: Infinity, max: -Infinity, shift: 0, bins: [] };
}

/**
 * Buckets: the values of one stretch of time as count, sum, least, greatest, and a histogram of at
 * most 32 bins. When there are more, each two neighbours become one. The bins depend on the values
 * alone, not on their order.
 */
export class Buckets {
  readonly #pools = CLASS_BINS.map((bins) => new ItemPool(HEAD_UNITS + bins));

  get used(): number {
    return this.#pools.reduce((sum, { used }) => sum + used, 0);
  }

  get bytes(): number {
    return this.#pools.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #pool(bucket: number): ItemPool {
    return this.#pools[(bucket & ((1 << CLASS_BITS) - 1)) - 1] as ItemPool;
  }

  #take(size: number): number {
    const pool = this.#pools[size] as ItemPool;
    return (pool.take() << CLASS_BITS) | (size + 1);
  }

  /** A bucket with this value. */
  create(value: number): number {
    const bucket = this.#take(0);
    const pool = this.#pool(bucket);
    const item = bucket >> CLASS_BITS;
    const at = pool.at(item);
    const numbers = pool.numbers(item);
    const words = pool.words(item);
    numbers[at] = value;
    numbers[at + 1] = value;
    numbers[at + 2] = value;
    words[2 * at + 6] = 1;
    words[2 * at + 7] = 1 << 8;
    words[2 * at + 8] = keyOf(value);
    words[2 * at + 9] = 1;
    return bucket;
  }

  free(bucket: number): void {
    this.#pool(bucket).giveBack(bucket >> CLASS_BITS);
  }

  /** Takes a value in. Returns the bucket's name, another one if it has become larger. */
  add(bucket: number, value: number): number {
    const pool = this.#pool(bucket);
    const item = bucket >> CLASS_BITS;
    const at = pool.at(item);
    const numbers = pool.numbers(item);
    const words = pool.words(item);
    numbers[at] = (numbers[at] as number) + value;
    if (value < (numbers[at + 1] as number)) numbers[at + 1] = value;
    if (value > (numbers[at + 2] as number)) numbers[at + 2] = value;
    const word = 2 * at;
    words[word + 6] = (words[word + 6] as number) + 1;
    const full = keyOf(value);
    for (;;) {
      const state = words[word + 7] as number;
      const used = state >> 8;
      const key = full >> (state & 0xff);
      const first = word + 8;
      const place = placeOf(words, first, used, key);
      const slot = first + 2 * place;
      if (place < used && words[slot] === key) {
        words[slot + 1] = (words[slot + 1] as number) + 1;
        return bucket;
      }
      if (used < pool.units - HEAD_UNITS) {
        insert(words, slot, first + 2 * used, key);
        words[word + 7] = state + (1 << 8);
        return bucket;
      }
      const size = (bucket & ((1 << CLASS_BITS) - 1)) - 1;
      if (size < LARGEST) return this.#addToLarger(bucket, full);
      coarsen(words, word);
    }
  }

  /** The same in a larger one, with one more of this key. */
  #addToLarger(bucket: number, key: number): number {
    const from = this.#pool(bucket);
    const item = bucket >> CLASS_BITS;
    const larger = this.#take(bucket & ((1 << CLASS_BITS) - 1));
    const to = this.#pool(larger);
    const into = larger >> CLASS_BITS;
    const words = to.words(into);
    const word = 2 * to.at(into);
    const at = 2 * from.at(item);
    const old = from.words(item);
    for (let i = 0; i < 2 * from.units; i++) words[word + i] = old[at + i] as number;
    from.giveBack(item);
    const state = words[word + 7] as number;
    const used = state >> 8;
    const first = word + 8;
    const slot = first + 2 * placeOf(words, first, used, key);
    insert(words, slot, first + 2 * used, key);
    words[word + 7] = state + (1 << 8);
    return larger;
  }

  /** Adds what a bucket holds to a summary. */
  addTo(summary: Summary, bucket: number): void {
    const pool = this.#pool(bucket);
    const item = bucket >> CLASS_BITS;
    const at = pool.at(item);
    const numbers = pool.numbers(item);
    const words = pool.words(item);
    const state = words[2 * at + 7] as number;
    const shift = state & 0xff;
    summary.count += words[2 * at + 6] as number;
    summary.sum += numbers[at] as number;
    summary.min = Math.min(summary.min, numbers[at + 1] as number);
    summary.max = Math.max(summary.max, numbers[at + 2] as number);
    summary.shift = Math.max(summary.shift, shift);
    const first = 2 * at + 8;
    for (let slot = first; slot < first + 2 * (state >> 8); slot += 2) {
      const key = words[slot] as number;
      summary.bins.push({ key, shift, count: words[slot + 1] as number });
    }
  }
}

/** The first bin whose key is not below `key`. */
function placeOf(words: Int32Array, first: number, used: number, key: number): number {
  let low = 0;
  let high = used;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((words[first + 2 * middle] as number) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A bin with one value, in front of those up to `end`. A loop: these are few words. */
function insert(words: Int32Array, slot: number, end: number, key: number): void {
  for (let i = end - 1; i >= slot; i--) words[i + 2] = words[i] as number;
  words[slot] = key;
  words[slot + 1] = 1;
}

/** Makes one bin of each two neighbours. */
function coarsen(words: Int32Array, word: number): void {
  const state = words[word + 7] as number;
  const used = state >> 8;
  const first = word + 8;
  let kept = -1;
  for (let i = 0; i < used; i++) {
    const key = (words[first + 2 * i] as number) >> 1;
    const count = words[first + 2 * i + 1] as number;
    const last = first + 2 * kept;
    if (kept >= 0 && words[last] === key) {
      words[last + 1] = (words[last + 1] as number) + count;
    } else {
      kept += 1;
      words[first + 2 * kept] = key;
      words[first + 2 * kept + 1] = count;
    }
  }
  words[word + 7] = ((kept + 1) << 8) | ((state & 0xff) + 1);
}
