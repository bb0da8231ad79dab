import type { HandledOffsets } from '../base/handled-offsets.ts';
import { isParked } from '../base/parked.ts';
import type { LogRecord } from '../base/reading.ts';
import type { Books } from './books.ts';
import { owed } from './counts.ts';
import { type AuditEntry, entryId, parseEntry } from './entry.ts';
import type { Bucket, StreamBooks } from './stream-books.ts';

/** A stream whose books are to be opened, and its log. */
export interface AuditedStream {
  readonly name: string;
  /** Which log. */
  readonly log: string;
  /** Messages come in for it; else Headgate fills it by itself. */
  readonly takesMessages: boolean;
  /** There is an uplink that has to send it; undefined: as it was when the books were saved. */
  readonly forwards: boolean | undefined;
  /** The oldest offset of each partition that is kept, and the next one. */
  readonly earliest: readonly number[];
  readonly end: readonly number[];
  /** What the cloud has acknowledged. */
  readonly acked: HandledOffsets;
  /** The records from these offsets to the end. */
  records(from: readonly number[]): AsyncIterable<readonly LogRecord[]>;
}

/** The stream `audit`: what is closed. */
export interface EntriesLog {
  readonly log: string;
  /** Next offset of its partition. */
  readonly end: number;
  records(from: readonly number[]): AsyncIterable<readonly LogRecord[]>;
}

export interface OpenOptions {
  readonly books: Books;
  readonly streams: readonly AuditedStream[];
  readonly entries: EntriesLog;
  /** The stream whose records are messages that were meant for others. */
  readonly deadLetters: string;
  /** Which stream a topic belongs to. */
  readonly streamOf: (topic: string) => string | undefined;
}

/** A dead letter is in the books of the stream that it was meant for too. */
export function bookDeadLetter(
  { books, streamOf }: Pick<OpenOptions, 'books' | 'streamOf'>,
  topic: string,
  receivedAtMs: number,
): void {
  const meant = streamOf(topic);
  if (meant !== undefined) {
    books.of(meant)?.receivedOnly('deadLettered', undefined, receivedAtMs);
  }
}

/**
 * Brings the books of all streams up to the end of their logs: what a kill kept from being saved is
 * read once more. Books that are new begin with what the uplink has still to send, and so do those
 * of a stream that is to be forwarded from now on. Nothing may be appended meanwhile.
 */
export async function openBooks(options: OpenOptions): Promise<void> {
  const { books, streams } = options;
  const opened = streams.map((stream) => {
    const { end, forwards = false } = stream;
    const head = { booked: end, expiredTo: end.map(() => 0), forwards };
    return { stream, ...books.open(stream, head) };
  });
  for (const { stream, books: own, isNew } of opened) {
    if (!isNew) await replay(own, stream, options);
  }
  const known = new Set(opened.filter((one) => !one.isNew).map(({ stream }) => stream.name));
  await applyEntries(options, known);
  for (const { stream, books: own, isNew } of opened) {
    const { forwards = own.forwards } = stream;
    if (forwards && (isNew || !own.forwards)) await begin(own, stream);
    else if (!forwards) own.setForwards(false);
    if (forwards) await expire(own, stream);
  }
  books.dropOthers();
}

/** First offset of a partition that is in no count but `stored`. */
function leastOf({ expiredTo }: StreamBooks, { acked }: AuditedStream, p: number): number {
  return Math.max(acked.position(p), expiredTo[p] ?? 0);
}

/**
 * Retention dropped records and the count of them did not come to be saved: after a power cut, or
 * when they could not be read any more. Which buckets they were of is what the log does not have of
 * what is owed.
 */
async function expire(own: StreamBooks, stream: AuditedStream): Promise<void> {
  const { earliest, end, records, acked } = stream;
  let dropped = 0;
  for (const [p, offset] of earliest.entries()) {
    dropped += acked.missing(p, { from: leastOf(own, stream, p), to: offset });
  }
  if (dropped === 0) return;
  const there = new Map<Bucket, number>();
  for await (const batch of records(end.map((_, p) => leastOf(own, stream, p)))) {
    for (const { partition, offset, deviceTimeMs, receivedAtMs } of batch) {
      if (acked.has(partition, offset)) continue;
      const bucket = own.bucketAt(deviceTimeMs, receivedAtMs);
      there.set(bucket, (there.get(bucket) ?? 0) + 1);
    }
  }
  const oldestFirst = [...own.buckets.values()].sort((a, b) => a.startMs - b.startMs);
  for (const bucket of oldestFirst) {
    const missing = owed(bucket.counts) - (there.get(bucket) ?? 0);
    const count = Math.min(missing, dropped);
    if (count <= 0) continue;
    own.add(bucket.startMs, 'expired', count);
    dropped -= count;
  }
  noteDropped(own, stream);
}

/** What is not there any more is settled. */
function noteDropped(own: StreamBooks, { earliest }: AuditedStream): void {
  for (const [p, offset] of earliest.entries()) {
    own.expiredTo[p] = Math.max(own.expiredTo[p] ?? 0, offset);
  }
  own.touchHead();
}

/** Entries that were durable when the books had not been saved without them. */
async function applyEntries(
  { books, entries }: OpenOptions,
  known: ReadonlySet<string>,
): Promise<void> {
  const { log, end, records } = entries;
  const from = books.openEntries(log, end);
  const last = new Map<string, AuditEntry>();
  if (from >= end) return;
  for await (const batch of records([from])) {
    for (const { payload } of batch) {
      const entry = parseEntry(payload);
      if (entry !== undefined) last.set(entryId(entry), entry);
    }
  }
  for (const entry of last.values()) if (known.has(entry.stream)) books.closedBefore(entry);
}

/** What was stored after the books were saved. */
async function replay(
  own: StreamBooks,
  stream: AuditedStream,
  options: OpenOptions,
): Promise<void> {
  const { name, end } = stream;
  // A card that lied about a sync may end before what was counted.
  const isBehind = end.some((offset, p) => (own.booked[p] ?? 0) < offset);
  if (isBehind) {
    const from = end.map((_, p) => own.booked[p] ?? 0);
    for await (const records of stream.records(from)) {
      for (const { partition, topic, deviceTimeMs, receivedAtMs, reason } of records) {
        own.stored(partition, deviceTimeMs, receivedAtMs);
        const isLetter = name === options.deadLetters && !isParked(reason);
        if (isLetter) bookDeadLetter(options, topic, receivedAtMs);
      }
    }
  }
  for (const [p, offset] of end.entries()) {
    if (own.booked[p] !== offset) own.touchHead();
    own.booked[p] = offset;
  }
}

/** What the uplink has to send from here on, of what there is. */
async function begin(own: StreamBooks, stream: AuditedStream): Promise<void> {
  const { end, records, acked } = stream;
  own.setForwards(true);
  const from = end.map((_, p) => leastOf(own, stream, p));
  noteDropped(own, stream);
  if (from.every((offset, p) => offset >= (end[p] ?? 0))) return;
  for await (const batch of records(from)) {
    for (const { partition, offset, deviceTimeMs, receivedAtMs } of batch) {
      if (acked.has(partition, offset)) continue;
      own.bucketAt(deviceTimeMs, receivedAtMs).counts.opening += 1;
    }
  }
}
