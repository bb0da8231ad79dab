import type { ServerResponse } from 'node:http';
import type { LogRecord } from '../base/reading.ts';
import type { Turns } from '../os/paced-files.ts';
import type { RecordFeed } from './record-feed.ts';

/** So much is given to the socket at a time. */
const CHUNK_CHARS = 32 * 1024;
/** A reader that takes nothing for so long is gone, whatever its socket says. */
const STALL_MS = 60_000;

export interface EventsOptions {
  readonly answer: ServerResponse;
  readonly signal: AbortSignal;
  readonly turns: Turns;
  /** A record as the data of an event: one line. */
  readonly show: (record: LogRecord) => string;
  readonly stallMs?: number;
}

/**
 * Sends the records of a feed as server-sent events until the client goes. A client that is slow is
 * waited for, and nothing is read for it meanwhile.
 */
export async function sendEvents(feed: RecordFeed, options: EventsOptions): Promise<void> {
  const { answer, signal, turns, show } = options;
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
      if (!answer.write(chunk)) await drained(options);
      await turns.next();
      chunk = '';
    }
  }
}

/** Resolves when the client has taken what was written, or is gone. */
async function drained({ answer, signal, stallMs = STALL_MS }: EventsOptions): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => answer.destroy(), stallMs);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      answer.off('drain', done);
      resolve();
    };
    answer.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
