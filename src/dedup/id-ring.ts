import type { Fingerprint } from './fingerprint.ts';

const LEAST_CAPACITY = 16;

/**
 * The fingerprints of one device, oldest first: a ring, and a table to find them by. 32 bytes an id
 * when full, and nothing for the garbage collector to walk over.
 */
export class IdRing {
  /** Four lanes each. */
  #prints = new Int32Array(4 * LEAST_CAPACITY);
  #runMs = new Float64Array(LEAST_CAPACITY);
  /** Places in the ring, plus one; 0 is free. Twice as long as the ring, probed linearly. */
  #table = new Int32Array(2 * LEAST_CAPACITY);
  #oldest = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Run clock of the oldest; undefined: there is none. */
  get oldestRunMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#runMs[this.#oldest];
  }

  get newestRunMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#runMs[this.#place(this.#size - 1)];
  }

  /** `runMs`: run clock at which its reading arrived, ms. */
  push(print: Fingerprint, runMs: number): void {
    if (this.#size === this.#capacity) this.#resize(2 * this.#capacity);
    const place = this.#place(this.#size);
    const at = 4 * place;
    this.#prints[at] = print.a;
    this.#prints[at + 1] = print.b;
    this.#prints[at + 2] = print.c;
    this.#prints[at + 3] = print.d;
    this.#runMs[place] = runMs;
    this.#size += 1;
    this.#enter(place);
  }

  has(print: Fingerprint): boolean {
    const mask = this.#table.length - 1;
    for (let at = print.a & mask; ; at = (at + 1) & mask) {
      const entry = this.#table[at] ?? 0;
      if (entry === 0) return false;
      if (this.#isAt(print, entry - 1)) return true;
    }
  }

  dropOldest(): void {
    if (this.#size === 0) return;
    this.#leave(this.#oldest);
    this.#oldest = this.#place(1);
    this.#size -= 1;
    const capacity = this.#capacity;
    if (capacity > LEAST_CAPACITY && this.#size * 4 <= capacity) this.#resize(capacity / 2);
  }

  get #capacity(): number {
    return this.#runMs.length;
  }

  /** Where the n-th from the oldest stands. */
  #place(n: number): number {
    return (this.#oldest + n) & (this.#capacity - 1);
  }

  #isAt({ a, b, c, d }: Fingerprint, place: number): boolean {
    const at = 4 * place;
    const prints = this.#prints;
    return prints[at] === a && prints[at + 1] === b && prints[at + 2] === c && prints[at + 3] === d;
  }

  /** Where a place's entry in the table would stand if nothing else were there. */
  #home(place: number): number {
    return (this.#prints[4 * place] ?? 0) & (this.#table.length - 1);
  }

  #enter(place: number): void {
    const mask = this.#table.length - 1;
    let at = this.#home(place);
    while (this.#table[at] !== 0) at = (at + 1) & mask;
    this.#table[at] = place + 1;
  }

  /** Takes an entry out and moves up those behind it that would not be found across the gap. */
  #leave(place: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let gap = this.#home(place);
    while (table[gap] !== place + 1) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const home = this.#home((table[at] ?? 0) - 1);
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      table[gap] = table[at] ?? 0;
      gap = at;
    }
    table[gap] = 0;
  }

  #resize(capacity: number): void {
    const prints = new Int32Array(4 * capacity);
    const runMs = new Float64Array(capacity);
    for (let n = 0; n < this.#size; n++) {
      const place = this.#place(n);
      prints.set(this.#prints.subarray(4 * place, 4 * place + 4), 4 * n);
      runMs[n] = this.#runMs[place] ?? 0;
    }
    this.#prints = prints;
    this.#runMs = runMs;
    this.#table = new Int32Array(2 * capacity);
    this.#oldest = 0;
    for (let n = 0; n < this.#size; n++) this.#enter(n);
  }
}
