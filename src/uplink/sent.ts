import type { Span } from '../base/handled-offsets.ts';
import type { LogRecord } from '../base/reading.ts';
import type { Booking } from './cut.ts';

/** A cut from its sending until the cloud has it, and all that were sent before it. */
export interface Sent {
  /** Of each partition, the records of it. */
  readonly spans: Iterable<readonly [partition: number, span: Span]>;
  /** Arrival of the oldest of them, ms since 1970. */
  readonly oldestMs: number;
  /** The record, if it is one: it may have to be parked. Many would be held for long. */
  readonly alone: LogRecord | undefined;
  /** How many of them the cloud will have, and the books of these. */
  count: number;
  acked: () => void;
  isAcked: boolean;
}

export function sentOf(records: readonly LogRecord[], book: Booking | undefined): Sent {
  const [oldest] = records;
  return {
    spans: spansOf(records),
    oldestMs: oldest?.receivedAtMs ?? 0,
    alone: records.length === 1 ? oldest : undefined,
    count: records.length,
    acked: book?.(records) ?? (() => {}),
    isAcked: false,
  };
}

/** The records of a cut, by partition. Between two of them nothing is left to be sent. */
function spansOf(records: readonly LogRecord[]): Sent['spans'] {
  const [first] = records;
  if (records.length === 1 && first !== undefined) {
    const { partition, offset } = first;
    return [[partition, { from: offset, to: offset + 1 }]];
  }
  const spans = new Map<number, Span>();
  for (const { partition, offset } of records) {
    const from = spans.get(partition)?.from ?? offset;
    spans.set(partition, { from, to: offset + 1 });
  }
  return spans;
}
