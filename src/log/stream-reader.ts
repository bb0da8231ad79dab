import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import type { Commit } from './commit.ts';
import { CommitBell } from './commit-bell.ts';
import type { Journal } from './journal.ts';
import { StreamCursor } from './log-reader.ts';
import { PendingCursor } from './pending-cursor.ts';
import type { Stream } from './stream.ts';

export interface ReaderOptions {
  readonly stream: string;
  readonly journal: Journal;
  readonly files: Files;
  /** First offset, per partition. */
  readonly from: readonly number[];
  /** Offset to end before, per partition; without it, it never ends. */
  readonly to?: readonly number[];
  /**
   * The reader has stepped over offsets: damage or retention took them, and no record with one of
   * them is given out.
   */
  readonly onGap: (partition: number, gap: { readonly from: number; readonly to: number }) => void;
  /**
   * Gives records out as soon as they have an offset, before they are durable; called when some of
   * these never will be, and the reader ends. Without it, it gives out what is durable.
   */
  readonly onWithdrawn?: (() => void) | undefined;
}

function payloadBytes(records: readonly LogRecord[]): number {
  let bytes = 0;
  for (const { payload } of records) bytes += payload.length;
  return bytes;
}

/** What may wait in memory for a reader that has read everything before. */
const MAX_LIVE_RECORDS = 8_192;
const MAX_LIVE_BYTES = 1024 * 1024;

/**
 * Reads one stream of this gateway's journal, each offset once. While it is behind, it reads the
 * files; once it has read all there is, it takes what is committed, or appended, from memory, until
 * it falls behind again.
 */
export class StreamReader {
  readonly #options: ReaderOptions;
  /** First offset not given out, per partition. */
  readonly #next: number[];
  #cursor: StreamCursor | undefined;
  /** Read and not given out. */
  #rest: LogRecord[] = [];
  /** Payload bytes of commits that wait in `#rest`; undefined while the files are read. */
  #liveBytes: number | undefined;
  readonly #bell = new CommitBell();
  #isReading = false;
  #isClosed = false;
  /** Where an early reader is in what is pending; undefined while the files are read. */
  #pending: PendingCursor | undefined;
  readonly #stops: Array<() => void> = [];

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#next = [...options.from];
    const { journal, stream, onWithdrawn } = options;
    this.#stops.push(journal.onCommit((commit) => this.#onCommit(commit)));
    if (onWithdrawn === undefined) return;
    const appended = ({ name }: Stream) => {
      if (name === stream && this.#pending !== undefined) this.#bell.ring();
    };
    const withdrawn = () => this.#onWithdrawn(onWithdrawn);
    this.#stops.push(journal.pending.listen({ appended, withdrawn }));
  }

  #onCommit(commit: Commit): void {
    const { journal, stream } = this.#options;
    if (this.#liveBytes !== undefined) {
      const early = this.#pending?.take(commit.batch);
      const records = early ?? commit.recordsOf(journal.stream(stream));
      this.#liveBytes += payloadBytes(records);
      const many = this.#rest.length + records.length > MAX_LIVE_RECORDS;
      if (many || this.#liveBytes > MAX_LIVE_BYTES) this.#leaveLive();
      else this.#rest.push(...records);
    }
    this.#bell.ring();
  }

  /** What waited in memory is read from the files instead. */
  #leaveLive(): void {
    this.#liveBytes = undefined;
    this.#rest = [];
    this.#pending = undefined;
  }

  /** What waits here and is not durable is nowhere; has any of it been given out? */
  #onWithdrawn(tell: () => void): void {
    const { journal, stream } = this.#options;
    const ends = journal.nextOffsets(stream);
    if (this.#next.some((next, p) => next > (ends[p] ?? 0))) {
      this.close();
      tell();
    } else if (this.#liveBytes !== undefined) {
      this.#rest = this.#rest.filter(({ partition: p, offset }) => offset < (ends[p] ?? 0));
      this.#liveBytes = payloadBytes(this.#rest);
      this.#pending = new PendingCursor(journal.stream(stream), ends);
    }
  }

  /** As much of what is pending as fits beside what waits here. */
  #takePending(): void {
    const pending = this.#pending;
    if (pending === undefined || this.#liveBytes === undefined) return;
    this.#bell.hush();
    for (const batch of this.#options.journal.pending.batches()) {
      if (this.#rest.length > 0) return;
      const records = pending.take(batch);
      this.#liveBytes += payloadBytes(records);
      this.#rest = records;
    }
  }

  /** It has come to its end. */
  get isDone(): boolean {
    const { to } = this.#options;
    return to?.every((end, p) => (this.#next[p] ?? 0) >= end) === true;
  }

  /**
   * The next records in commit order, at most `maxRecords`; waits until there is one, and calls
   * `onWait` before it does. Empty only when it is done, or when `signal` has aborted.
   */
  async read(
    maxRecords: number,
    signal: AbortSignal,
    onWait?: () => void,
  ): Promise<readonly LogRecord[]> {
    while (!signal.aborted && !this.#isClosed) {
      if (this.#rest.length > 0) {
        const records = this.#give(maxRecords);
        if (records.length > 0) return records;
        continue;
      }
      if (this.isDone) return [];
      if (this.#liveBytes === undefined) await this.#readOn();
      if (this.#rest.length === 0) this.#takePending();
      if (this.#rest.length > 0 || this.isDone) continue;
      onWait?.();
      await this.#bell.rings(signal);
    }
    return [];
  }

  #give(maxRecords: number): LogRecord[] {
    const records = this.#rest.splice(0, maxRecords);
    if (this.#liveBytes !== undefined) this.#liveBytes -= payloadBytes(records);
    for (const { partition, offset } of records) this.#reach(partition, offset, offset + 1);
    const { to } = this.#options;
    if (to === undefined) return records;
    return records.filter(({ partition, offset }) => offset < (to[partition] ?? 0));
  }

  /** The next offset of a partition is `next`, and the one met is `offset`. */
  #reach(partition: number, offset: number, next: number): void {
    const from = this.#next[partition] ?? 0;
    const end = this.#options.to?.[partition] ?? Number.MAX_SAFE_INTEGER;
    const to = Math.min(offset, end);
    if (to > from) this.#options.onGap(partition, { from, to });
    this.#next[partition] = Math.max(from, Math.min(next, end));
  }

  /** Reads the next block from the files, or finds that there is none and goes live. */
  async #readOn(): Promise<void> {
    this.#bell.hush();
    this.#cursor ??= this.#openCursor();
    const cursor = this.#cursor;
    this.#isReading = true;
    const records = await cursor.next().finally(() => {
      this.#isReading = false;
    });
    if (this.#isClosed) {
      await cursor.close();
    } else if (records !== undefined) {
      this.#rest = records;
    } else if (this.#isAtEnd(cursor)) {
      this.#liveBytes = 0;
      this.#cursor = undefined;
      this.#pending = this.#newPending();
      await cursor.close();
    }
  }

  /** Everything that is committed and still there has been given out, or is behind its end. */
  #isAtEnd({ position }: StreamCursor): boolean {
    for (const p of this.#next.keys()) {
      const to = position[p] ?? 0;
      this.#reach(p, to, to);
    }
    const { journal, stream, to } = this.#options;
    const isLive = journal.nextOffsets(stream).every((end, p) => (this.#next[p] ?? 0) >= end);
    return to === undefined && isLive;
  }

  #newPending(): PendingCursor | undefined {
    const { journal, stream, onWithdrawn } = this.#options;
    if (onWithdrawn === undefined) return undefined;
    return new PendingCursor(journal.stream(stream), this.#next);
  }

  #openCursor(): StreamCursor {
    const { stream, files, journal } = this.#options;
    return new StreamCursor({
      files,
      view: journal,
      stream,
      from: [...this.#next],
      onLost: (lost) => journal.reportLost(lost),
    });
  }

  /** A read that is under way ends with nothing. */
  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    this.#rest = [];
    this.#bell.ring();
    // A read that is under way closes it by itself. Only a file that was open for reading: a
    // failing close loses nothing.
    if (!this.#isReading) this.#cursor?.close().catch(() => {});
  }
}
