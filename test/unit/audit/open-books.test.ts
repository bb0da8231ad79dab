import { expect, it } from 'vitest';
import { Books } from '../../../src/audit/books.ts';
import { noCounts } from '../../../src/audit/counts.ts';
import { entryReading } from '../../../src/audit/entry.ts';
import { openBooks } from '../../../src/audit/open-books.ts';
import { HandledOffsets } from '../../../src/base/handled-offsets.ts';
import type { LogRecord } from '../../../src/base/reading.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

it('tells books that begin anew nothing of the entries of those that were lost', async () => {
  const place = { partition: 0, boot: '00', runMs: 0, receivedAtMs: NOON };
  const record = (offset: number): LogRecord => ({
    ...{ ...place, stream: 'readings', offset, device: 'd', topic: 't', monoMs: 0 },
    payload: new Uint8Array(),
  });
  const counts = { ...noCounts(), received: 2, stored: 2, cloudAcked: 2 };
  const name = { log: 'a1', stream: 'readings', bucketStart: NOON, bucketMs: 60_000, n: 1 };
  const reading = entryReading({ ...name, counts }, 0);
  // The head of the stream is gone; how far the entries are known is not.
  const books = new Books({ bucketMs: 60_000 }, [['audit/e1/', '{"next":1,"to":0}']]);
  await openBooks({
    books,
    streams: [
      {
        ...{ name: 'readings', log: 'a1', takesMessages: true, forwards: true },
        ...{ earliest: [0], end: [5], acked: new HandledOffsets([2]) },
        records: async function* () {
          yield [2, 3, 4].map(record);
        },
      },
    ],
    entries: {
      ...{ log: 'e1', end: 1 },
      records: async function* () {
        yield [{ ...place, ...reading, stream: 'audit', offset: 0 }];
      },
    },
    deadLetters: 'dead-letter',
    streamOf: () => undefined,
  });
  expect(books.of('readings')?.buckets.get(NOON)?.counts).toEqual({ ...noCounts(), opening: 3 });
});
