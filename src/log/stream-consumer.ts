import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { checkpointKey, checkpointOffsets, encodeCheckpoint } from './checkpoint.ts';
import type { Commit } from './commit.ts';
import { CommitBell } from './commit-bell.ts';
import type { Consumer } from './consumer.ts';
import type { Journal } from './journal.ts';
import { earliestOffsets, StreamCursor } from './log-reader.ts';

export interface ConsumerOptions {
  readonly name: string;
  readonly stream: string;
  readonly journal: Journal;
  readonly files: Files;
  /** What `checkpoint` gave, as it was stored; undefined for a consumer that never was. */
  readonly stored: string | undefined;
  /** Where a consumer without a checkpoint begins. */
  readonly start: 'earliest' | 'latest';
}

function payloadBytes(records: readonly LogRecord[]): number {
  let bytes = 0;
  for (const { payload } of records) bytes += payload.length;
  return bytes;
}

/** What may wait in memory for a consumer that has read everything before. */
const MAX_LIVE_RECORDS = 8_192;
const MAX_LIVE_BYTES = 1024 * 1024;

/**
 * A consumer of one stream of this gateway's journal. While it is behind, it reads the files; once
 * it has read all there is, it takes what is committed from memory, until it falls behind again.
 */
export class StreamConsumer implements Consumer {
  readonly name: string;
  readonly stream: string;
  readonly #journal: Journal;
  readonly #files: Files;
  /** First offset not handled, per partition. */
  readonly #handled: number[];
  /** First offset not given out by `read`, per partition. */
  #next: number[];
  /** Per partition: no record has an offset from `from` on and before `to`, at its end for now. */
  #gaps: Array<{ readonly from: number; readonly to: number } | undefined> = [];
  #cursor: StreamCursor | undefined;
  /** Read and not given out. */
  #rest: LogRecord[] = [];
  /** Payload bytes of commits that wait in `#rest`; undefined while the files are read. */
  #liveBytes: number | undefined;
  readonly #bell = new CommitBell();
  #reading = false;
  readonly #stopListening: () => void;

  constructor(options: ConsumerOptions) {
    this.name = options.name;
    this.stream = options.stream;
    this.#journal = options.journal;
    this.#files = options.files;
    const { journal, stream } = options;
    const next = journal.nextOffsets(stream);
    const begin = options.start === 'latest' ? next : earliestOffsets(journal, stream);
    const stored = checkpointOffsets(options.stored, journal.logId);
    // A card that lied about a sync may have less than was handled: go on from its end then.
    this.#handled = next.map((end, p) => Math.min(stored?.[p] ?? begin[p] ?? 0, end));
    this.#next = [...this.#handled];
    this.#stopListening = journal.onCommit((commit) => this.#onCommit(commit));
  }

  #onCommit(commit: Commit): void {
    if (this.#liveBytes !== undefined) {
      const records = commit.recordsOf(this.#journal.stream(this.stream));
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
  }

  backlog(): number {
    const earliest = earliestOffsets(this.#journal, this.stream);
    const next = this.#journal.nextOffsets(this.stream);
    return next.reduce((sum, offset, p) => {
      const from = Math.max(this.#handled[p] ?? 0, earliest[p] ?? 0);
      return sum + Math.max(0, offset - from);
    }, 0);
  }

  /** First offset of a partition that is not handled. */
  position(partition: number): number {
    return this.#handled[partition] ?? 0;
  }

  async read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]> {
    while (!signal.aborted) {
      if (this.#rest.length > 0) return this.#give(maxRecords);
      if (this.#liveBytes === undefined) await this.#readOn();
      if (this.#rest.length === 0) await this.#bell.rings(signal);
    }
    return [];
  }

  #give(maxRecords: number): LogRecord[] {
    const records = this.#rest.splice(0, maxRecords);
    for (const { partition, offset } of records) this.#next[partition] = offset + 1;
    if (this.#liveBytes !== undefined) this.#liveBytes -= payloadBytes(records);
    return records;
  }

  /** Reads the next block from the files, or finds that there is none and goes live. */
  async #readOn(): Promise<void> {
    this.#bell.hush();
    this.#cursor ??= this.#openCursor();
    const cursor = this.#cursor;
    this.#reading = true;
    const records = await cursor.next().finally(() => {
      this.#reading = false;
    });
    if (cursor !== this.#cursor) {
      // Rewound meanwhile: what was read is not what comes next.
      this.#bell.ring();
      await cursor.close();
    } else if (records !== undefined) {
      this.#rest = records;
    } else if (this.#isAtEnd(cursor)) {
      this.#liveBytes = 0;
      this.#cursor = undefined;
      await cursor.close();
    }
  }

  /**
   * Everything that is committed and still there has been given out. What was lost or dropped
   * before the end counts as handled once what is before it is.
   */
  #isAtEnd({ position }: StreamCursor): boolean {
    for (const [p, from] of this.#next.entries()) {
      const to = position[p] ?? from;
      if (to === from) continue;
      this.#gaps[p] = { from, to };
      this.#next[p] = to;
      this.#closeGap(p);
    }
    return this.#journal.nextOffsets(this.stream).every((end, p) => this.#next[p] === end);
  }

  #closeGap(partition: number): void {
    const gap = this.#gaps[partition];
    if (gap === undefined || gap.from !== this.#handled[partition]) return;
    this.#handled[partition] = gap.to;
    this.#gaps[partition] = undefined;
  }

  #openCursor(): StreamCursor {
    const { stream } = this;
    return new StreamCursor({
      files: this.#files,
      view: this.#journal,
      stream,
      from: [...this.#next],
      onLost: (lost) => this.#journal.reportLost(lost),
    });
  }

  handled({ partition, offset }: LogRecord): void {
    this.#handled[partition] = offset + 1;
    if (this.#gaps[partition] !== undefined) this.#closeGap(partition);
  }

  rewind(): void {
    const old = this.#cursor;
    this.#cursor = undefined;
    this.#leaveLive();
    this.#next = [...this.#handled];
    this.#gaps = [];
    // A read that is under way closes it by itself. Only a file that was open for reading: a
    // failing close loses nothing.
    if (!this.#reading) old?.close().catch(() => {});
  }

  checkpoint(): ReadonlyMap<string, string> {
    const text = encodeCheckpoint({ log: this.#journal.logId, offsets: this.#handled });
    return new Map([[checkpointKey(this.name, this.stream), text]]);
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.#cursor?.close();
  }
}
