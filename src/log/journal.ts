import { Backoff } from '../base/backoff.ts';
import { codedMessageOf, HeadgateError } from '../base/errors.ts';
import type { Reading } from '../base/reading.ts';
import type { Batch, Settle } from './batch.ts';
import { PAGE_BYTES, pagesFor } from './bytes.ts';
import type { SegmentInfo } from './catalog.ts';
import { packBody } from './codec.ts';
import { Commit } from './commit.ts';
import { CommitTimer } from './commit-timer.ts';
import { asStored, BLOCK_DATA, bodyStart, type Moment, plainBody } from './format.ts';
import type { BeforeDrop, JournalOptions } from './journal-options.ts';
import type { JournalStatus } from './journal-status.ts';
import { KnownLosses } from './known-losses.ts';
import type { LogView } from './log-view.ts';
import { type JournalFiles, openJournalFiles } from './open-journal.ts';
import { NOW, Pending, type PendingView } from './pending.ts';
import { maxRecordBytes } from './record-codec.ts';
import type { LostOffsets } from './recovery.ts';
import { SegmentRow } from './segment-row.ts';
import type { SparseIndex } from './sparse-index.ts';
import type { Slot, Stream } from './stream.ts';
import { streamMap } from './stream-map.ts';

const QUIET_MS = 60_000;
const PROBE_MIN_MS = 500;
const PROBE_MAX_MS = 10_000;

/**
 * The one append path of a store. Readings of all streams and partitions join the batch that is
 * filling; the batch becomes one block, one write and one fdatasync; then every sender is told,
 * first in first out. One commit is on its way at a time, so blocks reach the flash in order.
 */
export class Journal implements LogView {
  readonly #options: JournalOptions;
  readonly #streams: ReadonlyMap<string, Stream>;
  readonly #row: SegmentRow;
  readonly #slots: readonly Slot[];
  readonly #next: number[];
  readonly #monoAtStart: number;
  readonly #runAtStart: number;
  readonly #found: Pick<JournalStatus, 'tornBytes' | 'corruptBlocks'>;
  readonly #losses: KnownLosses;
  readonly #listeners = new Set<(commit: Commit) => void>();
  readonly #maxBodyBytes: number;
  readonly #probe: Backoff;
  readonly #pending: Pending;
  #committing: Promise<void> | undefined;
  readonly #timer: CommitTimer;
  #probeTimer: NodeJS.Timeout | undefined;
  #state: JournalStatus['state'] = 'durable';
  #lastError: string | undefined;
  #commits = 0;
  #attempts = 0;
  /** Run clock at the last block. */
  #lastRunMs: number;
  #payloadBytes = 0;
  /** Of the bytes written, those that the budget has been told of. */
  #budgetedBytes = 0;
  #pendingBytes = 0;

  private constructor(options: JournalOptions, opened: JournalFiles) {
    this.#options = options;
    this.#timer = new CommitTimer(options.clock, () => this.#startCommit());
    this.#row = new SegmentRow(options, opened);
    this.#next = opened.nextOffsets;
    const { tornBytes, corruptBlocks, lost } = opened.found;
    this.#found = { tornBytes, corruptBlocks };
    this.#losses = new KnownLosses(options.logger, lost);
    this.#runAtStart = opened.runMs;
    this.#lastRunMs = opened.runMs;
    this.#monoAtStart = options.clock.monoMs();
    this.#maxBodyBytes = Math.floor(options.segmentBytes / 2);
    this.#pending = new Pending(
      {
        onDefect: (error) => this.#defect(error),
        momentAt: (monoMs) => this.#momentAt(monoMs),
        maxBodyBytes: this.#maxBodyBytes,
      },
      this.#next,
    );
    const { random } = options;
    this.#probe = new Backoff({ baseMs: PROBE_MIN_MS, maxMs: PROBE_MAX_MS, random });
    const { slots, streams } = streamMap(opened.tables, options);
    this.#slots = slots;
    this.#streams = streams;
  }

  /**
   * Recovers what is there and makes the journal ready to append. Drops nothing before
   * `startUpkeep`. Throws LOG_FORMAT or a system error.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options, await openJournalFiles(options));
    journal.#tellBudget();
    return journal;
  }

  /** From here on there is packing and retention: once those are there who keep what it drops. */
  async startUpkeep(): Promise<void> {
    await this.retain();
    this.#row.startUpkeep();
    this.#tellBudget();
  }

  /**
   * Before retention drops records that are still there to be read, in the order of asking. It goes
   * on when all have kept what they need, and also when one of them can't.
   */
  beforeDrop(keep: BeforeDrop): void {
    this.#row.beforeDrop(keep);
  }

  /** Throws STREAM_UNKNOWN. */
  stream(name: string): Stream {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw new HeadgateError('STREAM_UNKNOWN', `no stream ${name}`);
    return stream;
  }

  /** Of the log and of the configuration together. */
  get streamNames(): string[] {
    return [...this.#streams.keys()];
  }

  get logId(): string {
    return this.#row.logId;
  }

  /** The run clock at a moment of the monotonic clock, ms. */
  runMs(monoMs: number): number {
    return this.#runAtStart + Math.max(0, monoMs - this.#monoAtStart);
  }

  status(): JournalStatus {
    return {
      state: this.#state,
      lastError: this.#lastError,
      bytesWritten: this.#row.bytesWritten,
      payloadBytes: this.#payloadBytes,
      commits: this.#commits,
      attempts: this.#attempts,
      isCommitting: this.#committing !== undefined,
      pendingBytes: this.#pendingBytes,
      segments: this.#row.segments().length,
      sizeBytes: this.#row.sizeBytes,
      ...this.#found,
      lost: this.#losses.all,
    };
  }

  /**
   * A consumer came upon offsets that a damaged block has taken with it: sealed segments are not
   * looked through at the start.
   */
  reportLost(lost: LostOffsets): void {
    this.#losses.report(lost);
  }

  /**
   * Takes a reading into the batch that is filling. `settle` is called once: with its offset when
   * it is durable, or with LOG_NOT_DURABLE, LOG_BACKPRESSURE, LOG_CLOSED or RECORD_TOO_LARGE, and
   * then it is nowhere. Senders are told in the order in which they appended. Returns true if it
   * waits in memory for its own linger, and for one commit before it at most.
   */
  append(stream: Stream, partition: number, reading: Reading, settle: Settle): boolean {
    const bytes = maxRecordBytes(reading);
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) {
      settle(refusal, -1);
      return false;
    }
    const slot = stream.firstSlot + partition;
    this.#pendingBytes += this.#pending.add(stream, slot, { reading, settle }, bytes);
    this.#schedule();
    return !this.#pending.isBehind;
  }

  #refusal(bytes: number): HeadgateError | undefined {
    if (this.#state === 'closed') return new HeadgateError('LOG_CLOSED');
    if (this.#state === 'stopped') return this.#notDurable();
    if (bytes > this.#maxBodyBytes) return new HeadgateError('RECORD_TOO_LARGE');
    if (this.#pendingBytes + bytes > this.#options.maxPendingBytes) {
      return new HeadgateError('LOG_BACKPRESSURE');
    }
    return undefined;
  }

  #notDurable(): HeadgateError {
    return new HeadgateError('LOG_NOT_DURABLE', this.#lastError);
  }

  /** Whoever was told threw: the log goes on. */
  #defect(error: unknown): void {
    this.#options.logger.error({ error }, 'a commit could not be told to everyone');
  }

  /** Starts a commit when the first record is due and none is on its way. */
  #schedule(): void {
    if (this.#committing !== undefined) return;
    const dueMonoMs = this.#pending.dueMonoMs(this.#options.budget);
    if (dueMonoMs === NOW) this.#startCommit();
    else if (dueMonoMs !== undefined) this.#timer.wake(dueMonoMs);
  }

  #startCommit(): void {
    this.#timer.cancel();
    if (this.#committing !== undefined) return;
    const taken = this.#pending.take();
    if (taken === undefined) return;
    this.#committing = this.#commit(taken).then(() => {
      this.#committing = undefined;
      this.#attempts += 1;
      this.#tellBudget();
      this.#pending.reuse(taken);
      this.#schedule();
    });
  }

  /** Of blocks and of what the upkeep has written meanwhile. */
  #tellBudget(): void {
    const { bytesWritten } = this.#row;
    this.#options.budget?.wrote(bytesWritten - this.#budgetedBytes, this.#options.clock.monoMs());
    this.#budgetedBytes = bytesWritten;
  }

  /** Every record of the batch is settled one way or the other, in the order in which they came. */
  async #commit(batch: Batch): Promise<void> {
    const bytes = batch.bodyBytes;
    const { moment } = batch;
    try {
      const { runs, body: plain } = batch.block(this.#slots);
      const { compression = 'auto' } = this.#options;
      const body = await packBody(plain, bodyStart(2 * runs.length), compression);
      const block = { kind: BLOCK_DATA, records: batch.records, moment, runs, body };
      await this.#row.append(block, this.#next);
      const pages = pagesFor(bodyStart(runs.length) + body.bytes.length);
      this.#options.budget?.committed(pages * PAGE_BYTES);
    } catch (error) {
      this.#pendingBytes -= bytes;
      this.#stop(error);
      batch.failed(this.#notDurable());
      this.#failWaiting();
      return;
    }
    this.#commits += 1;
    this.#lastRunMs = moment.runMs;
    this.#payloadBytes += batch.payloadBytes;
    this.#pendingBytes -= bytes;
    batch.committed(this.#next);
    this.#pending.done();
    const commit = new Commit(batch);
    for (const listener of this.#listeners) {
      try {
        listener(commit);
      } catch (error) {
        this.#defect(error);
      }
    }
  }

  #momentAt(monoMs: number): Moment {
    const { clock, boot } = this.#options;
    const agoMs = Math.max(0, clock.monoMs() - monoMs);
    return asStored({ boot, monoMs, wallMs: clock.wallMs() - agoMs, runMs: this.runMs(monoMs) });
  }

  /**
   * No data is taken from here on; a new segment is tried now and then until one can be started.
   */
  #stop(error: unknown): void {
    this.#state = 'stopped';
    this.#lastError = codedMessageOf(error);
    const subject = `log ${this.#options.folder}`;
    const fields = { subject, code: 'LOG_NOT_DURABLE', error: this.#lastError };
    this.#options.logger.error(
      fields,
      'the log takes no data: nothing is acknowledged until it does',
    );
    this.#probeLater();
  }

  #failWaiting(): void {
    this.#timer.cancel();
    for (const batch of this.#pending.fail(this.#next)) {
      this.#pendingBytes -= batch.bodyBytes;
      batch.failed(this.#notDurable());
      this.#pending.reuse(batch);
    }
  }

  #probeLater(): void {
    this.#probeTimer = setTimeout(() => {
      if (this.#state !== 'stopped') return;
      this.#committing = this.#tryAgain().finally(() => {
        this.#committing = undefined;
        this.#attempts += 1;
        if (this.#state === 'stopped') this.#probeLater();
      });
    }, this.#probe.nextMs());
    this.#probeTimer.unref();
  }

  async #tryAgain(): Promise<void> {
    try {
      await this.#row.startSegment(this.#momentAt(this.#options.clock.monoMs()), this.#next);
    } catch (error) {
      this.#lastError = codedMessageOf(error);
      return;
    }
    if (this.#state !== 'stopped') return;
    this.#state = 'durable';
    this.#probe.reset();
    const { folder, logger } = this.#options;
    logger.info({ subject: `log ${folder}`, folder }, 'the log takes data again');
  }

  /**
   * Drops what is too old, beside the commits: age passes even where nothing is written. Also while
   * stopped, since that may be what makes room.
   */
  async retain(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#row.retain(this.runMs(this.#options.clock.monoMs()));
  }

  // What readers see.

  look(): Promise<void> {
    return this.#row.look();
  }

  segments(): readonly SegmentInfo[] {
    return this.#row.segments();
  }

  endOf(sequence: number): number | undefined {
    return this.#row.endOf(sequence);
  }

  indexOf(sequence: number): SparseIndex | undefined {
    return this.#row.indexOf(sequence);
  }

  nextOffsets(name: string): readonly number[] {
    const { firstSlot, partitions } = this.stream(name);
    return this.#next.slice(firstSlot, firstSlot + partitions);
  }

  /** After every commit, when its senders have been told; returns how to listen no more. */
  onCommit(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What has been appended and is not durable, for those who read it early. */
  get pending(): PendingView {
    return this.#pending;
  }

  /** From here on nothing lingers: somebody waits for what is pending in order to stop. */
  hurry(): void {
    this.#pending.hurry();
    this.#schedule();
  }

  /**
   * The run clock goes on after a restart from the last block. After a quiet while a block without
   * records keeps what has passed; a crash before it costs that time and nothing else.
   */
  async #noteRunClock(): Promise<void> {
    const now = this.#options.clock.monoMs();
    const quietMs = this.runMs(now) - this.#lastRunMs;
    if (quietMs < QUIET_MS) return;
    const block = { kind: BLOCK_DATA, records: 0, moment: this.#momentAt(now), runs: [] };
    await this.#row
      .append({ ...block, body: plainBody(new Uint8Array(0)) }, this.#next)
      .catch(() => {
        // No reading is at stake.
      });
  }

  /** Commits what is pending, then refuses everything. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    while (this.#state === 'durable' && this.#pendingBytes > 0) {
      this.#startCommit();
      await this.#committing;
    }
    const isDurable = this.#state === 'durable';
    // Whatever comes from here on is refused: nothing is written beside the block that follows.
    this.#state = 'closed';
    this.#timer.cancel();
    clearTimeout(this.#probeTimer);
    await this.#committing;
    if (isDurable) await this.#noteRunClock();
    await this.#row.close();
  }
}
