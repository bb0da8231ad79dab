import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { checkpointKey, checkpointOffsets, encodeCheckpoint } from './checkpoint.ts';
import type { Consumer } from './consumer.ts';
import type { Journal } from './journal.ts';
import { earliestOffsets } from './log-reader.ts';
import { StreamReader } from './stream-reader.ts';

export interface ConsumerOptions {
  readonly name: string;
  readonly stream: string;
  readonly journal: Journal;
  readonly files: Files;
  /** What `checkpoint` gave, as it was stored; undefined for a consumer that never was. */
  readonly stored: string | undefined;
  /** Where a consumer without a checkpoint begins. */
  readonly start: 'earliest' | 'latest';
  /** As of a reader: it reads early. */
  readonly onWithdrawn?: (() => void) | undefined;
}

/**
 * A consumer of one stream of this gateway's journal: a reader, and how far it is handled.
 */
export class StreamConsumer implements Consumer {
  readonly name: string;
  readonly stream: string;
  readonly #options: ConsumerOptions;
  /** First offset not handled, per partition. */
  readonly #handled: number[];
  /** Per partition: no record has an offset from `from` on and before `to`, the last such gap. */
  #gaps: Array<{ readonly from: number; readonly to: number } | undefined> = [];
  #reader: StreamReader;

  constructor(options: ConsumerOptions) {
    this.name = options.name;
    this.stream = options.stream;
    this.#options = options;
    const { journal, stream } = options;
    const next = journal.nextOffsets(stream);
    const begin = options.start === 'latest' ? next : earliestOffsets(journal, stream);
    const stored = checkpointOffsets(options.stored, journal.logId);
    // A card that lied about a sync may have less than was handled: go on from its end then.
    this.#handled = next.map((end, p) => Math.min(stored?.[p] ?? begin[p] ?? 0, end));
    this.#reader = this.#openReader();
  }

  #openReader(): StreamReader {
    const { stream, journal, files, onWithdrawn } = this.#options;
    return new StreamReader({
      onWithdrawn,
      stream,
      journal,
      files,
      from: this.#handled,
      // What was lost before the end counts as handled once what is before it is.
      onGap: (partition, gap) => {
        this.#gaps[partition] = gap;
        this.#closeGap(partition);
      },
    });
  }

  backlog(): number {
    const { journal } = this.#options;
    const earliest = earliestOffsets(journal, this.stream);
    const next = journal.nextOffsets(this.stream);
    return next.reduce((sum, offset, p) => {
      const from = Math.max(this.#handled[p] ?? 0, earliest[p] ?? 0);
      return sum + Math.max(0, offset - from);
    }, 0);
  }

  /** First offset of a partition that is not handled. */
  position(partition: number): number {
    return this.#handled[partition] ?? 0;
  }

  /** The same of every partition, as of now. */
  positions(): readonly number[] {
    return [...this.#handled];
  }

  async read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]> {
    for (;;) {
      const reader = this.#reader;
      const records = await reader.read(maxRecords, signal);
      // Rewound meanwhile: what was read is not what comes next.
      if (reader === this.#reader || signal.aborted) return records;
    }
  }

  #closeGap(partition: number): void {
    const gap = this.#gaps[partition];
    if (gap === undefined || gap.from !== this.#handled[partition]) return;
    this.#handled[partition] = gap.to;
    this.#gaps[partition] = undefined;
  }

  handled({ partition, offset }: LogRecord): void {
    this.#handled[partition] = offset + 1;
    if (this.#gaps[partition] !== undefined) this.#closeGap(partition);
  }

  rewind(): void {
    this.#reader.close();
    this.#gaps = [];
    this.#reader = this.#openReader();
  }

  checkpoint(): ReadonlyMap<string, string> {
    const offsets = this.#handled;
    const text = encodeCheckpoint({ log: this.#options.journal.logId, offsets });
    return new Map([[checkpointKey(this.name, this.stream), text]]);
  }

  close(): void {
    this.#reader.close();
  }
}
