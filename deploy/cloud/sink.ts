import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../../src/base/backoff.ts';
import { type MessageRows, rejectedRow, rowsOf } from './rows.ts';
import type { Intake, SinkMessage } from './source.ts';

/**
 * Messages in, rows out. What comes while a batch is being committed goes together in the next: a
 * lone message waits for nothing, and a flood goes in large statements. A message counts as taken
 * only after the commit; until then its source has it as well, so a crash here loses nothing.
 */

/** Of the records of an insert. The others were there already. */
export interface Inserted {
  readonly inserted: number;
  /** Kept among the rejected: another record has their identity. */
  readonly differing: number;
}

/** Where rows go. */
export interface Store {
  /** All or nothing. Resolves after the commit. */
  insert(rows: MessageRows): Promise<Inserted>;
  /** True if the rows are at fault, so that another try would fail as well. */
  isDataFault(error: unknown): boolean;
}

export interface SinkOptions {
  readonly store: Store;
  readonly backoff: Backoff;
  /** The store can't be reached, or refuses: it is tried again. */
  readonly onTrouble: (error: unknown) => void;
}

/** Since the start. */
export interface SinkCounts {
  readonly messages: number;
  /** Records that were new. */
  readonly inserted: number;
  /** Records that were there already. */
  readonly repeated: number;
  /** Messages in headgate_rejected, whole or in part. */
  readonly rejected: number;
  /** Messages that are not committed yet. */
  readonly waiting: number;
}

/** A batch ends with the message that reaches one of these. */
const BATCH_ROWS = 5000;
const BATCH_BYTES = 4 * 1024 * 1024;

/** Taken and not committed yet; a message more may pass it. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

interface Taken {
  readonly message: SinkMessage;
  readonly settle: (isStored: boolean) => void;
}

interface Decoded extends MessageRows {
  readonly taken: Taken;
}

export class Sink implements Intake {
  readonly #options: SinkOptions;
  readonly #queue: Taken[] = [];
  readonly #roomWaiters: Array<() => void> = [];
  readonly #giveUp = new AbortController();
  #isWriting = false;
  #waiting = 0;
  #waitingBytes = 0;
  #messages = 0;
  #inserted = 0;
  #repeated = 0;
  #rejected = 0;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  get counts(): SinkCounts {
    return {
      messages: this.#messages,
      inserted: this.#inserted,
      repeated: this.#repeated,
      rejected: this.#rejected,
      waiting: this.#waiting,
    };
  }

  take(message: SinkMessage): Promise<boolean> {
    if (this.#giveUp.signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const { length } = message.payload;
      this.#waiting += 1;
      this.#waitingBytes += length;
      const settle = (isStored: boolean) => {
        this.#waiting -= 1;
        this.#waitingBytes -= length;
        resolve(isStored);
      };
      this.#queue.push({ message, settle });
      // Those of the same turn share a batch.
      queueMicrotask(() => void this.#write());
    });
  }

  #hasRoom(): boolean {
    return this.#waiting < MAX_WAITING && this.#waitingBytes < MAX_WAITING_BYTES;
  }

  async room(): Promise<void> {
    while (!this.#hasRoom()) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** What is not committed yet is left to its source. */
  giveUp(): void {
    this.#giveUp.abort();
    this.#leave(this.#queue.splice(0));
  }

  #leave(taken: readonly Taken[]): void {
    for (const { settle } of taken) settle(false);
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    if (!this.#hasRoom()) return;
    for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#queue.length > 0) await this.#store(this.#nextBatch());
    this.#isWriting = false;
  }

  #nextBatch(): Decoded[] {
    const batch: Decoded[] = [];
    let [rows, bytes] = [0, 0];
    for (const taken of this.#queue) {
      const decoded = { ...rowsOf(taken.message), taken };
      batch.push(decoded);
      rows += decoded.records.length;
      for (const { payload } of decoded.records) bytes += payload.length;
      for (const { payload } of decoded.rejected) bytes += payload.length;
      if (rows >= BATCH_ROWS || bytes >= BATCH_BYTES) break;
    }
    this.#queue.splice(0, batch.length);
    return batch;
  }

  /** Halves a batch whose rows are at fault until the message is found. */
  async #store(batch: readonly Decoded[]): Promise<void> {
    const { store, backoff, onTrouble } = this.#options;
    const records = batch.flatMap((message) => message.records);
    const rejected = batch.flatMap((message) => message.rejected);
    const { signal } = this.#giveUp;
    while (!signal.aborted) {
      try {
        this.#count(batch, await store.insert({ records, rejected }));
        backoff.reset();
        return;
      } catch (error) {
        if (store.isDataFault(error) && records.length > 0) return this.#storeApart(batch, error);
        onTrouble(error);
        await wait(backoff.nextMs(), undefined, { signal }).catch(() => {
          // Given up; seen above.
        });
      }
    }
    this.#leave(batch.map(({ taken }) => taken));
  }

  async #storeApart(batch: readonly Decoded[], error: unknown): Promise<void> {
    const [first] = batch;
    if (batch.length === 1 && first !== undefined) {
      const reason = error instanceof Error ? error.message : String(error);
      const rejected = [rejectedRow(first.taken.message, reason)];
      return this.#store([{ records: [], rejected, taken: first.taken }]);
    }
    const half = Math.ceil(batch.length / 2);
    await this.#store(batch.slice(0, half));
    await this.#store(batch.slice(half));
  }

  #count(batch: readonly Decoded[], { inserted, differing }: Inserted): void {
    let records = 0;
    for (const message of batch) {
      records += message.records.length;
      this.#rejected += message.rejected.length;
    }
    this.#messages += batch.length;
    this.#inserted += inserted;
    this.#repeated += records - inserted - differing;
    this.#rejected += differing;
    for (const { taken } of batch) taken.settle(true);
    this.#wakeWaiters();
  }
}
