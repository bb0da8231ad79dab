import type { Dedup } from './dedup/dedup.ts';
import type { Journal } from './log/journal.ts';
import { StreamCursor, startOfLast } from './log/log-reader.ts';
import type { Files } from './os/files.ts';

/**
 * Fills dedup's windows from the last records of a stream: what was acknowledged before the restart
 * is known after it. Reads `maxRecords` and at most a segment more, whatever the size of the log.
 */
export async function refillDedup(
  dedup: Dedup,
  source: { readonly files: Files; readonly journal: Journal; readonly stream: string },
  maxRecords: number,
): Promise<number> {
  const { files, journal, stream } = source;
  const from = startOfLast(journal, stream, journal.nextOffsets(stream), maxRecords);
  const cursor = new StreamCursor({ files, view: journal, stream, from });
  let count = 0;
  try {
    for (;;) {
      const records = await cursor.next();
      if (records === undefined) return count;
      for (const record of records) dedup.remember(record);
      count += records.length;
    }
  } finally {
    await cursor.close();
  }
}
