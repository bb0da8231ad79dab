/** What became of a record that was sent alone. */
interface Suspect<T> {
  readonly record: T;
  isAcked: boolean;
  /** Refused, whatever for. */
  isRefused: boolean;
  /** Links that ended while it was on its way. */
  kills: number;
  /** What speaks against it since another one was taken. */
  proofs: number;
  reason: string;
}

export interface Finding<T> {
  /** The cloud has taken some, or there is none left; else no record is the cause. */
  readonly goesOn: boolean;
  /** The cloud takes others, and not these. */
  readonly culprits: ReadonlyArray<{ readonly record: T; readonly reason: string }>;
}

/** Links that one may end while none is taken: then it can't be told what ends them. */
const KILLS = 3;
/**
 * Makes a culprit. A refusal for good is all of it; one that gives no reason is a part, and so is a
 * link that ended, as a bad line ends links too. A refusal that asks for patience is none, however
 * often it comes: a quota, or a partition without enough replicas, may hold up one device for hours
 * while others are taken.
 */
const PROOFS = 3;
const PROOFS_OF = { later: 0, unclear: 1, never: PROOFS } as const;

/**
 * Finds the record that the cloud does not take, by sending a few one at a time. A refusal alone
 * proves nothing about a record: quota and rights concern all of them, and may change meanwhile.
 * So only what comes after the cloud has taken another one of the same few speaks against it. Pure.
 */
export class Probe<T> {
  #suspects: Array<Suspect<T>>;
  #current: Suspect<T> | undefined;

  /** `records`: the oldest first. */
  constructor(records: readonly T[]) {
    const clean = { isAcked: false, isRefused: false, kills: 0, proofs: 0, reason: '' };
    this.#suspects = records.map((record) => ({ record, ...clean }));
  }

  /** The next one to send, alone; undefined: one is on its way, or all is known that can be. */
  next(): T | undefined {
    if (this.#current !== undefined || this.finding() !== undefined) return undefined;
    this.#current = this.#candidates()[0];
    return this.#current?.record;
  }

  #candidates(): Array<Suspect<T>> {
    const open = this.#suspects.filter(({ isAcked, proofs }) => !isAcked && proofs < PROOFS);
    // Once another one was taken there is nothing to learn from those that were never sent.
    if (this.hasTaken) return open.filter(({ isRefused, kills }) => isRefused || kills > 0);
    // Those that have ended the fewest links first: so the others are heard before a second try.
    const unheard = open.filter(({ isRefused, kills }) => !isRefused && kills < KILLS);
    const least = Math.min(...unheard.map(({ kills }) => kills));
    return unheard.filter(({ kills }) => kills === least);
  }

  /** The cloud has taken one of them. */
  get hasTaken(): boolean {
    return this.#suspects.some(({ isAcked }) => isAcked);
  }

  /** Nothing was learnt of the one on its way: it is sent again. */
  abandon(): void {
    this.#current = undefined;
  }

  /** The others are not looked at any more. */
  keep(isWanted: (record: T) => boolean): void {
    this.#suspects = this.#suspects.filter(({ record, isAcked }) => isAcked || isWanted(record));
    this.#current = undefined;
  }

  /** What was on its way is done with, and says nothing of the others. */
  dropped(): void {
    this.#suspects = this.#suspects.filter((one) => one !== this.#current);
    this.#current = undefined;
  }

  acked(): void {
    if (this.#current !== undefined) this.#current.isAcked = true;
    this.#current = undefined;
  }

  refused(reason: string, kind: 'later' | 'unclear' | 'never'): void {
    if (this.#current !== undefined) this.#current.isRefused = true;
    this.#note(reason, PROOFS_OF[kind]);
  }

  /** The link is gone, and what was on its way may be the cause. */
  ended(reason: string): void {
    if (this.#current !== undefined) this.#current.kills += 1;
    this.#note(`the link ended each time it was sent: ${reason}`, 1);
  }

  #note(reason: string, proofs: number): void {
    if (this.#current !== undefined) {
      this.#current.reason = reason;
      if (this.hasTaken) this.#current.proofs += proofs;
    }
    this.#current = undefined;
  }

  /** Undefined while something more is to be sent or waited for. */
  finding(): Finding<T> | undefined {
    if (this.#current !== undefined) return undefined;
    const [oldest] = this.#suspects;
    // What was to be found out: the oldest goes.
    if (oldest?.isAcked !== true && this.#candidates().length > 0) return undefined;
    const goesOn = this.hasTaken || oldest === undefined;
    const culprits = this.#suspects
      .filter(({ isAcked, proofs }) => !isAcked && proofs >= PROOFS)
      .map(({ record, reason }) => ({ record, reason }));
    return { goesOn, culprits };
  }

  /** Why the oldest one was not taken. */
  get reason(): string {
    return this.#suspects[0]?.reason ?? '';
  }
}
