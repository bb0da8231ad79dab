/**
 * The nouns that every stage speaks of. A reading is one message from a device; a log record is
 * that reading once it has an offset; a cause names a record for good.
 */

/** How a device names a message, which decides how far dedup may trust the name. */
export type MessageId =
  /** A string that is unique per device for as long as the dedup window reaches. */
  | { readonly kind: 'id'; readonly text: string }
  /** A boot id and a counter within it: unique for good, and gaps can be seen. */
  | {
      readonly kind: 'sequence';
      readonly text: string;
      readonly boot: string;
      readonly sequence: number;
    }
  /**
   * What by itself does not name a message: a counter that starts again at each reboot, a number so
   * large that others read the same, a `seq` that is no number (`sequence` may be NaN then).
   */
  | { readonly kind: 'counter'; readonly text: string; readonly sequence: number };

/**
 * What a payload says, in whatever format: a value as JSON has it, but a number beyond the finite
 * ones. Whole numbers beyond 2^53 inside of it may be bigints.
 */
export type PayloadValue = string | number | boolean | null | object;

/** One message from a device, as it came. */
export interface Reading {
  /** The key: one device's readings stay in order in one partition. */
  readonly device: string;
  /** The MQTT topic in full. */
  readonly topic: string;
  /** The bytes as they came, never rewritten. */
  readonly payload: Uint8Array;
  readonly messageId?: MessageId | undefined;
  /** What the device's own clock said, in ms since 1970, if it said so. */
  readonly deviceTimeMs?: number | undefined;
  /** Why it stands in this stream rather than in the one it was sent to: an error code. */
  readonly reason?: string | undefined;
  /** When it arrived, in ms of the kernel's monotonic clock. */
  readonly monoMs: number;
  /**
   * What the payload says, while it is at hand and small: not stored, so a record that is read
   * lacks it.
   */
  readonly value?: PayloadValue | undefined;
}

/** Names one record in one gateway's log, for good. */
export interface RecordPosition {
  readonly stream: string;
  readonly partition: number;
  readonly offset: number;
}

/** A reading that is on flash. */
export interface LogRecord extends Reading, RecordPosition {
  /** Arrival by the wall clock, in ms since 1970, as that clock stood then. */
  readonly receivedAtMs: number;
  /** The boot of the kernel whose monotonic clock it is, in hex. */
  readonly boot: string;
  /** Arrival on the log's own clock: ms for which the gateway has run since the log began. */
  readonly runMs: number;
}

/** A number measured: what detection looks at. A message may hold many. */
export interface Sample {
  readonly metric: string;
  readonly value: number;
  /** When, in ms since 1970, if the message says so of this one. */
  readonly timeMs?: number;
  /** When, in ms from the arrival of the message, negative before it, if it says it like that. */
  readonly fromArrivalMs?: number;
}
