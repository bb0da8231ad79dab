import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles, NO_POWER } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

/** What reached the flash of that which was not synced when the power went. */
const LEFT: ReadonlyArray<
  [name: string, keeps: (seed: number) => (p: string, s: number) => boolean]
> = [
  ['nothing', () => () => false],
  ['everything', () => () => true],
  ['every other sector', () => (_, sector) => sector % 2 === 0],
  [
    'some sectors',
    (seed) => {
      const random = seededRandom(seed);
      return () => random() < 0.5;
    },
  ],
];

/** Two lives of a journal that append, roll and drop segments; `acked` learns what was durable. */
async function scenario(files: FakeFiles, acked: Map<string, string>): Promise<void> {
  const retention = { maxBytes: 256 * 1024, maxAgeMs: 0 };
  for (let life = 0; life < 2; life++) {
    let journal: Journal | undefined;
    try {
      journal = await openTestJournal(files, { retention });
      for (let i = 0; i < 8; i++) {
        const burst = Array.from({ length: 3 }, async (_, j) => {
          const text = `${life}-${i}-${j} ${'x'.repeat(4_000)}`;
          const partition = j % 2;
          const offset = await append(journal as Journal, partition, reading('d', text));
          acked.set(`${partition}:${offset}`, text);
        });
        await Promise.allSettled(burst);
      }
    } finally {
      await journal?.close().catch(() => {});
    }
  }
}

describe.each(LEFT)('a power cut at any write, %s of what was not synced is left', (_, keepsOf) => {
  it.each([
    ['with', true],
    ['without', false],
  ])('%s names: nothing acknowledged is lost, doubled or out of place', async (__, keepsNames) => {
    let cuts = 0;
    for (let n = 1; ; n++) {
      const files = new FakeFiles();
      let operations = 0;
      files.fault = () => (++operations >= n ? NO_POWER : undefined);
      const acked = new Map<string, string>();
      await scenario(files, acked).catch(() => {});
      if (operations < n) break;
      cuts += 1;
      files.fault = () => undefined;
      files.powerCut(keepsOf(n), { keepsNames });
      const journal = await openTestJournal(files);
      const records = await readAll(files, journal);
      const found = new Map(records.map((r) => [`${r.partition}:${r.offset}`, textOf(r)]));
      expect(found.size, `cut ${n}: no offset twice`).toBe(records.length);
      for (const p of [0, 1]) {
        const offsets = records.filter((r) => r.partition === p).map((r) => r.offset);
        const first = offsets[0] ?? 0;
        expect(offsets, `cut ${n}`).toEqual(offsets.map((_, i) => first + i));
      }
      for (const [place, text] of acked) expect(found.get(place), `cut ${n}: ${place}`).toBe(text);
      const verified = await verifyStore(files, FOLDER);
      expect(verified, `cut ${n}`).toMatchObject({ corruptBlocks: 0, lostOffsets: 0 });
      const next = await append(journal, 0, reading('d', 'after'));
      expect((await readAll(files, journal, 'readings', [next, 1e9])).map(textOf)).toEqual([
        'after',
      ]);
      await journal.close();
    }
    expect(cuts).toBeGreaterThan(40);
  });
});
