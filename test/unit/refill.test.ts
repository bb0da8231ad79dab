import { expect, it } from 'vitest';
import { Dedup } from '../../src/dedup/dedup.ts';
import { readLast } from '../../src/refill.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { append, openTestJournal, reading } from '../support/journals.ts';

const OPTIONS = { mode: 'id', windowMs: 1e9, windowIds: 1_000, maxIds: 1_000 } as const;

it('reads the last records of all partitions together, and no more of a large log', async () => {
  const files = new FakeFiles();
  const journal = await openTestJournal(files);
  const one = (i: number) =>
    reading(`d${i % 3}`, 'x'.repeat(3_000), { messageId: { kind: 'id', text: `${i}` } });
  // One record of partition 1, long ago, then many of partition 0.
  await append(journal, 1, one(0));
  for (let i = 1; i < 300; i++) await append(journal, 0, one(i));
  const dedup = new Dedup({ ...OPTIONS, maxDevices: 10 });
  files.bytesRead = 0;
  const count = await readLast({ files, journal, stream: 'readings' }, 50, (r) =>
    dedup.remember(r),
  );
  expect(count).toBeGreaterThanOrEqual(50);
  expect(count).toBeLessThan(50 + 2 * 16);
  expect(files.bytesRead).toBeLessThan(1024 * 1024);
  for (let i = 250; i < 300; i++) expect(dedup.claim(one(i), 0)?.kind, String(i)).toBe('known');
  expect(dedup.claim(one(300), 0)?.kind).toBe('new');
  await journal.close();
});

it('reads all there is of a small log', async () => {
  const files = new FakeFiles();
  const journal = await openTestJournal(files);
  for (let i = 0; i < 10; i++) await append(journal, i % 2, reading('a', `${i}`));
  const dedup = new Dedup({ ...OPTIONS, maxDevices: 10 });
  expect(
    await readLast({ files, journal, stream: 'readings' }, 1_000, (r) => dedup.remember(r)),
  ).toBe(10);
  await journal.close();
});
