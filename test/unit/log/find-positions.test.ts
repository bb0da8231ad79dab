import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../../src/base/reading.ts';
import { PAGE_BYTES } from '../../../src/log/bytes.ts';
import type { CorrectedTimes } from '../../../src/log/corrected-time.ts';
import { offsetsAfter, offsetsAtTime } from '../../../src/log/find-positions.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { indexOf } from '../../../src/log/log-reader.ts';
import type { LogView } from '../../../src/log/log-view.ts';
import { readTimes } from '../../../src/log/read-times.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FOLDER, readAll, textOf } from '../../support/journals.ts';
import { until } from '../../support/until.ts';

const MAY = Date.UTC(2026, 4, 4, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIB = 1024 * 1024;

function timeIn(times: CorrectedTimes, { boot, monoMs, receivedAtMs }: LogRecord): number {
  return times.timeOf({ boot, monoMs, wallMs: receivedAtMs });
}

/** Every record's corrected time, by a pass over the whole log: what the short way must find. */
async function timesByPass(files: FakeFiles, view: LogView) {
  const times = await readTimes(files, view);
  return (await readAll(files, view)).map((record) => ({
    text: textOf(record),
    record,
    time: timeIn(times, record),
  }));
}

/** Four boots: 1970 and then set, never set, behind the one before, set from the start. */
async function fourBoots(files: FakeFiles, packing: boolean): Promise<void> {
  const more = { segmentBytes: 64 * 1024, packing, compression: 'auto' as const };
  const first = await Boot.start(files, 1, { mono: 4_000, wall: 4_000 }, more);
  for (let i = 0; i < 30; i++) await first.put(i % 2, `a${i}`, MINUTE);
  first.clock.wall = MAY;
  for (let i = 30; i < 40; i++) await first.put(i % 2, `a${i}`, MINUTE);
  await first.stop();
  const second = await Boot.start(files, 2, { mono: 9_000, wall: 9_000 }, more);
  for (let i = 0; i < 9; i++) await second.put(i % 2, `b${i}`, MINUTE);
  await second.stop();
  const third = await Boot.start(files, 3, { mono: 9_000, wall: MAY + MINUTE }, more);
  for (let i = 0; i < 20; i++) await third.put(i % 2, `c${i}`, MINUTE);
  await third.stop();
  const fourth = await Boot.start(files, 4, { mono: 9_000, wall: MAY + 5 * HOUR }, more);
  for (let i = 0; i < 20; i++) await fourth.put(i % 2, `d${i}`, MINUTE);
  const isPacked = () => files.paths().some((path) => path.endsWith('.packed'));
  if (packing) await until('a segment is packed', isPacked);
  await fourth.stop();
}

describe.each([{ packing: false }, { packing: true }])('boots in a log, %o', ({ packing }) => {
  it('the times of four boots fit together', async () => {
    const files = new FakeFiles();
    await fourBoots(files, packing);
    const all = await timesByPass(files, await FolderView.open(files, FOLDER));
    const timeOf = (text: string) => all.find((one) => one.text === text)?.time;
    expect(timeOf('a0')).toBe(MAY - 29 * MINUTE);
    expect(timeOf('a39')).toBe(MAY + 10 * MINUTE);
    expect(timeOf('b0')).toBe(MAY + 10 * MINUTE);
    expect(timeOf('b8')).toBe(MAY + 18 * MINUTE);
    expect(timeOf('c0')).toBe(MAY + 18 * MINUTE);
    expect(timeOf('c19')).toBe(MAY + 37 * MINUTE);
    expect(timeOf('d0')).toBe(MAY + 5 * HOUR + MINUTE);
    const inOrder = all.map(({ time }) => time);
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
  });

  it('finds every time, and what is between two ranges belongs to one of them', async () => {
    const files = new FakeFiles();
    await fourBoots(files, packing);
    const view = await FolderView.open(files, FOLDER);
    const times = await readTimes(files, view);
    const all = await timesByPass(files, view);
    const search = { files, view, stream: 'readings' };
    for (const { time, text } of all) {
      for (const [wanted, from] of [
        [time, all.findIndex((one) => one.time >= time)],
        [time + 1, all.findIndex((one) => one.time >= time + 1)],
      ] as const) {
        const offsets = await offsetsAtTime(search, times, wanted);
        const rest = await readAll(files, view, 'readings', offsets);
        expect(rest.length, text).toBe(from < 0 ? 0 : all.length - from);
        expect(rest[0] === undefined ? undefined : textOf(rest[0])).toBe(all[from]?.text);
      }
    }
    expect(await offsetsAtTime(search, times, 0)).toEqual([0, 0]);
  });

  it('goes on after any record, in commit order', async () => {
    const files = new FakeFiles();
    await fourBoots(files, packing);
    const view = await FolderView.open(files, FOLDER);
    const all = await readAll(files, view);
    for (const [i, { partition, offset }] of all.entries()) {
      const after = await offsetsAfter({ files, view, stream: 'readings' }, { partition, offset });
      const rest = await readAll(files, view, 'readings', after);
      expect(rest.map(textOf)).toEqual(all.slice(i + 1).map(textOf));
    }
  });
});

it('a journal and its files say the same, and a store need not be read for it', async () => {
  const files = new FakeFiles();
  const more = { segmentBytes: 4 * 1024 * 1024 };
  const boots: Boot[] = [];
  const fill = 'x'.repeat(3_900);
  for (let n = 1; n <= 5; n++) {
    const at = { mono: 5_000, wall: n % 2 === 0 ? 5_000 : MAY + n * HOUR };
    const boot = await Boot.start(files, n, at, more);
    boots.push(boot);
    for (let i = 0; i < 700; i++) await boot.put(i % 2, `${n}/${i} ${fill}`, 100);
    if (n < 5) await boot.stop();
  }
  const { journal } = boots.at(-1) as Boot;
  const folder = await FolderView.open(files, FOLDER);
  files.bytesRead = 0;
  const times = await readTimes(files, journal);
  const KIB = 1024;
  // 14 MiB in four segments: a few intervals of 256 KiB for each end of a boot.
  expect(files.bytesRead).toBeLessThan(3 * KIB * KIB);
  files.bytesRead = 0;
  const search = { files, view: journal, stream: 'readings' };
  const offsets = await offsetsAtTime(search, times, MAY + 3 * HOUR + 60_000);
  expect(files.bytesRead).toBeLessThan(700 * KIB);
  const byFolder = await readTimes(files, folder);
  expect(times.boots).toEqual(byFolder.boots);
  expect(
    await offsetsAtTime({ ...search, view: folder }, byFolder, MAY + 3 * HOUR + 60_000),
  ).toEqual(offsets);
  const [first] = await readAll(files, journal, 'readings', offsets);
  expect(first === undefined ? '' : textOf(first)).toMatch(/^3\/599 /);
  await journal.close();
});

it('a view from before the packing finds the segments where they are by now', async () => {
  const files = new FakeFiles();
  const more = { segmentBytes: 64 * 1024, packing: true, compression: 'auto' as const };
  const boot = await Boot.start(files, 1, { mono: 1_000, wall: 1_000 }, more);
  for (let i = 0; i < 10; i++) await boot.put(i % 2, `${i}`);
  const old = await FolderView.open(files, FOLDER);
  for (let i = 10; i < 60; i++) await boot.put(i % 2, `${i}`);
  boot.clock.wall = MAY;
  await boot.put(0, 'set');
  const isPacked = () => files.paths().filter((path) => path.endsWith('.packed')).length > 1;
  await until('two segments are packed', isPacked);
  const times = await readTimes(files, old);
  expect(times.boots).toHaveLength(1);
  const search = { files, view: old, stream: 'readings' };
  const offsets = await offsetsAtTime(search, times, 0);
  expect(offsets).toEqual([0, 0]);
  await old.look();
  const fresh = await readTimes(files, old);
  const at = await offsetsAtTime(search, fresh, MAY - 50_000);
  const [first] = await readAll(files, old, 'readings', at);
  expect(first === undefined ? '' : textOf(first)).toBe('9');
  await boot.stop();
});

it.each(['the first block', 'an indexed block', 'the last block'])(
  '%s of a segment that cannot be read any more hides nothing else',
  async (where) => {
    const files = new FakeFiles();
    const boot = await Boot.start(files, 1, { mono: 1_000, wall: MAY }, { segmentBytes: 2 * MIB });
    for (let i = 0; i < 500; i++) await boot.put(i % 2, `${i} ${'x'.repeat(3_900)}`);
    const { journal } = boot;
    const [info] = journal.segments();
    const index = info === undefined ? undefined : await indexOf(files, journal, info);
    const pages = index?.entries.map(({ page }) => page) ?? [];
    expect(pages.length).toBeGreaterThan(3);
    const bad = {
      'the first block': info?.header.pages,
      'an indexed block': pages[pages.length >> 1],
      'the last block': pages.at(-1),
    }[where];
    const at = (bad ?? -1) * PAGE_BYTES;
    files.unreadable = (path, position, length) =>
      path === info?.path && position < at + PAGE_BYTES && position + length > at;
    const times = await readTimes(files, journal);
    expect(times.boots).toHaveLength(1);
    const search = { files, view: journal, stream: 'readings' };
    const left = await readAll(files, journal);
    expect(left.length).toBeLessThan(500);
    for (const [i, record] of left.entries()) {
      if (i % 20 !== 0) continue;
      const offsets = await offsetsAtTime(search, times, timeIn(times, record));
      const rest = await readAll(files, journal, 'readings', offsets);
      expect(rest.map(textOf)).toEqual(left.slice(i).map(textOf));
      const after = await offsetsAfter(search, record);
      const later = await readAll(files, journal, 'readings', after);
      expect(later.map(textOf)).toEqual(left.slice(i + 1).map(textOf));
    }
    await boot.stop();
  },
);
