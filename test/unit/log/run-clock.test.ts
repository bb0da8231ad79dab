import { describe, expect, it } from 'vitest';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

describe('the run clock and retention', () => {
  it('drops what is too old while it takes no data: that may be what makes room', async () => {
    const files = new FakeFiles();
    const clock = { mono: 0, wall: 0, monoMs: () => clock.mono, wallMs: () => clock.wall };
    const retention = { maxBytes: 1e9, maxAgeMs: 60_000 };
    const journal = await openTestJournal(files, { clock, retention });
    const at = { monoMs: 0 };
    for (let i = 0; i < 8; i++) await append(journal, 0, reading('a', 'x'.repeat(20_000), at));
    files.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
    await expect(append(journal, 0, reading('a', 'y', at))).rejects.toThrow('LOG_NOT_DURABLE');
    const before = journal.status().segments;
    clock.mono += 600_000;
    await journal.retain();
    expect(journal.status()).toMatchObject({ state: 'stopped', segments: 1 });
    expect(before).toBeGreaterThan(1);
    await journal.close();
  });

  it('retains by bytes, oldest segments first, and names what it drops', async () => {
    const files = new FakeFiles();
    const dropped: unknown[] = [];
    const journal = await openTestJournal(files, {
      retention: { maxBytes: 128 * 1024, maxAgeMs: 0 },
      onDrop: (offsets) => dropped.push(...offsets),
    });
    for (let i = 0; i < 80; i++)
      await append(journal, 0, reading('a', `${i} ${'x'.repeat(3_000)}`));
    const records = await readAll(files, journal);
    const first = records[0]?.offset ?? 0;
    expect(first).toBeGreaterThan(0);
    expect(records.map((r) => r.offset)).toEqual(
      Array.from({ length: 80 - first }, (_, i) => first + i),
    );
    const counted = (dropped as Array<{ count: number }>).reduce((sum, d) => sum + d.count, 0);
    expect(counted).toBe(first);
    await journal.close();
  });

  it('retains by age on the run clock, whatever the wall clock does', async () => {
    const files = new FakeFiles();
    const clock = { mono: 0, wall: 0, monoMs: () => clock.mono, wallMs: () => clock.wall };
    const options = { clock, retention: { maxBytes: 1e9, maxAgeMs: 60_000 } };
    const journal = await openTestJournal(files, options);
    const big = 'x'.repeat(20_000);
    for (let i = 0; i < 6; i++) {
      clock.wall += 10 * 365 * 86_400_000;
      clock.mono += 1_000;
      await append(journal, 0, reading('a', `${i}${big}`, { monoMs: clock.mono }));
    }
    expect((await readAll(files, journal)).map((r) => r.offset)).toEqual([0, 1, 2, 3, 4, 5]);
    for (let i = 6; i < 12; i++) {
      clock.mono += 60_000;
      await append(journal, 0, reading('a', `${i}${big}`, { monoMs: clock.mono }));
    }
    expect((await readAll(files, journal))[0]?.offset).toBeGreaterThan(0);
    await journal.close();
  });

  it('goes on with its run clock after a restart, whatever the other clocks say', async () => {
    const files = new FakeFiles();
    const clock = { mono: 5_000, wall: 1_000, monoMs: () => clock.mono, wallMs: () => clock.wall };
    const journal = await openTestJournal(files, { clock });
    clock.mono += 60_000;
    await append(journal, 0, reading('a', '1', { monoMs: clock.mono }));
    await journal.close();
    Object.assign(clock, { mono: 3, wall: 9e12 });
    const again = await openTestJournal(files, { clock });
    clock.mono += 7_000;
    await append(again, 0, reading('a', '2', { monoMs: clock.mono }));
    expect((await readAll(files, again)).map((r) => r.runMs)).toEqual([60_000, 67_000]);
    await again.close();
  });

  it('counts quiet time too, unless it is killed in it', async () => {
    const files = new FakeFiles();
    const clock = { mono: 0, wall: 0, monoMs: () => clock.mono, wallMs: () => clock.wall };
    let journal = await openTestJournal(files, { clock });
    await append(journal, 0, reading('a', 'x', { monoMs: 0 }));
    for (let i = 0; i < 3; i++) {
      clock.mono += 3_600_000;
      await journal.close();
      journal = await openTestJournal(files, { clock });
    }
    expect(journal.runMs(clock.mono)).toBe(3 * 3_600_000);
    expect((await readAll(files, journal)).map(textOf)).toEqual(['x']);
    expect(await verifyStore(files, FOLDER)).toMatchObject({ lostOffsets: 0, corruptBlocks: 0 });
    await journal.close();
  });
});
