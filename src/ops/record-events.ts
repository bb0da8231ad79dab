import type { LogRecord } from '../base/reading.ts';
import type { Turns } from '../os/paced-files.ts';
import type { Call } from './control-call.ts';
import type { RecordFeed } from './record-feed.ts';

/** So much is given to the socket at a time. */
const CHUNK_CHARS = 32 * 1024;

export interface EventsOptions {
  readonly call: Pick<Call, 'answer' | 'signal' | 'drained'>;
  readonly turns: Turns;
  /** A record as the data of an event: one line. */
  readonly show: (record: LogRecord) => string;
}

/**
 * Sends the records of a feed as server-sent events until the client goes. A client that is slow is
 * waited for, and nothing is read for it meanwhile.
 */
export async function sendEvents(feed: RecordFeed, options: EventsOptions): Promise<void> {
  const { call, turns, show } = options;
  const { answer, signal } = call;
  answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  answer.flushHeaders();
  while (!signal.aborted) {
    const records = await feed.next();
    if (records === undefined) {
      await feed.more(signal);
      continue;
    }
    let chunk = '';
    for (const [i, record] of records.entries()) {
      chunk += `id: ${record.partition}:${record.offset}\ndata: ${show(record)}\n\n`;
      if (chunk.length < CHUNK_CHARS && i < records.length - 1) continue;
      if (signal.aborted) return;
      if (!answer.write(chunk)) await call.drained();
      await turns.next();
      chunk = '';
    }
  }
}
