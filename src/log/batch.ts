import type { HeadgateError } from '../base/errors.ts';
import type { LogRecord, Reading } from '../base/reading.ts';
import { bootName, type Moment, type Run } from './format.ts';
import { BodyWriter } from './record-codec.ts';
import type { Slot, Stream } from './stream.ts';
import type { WriteBudget } from './write-budget.ts';

/** Called once when a record is durable at its offset, or when it is known that it is not. */
export type Settle = (error: HeadgateError | undefined, offset: number) => void;

/** `slot`: of the record's partition; `receivedAtMs`: as a reader of the block has it. */
export type Visit = (slot: number, reading: Reading, receivedAtMs: number) => void;

/** Whole ms from the block's base to a record's arrival. */
function sinceBase({ monoMs }: Reading, baseMonoMs: number): number {
  return Math.max(0, Math.floor(monoMs - baseMonoMs));
}

const INITIAL_BODY_BYTES = 64 * 1024;

/**
 * The records of one commit to be. Offsets are given out when the batch is written, not when a
 * record joins it, so that a batch that fails leaves no gap.
 */
export class Batch {
  readonly #body = new BodyWriter(INITIAL_BODY_BYTES);
  readonly #readings: Reading[] = [];
  readonly #settles: Settle[] = [];
  /** Run and place within it of each record. */
  readonly #runOf: number[] = [];
  readonly #placeOf: number[] = [];
  readonly #runs: Array<{ slot: number; records: number }> = [];
  /** First offset of each run, once committed. */
  #firstOffsets: readonly number[] = [];
  readonly #runOfSlot = new Map<number, number>();
  #firstMonoMs = 0;
  #payloadBytes = 0;
  /** Without a budget. */
  #dueMonoMs = Number.POSITIVE_INFINITY;
  /** The same of the records that wait for no budget. */
  #urgentMonoMs = Number.POSITIVE_INFINITY;
  readonly #onDefect: (error: unknown) => void;

  constructor(onDefect: (error: unknown) => void) {
    this.#onDefect = onDefect;
  }

  get bodyBytes(): number {
    return this.#body.length;
  }

  get records(): number {
    return this.#settles.length;
  }

  /** Monotonic arrival of the first record, ms: the block's base. */
  get firstMonoMs(): number {
    return this.#firstMonoMs;
  }

  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /**
   * When it is due, monotonic ms: the first of its records has lingered for as long as its stream
   * does, and the budget allows a commit or some record does not wait for that.
   */
  dueMonoMs(budget: WriteBudget | undefined): number {
    const due = this.#dueMonoMs;
    return Math.min(this.#urgentMonoMs, budget?.dueMs(due, this.#firstMonoMs) ?? due);
  }

  /** `stream`: whose record it is; `slot`: of its partition. */
  add(stream: Stream, slot: number, reading: Reading, settle: Settle): void {
    if (this.#settles.length === 0) this.#firstMonoMs = reading.monoMs;
    let run = this.#runOfSlot.get(slot);
    if (run === undefined) {
      run = this.#runs.length;
      this.#runOfSlot.set(slot, run);
      this.#runs.push({ slot, records: 0 });
    }
    const entry = this.#runs[run];
    if (entry === undefined) return;
    this.#body.add(reading, run, sinceBase(reading, this.#firstMonoMs));
    this.#payloadBytes += reading.payload.length;
    const dueMonoMs = reading.monoMs + stream.lingerMs;
    if (dueMonoMs < this.#dueMonoMs) this.#dueMonoMs = dueMonoMs;
    if (stream.isUrgent && dueMonoMs < this.#urgentMonoMs) this.#urgentMonoMs = dueMonoMs;
    this.#readings.push(reading);
    this.#settles.push(settle);
    this.#runOf.push(run);
    this.#placeOf.push(entry.records);
    entry.records += 1;
  }

  /** The block's runs and body, with offsets from the row of next offsets. */
  block(slots: readonly Slot[], nextOffsets: readonly number[]): { runs: Run[]; body: Uint8Array } {
    const runs = this.#runs.map(({ slot, records }) => ({
      stream: slots[slot]?.stream ?? 0,
      partition: slots[slot]?.partition ?? 0,
      records,
      firstOffset: nextOffsets[slot] ?? 0,
    }));
    return { runs, body: this.#body.bytes() };
  }

  /** The block is durable: moves the next offsets on and tells every sender, first in first out. */
  committed(nextOffsets: number[]): void {
    this.#firstOffsets = this.#runs.map(({ slot }) => nextOffsets[slot] ?? 0);
    for (const { slot, records } of this.#runs) {
      nextOffsets[slot] = (nextOffsets[slot] ?? 0) + records;
    }
    // By index: an iterator of pairs would make an array for each record.
    for (let i = 0; i < this.#settles.length; i++) this.#settle(i, undefined, this.#offsetOf(i));
  }

  /** A sender that throws is a defect of its own: those after it are told all the same. */
  #settle(i: number, error: HeadgateError | undefined, offset: number): void {
    try {
      this.#settles[i]?.(error, offset);
    } catch (defect) {
      this.#onDefect(defect);
    }
  }

  #offsetOf(i: number): number {
    return (this.#firstOffsets[this.#runOf[i] ?? 0] ?? 0) + (this.#placeOf[i] ?? 0);
  }

  /**
   * The records of one stream as a reader of the block decodes them; `moment` is the block's.
   * Between `committed` and `reset`.
   */
  recordsOf({ name, partitions, firstSlot }: Stream, moment: Moment): LogRecord[] {
    const boot = bootName(moment.boot);
    const records: LogRecord[] = [];
    for (const [i, reading] of this.#readings.entries()) {
      const partition = (this.#runs[this.#runOf[i] ?? 0]?.slot ?? -1) - firstSlot;
      if (partition < 0 || partition >= partitions) continue;
      const { device, topic, messageId, deviceTimeMs, reason, payload, value } = reading;
      const sinceBaseMs = sinceBase(reading, this.#firstMonoMs);
      records.push({
        stream: name,
        partition,
        offset: this.#offsetOf(i),
        device,
        topic,
        messageId,
        deviceTimeMs,
        reason,
        payload,
        monoMs: moment.monoMs + sinceBaseMs,
        receivedAtMs: moment.wallMs + sinceBaseMs,
        boot,
        runMs: moment.runMs + sinceBaseMs,
        value,
      });
    }
    return records;
  }

  /** Every record in commit order, for those who only count. Between `committed` and `reset`. */
  visit(moment: Moment, take: Visit): void {
    for (let i = 0; i < this.#readings.length; i++) {
      const reading = this.#readings[i];
      const slot = this.#runs[this.#runOf[i] ?? 0]?.slot;
      if (reading === undefined || slot === undefined) continue;
      take(slot, reading, moment.wallMs + sinceBase(reading, this.#firstMonoMs));
    }
  }

  /** Nothing of this batch is durable: tells every sender. */
  failed(error: HeadgateError): void {
    for (let i = 0; i < this.#settles.length; i++) this.#settle(i, error, -1);
  }

  /** Ready for the next commit; keeps its buffers. */
  reset(): void {
    this.#body.reset();
    this.#payloadBytes = 0;
    this.#dueMonoMs = Number.POSITIVE_INFINITY;
    this.#urgentMonoMs = Number.POSITIVE_INFINITY;
    this.#readings.length = 0;
    this.#settles.length = 0;
    this.#runOf.length = 0;
    this.#placeOf.length = 0;
    this.#runs.length = 0;
    this.#runOfSlot.clear();
  }
}
