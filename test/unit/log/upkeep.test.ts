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
});
