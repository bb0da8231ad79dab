import type { LogRecord } from '../base/reading.ts';

/**
 * Something that reads one stream from an offset and checkpoints its progress. Two positions: where
 * it reads next, and up to where everything has been handled. Only the second one is ever stored.
 */
export interface Consumer {
  readonly name: string;
  readonly stream: string;
  /** Records of the stream that are durable and not yet handled. */
  backlog(): number;
  /**
   * The next records in commit order, at most `maxRecords`; waits until there is one.
   * Empty only when `signal` has aborted.
   */
  read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]>;
  /** Everything in commit order up to and including this record has been handled. */
  handled(record: LogRecord): void;
  /** Reads again from the first record that is not handled: after a link was lost. */
  rewind(): void;
  /** What to store to go on from here: keys and values for the state store. */
  checkpoint(): ReadonlyMap<string, string>;
}
