import { Batch, type Joining } from './batch.ts';
import type { Moment } from './format.ts';
import type { Stream } from './stream.ts';
import type { WriteBudget } from './write-budget.ts';

/** A batch this large gains nothing by lingering: its padding is a few percent of it at most. */
const FULL_BYTES = 48 * 1024;
const MAX_SPARE = 2;
/** Due at once. */
export const NOW = Number.NEGATIVE_INFINITY;

/** Told of what is not durable yet. Must not throw, and must not append. */
export interface EarlyListener {
  /** A record of the stream waits to be written. After every append. */
  appended(stream: Stream): void;
  /** Nothing that was pending becomes durable, and its offsets are given again. */
  withdrawn(): void;
}

export interface PendingOptions {
  readonly onDefect: (error: unknown) => void;
  /** When a batch begins whose first record arrived at this monotonic ms. */
  readonly momentAt: (monoMs: number) => Moment;
  readonly maxBodyBytes: number;
}

/** What readers see of it. */
export interface PendingView {
  /**
   * Oldest first: in the order in which they are written. Good only at once, and for as long as
   * nothing fails.
   */
  batches(): Iterable<Batch>;
  /** Returns how to listen no more. */
  listen(listener: EarlyListener): () => void;
}

/** The batches that are not durable: one that is being written, some that wait, one that fills. */
export class Pending implements PendingView {
  readonly #options: PendingOptions;
  #filling: Batch;
  #waiting: Batch[] = [];
  #spare: Batch[] = [];
  #writing: Batch | undefined;
  #serial = 0;
  #isHurried = false;
  readonly #listeners = new Set<EarlyListener>();
  /** By slot: the offset of the next record that joins, if nothing fails. */
  #next: number[];

  /** `nextOffsets`: of what is durable. */
  constructor(options: PendingOptions, nextOffsets: readonly number[]) {
    this.#options = options;
    this.#filling = this.#newBatch();
    this.#next = [...nextOffsets];
  }

  #newBatch(): Batch {
    return this.#spare.pop() ?? new Batch(this.#options.onDefect);
  }

  /** A record joins the batch that fills. Returns by how much the bodies have grown, bytes. */
  add(stream: Stream, slot: number, joining: Joining, maxBytes: number): number {
    const { maxBodyBytes, momentAt } = this.#options;
    if (this.#filling.bodyBytes + maxBytes > maxBodyBytes) {
      this.#waiting.push(this.#filling);
      this.#filling = this.#newBatch();
    }
    const batch = this.#filling;
    if (batch.records === 0) {
      this.#serial += 1;
      batch.begin(this.#serial, momentAt(joining.reading.monoMs));
    }
    const before = batch.bodyBytes;
    batch.add(stream, slot, joining, this.#next);
    for (const listener of this.#listeners) listener.appended(stream);
    return batch.bodyBytes - before;
  }

  /** Batches wait for one that is being written. */
  get isBehind(): boolean {
    return this.#waiting.length > 0;
  }

  /** When the next batch is to be written, monotonic ms; undefined: there is none. */
  dueMonoMs(budget: WriteBudget | undefined): number | undefined {
    if (this.#waiting.length > 0 || this.#filling.bodyBytes >= FULL_BYTES) return NOW;
    if (this.#isHurried && this.#filling.records > 0) return NOW;
    return this.#filling.records > 0 ? this.#filling.dueMonoMs(budget) : undefined;
  }

  /** The next batch to write, if there is one; then `done` or `fail`. */
  take(): Batch | undefined {
    this.#writing = this.#waiting.shift();
    if (this.#writing === undefined && this.#filling.records > 0) {
      this.#writing = this.#filling;
      this.#filling = this.#newBatch();
    }
    return this.#writing;
  }

  /** What was taken is durable: it is pending no more. */
  done(): void {
    this.#writing = undefined;
  }

  /** Nobody needs the batch any more. */
  reuse(batch: Batch): void {
    batch.reset();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(batch);
  }

  /** Nothing becomes durable of all this. Offsets go on from `nextOffsets`, which is. */
  fail(nextOffsets: readonly number[]): Batch[] {
    const batches = [...this.#waiting, this.#filling];
    this.#writing = undefined;
    this.#waiting = [];
    this.#filling = this.#newBatch();
    this.#next = [...nextOffsets];
    for (const listener of this.#listeners) listener.withdrawn();
    return batches;
  }

  listen(listener: EarlyListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** From here on everything is due at once. */
  hurry(): void {
    this.#isHurried = true;
  }

  *batches(): Generator<Batch> {
    if (this.#writing !== undefined) yield this.#writing;
    yield* this.#waiting;
    if (this.#filling.records > 0) yield this.#filling;
  }
}
