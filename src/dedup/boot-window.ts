import { type BitSlab, type SlabPlace, WINDOW_BITS } from './bit-slab.ts';
import type { Claim } from './claim.ts';
import { GapList, MAX_GAPS, type NumberRange } from './gap-list.ts';

/** What is known of a number. */
export type Knowledge =
  /** Its reading is durable. */
  | 'seen'
  /** It has not come: above all, within the window, or in a gap. */
  | 'missing'
  /** Below the first number that came, or of a gap that was forgotten. */
  | 'unknown';

/** A window as it is stored. */
export interface StoredWindow {
  readonly boot: string;
  readonly low: number;
  readonly high: number;
  readonly unseen: readonly NumberRange[];
}

/** Maps of claims in flight, to be used again: nearly all windows have none at any time. */
const spare: Array<Map<number, Claim>> = [];
const MAX_SPARE = 256;

/**
 * The numbers of one boot of a device: the last 1,024 by a bit each, and what is missing of those
 * before as ranges, so that a number is told from its repeat however late it comes. Constant
 * memory: of the missing ranges the oldest is forgotten when there are too many, and numbers up to
 * its end are unknown from then on.
 */
export class BootWindow {
  readonly boot: string;
  /** The boot before this one. */
  older: BootWindow | undefined;
  /** Numbers below are unknown. */
  #low: number;
  #high: number;
  readonly #slab: BitSlab;
  readonly #place: SlabPlace;
  #gaps: GapList | undefined;
  #inFlight: Map<number, Claim> | undefined;
  #hasEnded = false;

  /** `first`: the first number of this boot that came. */
  constructor(boot: string, first: number, slab: BitSlab) {
    this.boot = boot;
    this.#low = first;
    this.#high = first;
    this.#slab = slab;
    this.#place = slab.take();
  }

  get low(): number {
    return this.#low;
  }

  /** The highest that came, durable or in flight. */
  get high(): number {
    return this.#high;
  }

  get isInFlight(): boolean {
    return this.#inFlight !== undefined;
  }

  claimOf(number: number): Claim | undefined {
    return this.#inFlight?.get(number);
  }

  add(number: number, claim: Claim): void {
    if (number > this.#high) this.#raise(number);
    this.#inFlight ??= spare.pop() ?? new Map();
    this.#inFlight.set(number, claim);
  }

  land(number: number): void {
    const map = this.#inFlight;
    if (map === undefined) return;
    map.delete(number);
    if (map.size > 0) return;
    this.#inFlight = undefined;
    if (this.#hasEnded) this.#slab.give(this.#place);
    if (spare.length < MAX_SPARE) spare.push(map);
  }

  knows(number: number): Knowledge {
    if (number > this.#high) return 'missing';
    if (this.covers(number)) return this.#isMarked(number) ? 'seen' : 'missing';
    if (number < this.#low) return 'unknown';
    return this.#gaps?.has(number) === true ? 'missing' : 'seen';
  }

  /** Its reading is durable. */
  mark(number: number): void {
    if (number > this.#high) this.#raise(number);
    if (this.covers(number)) {
      const bit = bitOf(number);
      const at = this.#place.at + (bit >>> 5);
      this.#place.words[at] = (this.#place.words[at] ?? 0) | (1 << (bit & 31));
      if (number < this.#low) this.#low = number;
    } else if (number < this.#low) this.#reachDown(number);
    else this.#fill(number);
  }

  /**
   * What is not durable, lowest first. 32 numbers at a time where they are all alike: the audit
   * asks every device in memory.
   */
  *unseen(): Generator<NumberRange> {
    if (this.#gaps !== undefined) yield* this.#gaps;
    let start: number | undefined;
    const from = Math.max(this.#low, this.#high - WINDOW_BITS + 1);
    for (let number = from; number <= this.#high; number++) {
      const alike = this.#alikeFrom(number);
      if (alike === 'seen' && start === undefined) number += 31;
      else if (alike === 'unseen') {
        start ??= number;
        number += 31;
      } else if (!this.#isMarked(number)) start ??= number;
      else if (start !== undefined) {
        yield { from: start, to: number - 1 };
        start = undefined;
      }
    }
    if (start !== undefined) yield { from: start, to: this.#high };
  }

  /** What has not come, lowest first: not durable, and not in flight either. */
  *missing(): Generator<NumberRange> {
    const flying = [...(this.#inFlight?.keys() ?? [])].sort((a, b) => a - b);
    let next = 0;
    for (const { from, to } of this.unseen()) {
      let start = from;
      while (next < flying.length && (flying[next] ?? 0) < from) next += 1;
      for (let at = flying[next]; at !== undefined && at <= to; at = flying[next]) {
        if (start < at) yield { from: start, to: at - 1 };
        start = at + 1;
        next += 1;
      }
      if (start <= to) yield { from: start, to };
    }
  }

  /** As it was stored: what is not among the unseen from `low` to `high` is durable. */
  static restore({ boot, low, high, unseen }: StoredWindow, slab: BitSlab): BootWindow {
    const window = new BootWindow(boot, low, slab);
    window.#high = high;
    const below = high - WINDOW_BITS;
    for (let n = Math.max(low, below + 1); n <= high; n++) window.mark(n);
    for (const { from, to } of unseen) {
      if (from <= below) {
        window.#gaps ??= new GapList();
        window.#gaps.append(from, Math.min(to, below));
      }
      for (let n = Math.max(from, below + 1); n <= to; n++) window.#unmark(n);
    }
    return window;
  }

  /** Its bits are another's from here on, or once nothing of it is in flight. */
  end(): void {
    this.#hasEnded = true;
    if (this.#inFlight === undefined) this.#slab.give(this.#place);
  }

  /** It is one of the last 1,024, or above them. */
  covers(number: number): boolean {
    return number > this.#high - WINDOW_BITS;
  }

  #isMarked(number: number): boolean {
    const bit = bitOf(number);
    return ((this.#place.words[this.#place.at + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  /** Of the 32 numbers from this one on; undefined: they are not alike, or not of one word. */
  #alikeFrom(number: number): 'seen' | 'unseen' | undefined {
    const bit = bitOf(number);
    if ((bit & 31) !== 0 || number + 31 > this.#high) return undefined;
    const word = this.#place.words[this.#place.at + (bit >>> 5)];
    if (word === 0) return 'unseen';
    return word === 0xffff_ffff ? 'seen' : undefined;
  }

  #unmark(number: number): void {
    const bit = bitOf(number);
    const at = this.#place.at + (bit >>> 5);
    this.#place.words[at] = (this.#place.words[at] ?? 0) & ~(1 << (bit & 31));
  }

  /** The window moves up; what leaves it unseen is a gap. */
  #raise(number: number): void {
    const steps = Math.min(number - this.#high, WINDOW_BITS);
    for (let step = 1; step <= steps; step++) {
      const leaving = this.#high + step - WINDOW_BITS;
      // The bit of the one that leaves is that of the one that comes in.
      if (leaving >= this.#low && !this.#isMarked(leaving)) this.#miss(leaving, leaving);
      this.#unmark(leaving);
    }
    const skippedTo = number - WINDOW_BITS;
    if (skippedTo > this.#high) this.#miss(this.#high + 1, skippedTo);
    this.#high = number;
  }

  #miss(from: number, to: number): void {
    this.#gaps ??= new GapList();
    this.#gaps.append(from, to);
    this.#bound(this.#gaps);
  }

  #fill(number: number): void {
    if (this.#gaps === undefined) return;
    this.#gaps.fill(number);
    this.#bound(this.#gaps);
  }

  /** Below all that came before: what is between is missing, if there is room to know that. */
  #reachDown(number: number): void {
    const to = Math.min(this.#low - 1, this.#high - WINDOW_BITS);
    if (number < to) {
      this.#gaps ??= new GapList();
      if (this.#gaps.size >= MAX_GAPS) return;
      this.#gaps.prepend(number + 1, to);
    }
    this.#low = number;
  }

  #bound(gaps: GapList): void {
    if (gaps.size > MAX_GAPS) this.#low = (gaps.dropOldest()?.to ?? this.#low - 1) + 1;
    if (gaps.size === 0) this.#gaps = undefined;
  }
}

/** Where the bit of a number stands. Those of a counter that wraps may be below 0. */
function bitOf(number: number): number {
  return ((number % WINDOW_BITS) + WINDOW_BITS) % WINDOW_BITS;
}
