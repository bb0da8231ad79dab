import { expect, it } from 'vitest';
import type { LogRecord } from '../../../src/base/reading.ts';
import { type Source, SplitConsumer } from '../../../src/log/split-consumer.ts';
import { BatchShape } from '../../../src/uplink/shape.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, openTestJournal, reading } from '../../support/journals.ts';

const never = new AbortController().signal;
const stream = 'metres';
const none = Number.POSITIVE_INFINITY;
const ALL = { maxBytes: none, maxMessages: 1, maxDocumentBytes: none, maxAllBytes: none };

it('batches of one id have the same records, whatever the next link divides', async () => {
  const files = new FakeFiles();
  const journal = await openTestJournal(files, { streams: [{ name: stream, partitions: 2 }] });
  const store = async (partition: number, count: number) => {
    for (let i = 0; i < count; i++) {
      await append(journal, partition, reading(`d${partition}`, '1'), stream);
    }
  };
  const consumer = new SplitConsumer({
    ...{ name: 'c', stream, journal, files, stored: undefined, newest: 4 },
  });
  const shape = new BatchShape({
    ...{ origin: { gateway: 'g', log: 'l' }, topic: 't', lingerMs: 0, compression: 'none' },
    maxDocumentBytes: 10 * 65,
  });
  const bound = { maxBytes: Number.POSITIVE_INFINITY, sizeOf: () => 0 };
  const firstBatch = async (source: Source) => {
    const all: LogRecord[] = [];
    while (all.length < 12) all.push(...(await source.read(12, never)));
    const records = all.slice(0, shape.cut(all, 0, ALL));
    const [message] = await shape.pack({ records, historical: false, bound });
    return { id: message?.id, records: records.map((r) => `${r.partition}/${r.offset}`) };
  };
  consumer.split('fresh');
  await store(0, 1);
  await store(1, 1); // A quiet device: on the next link it is among the newest of its partition.
  await store(0, 18);
  // The cloud stores it, and its answer is lost with the link.
  const first = await firstBatch(consumer.fresh);
  consumer.split('fresh');
  const second = await firstBatch(consumer.behind);
  // Of the same id it would be taken for a repeat, acknowledged, and 0/9 would never be stored.
  if (second.id === first.id) expect(second.records).toEqual(first.records);
  consumer.close();
  await journal.close();
});
