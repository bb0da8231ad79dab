import type { Fingerprint } from './fingerprint.ts';

/** Where the fingerprint of an entry of the table stands: the table has its place only. */
export interface Prints {
  isAt(place: number, print: Fingerprint): boolean;
  /** First lane of the fingerprint there. */
  laneAt(place: number): number;
}

/** A word of the table: a place, and above it bits of the fingerprint that tell most others. */
const PLACE_BITS = 24;
const PLACE_MASK = 2 ** PLACE_BITS - 1;
/** One more is 0: nothing stands here. */
export const MAX_PLACES = PLACE_MASK;
const MOST_FULL = 0.5;

/**
 * Finds fingerprints by their value: open addressing, 4 bytes a word. It has the size that it will
 * need: one that grows copies itself, which takes time all at once, and leaves holes in the memory.
 * The kernel gives it memory where it is written to.
 */
export class IdTable {
  readonly #words: Uint32Array;
  readonly #prints: Prints;

  /** `most`: entries. */
  constructor(most: number, prints: Prints) {
    this.#words = new Uint32Array(Math.ceil(most / MOST_FULL) + 1);
    this.#prints = prints;
  }

  /** Its place; -1: it is not there. */
  find(print: Fingerprint): number {
    const words = this.#words;
    const tag = print.b >>> PLACE_BITS;
    for (let at = this.#home(print.a); ; at = this.#after(at)) {
      const word = words[at] ?? 0;
      if (word === 0) return -1;
      const place = (word & PLACE_MASK) - 1;
      if (word >>> PLACE_BITS === tag && this.#prints.isAt(place, print)) return place;
    }
  }

  /** One that is not there. */
  add({ a, b }: Fingerprint, place: number): void {
    let at = this.#home(a);
    while (this.#words[at] !== 0) at = this.#after(at);
    this.#words[at] = (((b >>> PLACE_BITS) << PLACE_BITS) | (place + 1)) >>> 0;
  }

  /** Takes an entry out and moves up those behind it that would not be found across the gap. */
  remove(lane: number, place: number): void {
    const words = this.#words;
    let gap = this.#home(lane);
    while (((words[gap] ?? 0) & PLACE_MASK) !== place + 1) gap = this.#after(gap);
    for (let at = this.#after(gap); words[at] !== 0; at = this.#after(at)) {
      const word = words[at] ?? 0;
      const home = this.#home(this.#prints.laneAt((word & PLACE_MASK) - 1));
      if (this.#distance(home, at) < this.#distance(gap, at)) continue;
      words[gap] = word;
      gap = at;
    }
    words[gap] = 0;
  }

  #home(lane: number): number {
    return Math.floor(((lane >>> 0) * this.#words.length) / 2 ** 32);
  }

  #after(at: number): number {
    return at + 1 < this.#words.length ? at + 1 : 0;
  }

  #distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.#words.length;
  }
}
