import type { Span } from '../base/handled-offsets.ts';
import type { LogRecord } from '../base/reading.ts';
import type { Booking, Cut } from './cut.ts';

/** A cut from its sending until the cloud has it, and all that were sent before it. */
export interface Sent {
  /** Of each partition, the records of it. */
  readonly spans: Iterable<readonly [partition: number, span: Span]>;
  /** Publishes that they are, or one while they are being packed. */
  readonly publishes: number;
  /** Arrival of the oldest of them, ms since 1970. */
  readonly oldestMs: number;
  /** The record, if it is one: it may have to be parked. Many would be held for long. */
  readonly alone: LogRecord | undefined;
  /** How many of them the cloud will have, and the books of these. */
  count: number;
  acked: () => void;
  isAcked: boolean;
}

export function sentOf(
  records: readonly LogRecord[],
  messages: Cut['messages'],
  book: Booking | undefined,
): Sent {
  const [oldest] = records;
  return {
    spans: spansOf(records),
    publishes: messages instanceof Promise ? 1 : messages.length,
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

/** What is on its way, in the order in which it was sent. */
export class SentRow {
  readonly #row = new Set<Sent>();
  #publishes = 0;

  get size(): number {
    return this.#row.size;
  }

  get publishes(): number {
    return this.#publishes;
  }

  get oldest(): Sent | undefined {
    const [oldest] = this.#row;
    return oldest;
  }

  has(sent: Sent): boolean {
    return this.#row.has(sent);
  }

  add(sent: Sent): void {
    this.#row.add(sent);
    this.#publishes += sent.publishes;
  }

  /** Those before the first that lacks its acknowledgement: they leave the row. */
  takeAcked(): readonly Sent[] {
    const acked: Sent[] = [];
    for (const sent of this.#row) {
      if (!sent.isAcked) break;
      this.#row.delete(sent);
      this.#publishes -= sent.publishes;
      acked.push(sent);
    }
    return acked;
  }

  clear(): void {
    this.#row.clear();
    this.#publishes = 0;
  }
}
