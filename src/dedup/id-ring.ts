import type { Fingerprint } from './fingerprint.ts';
import { IdTable, MAX_PLACES, type Prints } from './id-table.ts';

/** What is known of an id that became durable. */
export interface IdEntry {
  /** When it was seen last, in tenths of a second of the run clock. */
  readonly tick: number;
  /** How many ids of its device became durable before it. */
  readonly ordinal: number;
}

export const TICK_MS = 100;

/** Four lanes of the fingerprint, tick, ordinal, number of the device. */
export const ENTRY_WORDS = 7;
const TICK = 4;
const ORDINAL = 5;
const DEVICE = 6;
const CHUNK_SHIFT = 12;
const CHUNK = 2 ** CHUNK_SHIFT;

/**
 * The fingerprints of the last ids of a stream, in the order in which they became durable: 28 bytes
 * each and 8 in the table to find them by, and nothing for the garbage collector to walk over.
 * When it is full the oldest goes. An id that becomes durable once more stands in its new place
 * only.
 */
export class IdRing implements Prints {
  readonly capacity: number;
  readonly #chunks: Int32Array[] = [];
  readonly #table: IdTable;
  #pushed = 0;
  #size = 0;

  /** `most`: ids. */
  constructor(most: number) {
    this.capacity = Math.min(most, MAX_PLACES);
    this.#table = new IdTable(this.capacity, this);
  }

  /** Ids that can be found. */
  get size(): number {
    return this.#size;
  }

  /** All in all. An id is named by how many were pushed before it. */
  get pushed(): number {
    return this.#pushed;
  }

  /** Of the oldest that is still there. */
  get first(): number {
    return Math.max(0, this.#pushed - this.capacity);
  }

  find(print: Fingerprint): IdEntry | undefined {
    const place = this.#table.find(print);
    if (place < 0) return undefined;
    return { tick: this.#word(place, TICK) >>> 0, ordinal: this.#word(place, ORDINAL) >>> 0 };
  }

  /** It was seen again. False: it is not there, or was pushed before the `from`-th. */
  touch(print: Fingerprint, tick: number, from: number): boolean {
    const place = this.#table.find(print);
    if (place < 0) return false;
    const rounds = Math.ceil((this.#pushed - place) / this.capacity) - 1;
    if (place + rounds * this.capacity < from) return false;
    this.#set(place, TICK, tick);
    return true;
  }

  /** `device`: above 0. */
  push(print: Fingerprint, entry: IdEntry, device: number): void {
    const before = this.#table.find(print);
    if (before >= 0) this.#forget(before);
    this.pushNew(print, entry, device);
  }

  /** One that is not there. */
  pushNew(print: Fingerprint, { tick, ordinal }: IdEntry, device: number): void {
    const place = this.#pushed % this.capacity;
    if (this.#pushed >= this.capacity && this.#word(place, DEVICE) !== 0) this.#forget(place);
    this.#write(place, print, { tick, ordinal }, device);
    this.#table.add(print, place);
    this.#pushed += 1;
    this.#size += 1;
  }

  /**
   * A copy of those from the `from`-th pushed to the one before `to`, seven words each; the last
   * word of one that is no more is 0.
   */
  copy(from: number, to: number): Int32Array {
    const words = new Int32Array(Math.max(0, to - from) * ENTRY_WORDS);
    for (let n = from; n < to; ) {
      const place = n % this.capacity;
      const inChunk = place & (CHUNK - 1);
      const count = Math.min(to - n, CHUNK - inChunk, this.capacity - place);
      const chunk = this.#chunks[place >>> CHUNK_SHIFT];
      const part = chunk?.subarray(inChunk * ENTRY_WORDS, (inChunk + count) * ENTRY_WORDS);
      if (part !== undefined) words.set(part, (n - from) * ENTRY_WORDS);
      n += count;
    }
    return words;
  }

  isAt(place: number, { a, b, c, d }: Fingerprint): boolean {
    const words = this.#chunks[place >>> CHUNK_SHIFT];
    if (words === undefined) return false;
    const at = (place & (CHUNK - 1)) * ENTRY_WORDS;
    return words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d;
  }

  laneAt(place: number): number {
    return this.#word(place, 0);
  }

  #forget(place: number): void {
    this.#table.remove(this.laneAt(place), place);
    this.#set(place, DEVICE, 0);
    this.#size -= 1;
  }

  #set(place: number, word: number, value: number): void {
    const words = this.#chunks[place >>> CHUNK_SHIFT];
    if (words !== undefined) words[(place & (CHUNK - 1)) * ENTRY_WORDS + word] = value;
  }

  #word(place: number, word: number): number {
    return this.#chunks[place >>> CHUNK_SHIFT]?.[(place & (CHUNK - 1)) * ENTRY_WORDS + word] ?? 0;
  }

  #write(place: number, print: Fingerprint, { tick, ordinal }: IdEntry, device: number): void {
    const words = this.#chunkOf(place);
    const at = (place & (CHUNK - 1)) * ENTRY_WORDS;
    words[at] = print.a;
    words[at + 1] = print.b;
    words[at + 2] = print.c;
    words[at + 3] = print.d;
    words[at + TICK] = tick;
    words[at + ORDINAL] = ordinal;
    words[at + DEVICE] = device;
  }

  #chunkOf(place: number): Int32Array {
    const number = place >>> CHUNK_SHIFT;
    let words = this.#chunks[number];
    if (words === undefined) {
      words = new Int32Array(CHUNK * ENTRY_WORDS);
      this.#chunks[number] = words;
    }
    return words;
  }
}

/** What `copy` gives, one id after the other. */
export class IdCopies {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Of several copies, one after the other. */
  static of(parts: readonly Int32Array[]): IdCopies {
    const words = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      words.set(part, at);
      at += part.length;
    }
    return new IdCopies(words);
  }

  get count(): number {
    return this.#words.length / ENTRY_WORDS;
  }

  lane(n: number, lane: 0 | 1 | 2 | 3): number {
    return this.#words[n * ENTRY_WORDS + lane] ?? 0;
  }

  tick(n: number): number {
    return (this.#words[n * ENTRY_WORDS + TICK] ?? 0) >>> 0;
  }

  ordinal(n: number): number {
    return (this.#words[n * ENTRY_WORDS + ORDINAL] ?? 0) >>> 0;
  }

  /** 0: it is no more. */
  device(n: number): number {
    return this.#words[n * ENTRY_WORDS + DEVICE] ?? 0;
  }
}
