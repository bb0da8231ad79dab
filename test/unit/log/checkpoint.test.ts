import { describe, expect, it, test } from 'vitest';
import { HandledOffsets } from '../../../src/base/handled-offsets.ts';
import {
  checkpointHandled,
  checkpointKey,
  checkpointOffsets,
  encodeCheckpoint,
  handledCheckpoint,
  handledOffsets,
} from '../../../src/log/checkpoint.ts';
import { SplitConsumer } from '../../../src/log/split-consumer.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, openTestJournal, reading } from '../../support/journals.ts';
import { memoryState } from '../../support/memory-state.ts';

const LOG = 'a1b2';
const textOf = (offsets: readonly number[], ahead?: unknown, log = LOG) =>
  JSON.stringify({ log, offsets, ...(ahead === undefined ? {} : { ahead }) });

describe('a checkpoint', () => {
  it('holds what lies ahead only where something does', () => {
    const handled = new HandledOffsets([3, 0]);
    expect(handledCheckpoint(LOG, handled)).toBe(textOf([3, 0]));
    handled.add(1, { from: 2, to: 5 });
    expect(handledCheckpoint(LOG, handled)).toBe(textOf([3, 0], [[], [[2, 5]]]));
  });

  test.each([
    ['nothing', undefined],
    ['an empty text', ''],
    ['half of one', textOf([3, 4]).slice(0, -3)],
    ['null', 'null'],
    ['a number', '7'],
    ['a list', '[3,4]'],
    ['one of another log', textOf([3, 4], [], 'c3d4')],
    ['one of no log', JSON.stringify({ offsets: [3, 4] })],
    ['no offsets', JSON.stringify({ log: LOG })],
    ['offsets that are no list', JSON.stringify({ log: LOG, offsets: { 0: 3 } })],
    ['half an offset', textOf([3.5, 4])],
    ['an offset as a text', JSON.stringify({ log: LOG, offsets: ['3', 4] })],
    ['an offset beyond what a number can tell', textOf([2 ** 53, 4])],
    ['an offset that is missing', JSON.stringify({ log: LOG, offsets: [null, 4] })],
    ['spans that are no list', textOf([3, 4], { 0: [] })],
    ['null for the spans', textOf([3, 4], null)],
    ['a span that is no pair', textOf([3, 4], [[[5, 6, 7]], []])],
    ['half a span', textOf([3, 4], [[[5]], []])],
    ['a span of texts', textOf([3, 4], [[['5', '6']], []])],
    ['a span outside of its partition', textOf([3, 4], [[5, 6], []])],
  ])('%s says nothing', async (_, text) => {
    expect(checkpointHandled(text, LOG, [100, 100])).toBeUndefined();
    expect(checkpointOffsets(text, LOG)).toBeUndefined();
    if (text === undefined) return;
    const state = memoryState([[checkpointKey('uplink', 'readings'), text]]);
    expect(await handledOffsets(state, LOG)).toEqual(new Map([['readings', []]]));
  });

  it('says no more than the log holds: what is written there next is not handled', () => {
    const ahead = [
      [
        [6, 8],
        [9, 14],
        [20, 30],
      ],
      [],
    ];
    const handled = checkpointHandled(textOf([3, 50], ahead), LOG, [11, 12]);
    expect(handled?.positions).toEqual([3, 12]);
    expect(handled?.spansAhead(0)).toEqual([
      { from: 6, to: 8 },
      { from: 9, to: 11 },
    ]);
  });

  it('fits a log that has more partitions by now, or fewer', () => {
    const text = textOf([3, 4], [[], [[6, 8]]]);
    expect(checkpointHandled(text, LOG, [9, 9, 9])?.positions).toEqual([3, 4, 0]);
    const fewer = checkpointHandled(text, LOG, [9]);
    expect([fewer?.positions, fewer?.ahead()]).toEqual([[3], []]);
  });

  it('takes spans in any order, also such as touch, cross or run backwards', () => {
    const ahead = [
      [
        [20, 22],
        [3, 5],
        [9, 6],
        [12, 16],
        [15, 20],
      ],
    ];
    const handled = checkpointHandled(textOf([3], ahead), LOG, [100]);
    expect(handled?.positions).toEqual([5]);
    expect(handled?.spansAhead(0)).toEqual([{ from: 12, to: 22 }]);
  });
});

it('the furthest that any consumer has handled counts, with what lies ahead', async () => {
  const state = memoryState([
    [checkpointKey('uplink', 'readings'), textOf([3, 40, 0], [[[6, 8]], [], [[1, 2]]])],
    [checkpointKey('export', 'readings'), encodeCheckpoint({ log: LOG, offsets: [7, 41] })],
    [checkpointKey('old', 'readings'), textOf([90, 90, 90, 90], [], 'c3d4')],
    [checkpointKey('uplink', 'alerts'), textOf([5])],
    ['gateway/id', 'not a checkpoint'],
  ]);
  const furthest = await handledOffsets(state, LOG);
  expect(furthest).toEqual(
    new Map([
      ['readings', [8, 41, 2]],
      ['alerts', [5]],
    ]),
  );
});

it('a stream with many holes gets no further one: what is fresh goes in order then', async () => {
  const files = new FakeFiles();
  const streams = [{ name: 'metres', partitions: 1 }];
  const journal = await openTestJournal(files, { streams });
  for (let i = 0; i < 200; i++) await append(journal, 0, reading('a', String(i)), 'metres');
  const ahead = Array.from({ length: 63 }, (_, i): [number, number] => [2 * i + 1, 2 * i + 2]);
  const open = (spans: ReadonlyArray<readonly [number, number]>) => {
    const stored = textOf([0], [spans], journal.logId);
    const options = { name: 'c', stream: 'metres', journal, files, stored, newest: 10 };
    const consumer = new SplitConsumer(options);
    consumer.split('fresh');
    return consumer;
  };
  const firstOf = async (consumer: SplitConsumer) => {
    const [first] = await consumer.fresh.read(1, new AbortController().signal);
    consumer.close();
    return first?.offset;
  };
  expect(await firstOf(open(ahead))).toBe(190);
  expect(await firstOf(open([...ahead, [150, 160]]))).toBe(160);
  await journal.close();
});
