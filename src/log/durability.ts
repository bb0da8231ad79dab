import type { Journal } from './journal.ts';

interface Waiting {
  /** By partition: the offset before which all must be durable. */
  readonly to: readonly number[];
  readonly tell: (isDurable: boolean) => void;
}

/** Tells when records that were given out early are durable, or that they never will be. */
export class Durability {
  readonly #journal: Journal;
  readonly #stream: string;
  #waiting: Waiting[] = [];
  readonly #stops: ReadonlyArray<() => void>;

  constructor(journal: Journal, stream: string) {
    this.#journal = journal;
    this.#stream = stream;
    this.#stops = [
      journal.onCommit(() => this.#look()),
      journal.pending.listen({ appended() {}, withdrawn: () => this.#fail() }),
    ];
  }

  #isDurable(to: readonly number[]): boolean {
    const next = this.#journal.nextOffsets(this.#stream);
    return to.every((end, p) => end <= (next[p] ?? 0));
  }

  /** `to`: as above. To be asked while what is before it is durable or on its way. */
  of(to: readonly number[]): Promise<boolean> {
    if (this.#isDurable(to)) return Promise.resolve(true);
    return new Promise((tell) => this.#waiting.push({ to, tell }));
  }

  #look(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      if (this.#isDurable(one.to)) one.tell(true);
      else this.#waiting.push(one);
    }
  }

  #fail(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { to, tell } of waiting) tell(this.#isDurable(to));
  }

  /** Whoever waits is told no more. */
  close(): void {
    for (const stop of this.#stops) stop();
  }
}
