import { HeadgateError } from '../base/errors.ts';
import type { LogRecord } from '../base/reading.ts';
import { recordJson } from '../base/record-json.ts';
import { offsetsAfter } from '../log/find-positions.ts';
import type { LocalStreams } from '../log/local-streams.ts';
import { earliestOffsets } from '../log/log-reader.ts';
import type { NamedConsumers } from '../log/named-consumers.ts';
import {
  checkOffset,
  checkPartition,
  partitionIn,
  startOffsets,
  wholeIn,
} from '../log/start-position.ts';
import { type Call, type Handler, sendJson } from './control-call.ts';
import { sendEvents } from './record-events.ts';
import { RecordFeed } from './record-feed.ts';
import { readPage } from './record-page.ts';

export interface RecordRoutesOptions {
  readonly streams: LocalStreams;
  readonly consumers: NamedConsumers;
}

const MAX_READERS = 8;
const MAX_RECORDS = 1_000;
const DEFAULT_RECORDS = 100;
const MAX_WAIT_MS = 30_000;

/** What of a stream is asked for. */
interface Wanted {
  readonly stream: string;
  readonly partition: number | undefined;
}

/** `GET /streams` and the records below it: docs/consumers.md. */
export function recordRoutes(options: RecordRoutesOptions): Handler {
  const { streams } = options;
  let readers = 0;
  return async (call) => {
    const [root, stream, ...rest] = call.path;
    if (call.method !== 'GET' || root !== 'streams') return false;
    if (stream === undefined) {
      sendJson(call, streams.rows());
      return true;
    }
    const partition = partitionOfPath(rest);
    if (partition === 'none') return false;
    if (partition !== undefined) checkPartition(streams, stream, partition);
    streams.journalOf(stream);
    if (readers >= MAX_READERS) throw new HeadgateError('READER_LIMIT', `${MAX_READERS} at a time`);
    readers += 1;
    try {
      await sendRecords(call, { stream, partition }, options);
      await call.taken();
    } finally {
      readers -= 1;
    }
    return true;
  };
}

/** Of `partitions/3/records`, 3; of `records`, undefined; else none. */
function partitionOfPath(rest: readonly string[]): number | undefined | 'none' {
  if (rest.length === 1 && rest[0] === 'records') return undefined;
  const [partitions, partition = '', records] = rest;
  if (rest.length !== 3 || partitions !== 'partitions' || records !== 'records') return 'none';
  return partitionIn(partition);
}

async function sendRecords(
  call: Call,
  wanted: Wanted,
  { streams, consumers }: RecordRoutesOptions,
): Promise<void> {
  const { stream, partition } = wanted;
  const isLive = (call.header('accept') ?? '').includes('text/event-stream');
  checkQuery(call.query, isLive ? ['from', 'consumer'] : ['from', 'consumer', 'limit', 'wait']);
  const maxRecords = wholeIn(
    'limit',
    call.query.get('limit') ?? String(DEFAULT_RECORDS),
    MAX_RECORDS,
    1,
  );
  const waitMs = wholeIn('wait', call.query.get('wait') ?? '0', MAX_WAIT_MS);
  const journal = streams.journalOf(stream);
  const times = await streams.times();
  const from = await startOf(call, wanted, { streams, consumers });
  const show = (record: LogRecord) =>
    JSON.stringify(recordJson(record, times.timeOfRecord(record)));
  const feed = new RecordFeed({ streams, stream, from, partition });
  const { answer, signal } = call;
  try {
    if (isLive) {
      await sendEvents(feed, { call, turns: streams.turns, show });
      return;
    }
    const { records, next } = await readPage(feed, { maxRecords, from, waitMs, signal });
    answer.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'headgate-log': journal.logId,
      'headgate-next': placesText(next, partition),
      'headgate-end': placesText(journal.nextOffsets(stream), partition),
    });
    answer.end(records.map((record) => `${show(record)}\n`).join(''));
  } finally {
    await feed.close();
  }
}

function placesText(offsets: readonly number[], partition: number | undefined): string {
  if (partition !== undefined) return String(offsets[partition] ?? 0);
  return offsets.map((offset, p) => `${p}:${offset}`).join(',');
}

function checkQuery(query: URLSearchParams, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (!known.includes(name) || query.getAll(name).length > 1) {
      const detail = `${name}: there are ${known.join(', ')}, each once`;
      throw new HeadgateError('REQUEST_INVALID', detail);
    }
  }
}

/** In a query a `+` is a space: that of a zone is put back. */
function withZone(from: string | null): string | null {
  return from?.replace(/(?<=[T ]\d\d:\d\d\S*) (?=\d\d:\d\d$)/, '+') ?? null;
}

/** Where to begin, per partition: after the last event, at a consumer's position, or `from`. */
async function startOf(
  call: Call,
  { stream, partition }: Wanted,
  { streams, consumers }: RecordRoutesOptions,
): Promise<readonly number[]> {
  const last = call.header('last-event-id');
  const journal = streams.journalOf(stream);
  if (last !== undefined) return afterEvent(last, { stream, partition }, streams);
  const consumer = call.query.get('consumer');
  const from = withZone(call.query.get('from'));
  if (consumer !== null && from !== null) {
    throw new HeadgateError('REQUEST_INVALID', 'either from or consumer');
  }
  if (consumer !== null) {
    const offsets = await consumers.offsets(consumer, stream);
    const earliest = earliestOffsets(journal, stream);
    const ends = journal.nextOffsets(stream);
    // A card that lost what it had acknowledged may have less than was handled.
    const kept = (end: number, p: number) => Math.min(end, offsets?.[p] ?? 0);
    return ends.map((end, p) => Math.max(earliest[p] ?? 0, kept(end, p)));
  }
  const isOffset = partition !== undefined && /^\d+$/.test(from ?? '');
  const text = isOffset ? `${partition}:${from}` : (from ?? 'earliest');
  return startOffsets(streams, stream, text);
}

/** Right after the event of an id, `partition:offset`. */
async function afterEvent(
  id: string,
  { stream, partition }: Wanted,
  streams: LocalStreams,
): Promise<readonly number[]> {
  const [p = '', o = '', ...more] = id.split(':');
  const record = { partition: partitionIn(p), offset: wholeIn('an offset', o) };
  if (more.length > 0 || (partition ?? record.partition) !== record.partition) {
    throw new HeadgateError('REQUEST_INVALID', `Last-Event-ID: ${id} is no event of this path`);
  }
  const next = { stream, partition: record.partition, offset: record.offset + 1 };
  checkOffset(streams, next);
  if (partition !== undefined) return startOffsets(streams, stream, `${p}:${next.offset}`);
  return offsetsAfter({ files: streams.files, view: streams.journalOf(stream), stream }, record);
}
