import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { SegmentInfo } from '../../../src/log/catalog.ts';
import type { DroppedOffsets } from '../../../src/log/retention.ts';
import { expiredSegments } from '../../../src/log/retention.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, noiseOf, openTestJournal, readAll, reading } from '../../support/journals.ts';

const KIB = 1024;

function row(...sizes: number[]): SegmentInfo[] {
  const header = { runMs: 0, streams: [] } as unknown as SegmentInfo['header'];
  return sizes.map((sizeBytes, i) => {
    const sequence = i + 1;
    return { sequence, path: `/${sequence}`, header, sizeBytes, headerLost: false };
  });
}

describe('what is to be dropped when space is short', () => {
  const plenty = { maxBytes: 1e12, maxAgeMs: 0, runMs: 0 };
  const dropped = (shortBytes: number, reusedBytes: number, sizes: readonly number[]) =>
    expiredSegments(row(...sizes), 0, { ...plenty, shortBytes, reusedBytes }).map(
      ({ sequence }) => sequence,
    );

  it.each([
    ['nothing, when nothing is short', 0, 0, []],
    ['nothing, when more is free than must be', -5, 0, []],
    ['the oldest until it suffices', 150, 0, [1, 2]],
    ['never the active one', 1e9, 0, [1, 2, 3]],
    ['one more, where a file is used again and frees nothing', 150, 100, [1, 2, 3]],
    ['no more, where no file has the size to be used again', 150, 64, [1, 2]],
  ])('%s', (_, shortBytes, reusedBytes, expected) => {
    expect(dropped(shortBytes, reusedBytes, [100, 100, 100, 100])).toEqual(expected);
  });

  it('a packed file is smaller than one that is used again', () => {
    expect(dropped(100, 100, [30, 100, 80, 100])).toEqual([1, 2, 3]);
  });
});

const random = seededRandom(7);
const noise = () => reading('a', noiseOf(random, 20_000));

describe('before anything is dropped', () => {
  it('whoever keeps something of it can read it; one that fails stops nothing', async () => {
    const files = new FakeFiles();
    const dropped: DroppedOffsets[] = [];
    const journal = await openTestJournal(files, {
      retention: { maxBytes: 256 * KIB, maxAgeMs: 0 },
      onDrop: (ranges) => dropped.push(...ranges),
    });
    const asked: number[] = [];
    journal.beforeDrop(() => Promise.reject(new Error('no room to keep anything')));
    journal.beforeDrop(async (ranges) => {
      const offsets = (await readAll(files, journal)).map(({ offset }) => offset);
      for (const { offset, count } of ranges) {
        expect(offsets).toEqual(expect.arrayContaining([offset, offset + count - 1]));
        asked.push(offset, count);
      }
    });
    for (let i = 0; i < 30; i++) await append(journal, 0, noise());
    await journal.retain();
    expect(dropped.length).toBeGreaterThan(1);
    expect(asked).toEqual(dropped.flatMap(({ offset, count }) => [offset, count]));
    await journal.close();
  });
});

describe('a floor of free space', () => {
  const open = (files: FakeFiles, dropped: DroppedOffsets[], logger: Logger = silentLogger) =>
    openTestJournal(files, {
      retention: { maxBytes: 1e9, maxAgeMs: 0, minFreeBytes: 256 * KIB },
      onDrop: (ranges) => dropped.push(...ranges),
      logger,
    });

  it('is kept by dropping the oldest, which are named', async () => {
    const files = new FakeFiles();
    const dropped: DroppedOffsets[] = [];
    const journal = await open(files, dropped);
    files.capacityBytes = 1_024 * KIB;
    for (let i = 0; i < 100; i++) await append(journal, 0, noise());
    await journal.retain();
    const free = await files.freeBytes('/');
    expect(free).toBeGreaterThanOrEqual(256 * KIB);
    // Kept by need, not more than that.
    expect(free).toBeLessThan(256 * KIB + 3 * 64 * KIB);
    const first = (await readAll(files, journal))[0]?.offset ?? 0;
    expect(first).toBeGreaterThan(0);
    expect(dropped.reduce((sum, { count }) => sum + count, 0)).toBe(first);
    expect(journal.status().state).toBe('durable');
    await journal.close();
  });

  it('others fill the disk: what is sealed goes, and the log takes data still', async () => {
    const files = new FakeFiles();
    const dropped: DroppedOffsets[] = [];
    const journal = await open(files, dropped);
    for (let i = 0; i < 20; i++) await append(journal, 0, noise());
    expect(dropped).toEqual([]);
    const used = -(await files.freeBytes('/'));
    expect(used).toBe(Number.NEGATIVE_INFINITY);
    files.capacityBytes = 0;
    await journal.retain();
    expect(journal.segments()).toHaveLength(1);
    expect(dropped.length).toBeGreaterThan(0);
    files.capacityBytes = Number.POSITIVE_INFINITY;
    await append(journal, 0, noise());
    await journal.close();
  });

  it('that can’t be looked at is said and drops nothing', async () => {
    const files = new FakeFiles();
    const said: string[] = [];
    const logger = { ...silentLogger, warn: (_: unknown, text: string) => said.push(text) };
    const dropped: DroppedOffsets[] = [];
    const journal = await open(files, dropped, logger);
    for (let i = 0; i < 20; i++) await append(journal, 0, noise());
    files.capacityBytes = 0;
    files.fault = (operation) => (operation === 'freeBytes' ? 'EIO' : undefined);
    await journal.retain();
    expect(dropped).toEqual([]);
    expect(said).toContain('how much space is free cannot be told: none is kept free');
    await journal.close();
  });
});

describe('a full store', () => {
  it('uses its files again, however often it is looked at whether something may go', async () => {
    const files = new FakeFiles();
    const retention = { maxBytes: 4 * 64 * KIB, maxAgeMs: 0 };
    const journal = await openTestJournal(files, { retention });
    const onDisk = () =>
      files
        .paths()
        .filter((path) => !path.endsWith('header.copy'))
        .reduce((sum, path) => sum + files.bytes(path).length, 0);
    const fill = async (commits: number) => {
      for (let i = 0; i < commits; i++) {
        await append(journal, 0, noise());
        await journal.retain();
        expect(journal.status().sizeBytes).toBe(onDisk());
      }
      return journal.status().bytesWritten;
    };
    const before = await fill(40);
    const dropped = journal.segments()[0]?.sequence ?? 0;
    expect(dropped).toBeGreaterThan(4);
    // 20,000 bytes are five pages and a header of a block: nothing is filled with zeros any more.
    const written = (await fill(30)) - before;
    expect(written / 30).toBeLessThan(1.3 * 20 * KIB);
    expect(journal.segments().length).toBeLessThanOrEqual(4);
    await journal.close();
  });
});
