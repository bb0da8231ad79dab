import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
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

/** The key under which a consumer's position is stored. */
export function checkpointKey(name: string, stream: string): string {
  return `cursor/${name}/${stream}`;
}

/** A checkpoint: the log it belongs to and the first offset not handled, per partition. */
interface Checkpoint {
  readonly log: string;
  readonly offsets: readonly number[];
}

function parseCheckpoint(text: string | undefined, log: string): readonly number[] | undefined {
  if (text === undefined) return undefined;
  const checkpoint = JSON.parse(text) as Checkpoint;
  // Offsets of another log (a card that was replaced) say nothing about this one.
  return checkpoint.log === log ? checkpoint.offsets : undefined;
}

/** A consumer of one stream of this gateway's journal. */
export class StreamConsumer implements Consumer {
  readonly name: string;
  readonly stream: string;
  readonly #journal: Journal;
  readonly #files: Files;
  /** First offset not handled, per partition. */
  readonly #handled: number[];
  #cursor: StreamCursor | undefined;
  #rest: readonly LogRecord[] = [];
  #changed = false;
  #reading = false;
  #wake: (() => void) | undefined;
  readonly #stopListening: () => void;

  constructor(options: ConsumerOptions) {
    this.name = options.name;
    this.stream = options.stream;
    this.#journal = options.journal;
    this.#files = options.files;
    const { journal, stream } = options;
    const next = journal.nextOffsets(stream);
    const begin = options.start === 'latest' ? next : earliestOffsets(journal, stream);
    const stored = parseCheckpoint(options.stored, journal.logId);
    // A card that lied about a sync may have less than was handled: go on from its end then.
    this.#handled = next.map((end, p) => Math.min(stored?.[p] ?? begin[p] ?? 0, end));
    this.#stopListening = journal.onChange(() => {
      this.#changed = true;
      this.#wake?.();
    });
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
      if (this.#rest.length === 0) {
        this.#changed = false;
        this.#cursor ??= this.#openCursor();
        const cursor = this.#cursor;
        this.#reading = true;
        const records = await cursor.next().finally(() => {
          this.#reading = false;
        });
        if (cursor !== this.#cursor) {
          // Rewound meanwhile: what was read is not what comes next.
          await cursor.close();
          continue;
        }
        this.#rest = records ?? [];
      }
      if (this.#rest.length > 0) {
        const records = this.#rest.slice(0, maxRecords);
        this.#rest = this.#rest.slice(maxRecords);
        return records;
      }
      await this.#change(signal);
    }
    return [];
  }

  #openCursor(): StreamCursor {
    const { stream } = this;
    return new StreamCursor({
      files: this.#files,
      view: this.#journal,
      stream,
      from: this.#handled,
      onLost: (lost) => this.#journal.reportLost(lost),
    });
  }

  /** Resolves at the next commit, or when the signal aborts. */
  async #change(signal: AbortSignal): Promise<void> {
    if (this.#changed || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  handled(record: LogRecord): void {
    this.#handled[record.partition] = record.offset + 1;
  }

  rewind(): void {
    const old = this.#cursor;
    this.#cursor = undefined;
    this.#rest = [];
    // A read that is under way closes it by itself. Only a file that was open for reading: a
    // failing close loses nothing.
    if (!this.#reading) old?.close().catch(() => {});
  }

  checkpoint(): ReadonlyMap<string, string> {
    const checkpoint: Checkpoint = { log: this.#journal.logId, offsets: this.#handled };
    return new Map([[checkpointKey(this.name, this.stream), JSON.stringify(checkpoint)]]);
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.#cursor?.close();
  }
}
