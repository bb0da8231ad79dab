import type { Fingerprint } from './fingerprint.ts';

/** Where the fingerprint of an entry of the table stands: the table has its place only. */
export interface Prints {
  isAt(place: number, print: Fingerprint): boolean;
  /** First lane of the fingerprint there. */
  laneAt(place: number): number;
}

/** A word of the table: a place and a bit more than a guess. */
const PLACE_BITS = 24;
export const MAX_PLACES = 2 ** PLACE_BITS - 1;
const PLACE_MASK = MAX_PLACES;
const SHARD_BITS = 6;
const LEAST_CAPACITY = 16;
const MOST_FULL = 3 / 4;

/** One of the parts that grow by themselves. */
class Shard {
  #words = new Uint32Array(LEAST_CAPACITY);
  #size = 0;
  readonly #prints: Prints;

  constructor(prints: Prints) {
    this.#prints = prints;
  }

  find(print: Fingerprint): number {
    const words = this.#words;
    const mask = words.length - 1;
    const tag = tagOf(print.b);
    for (let at = print.a & mask; ; at = (at + 1) & mask) {
      const word = words[at] ?? 0;
      if (word === 0) return -1;
      const place = (word & PLACE_MASK) - 1;
      if (word >>> PLACE_BITS === tag && this.#prints.isAt(place, print)) return place;
    }
  }

  /** A print that is not there. */
  add({ a, b }: Fingerprint, place: number): void {
    if (this.#size + 1 > this.#words.length * MOST_FULL) this.#grow();
    this.#put(a, ((tagOf(b) << PLACE_BITS) | (place + 1)) >>> 0);
    this.#size += 1;
  }

  #put(lane: number, word: number): void {
    const mask = this.#words.length - 1;
    let at = lane & mask;
    while (this.#words[at] !== 0) at = (at + 1) & mask;
    this.#words[at] = word;
  }

  /** Takes an entry out and moves up those behind it that would not be found across the gap. */
  remove(lane: number, place: number): void {
    const words = this.#words;
    const mask = words.length - 1;
    let gap = lane & mask;
    while (((words[gap] ?? 0) & PLACE_MASK) !== place + 1) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; words[at] !== 0; at = (at + 1) & mask) {
      const word = words[at] ?? 0;
      const home = this.#prints.laneAt((word & PLACE_MASK) - 1) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      words[gap] = word;
      gap = at;
    }
    words[gap] = 0;
    this.#size -= 1;
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(2 * old.length);
    for (const word of old) {
      if (word !== 0) this.#put(this.#prints.laneAt((word & PLACE_MASK) - 1), word);
    }
  }
}

function tagOf(lane: number): number {
  return lane >>> PLACE_BITS;
}

/**
 * Finds fingerprints by their value: open addressing, 4 bytes a word, two thirds full or so. In
 * parts that grow one by one, so that none of them makes anybody wait: all at once a million would
 * take a tenth of a second.
 */
export class IdTable {
  readonly #shards: readonly Shard[];

  constructor(prints: Prints) {
    this.#shards = Array.from({ length: 2 ** SHARD_BITS }, () => new Shard(prints));
  }

  /** Its place; -1: it is not there. */
  find(print: Fingerprint): number {
    return this.#shardOf(print.a)?.find(print) ?? -1;
  }

  add(print: Fingerprint, place: number): void {
    this.#shardOf(print.a)?.add(print, place);
  }

  /** `lane`: the first of its fingerprint. It is there. */
  remove(lane: number, place: number): void {
    this.#shardOf(lane)?.remove(lane, place);
  }

  #shardOf(lane: number): Shard | undefined {
    return this.#shards[lane >>> (32 - SHARD_BITS)];
  }
}
