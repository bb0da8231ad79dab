import { describe, expect, it } from 'vitest';
import type { Journal } from '../../../src/log/journal.ts';
import type { JournalOptions } from '../../../src/log/journal-options.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles, type Operation } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

// Two things that go wrong one after the other.

const STORE = { compression: 'auto', packing: true } as const;
const segment = (n: number) => `${FOLDER}/${String(n).padStart(16, '0')}.segment`;

const open = (files: FakeFiles, more: Partial<JournalOptions> = {}) =>
  openTestJournal(files, { ...STORE, ...more });

async function fill(journal: Journal, count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++) await append(journal, 0, reading('d', `r${i}`));
  await journal.retain();
}

const texts = async (files: FakeFiles, journal: Journal, stream?: string) =>
  (await readAll(files, journal, stream)).map(textOf);

const rs = (count: number) => Array.from({ length: count }, (_, i) => `r${i}`);

describe('a card that is away for a moment', () => {
  it('leaves no refused reading in the place of one that was acknowledged', async () => {
    const files = new FakeFiles();
    const journal = await open(files);
    await fill(journal, 9);
    expect(await files.list(FOLDER)).toContain('0000000000000002.segment');
    // Everything fails from one sync on: neither the tail nor the next file can be taken away.
    let isAway = false;
    files.fault = (operation) => {
      isAway ||= operation === 'sync';
      return isAway ? 'EIO' : undefined;
    };
    await expect(append(journal, 0, reading('d', 'refused'))).rejects.toThrow('LOG_NOT_DURABLE');
    files.fault = () => undefined;
    await expect.poll(() => journal.status().state, { timeout: 3_000 }).toBe('durable');
    expect(await append(journal, 0, reading('d', 'r9'))).toBe(9);
    await journal.close();
    const again = await open(files);
    expect(await texts(files, again)).toEqual(rs(10));
    await again.close();
  });
});

describe('packing', () => {
  it('is put off by a page that cannot be read just now, and loses nothing', async () => {
    const files = new FakeFiles();
    const lastPage = 13 * 4096;
    files.unreadable = (path, at, length) =>
      path === segment(1) && at <= lastPage && at + length > lastPage;
    const journal = await open(files);
    await fill(journal, 20);
    files.unreadable = () => false;
    expect((await files.list(FOLDER)).some((name) => name.endsWith('.packed'))).toBe(false);
    expect(await texts(files, journal)).toEqual(rs(20));
    await journal.close();
  });

  it('leaves nothing behind when the folder cannot be synced after it', async () => {
    const files = new FakeFiles();
    let isRenamed = false;
    let failures = 1;
    files.fault = (operation, path) => {
      isRenamed ||= operation === 'rename' && path.endsWith('.packed.tmp');
      return operation === 'syncFolder' && isRenamed && failures-- > 0 ? 'EIO' : undefined;
    };
    const retention = { maxBytes: 300 * 1024, maxAgeMs: 0 };
    const journal = await open(files, { retention });
    await fill(journal, 20);
    expect(isRenamed).toBe(true);
    for (let i = 0; i < 300; i++) await append(journal, 0, reading('d', `${i} `.repeat(900)));
    await journal.retain();
    const first = (await readAll(files, journal))[0]?.offset ?? 0;
    expect(first).toBeGreaterThan(0);
    await journal.close();
    // A segment that was dropped would come back, with a gap behind it that looks like damage.
    const again = await open(files, { retention });
    expect((await readAll(files, again))[0]?.offset).toBe(first);
    expect(await verifyStore(files, FOLDER)).toMatchObject({ lostOffsets: 0 });
    await again.close();
  });

  it('killed before its name is durable, and the power cut at the next start', async () => {
    const files = new FakeFiles();
    const life = files.live();
    files.fault = (operation, path) => {
      if (operation === 'syncFolder' && files.paths().some((p) => p.endsWith('.packed'))) {
        life.kill();
        return 'EIO';
      }
      return path === '' ? 'EIO' : undefined;
    };
    const journal = await openTestJournal(life.files, STORE);
    const sent = Array.from({ length: 20 }, (_, i) => append(journal, 0, reading('d', `r${i}`)));
    let acked = 0;
    for (const one of sent) acked += await one.then(() => 1).catch(() => 0);
    await fillUntilKilled(journal);
    let removed = false;
    files.fault = (operation: Operation) => {
      if (removed) return 'no power';
      removed = operation === 'remove';
      return undefined;
    };
    await open(files).catch(() => {});
    files.fault = () => undefined;
    // Of the names that were not synced, only the last change, the removal, reached the flash.
    let n = 0;
    const pending = files.pendingNames;
    files.powerCut(() => true, { keepsNames: () => ++n === pending });
    const again = await open(files);
    expect((await texts(files, again)).length).toBeGreaterThanOrEqual(acked);
    await again.close();
  });

  async function fillUntilKilled(journal: Journal): Promise<void> {
    for (let i = 0; i < 40; i++) {
      await append(journal, 0, reading('d', `more ${i}`)).catch(() => {});
    }
  }
});

describe('a damaged header', () => {
  const one = [{ name: 'readings', partitions: 2 }];
  const two = [...one, { name: 'power', partitions: 1 }];

  it('of the segment that a stream began in costs the stream nothing', async () => {
    const files = new FakeFiles();
    await (await open(files, { streams: one, packing: false })).close();
    const journal = await open(files, { streams: two, packing: false });
    for (let i = 0; i < 5; i++) await append(journal, 0, reading('d', `r${i}`), 'power');
    await journal.close();
    const bytes = files.bytes(segment(2));
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    const again = await open(files, { streams: two, packing: false });
    expect(await append(again, 0, reading('d', 'r5'), 'power')).toBe(5);
    expect(await texts(files, again, 'power')).toEqual(rs(6));
    await again.close();
  });

  it('of the only segment that is left gives no offset out again', async () => {
    const files = new FakeFiles();
    let now = 1_000;
    const clock = { monoMs: () => now, wallMs: () => 1.7e12 + now };
    const more = { clock, retention: { maxBytes: 1e9, maxAgeMs: 1_000 }, packing: false };
    const journal = await open(files, more);
    const put = (partition: number, text: string) =>
      append(journal, partition, reading('d', text, { monoMs: now }));
    for (let i = 0; i < 9; i++) await put(1, `b${i}`);
    for (let i = 0; i < 30; i++) {
      now += 100;
      await put(0, `${i}`.padEnd(9_000, `${Math.sin(i)}`));
    }
    now += 5_000;
    await journal.retain();
    expect(journal.segments()).toHaveLength(1);
    const path = journal.segments()[0]?.path ?? '';
    await journal.close();
    const bytes = files.bytes(path);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    const again = await open(files, more);
    expect(await append(again, 1, reading('d', 'new', { monoMs: now }))).toBe(9);
    await again.close();
  });
});

describe('a file that cannot be removed', () => {
  it('does not keep retention from its work', async () => {
    const files = new FakeFiles();
    const journal = await open(files, { retention: { maxBytes: 300 * 1024, maxAgeMs: 0 } });
    files.fault = (operation, path) =>
      path === segment(1) && ['rename', 'remove'].includes(operation) ? 'EIO' : undefined;
    for (let i = 0; i < 300; i++) await append(journal, 0, reading('d', `${i} `.repeat(2_000)));
    await journal.retain();
    const bytes = files.paths().reduce((sum, path) => sum + files.bytes(path).length, 0);
    expect(bytes).toBeLessThan(500 * 1024);
    await journal.close();
  });
});

describe('a stop', () => {
  it('refuses what comes while its last block is written', async () => {
    const files = new FakeFiles();
    let now = 1_000;
    const clock = { monoMs: () => now, wallMs: () => 1.7e12 + now };
    const journal = await open(files, { clock });
    await append(journal, 0, reading('d', 'r0', { monoMs: now }));
    now += 120_000;
    const closing = journal.close();
    const late = append(journal, 0, reading('d', 'x'.repeat(60_000), { monoMs: now }));
    await expect(late).rejects.toThrow('LOG_CLOSED');
    await closing;
    const again = await open(files);
    expect(await texts(files, again)).toEqual(['r0']);
    await again.close();
  });
});

describe('a full disk', () => {
  it('keeps no stream from being added where the next file is ready', async () => {
    const files = new FakeFiles();
    const one = [{ name: 'readings', partitions: 2 }];
    const journal = await open(files, { streams: one });
    await fill(journal, 9);
    await journal.close();
    files.capacityBytes = files.paths().reduce((sum, path) => sum + files.bytes(path).length, 0);
    const again = await open(files, { streams: [...one, { name: 'power', partitions: 1 }] });
    expect(await append(again, 0, reading('d', 'watts'), 'power')).toBe(0);
    await again.close();
  });
});
