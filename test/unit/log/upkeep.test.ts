import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FaultyFiles, type Operation } from '../../support/faulty-files.ts';
import { append, FOLDER, noiseOf, openTestJournal, reading } from '../../support/journals.ts';
import { until } from '../../support/until.ts';

// What no acknowledgement may wait for.

const STORE = { segmentBytes: 64 * 1024, packing: true, compression: 'auto' } as const;
const put = (journal: Journal, i: number) => append(journal, i % 2, reading('a', `reading ${i}`));

describe('a commit', () => {
  it('is one write and one sync, also where a segment begins', async () => {
    const files = new FakeFiles();
    const streams = Array.from({ length: 3 }, (_, s) => ({ name: `s${s}`, partitions: 16 }));
    const journal = await openTestJournal(files, { ...STORE, packing: false, streams });
    let begun = 0;
    for (let i = 0; i < 20; i++) {
      await journal.retain();
      const before = journal.segments().length;
      const done: Array<[operation: string, path: string]> = [];
      files.fault = (operation, path) => {
        done.push([operation, path]);
        return undefined;
      };
      await new Promise<void>((resolve) => {
        for (const { name } of streams) {
          for (let p = 0; p < 16; p++) {
            // What comes after the acknowledgement, the upkeep, is nothing that it waits for.
            journal.append(journal.stream(name), p, reading('a', 'x'), () => {
              files.fault = () => undefined;
              resolve();
            });
          }
        }
      });
      const active = journal.segments().at(-1)?.path;
      const own = done.filter(([, path]) => path === active).map(([operation]) => operation);
      expect(own).toEqual(['write', 'sync']);
      begun += journal.segments().length - before;
    }
    expect(journal.status().commits).toBe(20);
    expect(begun).toBeGreaterThan(0);
    await journal.close();
  });
});

describe('a full store', () => {
  it('writes its blocks and no zeros: the oldest segment gives its file to the next', async () => {
    const files = new FakeFiles();
    const retention = { maxBytes: 6 * STORE.segmentBytes, maxAgeMs: 0 };
    const journal = await openTestJournal(files, { ...STORE, retention });
    const random = seededRandom(4);
    const fill = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await append(journal, 0, reading('a', noiseOf(random, 3_900)));
        await journal.retain();
      }
    };
    await fill(100);
    const before = journal.status().bytesWritten;
    await fill(100);
    const written = journal.status().bytesWritten - before;
    // A page each, and of each segment of 13 of them a header and an index.
    expect(written).toBeLessThanOrEqual(4096 * (100 + 2 * 8));
    const names = (await files.list(FOLDER)).filter((name) => name.endsWith('.segment'));
    expect(names.length * STORE.segmentBytes).toBeLessThanOrEqual(retention.maxBytes);
    await journal.close();
  });
});

describe('a file that is used again', () => {
  it('is not written to under its old name', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, STORE);
    const gone = new Set<string>();
    const late: string[] = [];
    files.fault = (operation, path) => {
      if (operation === 'rename' && path.endsWith('.segment')) gone.add(path);
      // Another segment may have begun in it by then.
      if (operation === 'write' && gone.has(path)) late.push(path);
      return undefined;
    };
    for (let i = 0; i < 60; i++) await put(journal, i);
    await journal.retain();
    expect(gone.size).toBeGreaterThan(2);
    expect(late).toEqual([]);
    await journal.close();
  });

  it('is in the limit too, while it is ready', async () => {
    const files = new FakeFiles();
    const retention = { maxBytes: 5 * STORE.segmentBytes, maxAgeMs: 0 };
    const journal = await openTestJournal(files, { ...STORE, retention });
    for (let i = 0; i < 800; i++) {
      await put(journal, i);
      await journal.retain();
      const names = (await files.list(FOLDER)).filter((name) => /\.(segment|packed)$/.test(name));
      const bytes = names.map((name) => files.bytes(`${FOLDER}/${name}`).length);
      expect(bytes.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(retention.maxBytes);
    }
    await journal.close();
  });
});

describe('a file for the next segment', () => {
  it('that finds no room is tried once a segment, not at each commit', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, { ...STORE, packing: false });
    const tried: string[] = [];
    files.fault = (operation, path) => {
      if (operation !== 'open' || !path.endsWith('.segment')) return undefined;
      tried.push(path);
      return 'ENOSPC';
    };
    for (let i = 0; i < 12; i++) {
      await put(journal, i);
      await journal.retain();
    }
    expect(journal.segments()).toHaveLength(1);
    expect(tried).toHaveLength(1);
    files.fault = () => undefined;
    await journal.close();
  });
});

describe('a rename that is done and not durable', () => {
  it.each(['.packed', '.segment'])('of a %s leaves no file behind', async (ending) => {
    const files = new FakeFiles();
    const retention = { maxBytes: 6 * STORE.segmentBytes, maxAgeMs: 0 };
    const journal = await openTestJournal(files, { ...STORE, retention });
    let renamed = '';
    let failed = 0;
    files.fault = (operation, path) => {
      if (operation === 'rename') renamed = path;
      if (operation !== 'syncFolder' || !renamed.includes(ending) || failed > 0) return undefined;
      failed += 1;
      return 'EIO';
    };
    for (let i = 0; i < 60; i++) {
      await put(journal, i);
      await journal.retain();
      // Twice: the first may have been behind the one that failed.
      await journal.retain();
      const known = new Set(journal.segments().map(({ path }) => path));
      const names = (await files.list(FOLDER)).filter((name) => /\.(segment|packed)$/.test(name));
      const others = names.filter((name) => !known.has(`${FOLDER}/${name}`));
      // The one that is ready.
      expect(others.length, `after ${i}: ${others}`).toBeLessThanOrEqual(1);
    }
    expect(failed).toBe(1);
    await journal.close();
  });
});

describe('beside a file system that stands still', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await makeTemporaryFolder('headgate-upkeep-');
  });
  afterEach(() => removeFolder(folder));

  const SLOW: readonly Operation[] = ['open', 'rename', 'remove', 'truncate', 'syncFolder'];

  it('commits go on over the end of a segment: the next one is ready', async () => {
    const files = new FaultyFiles();
    const journal = await openTestJournal(files, { ...STORE, folder });
    let i = 0;
    while ((await files.list(folder)).filter((name) => name.endsWith('.segment')).length < 2) {
      await put(journal, i++);
    }
    await journal.retain();
    const first = journal.segments().length;
    const release = SLOW.map((operation) => files.hold(operation));
    // Nothing but writes and syncs is done from here on, and packing waits at its first step.
    for (const end = i + 12; i < end; i++) await put(journal, i);
    expect(journal.segments().length).toBe(first + 1);
    await until('the upkeep is held', () => files.held > 0);
    for (const go of release) go();
    await journal.retain();
    await journal.close();
    expect(files.openFiles).toBe(0);
  });

  it('a file that is ready too late is not the next one: segments stay in order', async () => {
    const files = new FaultyFiles();
    const journal = await openTestJournal(files, { ...STORE, folder, packing: false });
    const release = files.hold('write', '0000000000000002.segment');
    let i = 0;
    while (journal.segments().length < 2) await put(journal, i++);
    expect(journal.segments().map(({ sequence }) => sequence)).toEqual([1, 3]);
    release();
    await journal.retain();
    while (journal.segments().length < 4) await put(journal, i++);
    const sequences = journal.segments().map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    await journal.retain();
    expect(await files.list(folder)).not.toContain('0000000000000002.segment');
    await journal.close();
    expect(files.openFiles).toBe(0);
    const again = await openTestJournal(new FaultyFiles(), { ...STORE, folder, packing: false });
    expect(again.nextOffsets('readings').reduce((sum, next) => sum + next, 0)).toBe(i);
    await again.close();
  });
});
