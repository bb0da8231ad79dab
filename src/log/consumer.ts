import type { LogRecord, RecordPosition } from '../base/reading.ts';

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

/**
 * A consumer that gets records as soon as they have their offsets, before they are durable: in the
 * same order, once each. If a commit fails for good, some of them never will be, and other records
 * get their offsets.
 */
export interface EarlyConsumer extends Consumer {
  /**
   * A record that was given out is nowhere. Before `goBack`, nothing is given out any more and
   * nothing counts as durable.
   */
  readonly isWithdrawn: boolean;
  /** Of a record that was given out: true once it is durable, false once it never will be. */
  isDurable(record: RecordPosition): Promise<boolean>;
  /** The same of everything that is handled now: only then may its checkpoint be stored. */
  handledIsDurable(): Promise<boolean>;
  /** What is not durable lingers no more, nor does what follows: its reader is about to stop. */
  hurry(): void;
  /** Goes on from a stored checkpoint; undefined: from where it began. */
  goBack(stored: string | undefined): void;
}
