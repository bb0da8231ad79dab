import type { LogRecord } from './base/reading.ts';
import type { Journal } from './log/journal.ts';
import { StreamCursor, startOfLast } from './log/log-reader.ts';
import type { Files } from './os/files.ts';

export interface RefillSource {
  readonly files: Files;
  readonly journal: Journal;
  readonly stream: string;
}

/**
 * Where the last records of a stream begin: at least `maxRecords` where there are so many, and at
 * most a segment more, whatever the size of the log.
 */
export function startOfLastRecords(
  { journal, stream }: Pick<RefillSource, 'journal' | 'stream'>,
  maxRecords: number,
): readonly number[] {
  return startOfLast(journal, stream, journal.nextOffsets(stream), maxRecords);
}

/**
 * Reads a stream to its end, oldest first: what was acknowledged before the restart is known after
 * it. `take` is told where the reader stands behind what it gets. Returns how many there were.
 */
export async function readOn(
  { files, journal, stream }: RefillSource,
  from: readonly number[],
  take: (records: readonly LogRecord[], position: readonly number[]) => void | Promise<void>,
): Promise<number> {
  const cursor = new StreamCursor({ files, view: journal, stream, from });
  let count = 0;
  try {
    for (;;) {
      const records = await cursor.next();
      if (records === undefined) return count;
      await take(records, cursor.position);
      count += records.length;
    }
  } finally {
    await cursor.close();
  }
}

/** The last records of a stream, as many as `startOfLastRecords` says. */
export function readLast(
  source: RefillSource,
  maxRecords: number,
  take: (record: LogRecord) => void,
): Promise<number> {
  return readOn(source, startOfLastRecords(source, maxRecords), (records) => {
    for (const record of records) take(record);
  });
}
