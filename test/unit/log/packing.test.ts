import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/clock.ts';
import { packBody, unpackBody } from '../../../src/log/codec.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { BLOCK_DATA, BLOCK_PACKED, type BlockHeader, type Run } from '../../../src/log/format.ts';
import type { Journal } from '../../../src/log/journal.ts';
import type { JournalOptions } from '../../../src/log/journal-options.ts';
import { StreamCursor } from '../../../src/log/log-reader.ts';
import type { LogView } from '../../../src/log/log-view.ts';
import {
  decodePacked,
  encodePacked,
  JoinedRuns,
  type PlainBlock,
} from '../../../src/log/packed.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  noiseOf,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

const STORE = { compression: 'auto', packing: true, segmentBytes: 64 * 1024 } as const;
const open = (files: FakeFiles, more: Partial<JournalOptions> = {}) =>
  openTestJournal(files, { ...STORE, ...more });

const jsonOf = (random: Random, i: number) =>
  `{"id":"d-${i}","ts":${1_795_528_656_303 + i * 1000},"value":${(20 + random()).toFixed(3)}}`;

/** One reading a commit: sparse. Waits until the upkeep has come to an end. */
async function fill(journal: Journal, count: number, from = 0): Promise<void> {
  const random = seededRandom(from + 1);
  for (let i = from; i < from + count; i++) {
    await append(journal, i % 2, reading(`d${i % 3}`, jsonOf(random, i)));
  }
  await journal.retain();
}

async function names(files: FakeFiles, ending: string): Promise<string[]> {
  return (await files.list(FOLDER)).filter((name) => name.endsWith(ending));
}

describe('a packed block', () => {
  const clock = fc.nat({ max: 2 ** 45 });
  const runOf = fc.record({
    stream: fc.integer({ min: 1, max: 3 }),
    partition: fc.nat({ max: 3 }),
    records: fc.integer({ min: 1, max: 9 }),
  });
  const block = fc.record({
    boot: fc.constantFrom(1, 1, 1, 2, 3),
    monoUs: clock,
    wallMs: clock,
    runMs: clock,
    body: fc.uint8Array({ maxLength: 50 }),
    runs: fc.uniqueArray(runOf, { selector: (r) => `${r.stream}/${r.partition}`, maxLength: 5 }),
  });

  it('gives back the blocks that went in, to the bit', () => {
    const check = (
      drawn: ReadonlyArray<typeof block extends fc.Arbitrary<infer T> ? T : never>,
    ) => {
      const next = new Map<string, number>();
      const blocks = drawn.map(
        ({ boot, monoUs, wallMs, runMs, body, runs }, number): PlainBlock => {
          const dense = runs.map((run): Run => {
            const key = `${run.stream}/${run.partition}`;
            const firstOffset = next.get(key) ?? 1_000 * run.stream;
            next.set(key, firstOffset + run.records);
            return { ...run, firstOffset };
          });
          const records = dense.reduce((sum, run) => sum + run.records, 0);
          const clocks = {
            monoMs: monoUs / 1000,
            wallMs,
            runMs,
            boot: new Uint8Array(8).fill(boot),
          };
          return { header: headerOf({ ...clocks, runs: dense, records, number }), body };
        },
      );
      const joined = new JoinedRuns();
      for (const { header } of blocks) {
        expect(joined.fits(header.runs)).toBe(true);
        joined.add(header.runs);
      }
      const boot = blocks[0]?.header.boot ?? new Uint8Array(8);
      const packed = headerOf({ kind: BLOCK_PACKED, runs: joined.runs, boot });
      const out = decodePacked(packed, encodePacked(blocks, joined.runs, boot));
      const facts = ({ header, body }: PlainBlock) => {
        const { monoMs, wallMs, runMs, runs, records } = header;
        return { monoMs, wallMs, runMs, runs, records, boot: [...header.boot], body: [...body] };
      };
      expect(out.map(facts)).toEqual(blocks.map(facts));
    };
    fc.assert(fc.property(fc.array(block, { minLength: 1, maxLength: 12 }), check));
  });

  function headerOf(more: Partial<BlockHeader>): BlockHeader {
    return {
      kind: BLOCK_DATA,
      codec: 0,
      sequence: 1,
      number: 0,
      storedBytes: 0,
      plainBytes: 0,
      records: 0,
      bodyCrc: 0,
      boot: new Uint8Array(8),
      monoMs: 0,
      wallMs: 0,
      runMs: 0,
      runs: [],
      before: [],
      ...more,
    };
  }
});

describe('a body', () => {
  const random = seededRandom(3);
  const json = Buffer.from(Array.from({ length: 300 }, (_, i) => jsonOf(random, i)).join(''));

  it.each(['auto', 'deflate'] as const)(
    '%s: is smaller by pages, and the same again',
    async (c) => {
      for (const bytes of [json, json.subarray(0, 9_000)]) {
        const stored = await packBody(bytes, 100, c);
        expect(stored.bytes.length).toBeLessThan(bytes.length / 2);
        expect(Buffer.compare(unpackBody(stored), bytes)).toBe(0);
      }
    },
  );

  it('is left as it is where no page is saved', async () => {
    const noise = Buffer.from(Array.from({ length: 20_000 }, () => Math.floor(random() * 256)));
    for (const [bytes, compression] of [
      [json.subarray(0, 3_900), 'auto'],
      [noise, 'auto'],
      [json, 'none'],
    ] as const) {
      const stored = await packBody(bytes, 100, compression);
      expect(stored).toEqual({ codec: 0, bytes, plainBytes: bytes.length });
    }
  });

  it('that is not what it says is LOG_FORMAT', async () => {
    const stored = await packBody(json, 100, 'deflate');
    const shorter = { ...stored, plainBytes: json.length + 1 };
    expect(() => unpackBody(shorter)).toThrow('LOG_FORMAT');
    expect(() => unpackBody({ ...stored, codec: 9 })).toThrow('LOG_FORMAT');
  });
});

describe('a sparse segment', () => {
  it('is packed, and its file is that of the next', async () => {
    const files = new FakeFiles();
    const journal = await open(files);
    await fill(journal, 100);
    const packed = await names(files, '.packed');
    expect(packed.length).toBeGreaterThan(4);
    // The active one, and the one that is ready.
    expect((await names(files, '.segment')).length).toBeLessThanOrEqual(2);
    for (const name of packed) expect(files.bytes(`${FOLDER}/${name}`).length).toBeLessThan(16_384);
    await journal.close();
    expect(await verifyStore(files, FOLDER)).toMatchObject({ records: 100, lostOffsets: 0 });
  });

  it('is read as it was: by the gateway, from the folder, and after a restart', async () => {
    const plain = new FakeFiles();
    const files = new FakeFiles();
    const records: unknown[] = [];
    for (const [into, packing] of [
      [plain, false],
      [files, true],
    ] as const) {
      let now = 5_000;
      const clock = { monoMs: () => now, wallMs: () => 1.7e12 + now };
      const journal = await open(into, { packing, clock });
      for (let i = 0; i < 60; i++) {
        now += 1_234.5678;
        const text = jsonOf(seededRandom(i + 1), i);
        await append(journal, i % 2, reading(`d${i % 3}`, text, { monoMs: now }));
      }
      await journal.retain();
      records.push(await readAll(into, journal));
      await journal.close();
      records.push(await readAll(into, await FolderView.open(into, FOLDER)));
    }
    expect((await names(files, '.packed')).length).toBeGreaterThan(1);
    const [first, ...others] = records.map((all) => JSON.stringify(all));
    for (const other of others) expect(other).toBe(first);
  });

  it.each([
    ['dense', 40, false],
    ['damaged', 0, true],
  ])('is left alone when it is %s', async (_, dense, isDamaged) => {
    const files = new FakeFiles();
    const journal = await open(files, { packing: false });
    const random = seededRandom(5);
    for (let i = 0; i < dense; i++) await append(journal, 0, reading('a', noiseOf(random, 3_900)));
    if (isDamaged) await fill(journal, 20);
    await journal.close();
    const before = journal.segments().map(({ path }) => path);
    expect(before.length).toBeGreaterThan(1);
    const bytes = files.bytes(before[0] ?? '');
    if (isDamaged) bytes[2 * 4096 + 100] = (bytes[2 * 4096 + 100] ?? 0) ^ 1;
    const again = await open(files);
    await again.retain();
    expect(again.segments().map(({ path }) => path)).toEqual(before);
    await again.close();
  });

  it('that was sealed and not packed before the end is packed at the next start', async () => {
    const files = new FakeFiles();
    const journal = await open(files, { packing: false });
    await fill(journal, 20);
    await journal.close();
    expect(await names(files, '.packed')).toEqual([]);
    const again = await open(files);
    await again.retain();
    expect(await names(files, '.packed')).toEqual(['0000000000000001.packed']);
    expect((await readAll(files, again)).length).toBe(20);
    await again.close();
  });

  it('has an index of its own: reading from the middle begins near it', async () => {
    const files = new FakeFiles();
    const journal = await open(files, { segmentBytes: 4 * 1024 * 1024 });
    const random = seededRandom(9);
    // Packed blocks of 256 KiB of noise, which stay large.
    for (let i = 0; i < 1_100; i++) {
      await append(journal, 0, reading('a', `${i} ${noiseOf(random, 1_500)}`));
    }
    await journal.retain();
    expect(await names(files, '.packed')).toHaveLength(1);
    files.bytesRead = 0;
    const cursor = new StreamCursor({ files, view: journal, stream: 'readings', from: [900] });
    expect((await cursor.next())?.[0]?.offset).toBe(900);
    expect(files.bytesRead).toBeLessThan(900_000);
    await cursor.close();
    await journal.close();
  });
});

describe('a reader', () => {
  const views: ReadonlyArray<[string, (files: FakeFiles, journal: Journal) => Promise<LogView>]> = [
    ['of the gateway', async (_, journal) => journal],
    ['from outside', (files) => FolderView.open(files, FOLDER)],
  ];

  it.each(views)('%s goes on while what it reads is packed and written over', async (_, viewOf) => {
    for (let stop = 1; stop <= 40; stop += 3) {
      const files = new FakeFiles();
      const journal = await open(files);
      await fill(journal, 40);
      const view = await viewOf(files, journal);
      const cursor = new StreamCursor({ files, view, stream: 'readings', from: [] });
      const seen: string[] = [];
      const take = async () => {
        const records = await cursor.next();
        seen.push(...(records ?? []).map(textOf));
        return records !== undefined;
      };
      while (seen.length < stop && (await take()));
      // Packed and recycled, several times over, by the time the reader goes on.
      await fill(journal, 60, 40);
      expect((await names(files, '.packed')).length).toBeGreaterThan(3);
      while (await take());
      await view.look();
      while (await take());
      expect(seen).toEqual((await readAll(files, journal)).map(textOf));
      expect(seen).toHaveLength(100);
      await cursor.close();
      await journal.close();
    }
  });
});
