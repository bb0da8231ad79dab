import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Span } from '../base/handled-offsets.ts';
import type { LogRecord } from '../base/reading.ts';
import type { LanePriority } from './budget.ts';
import type { CloudMessage, CloudRefusal } from './cloud-link.ts';
import type { MessageBound, Shape } from './shape.ts';

/** What a lane is made of, and what it gives to the publisher. */

/** Where a lane's records come from: `log/split-consumer.ts`. */
export interface LaneSource {
  readonly stream: string;
  /**
   * At most `maxRecords`; waits until there is one, and calls `onWait` before it does. Empty only
   * when `signal` has aborted.
   */
  read(maxRecords: number, signal: AbortSignal, onWait?: () => void): Promise<readonly LogRecord[]>;
  /** Offsets of this span are done with. */
  handled(partition: number, span: Span): void;
  isHistorical(record: LogRecord): boolean;
  /** It is not handled, and comes from here: what waits may be divided anew at each link. */
  owns(record: LogRecord): boolean;
  /** Reads again from the first record that is not handled. */
  rewind(): void;
}

/** Notes in the books what goes out; what it returns notes that the cloud has it. */
export type Booking = (records: readonly LogRecord[]) => () => void;

/** Makes a dead letter of a record that the cloud does not take; resolves when it is on flash. */
export type Park = (record: LogRecord, refusal: CloudRefusal) => Promise<void>;

/** Records on their way to the cloud together. */
export interface Cut {
  /** What its messages will have, about: known for sure once they are packed. */
  readonly guessedBytes: number;
  /** In the order in which the lane's cuts are to be published. */
  readonly messages: readonly CloudMessage[] | Promise<readonly CloudMessage[]>;
  /** False once the lane has begun anew: it comes again then. */
  isWanted(): boolean;
  /** The cloud has acknowledged all of it. */
  done(): void;
  /** The cloud did not take it. Returns whether that is news: the lane has begun anew then. */
  refused(refusal: CloudRefusal): boolean;
}

export interface LaneOptions {
  readonly source: LaneSource;
  readonly shape: Shape;
  readonly priority: LanePriority;
  /** How long the lane rests when its oldest record is not taken. */
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly book?: Booking;
  readonly park: Park;
}

/** The link that is up. */
export interface LaneLink extends MessageBound {
  /** Cuts on their way at one time. */
  readonly window: number;
  /** The lane may be ready. */
  readonly onMore: () => void;
  /**
   * So many records are done: none while a cut before them lacks its acknowledgement, and then all
   * up to the next that does.
   */
  readonly onCompleted: (records: number) => void;
}

/** Between two links nothing is sent. */
export const NO_LINK: LaneLink = {
  window: 0,
  maxBytes: Number.POSITIVE_INFINITY,
  sizeOf: () => 0,
  onMore: () => {},
  onCompleted: () => {},
};
