import { expect } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import type { Journal } from '../../src/log/journal.ts';
import type { DroppedOffsets } from '../../src/log/retention.ts';
import { verifyStore } from '../../src/log/verify.ts';
import { FakeFiles, NO_POWER, type Operation } from './fake-files.ts';
import { append, FOLDER, noiseOf, openTestJournal, readAll, reading, textOf } from './journals.ts';

/**
 * A journal whose power is cut at every change that it makes to its files, one run a change.
 */

/** What reached the flash of that which was not synced when the power went. */
export const LEFT: ReadonlyArray<
  [name: string, keeps: (seed: number) => (p: string, s: number) => boolean]
> = [
  ['nothing', () => () => false],
  ['everything', () => () => true],
  ['every other sector', () => (_, sector) => sector % 2 === 0],
  ['some sectors', coin],
];

function coin(seed: number): () => boolean {
  const random = seededRandom(seed);
  return () => random() < 0.5;
}

/** A few commits fill a segment: small records leave it sparse, large ones dense. */
const STORE = {
  segmentBytes: 32 * 1024,
  retention: { maxBytes: 160 * 1024, maxAgeMs: 0 },
  compression: 'auto',
  packing: true,
} as const;

/** Nothing that is not a change can be cut: the cut would be the same as at the next change. */
const CHANGES: ReadonlySet<Operation> = new Set([
  'write',
  'sync',
  'open',
  'rename',
  'remove',
  'syncFolder',
  'truncate',
]);

interface Done {
  readonly acked: Map<string, string>;
  readonly sent: Set<string>;
  /** By partition: what retention said that it dropped, up to here. */
  readonly dropped: number[];
  /** What came about on the way: the sweep is to cut into all of it. */
  readonly seen: Set<string>;
}

function noteDrop({ dropped, seen }: Done): (ranges: readonly DroppedOffsets[]) => void {
  return (ranges) => {
    seen.add('dropped');
    for (const { partition, offset, count } of ranges) {
      dropped[partition] = Math.max(dropped[partition] ?? 0, offset + count);
    }
  };
}

/** Lives of a journal that append, roll, seal, pack, recycle and drop segments. */
async function scenario(files: FakeFiles, done: Done): Promise<void> {
  const { acked, sent, seen } = done;
  const random = seededRandom(7);
  for (let life = 0; life < 2; life++) {
    let journal: Journal | undefined;
    try {
      journal = await openTestJournal(files, { ...STORE, onDrop: noteDrop(done) });
      for (let i = 0; i < 20; i++) {
        const noise = i % 8 > 5 ? 9_000 : 200;
        const burst = Array.from({ length: 2 }, async (_, partition) => {
          const text = `${life}-${i}-${partition} ${noiseOf(random, noise)}`;
          sent.add(text);
          const offset = await append(journal as Journal, partition, reading('d', text));
          acked.set(`${partition}:${offset}`, text);
        });
        await Promise.allSettled(burst);
        const names = await files.list(FOLDER);
        if (names.some((name) => name.endsWith('.packed'))) seen.add('packed');
        if (names.some((name) => name.endsWith('.segment'))) seen.add('as it was');
      }
    } finally {
      await journal?.close().catch(() => {});
    }
  }
}

/** Dense from the first that is kept; each once; nothing that was not sent. */
function expectSound(records: readonly LogRecord[], done: Done, cut: string): void {
  const { acked, sent, dropped } = done;
  const found = new Map(records.map((r) => [`${r.partition}:${r.offset}`, textOf(r)]));
  expect(found.size, `${cut}: no offset twice`).toBe(records.length);
  for (const p of [0, 1]) {
    const offsets = records.filter((r) => r.partition === p).map((r) => r.offset);
    const first = offsets[0] ?? 0;
    expect(offsets, cut).toEqual(offsets.map((_, i) => first + i));
  }
  for (const text of found.values()) expect(sent.has(text), `${cut}: ${text}`).toBe(true);
  for (const [place, text] of acked) {
    const [p = 0, offset = 0] = place.split(':').map(Number);
    if (offset >= (dropped[p] ?? 0)) expect(found.get(place), `${cut}: ${place}`).toBe(text);
  }
}

/** Which of the names that were not synced reached it. */
export const NAMES: ReadonlyArray<[name: string, keeps: (seed: number) => () => boolean]> = [
  ['none', () => () => false],
  ['all', () => () => true],
  ['some', coin],
];

/** Cuts the power at every change in turn; returns how many there were. */
export async function sweep(
  keepsOf: (typeof LEFT)[number][1],
  namesOf: (typeof NAMES)[number][1],
  seed = 0,
): Promise<number> {
  const seen = new Set<string>();
  for (let n = 1; ; n++) {
    const files = new FakeFiles();
    let changes = 0;
    files.fault = (operation) => {
      if (CHANGES.has(operation)) changes += 1;
      return changes >= n ? NO_POWER : undefined;
    };
    const done: Done = { acked: new Map(), sent: new Set(['after']), dropped: [], seen };
    await scenario(files, done).catch(() => {});
    if (changes < n) {
      expect(seen).toEqual(new Set(['packed', 'as it was', 'dropped']));
      return n - 1;
    }
    files.fault = () => undefined;
    files.powerCut(keepsOf(seed + n), { keepsNames: namesOf(seed + n) });
    await expectWhole(files, done, `seed ${seed}, cut ${n}`);
  }
}

async function expectWhole(files: FakeFiles, done: Done, cut: string): Promise<void> {
  const onDrop = noteDrop(done);
  const journal = await openTestJournal(files, { ...STORE, packing: false, onDrop });
  expectSound(await readAll(files, journal), done, cut);
  const verified = await verifyStore(files, FOLDER);
  expect(verified, cut).toMatchObject({ corruptBlocks: 0, lostOffsets: 0 });
  const next = await append(journal, 0, reading('d', 'after'));
  const rest = await readAll(files, journal, 'readings', [next, 1e9]);
  expect(rest.map(textOf), cut).toEqual(['after']);
  await journal.close();
}
