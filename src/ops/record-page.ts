import type { LogRecord } from '../base/reading.ts';
import type { RecordFeed } from './record-feed.ts';

export interface PageOptions {
  readonly maxRecords: number;
  readonly from: readonly number[];
  /** Longest wait for a first record. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export interface Page {
  readonly records: readonly LogRecord[];
  /** First offset of each partition that was read, after the page. */
  readonly next: readonly number[];
}

/** Bytes of payloads and topics after which a page ends; it has one record at least. */
const MAX_PAGE_BYTES = 256 * 1024;

/** The next records of a feed, as many as fit. */
export async function readPage(feed: RecordFeed, options: PageOptions): Promise<Page> {
  const { maxRecords, from, waitMs, signal } = options;
  const until = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
  const records: LogRecord[] = [];
  const next = [...from];
  let bytes = 0;
  for (;;) {
    const some = await feed.next();
    for (const record of some ?? []) {
      if (records.length >= maxRecords || bytes >= MAX_PAGE_BYTES) return { records, next };
      records.push(record);
      bytes += record.payload.length + record.topic.length;
      next[record.partition] = record.offset + 1;
    }
    if (some !== undefined) continue;
    // What is lost or was dropped up to the end is passed.
    for (const [p, position] of feed.position.entries()) {
      next[p] = Math.max(next[p] ?? 0, position);
    }
    if (records.length > 0 || waitMs === 0 || until.aborted) return { records, next };
    await feed.more(until);
  }
}
