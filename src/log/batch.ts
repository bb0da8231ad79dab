import type { HeadgateError } from '../base/errors.ts';
import type { LogRecord, Reading } from '../base/reading.ts';
import { bootName, type Moment, type Run } from './format.ts';
import { BodyWriter } from './record-codec.ts';
import type { Slot, Stream } from './stream.ts';
import type { WriteBudget } from './write-budget.ts';

/** Called once when a record is durable at its offset, or when it is known that it is not. */
export type Settle = (error: HeadgateError | undefined, offset: number) => void;

/** A reading, and who is told what becomes of it. */
export interface Joining {
  readonly reading: Reading;
  readonly settle: Settle;
}

/** `slot`: of the record's partition; `receivedAtMs`: as a reader of the block has it. */
export type Visit = (slot: number, reading: Reading, receivedAtMs: number) => void;

/** Whole ms from the block's base to a record's arrival. */
function sinceBase({ monoMs }: Reading, baseMonoMs: number): number {
  return Math.max(0, Math.floor(monoMs - baseMonoMs));
}

const INITIAL_BODY_BYTES = 64 * 1024;
const NO_MOMENT: Moment = { boot: new Uint8Array(8), monoMs: 0, wallMs: 0, runMs: 0 };

/**
 * The records of one commit to be. A record gets its offset and its times as it joins; they are for
 * good once the batch is durable. Of a batch that fails they are given again, so it leaves no gap.
 */
export class Batch {
  readonly #body = new BodyWriter(INITIAL_BODY_BYTES);
  readonly #readings: Reading[] = [];
  readonly #settles: Settle[] = [];
  /** Run and place within it of each record. */
  readonly #runOf: number[] = [];
  readonly #placeOf: number[] = [];
  readonly #runs: Array<{ slot: number; firstOffset: number; records: number }> = [];
  /** By place in the batch: what readers have asked for. */
  readonly #made: Array<LogRecord | undefined> = [];
  #moment: Moment = NO_MOMENT;
  #bootName = '';
  #serial = 0;
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

  /** Of the block: when its first record arrived. */
  get moment(): Moment {
    return this.#moment;
  }

  /** Later batches have higher ones. */
  get serial(): number {
    return this.#serial;
  }

  /** Before the first record: when that one arrived. */
  begin(serial: number, moment: Moment): void {
    this.#serial = serial;
    this.#moment = moment;
    this.#bootName = bootName(moment.boot);
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

  /**
   * `stream`: whose record it is; `slot`: of its partition; `nextOffsets`: what the next record of
   * each slot gets, which moves on.
   */
  add(stream: Stream, slot: number, joining: Joining, nextOffsets: number[]): void {
    const { reading, settle } = joining;
    if (this.#settles.length === 0) this.#firstMonoMs = reading.monoMs;
    let run = this.#runOfSlot.get(slot);
    if (run === undefined) {
      run = this.#runs.length;
      this.#runOfSlot.set(slot, run);
      this.#runs.push({ slot, firstOffset: nextOffsets[slot] ?? 0, records: 0 });
    }
    nextOffsets[slot] = (nextOffsets[slot] ?? 0) + 1;
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

  /** The block's runs and body. */
  block(slots: readonly Slot[]): { runs: Run[]; body: Uint8Array } {
    const runs = this.#runs.map(({ slot, records, firstOffset }) => ({
      stream: slots[slot]?.stream ?? 0,
      partition: slots[slot]?.partition ?? 0,
      records,
      firstOffset,
    }));
    return { runs, body: this.#body.bytes() };
  }

  /** The block is durable: moves the next offsets on and tells every sender, first in first out. */
  committed(nextOffsets: number[]): void {
    for (const { slot, records, firstOffset } of this.#runs) {
      nextOffsets[slot] = firstOffset + records;
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
    return (this.#runs[this.#runOf[i] ?? 0]?.firstOffset ?? 0) + (this.#placeOf[i] ?? 0);
  }

  /** The records of one stream as a reader of the block decodes them. Before `reset`. */
  recordsOf(stream: Stream): LogRecord[] {
    const records: LogRecord[] = [];
    for (let i = 0; i < this.#readings.length; i++) {
      const record = this.recordAt(i, stream);
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** The same of the record at one place; undefined if it is another stream's. */
  recordAt(i: number, { name, partitions, firstSlot }: Stream): LogRecord | undefined {
    const reading = this.#readings[i];
    const partition = (this.#runs[this.#runOf[i] ?? 0]?.slot ?? -1) - firstSlot;
    if (reading === undefined || partition < 0 || partition >= partitions) return undefined;
    const made = this.#made[i];
    if (made !== undefined) return made;
    const { monoMs, wallMs, runMs } = this.#moment;
    const { device, topic, messageId, deviceTimeMs, reason, payload, value } = reading;
    const sinceBaseMs = sinceBase(reading, this.#firstMonoMs);
    const record = {
      stream: name,
      partition,
      offset: this.#offsetOf(i),
      device,
      topic,
      messageId,
      deviceTimeMs,
      reason,
      payload,
      monoMs: monoMs + sinceBaseMs,
      receivedAtMs: wallMs + sinceBaseMs,
      boot: this.#bootName,
      runMs: runMs + sinceBaseMs,
      value,
    };
    this.#made[i] = record;
    return record;
  }

  /** Every record in commit order, for those who only count. Before `reset`. */
  visit(take: Visit): void {
    for (let i = 0; i < this.#readings.length; i++) {
      const reading = this.#readings[i];
      const slot = this.#runs[this.#runOf[i] ?? 0]?.slot;
      if (reading === undefined || slot === undefined) continue;
      take(slot, reading, this.#moment.wallMs + sinceBase(reading, this.#firstMonoMs));
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
    this.#made.length = 0;
  }
}
