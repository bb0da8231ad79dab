/** Ranges that are kept of one boot; beyond it the oldest is forgotten. */
export const MAX_GAPS = 32;

/** Numbers from `from` to `to`, both among them. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
}

/** Ranges of numbers that have not come, in their order and apart from each other. Pure. */
export class GapList {
  /** From, to, from, to. */
  #ends: number[] = [];

  get size(): number {
    return this.#ends.length / 2;
  }

  *[Symbol.iterator](): Generator<NumberRange> {
    for (let i = 0; i < this.#ends.length; i += 2) {
      yield { from: this.#ends[i] ?? 0, to: this.#ends[i + 1] ?? 0 };
    }
  }

  has(number: number): boolean {
    return this.#indexOf(number) >= 0;
  }

  /** Above all that is there. It grows the last one where it touches it. */
  append(from: number, to: number): void {
    const last = this.#ends.length - 1;
    if (last > 0 && this.#ends[last] === from - 1) this.#ends[last] = to;
    else this.#ends.push(from, to);
  }

  /** Below all that is there. */
  prepend(from: number, to: number): void {
    this.#ends.unshift(from, to);
  }

  /** The number has come after all: its range gets shorter, falls in two, or is no more. */
  fill(number: number): void {
    const i = this.#indexOf(number);
    if (i < 0) return;
    const from = this.#ends[i] ?? 0;
    const to = this.#ends[i + 1] ?? 0;
    const rest: number[] = [];
    if (from < number) rest.push(from, number - 1);
    if (number < to) rest.push(number + 1, to);
    this.#ends.splice(i, 2, ...rest);
  }

  dropOldest(): NumberRange | undefined {
    const [from, to] = this.#ends.splice(0, 2);
    return from === undefined || to === undefined ? undefined : { from, to };
  }

  /** Of the range's start in `#ends`; -1: none has the number. */
  #indexOf(number: number): number {
    for (let i = this.#ends.length - 2; i >= 0; i -= 2) {
      if ((this.#ends[i + 1] ?? 0) < number) return -1;
      if ((this.#ends[i] ?? 0) <= number) return i;
    }
    return -1;
  }
}
