import type { LogRecord } from '../base/reading.ts';
import { CommitBell } from '../log/commit-bell.ts';
import type { LocalStreams } from '../log/local-streams.ts';
import { StreamCursor } from '../log/log-reader.ts';
import { onlyPartition } from '../log/record-range.ts';

export interface FeedOptions {
  readonly streams: LocalStreams;
  readonly stream: string;
  /** First offset of each partition. */
  readonly from: readonly number[];
  /** Only this one. */
  readonly partition: number | undefined;
}

/**
 * Records of a stream as one reader gets them: from the files, however far behind it is. All that
 * is in memory for it is the block that it stands in. What is new is told by the journal, and then
 * read from the files like the rest, so a reader that sleeps costs nothing.
 */
export class RecordFeed {
  readonly #cursor: StreamCursor;
  readonly #bell = new CommitBell();
  readonly #stopListening: () => void;

  constructor({ streams, stream, from, partition }: FeedOptions) {
    const journal = streams.journalOf(stream);
    this.#cursor = new StreamCursor({
      files: streams.files,
      view: journal,
      stream,
      from: onlyPartition(from, partition),
      onLost: (lost) => journal.reportLost(lost),
    });
    this.#stopListening = journal.onCommit(() => this.#bell.ring());
  }

  /** The records of the next block that has any; undefined: there are none for now. */
  next(): Promise<LogRecord[] | undefined> {
    return this.#cursor.next();
  }

  /** First offset of each partition that `next` has neither given out nor stepped over. */
  get position(): readonly number[] {
    return this.#cursor.position;
  }

  /** Resolves when something has been stored since the last time, or when the signal aborts. */
  more(signal: AbortSignal): Promise<void> {
    return this.#bell.rings(signal);
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.#cursor.close();
  }
}
