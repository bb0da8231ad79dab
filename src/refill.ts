import type { LogRecord } from './base/reading.ts';
import type { Journal } from './log/journal.ts';
import { StreamCursor, startOfLast } from './log/log-reader.ts';
import type { Files } from './os/files.ts';

/**
 * Reads the last records of a stream, oldest first: what was acknowledged before the restart is
 * known after it. At least `maxRecords` where there are so many, and at most a segment more,
 * whatever the size of the log. Returns how many.
 */
export async function readLast(
  source: { readonly files: Files; readonly journal: Journal; readonly stream: string },
  maxRecords: number,
  take: (record: LogRecord) => void,
): Promise<number> {
  const { files, journal, stream } = source;
  const from = startOfLast(journal, stream, journal.nextOffsets(stream), maxRecords);
  const cursor = new StreamCursor({ files, view: journal, stream, from });
  let count = 0;
  try {
    for (;;) {
      const records = await cursor.next();
      if (records === undefined) return count;
      for (const record of records) take(record);
      count += records.length;
    }
  } finally {
    await cursor.close();
  }
}
