import { describe, expect, it } from 'vitest';
import { checkpointKey } from '../../../src/log/checkpoint.ts';
import { type Source, SplitConsumer } from '../../../src/log/split-consumer.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, openTestJournal, reading, textOf } from '../../support/journals.ts';

const never = new AbortController().signal;
const STREAM = 'metres';

async function setUp(count: number) {
  const files = new FakeFiles();
  const journal = await openTestJournal(files, { streams: [{ name: STREAM, partitions: 1 }] });
  const store = async (from: number, to: number) => {
    for (let i = from; i < to; i++) await append(journal, 0, reading('a', String(i)), STREAM);
  };
  await store(0, count);
  const open = (stored?: string) =>
    new SplitConsumer({ ...{ name: 'c', stream: STREAM, journal, files, stored }, newest: 3 });
  return { journal, open, store };
}

/** So many records; waits until there are. */
async function texts(source: Source, count: number): Promise<string[]> {
  const all: string[] = [];
  while (all.length < count) all.push(...(await source.read(count, never)).map(textOf));
  return all;
}

describe('a stream that is read from two places', () => {
  it('gives the newest to one side, and what lies before to the other', async () => {
    const { journal, open, store } = await setUp(6);
    const consumer = open();
    consumer.split('fresh');
    expect(await texts(consumer.fresh, 3)).toEqual(['3', '4', '5']);
    expect(await texts(consumer.behind, 3)).toEqual(['0', '1', '2']);
    await store(6, 7);
    const [last] = await consumer.fresh.read(10, never);
    if (last === undefined) throw new Error('one was stored');
    expect([consumer.fresh.owns(last), consumer.behind.owns(last)]).toEqual([true, false]);
    expect(consumer.fresh.isHistorical(last)).toBe(false);
    consumer.fresh.handled(0, { from: 6, to: 7 });
    expect(consumer.fresh.owns(last)).toBe(false);
    expect(consumer.backlog()).toBe(6);
    consumer.close();
    await journal.close();
  });

  it('reads on from what is not handled after a rewind, not from the split', async () => {
    const { journal, open, store } = await setUp(3);
    const consumer = open();
    consumer.split('fresh');
    await store(3, 8);
    await texts(consumer.fresh, 8);
    consumer.fresh.handled(0, { from: 0, to: 4 });
    // Set aside, out of turn.
    consumer.fresh.handled(0, { from: 5, to: 6 });
    consumer.fresh.rewind();
    expect(await texts(consumer.fresh, 1)).toEqual(['4']);
    // Nothing lies ahead of the first one any more.
    consumer.fresh.handled(0, { from: 4, to: 5 });
    expect(await texts(consumer.fresh, 2)).toEqual(['6', '7']);
    consumer.close();
    await journal.close();
  });

  it('comes back to the holes after a crash', async () => {
    const { journal, open } = await setUp(8);
    const consumer = open();
    consumer.split('fresh');
    consumer.fresh.handled(0, { from: 5, to: 8 });
    consumer.behind.handled(0, { from: 0, to: 2 });
    const again = open(consumer.checkpoint().get(checkpointKey('c', STREAM)));
    expect(again.backlog()).toBe(3);
    again.split('strict');
    expect(await texts(again.fresh, 3)).toEqual(['2', '3', '4']);
    consumer.close();
    again.close();
    await journal.close();
  });
});
