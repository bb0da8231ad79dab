/**
 * Items of one size, without an object for each: so many are few for the garbage collector, and
 * their memory is what was asked for. An item is `units` of 8 bytes, as numbers or as pairs of 32
 * bits; it is named by a whole number from 0 on.
 */
const PAGE_BITS = 7;
const PER_PAGE = 1 << PAGE_BITS;

export class ItemPool {
  readonly units: number;
  readonly #numbers: Float64Array[] = [];
  readonly #words: Int32Array[] = [];
  readonly #free: number[] = [];
  #made = 0;

  constructor(units: number) {
    this.units = units;
  }

  /** Items in use. */
  get used(): number {
    return this.#made - this.#free.length;
  }

  /** Memory taken; what is free is kept for later items. */
  get bytes(): number {
    return this.#numbers.length * PER_PAGE * this.units * 8;
  }

  /** An item, with whatever the one before it left in it. */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const item = this.#made;
    if (item >> PAGE_BITS === this.#numbers.length) {
      const page = new Float64Array(PER_PAGE * this.units);
      this.#numbers.push(page);
      this.#words.push(new Int32Array(page.buffer));
    }
    this.#made += 1;
    return item;
  }

  giveBack(item: number): void {
    this.#free.push(item);
  }

  /** The page of an item as numbers. */
  numbers(item: number): Float64Array {
    return this.#numbers[item >> PAGE_BITS] ?? NO_NUMBERS;
  }

  /** The same as words of 32 bits. */
  words(item: number): Int32Array {
    return this.#words[item >> PAGE_BITS] ?? NO_WORDS;
  }

  /** Where an item begins in its page, in units: as numbers from there on, as words from twice. */
  at(item: number): number {
    return (item & (PER_PAGE - 1)) * this.units;
  }
}

const NO_NUMBERS = new Float64Array(0);
const NO_WORDS = new Int32Array(0);
