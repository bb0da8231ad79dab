/** What became of a record that was sent alone. */
interface Suspect<T> {
  readonly record: T;
  refusals: number;
  /** Links that ended while it was on its way. */
  kills: number;
  isAcked: boolean;
  reason: string;
}

export interface Finding<T> {
  /** The cloud has taken them. */
  readonly acked: readonly T[];
  /** The cloud takes others, and not these. */
  readonly culprits: ReadonlyArray<{ readonly record: T; readonly reason: string }>;
}

/** Links that a record must have ended before it is a culprit: a bad line ends links too. */
const KILLS = 3;

/**
 * Finds the record that the cloud does not take, by sending a few one at a time. A refusal alone
 * proves nothing about a record: quota and rights concern all of them. So one is a culprit only
 * once the cloud has taken another one of the same few. Pure.
 */
export class Probe<T> {
  #suspects: Array<Suspect<T>>;
  #current: Suspect<T> | undefined;

  /** `records`: the oldest first. */
  constructor(records: readonly T[]) {
    this.#suspects = records.map((record) => {
      return { record, refusals: 0, kills: 0, isAcked: false, reason: '' };
    });
  }

  /** The next one to send, alone; undefined: one is on its way, or all is known that can be. */
  next(): T | undefined {
    if (this.#current !== undefined || this.finding() !== undefined) return undefined;
    this.#current = this.#candidates()[0];
    return this.#current?.record;
  }

  #candidates(): Array<Suspect<T>> {
    const open = this.#suspects.filter(({ isAcked, refusals }) => !isAcked && refusals === 0);
    // Those that have ended the fewest links first: so the others are heard before a second try.
    const isAnyAcked = this.#suspects.some(({ isAcked }) => isAcked);
    const least = Math.min(...open.map(({ kills }) => kills));
    const some = open.filter(({ kills }) => kills < KILLS);
    // Once another one was taken there is nothing to learn from those that were never sent.
    if (isAnyAcked) return some.filter(({ kills }) => kills > 0);
    return some.filter(({ kills }) => kills === least);
  }

  /** Nothing was learnt of the one on its way: it is sent again. */
  abandon(): void {
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

  refused(reason: string): void {
    if (this.#current !== undefined) {
      this.#current.refusals += 1;
      this.#current.reason = reason;
    }
    this.#current = undefined;
  }

  /** The link is gone; what was on its way is taken for the cause if `ended` says so. */
  ended(reason: string): void {
    if (this.#current !== undefined) {
      this.#current.kills += 1;
      this.#current.reason = `the link ended each time it was sent: ${reason}`;
    }
    this.#current = undefined;
  }

  /** Undefined while something more is to be sent or waited for. */
  finding(): Finding<T> | undefined {
    if (this.#current !== undefined) return undefined;
    const acked = this.#suspects.filter(({ isAcked }) => isAcked).map(({ record }) => record);
    const [oldest] = this.#suspects;
    // What was to be found out: it goes on.
    const goesOn = oldest?.isAcked === true;
    if (!goesOn && this.#candidates().length > 0) return undefined;
    if (acked.length === 0) return { acked, culprits: [] };
    const culprits = this.#suspects
      .filter(({ isAcked, refusals, kills }) => !isAcked && (refusals > 0 || kills >= KILLS))
      .map(({ record, reason }) => ({ record, reason }));
    return { acked, culprits };
  }

  /** Why the oldest one was not taken. */
  get reason(): string {
    return this.#suspects[0]?.reason ?? '';
  }
}
