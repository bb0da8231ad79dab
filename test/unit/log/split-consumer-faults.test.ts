import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { checkpointKey } from '../../../src/log/checkpoint.ts';
import { segmentFileName } from '../../../src/log/format.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { earliestOffsets } from '../../../src/log/log-reader.ts';
import { type Source, SplitConsumer } from '../../../src/log/split-consumer.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, FOLDER, noiseOf, openTestJournal, reading } from '../../support/journals.ts';

// What retention, damage and restarts do to a stream that is read from two places.

const STREAM = 'metres';
const NEWEST = 3;
const journals: Journal[] = [];
const consumers: SplitConsumer[] = [];

afterEach(async () => {
  for (const consumer of consumers.splice(0)) consumer.close();
  for (const journal of journals.splice(0)) await journal.close();
});

async function openJournal(files: FakeFiles, maxBytes = 1e9): Promise<Journal> {
  const journal = await openTestJournal(files, {
    streams: [STREAM, 'other'].map((name) => ({ name, partitions: 1 })),
    retention: { maxBytes, maxAgeMs: 0 },
  });
  journals.push(journal);
  return journal;
}

function openConsumer(files: FakeFiles, journal: Journal, stored?: string): SplitConsumer {
  const options = { name: 'c', stream: STREAM, journal, files, stored, newest: NEWEST };
  const consumer = new SplitConsumer(options);
  consumers.push(consumer);
  return consumer;
}

async function setUp(count: number, maxBytes?: number) {
  const files = new FakeFiles();
  const journal = await openJournal(files, maxBytes);
  const random = seededRandom(5);
  const store = async (more: number, bytes = 8) => {
    for (let i = 0; i < more; i++) {
      await append(journal, 0, reading('a', noiseOf(random, bytes)), STREAM);
    }
  };
  await store(count);
  const open = (stored?: string) => openConsumer(files, journal, stored);
  return { files, journal, open, store };
}

/** So many records; waits until there are. */
async function offsets(source: Source, count: number): Promise<number[]> {
  const all: number[] = [];
  const never = new AbortController().signal;
  while (all.length < count) {
    all.push(...(await source.read(count - all.length, never)).map(({ offset }) => offset));
  }
  return all;
}

/** What it gives although nothing is stored any more, until it waits. */
async function rest(source: Source): Promise<number[]> {
  const all: number[] = [];
  for (;;) {
    const stop = new AbortController();
    const reading = source.read(100, stop.signal);
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    const records = await reading;
    if (records.length === 0) return all;
    all.push(...records.map(({ offset }) => offset));
  }
}

const row = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const textOf = (consumer: SplitConsumer) => consumer.checkpoint().get(checkpointKey('c', STREAM));

describe('the number of holes', () => {
  it.each([
    [63, 197],
    [64, 128],
  ])('is bounded: with %i spans ahead what is fresh begins at %i', async (spans, first) => {
    const { open, store } = await setUp(200);
    const consumer = open();
    for (let i = 0; i < spans; i++) consumer.behind.handled(0, { from: 2 * i + 1, to: 2 * i + 2 });
    consumer.split('fresh');
    expect(await offsets(consumer.fresh, 1)).toEqual([first]);
    // None is left out for that.
    await store(1);
    const all = [...(await rest(consumer.fresh)), ...(await rest(consumer.behind)), first];
    expect(all.toSorted((a, b) => a - b)).toEqual([
      ...row(0, 201).filter((offset) => offset >= 2 * spans || offset % 2 === 0),
    ]);
  });
});

describe('a restart with spans ahead', () => {
  it('gives the holes to one side and what is new to the other', async () => {
    const { open, store } = await setUp(20);
    const before = open();
    before.split('fresh');
    for (const [from, to] of [
      [0, 2],
      [5, 8],
      [12, 13],
      [17, 20],
    ] as const) {
      before.fresh.handled(0, { from, to });
    }
    const consumer = open(textOf(before));
    expect(textOf(consumer)).toBe(textOf(before));
    await store(4);
    consumer.split('fresh');
    expect(await rest(consumer.fresh)).toEqual(row(21, 24));
    expect(await rest(consumer.behind)).toEqual([2, 3, 4, 8, 9, 10, 11, 13, 14, 15, 16, 20]);
  });

  it('in order strict one side has all that is left, and the other nothing', async () => {
    const { open, store } = await setUp(10);
    const before = open();
    before.split('fresh');
    before.fresh.handled(0, { from: 7, to: 9 });
    before.behind.handled(0, { from: 0, to: 3 });
    const consumer = open(textOf(before));
    consumer.split('strict');
    await store(2);
    expect(await rest(consumer.behind)).toEqual([]);
    expect(await rest(consumer.fresh)).toEqual([3, 4, 5, 6, 9, 10, 11]);
    expect(consumer.backlog()).toBe(7);
  });

  it('takes nothing beyond the end: a card may have lied', async () => {
    const { journal, open, store } = await setUp(4);
    const log = journal.logId;
    const consumer = open(
      JSON.stringify({
        log,
        offsets: [1],
        ahead: [
          [
            [2, 9],
            [11, 20],
          ],
        ],
      }),
    );
    expect(consumer.backlog()).toBe(1);
    await store(2);
    consumer.split('fresh');
    expect([...(await rest(consumer.behind)), ...(await rest(consumer.fresh))]).toEqual([1, 4, 5]);
  });
});

describe('retention', () => {
  const MAX_BYTES = 512 * 1024;

  it('drops what waits under a reader: it goes on with what is kept', async () => {
    const { journal, open, store } = await setUp(2, MAX_BYTES);
    await store(8, 20_000);
    const consumer = open();
    consumer.split('fresh');
    expect(await offsets(consumer.behind, 2)).toEqual([0, 1]);
    const first = () => earliestOffsets(journal, STREAM)[0] ?? 0;
    let stored = 10;
    for (; first() < 3 && stored < 100; stored++) {
      await store(1, 20_000);
      await journal.retain();
    }
    const earliest = first();
    // Of the hole something is left.
    expect(earliest).toBeLessThan(10 - NEWEST);
    expect(consumer.backlog()).toBe(stored - earliest);
    // What it has read before may come; nothing twice, and nothing that is kept is left out.
    const given = await rest(consumer.behind);
    expect(given).toEqual(row(given[0] ?? 0, 10 - NEWEST));
    expect(given[0]).toBeLessThanOrEqual(earliest);
    for (const offset of given) consumer.behind.handled(0, { from: offset, to: offset + 1 });
    // The two that came first lack their acknowledgement, and are gone: nobody waits for them.
    consumer.behind.rewind();
    expect(await rest(consumer.behind)).toEqual([]);
    expect(consumer.progress.position(0)).toBe(10 - NEWEST);
  });

  it('drops all that waited, and what was fresh: both sides go on', async () => {
    const { journal, open, store } = await setUp(8, MAX_BYTES);
    const consumer = open();
    consumer.split('fresh');
    expect(await offsets(consumer.fresh, 1)).toEqual([5]);
    expect(await offsets(consumer.behind, 1)).toEqual([0]);
    await store(60, 20_000);
    await journal.retain();
    const kept = consumer.backlog();
    expect(kept).toBeLessThan(60);
    const fresh = await rest(consumer.fresh);
    expect(fresh.slice(-kept)).toEqual(row(68 - kept, 68));
    for (const offset of fresh) consumer.fresh.handled(0, { from: offset, to: offset + 1 });
    expect(consumer.backlog()).toBe(0);
    // What was dropped without an acknowledgement holds nothing up.
    consumer.split('fresh');
    expect(await rest(consumer.behind)).toEqual([]);
    expect(consumer.progress.position(0)).toBe(68);
    expect(consumer.progress.hasAhead).toBe(false);
  });
});

describe('damage', () => {
  const PAGE = 4096;

  it.each([
    ['in what waits', 3, [0, 1, 2, 4], [5, 6, 7]],
    ['at the end of what waits', 4, [0, 1, 2, 3], [5, 6, 7]],
    ['in what is fresh', 6, [0, 1, 2, 3, 4], [5, 7]],
  ])('%s costs what it hits, and holds up neither side', async (_, at, behind, fresh) => {
    const { files, open } = await setUp(8);
    // A block a page, after that of the header.
    const path = `${FOLDER}/${segmentFileName(1)}`;
    files.unreadable = (file, from, length) =>
      file === path && from < (at + 2) * PAGE && from + length > (at + 1) * PAGE;
    const consumer = open();
    consumer.split('fresh');
    expect(await rest(consumer.behind)).toEqual(behind);
    expect(await rest(consumer.fresh)).toEqual(fresh);
    expect(consumer.backlog()).toBe(7);
    for (const offset of [...behind, ...fresh]) {
      consumer.fresh.handled(0, { from: offset, to: offset + 1 });
    }
    expect(consumer.progress.position(0)).toBe(8);
  });

  it('of the last record is stepped over after a restart', async () => {
    const { files, journal } = await setUp(8);
    // Nothing in the log but its own block says of it.
    await append(journal, 0, reading('a', 'x'), 'other');
    await journal.close();
    journals.length = 0;
    const bytes = files.bytes(`${FOLDER}/${segmentFileName(1)}`);
    const at = 8 * PAGE + 100;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const again = await openJournal(files);
    const consumer = openConsumer(files, again);
    consumer.split('fresh');
    expect(again.nextOffsets(STREAM)).toEqual([8]);
    expect(await rest(consumer.fresh)).toEqual([5, 6]);
    expect(await rest(consumer.behind)).toEqual(row(0, 5));
    expect(consumer.backlog()).toBe(7);
  });
});
