import { describe, expect, it } from 'vitest';
import { Fingerprint } from '../../../src/dedup/fingerprint.ts';
import { IdCopies, IdRing } from '../../../src/dedup/id-ring.ts';
import { type BuiltRun, buildRun, decodeRun, encodeRun } from '../../../src/dedup/id-run.ts';
import { StoredIds } from '../../../src/dedup/stored-ids.ts';
import { MemoryPages } from '../../support/memory-pages.ts';

const print = (n: number) => Fingerprint.of(`id-${n}`, undefined);

/** Of the ids from `from` on and before `to`, at the tick of their number. */
function runOf(from: number, to: number): BuiltRun {
  const ring = new IdRing(Math.max(1, to - from));
  for (let n = from; n < to; n++) ring.push(print(n), { tick: n, ordinal: n + 1 }, 1);
  const copies = new IdCopies(ring.copy(0, ring.pushed));
  const building = buildRun(
    copies,
    Array.from({ length: copies.count }, (_, n) => n),
  );
  for (let step = building.next(); ; step = building.next()) {
    if (step.done === true) return step.value;
  }
}

async function add(stored: StoredIds, pages: MemoryPages, run: BuiltRun, oldestTick = 0) {
  for (const some of stored.pagesOf(run)) await pages.write(some);
  const { entries, dropped, apply } = stored.change(run, oldestTick, []);
  await pages.write(entries);
  apply();
  return dropped;
}

function openedAtOnce(pages: MemoryPages, maxIds = 1e6) {
  const faults: unknown[] = [];
  const onFault = (error: unknown) => faults.push(error);
  return { stored: new StoredIds({ pages, folder: 's', maxIds, onFault }), faults };
}

async function opened(pages: MemoryPages, maxIds = 1e6) {
  const both = openedAtOnce(pages, maxIds);
  await both.stored.open();
  return both;
}

describe('ids in the store', () => {
  it('are found, the newest of each, and after a restart too', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages);
    for (const [from, to] of [
      [0, 5_000],
      [5_000, 5_001],
      [4_000, 9_000],
    ] as const) {
      await add(stored, pages, runOf(from, to));
    }
    let looks = 0;
    const { getSync } = pages;
    pages.getSync = (key) => {
      looks += 1;
      return getSync.call(pages, key);
    };
    for (const one of [stored, (await opened(pages)).stored]) {
      expect(one.size).toBe(10_001);
      for (let n = 0; n < 9_000; n++) {
        expect(one.find(print(n))).toEqual({ tick: n, ordinal: n + 1 });
      }
      looks = 0;
      for (let n = 9_000; n < 29_000; n++) expect(one.find(print(n))).toBeUndefined();
      // Of sixty thousand filters: they send few of them to the store.
      expect(looks).toBeLessThan(120);
    }
  });

  it('a run without its header is nothing, and its pages go at the next start', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages);
    await add(stored, pages, runOf(0, 300));
    for (const some of stored.pagesOf(runOf(300, 600))) await pages.write(some);
    const withIt = pages.keys.length;
    const again = await opened(pages);
    expect(pages.keys.length).toBeLessThan(withIt);
    expect(again.stored.find(print(400))).toBeUndefined();
    expect(again.stored.find(print(100))?.tick).toBe(100);
    await add(again.stored, pages, runOf(600, 900));
    expect((await opened(pages)).stored.find(print(700))?.tick).toBe(700);
  });

  it('of a write that failed are nothing, and leave nothing behind', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages);
    await add(stored, pages, runOf(0, 300));
    for (const some of stored.pagesOf(runOf(300, 4_000))) await pages.write(some);
    stored.failed();
    await add(stored, pages, runOf(4_000, 4_010));
    expect(stored.find(print(4_005))?.tick).toBe(4_005);
    const before = pages.keys.length;
    const again = await opened(pages);
    expect(pages.keys.length).toBeLessThan(before - 20);
    expect([0, 299, 4_009].map((n) => again.stored.find(print(n))?.tick)).toEqual([0, 299, 4_009]);
  });

  it('are written beside what a full disk kept from being removed', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages);
    for (const some of stored.pagesOf(runOf(0, 4_000))) await pages.write(some);
    pages.fault = new Error('no space');
    const again = await opened(pages);
    expect(again.faults).toHaveLength(1);
    pages.fault = undefined;
    await add(again.stored, pages, runOf(4_000, 4_100));
    expect(again.stored.find(print(100))).toBeUndefined();
    expect((await opened(pages)).stored.find(print(4_050))?.tick).toBe(4_050);
    expect(pages.keys.length).toBeLessThan(10);
  });

  it('go as a run, when the last of them is out of the window', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages);
    await add(stored, pages, runOf(0, 1_000));
    await add(stored, pages, runOf(1_000, 2_000), 999);
    expect(stored.find(print(0))).toBeDefined();
    expect(await add(stored, pages, runOf(0, 0), 1_000)).toBe(0);
    expect(stored.find(print(0))).toBeUndefined();
    expect(stored.find(print(1_000))).toBeDefined();
    await add(stored, pages, runOf(0, 0), 2_000);
    expect(pages.keys).toEqual([]);
  });

  it('are no more than they may be, and it is told how many went too early', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages, 1_000);
    await add(stored, pages, runOf(0, 600));
    expect(await add(stored, pages, runOf(600, 1_001))).toBe(600);
    expect(stored.size).toBe(401);
    for (let i = 0; i < 420; i++) await add(stored, pages, runOf(i, i + 1));
    expect(stored.size).toBe(400);
  });

  it.each([20, 5_000, 20_000, 70_000])('runs of %i become few enough for all to stay', (size) => {
    const pages = new MemoryPages();
    const { stored } = openedAtOnce(pages, 2_000_000);
    const empty: BuiltRun = { ...runOf(0, 1), pages: [] };
    let ids = 0;
    for (let i = 0; i < 2_000 && ids + size <= 1_900_000; i++) {
      const merged = stored.toMerge();
      const count = size + merged.reduce((sum, run) => sum + run.count, 0);
      const run = { ...empty.run, count };
      const { dropped, apply } = stored.change({ run, pages: [] }, 0, merged);
      apply();
      ids += size;
      expect(dropped, String(i)).toBe(0);
    }
    expect(stored.size).toBe(ids);
  });

  it('that cannot be read are told of and unknown', async () => {
    const pages = new MemoryPages();
    const { stored, faults } = await opened(pages);
    await add(stored, pages, runOf(0, 10));
    pages.getSync = () => {
      throw new Error('corruption');
    };
    expect(stored.find(print(3))).toBeUndefined();
    expect(faults).toHaveLength(1);
  });

  it('of a header that can not be read are told of, and their pages go', async () => {
    const pages = new MemoryPages();
    const { stored } = await opened(pages);
    await add(stored, pages, runOf(0, 300));
    await add(stored, pages, runOf(300, 600));
    const [header = ''] = pages.keys.filter((key) => key.startsWith('s/run/'));
    await pages.write(new Map([[header, new Uint8Array(3)]]));
    const again = await opened(pages);
    expect(again.faults).toHaveLength(1);
    expect([100, 400].map((n) => again.stored.find(print(n))?.tick)).toEqual([undefined, 400]);
    expect(pages.keys.filter((key) => key.startsWith('s/page/')).length).toBeLessThan(8);
  });

  it('a header that is cut or of another version is no run', () => {
    const bytes = encodeRun(runOf(0, 100).run);
    expect(decodeRun(bytes)?.count).toBe(100);
    expect(decodeRun(bytes.subarray(0, 10))).toBeUndefined();
    expect(decodeRun(bytes.subarray(0, bytes.length - 1))).toBeUndefined();
    bytes[0] = 9;
    expect(decodeRun(bytes)).toBeUndefined();
  });
});
