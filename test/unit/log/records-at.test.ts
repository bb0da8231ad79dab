import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { earliestOffsets } from '../../../src/log/log-reader.ts';
import { recordsAt } from '../../../src/log/records-at.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  noiseOf,
  openTestJournal,
  reading,
  textOf,
} from '../../support/journals.ts';

const STREAM = { stream: 'readings', partition: 0 };
const KIB = 1024;

describe('records at single offsets', () => {
  it('are found, near and far, in a live log and in its files; others are not there', async () => {
    const files = new FakeFiles();
    const retention = { maxBytes: 1024 * KIB, maxAgeMs: 0 };
    const journal = await openTestJournal(files, { segmentBytes: 16 * KIB, retention });
    const random = seededRandom(7);
    for (let i = 0; i < 1_500; i += 10) {
      const block = Array.from({ length: 10 }, (_, k) => `${i + k} ${noiseOf(random, 100)}`);
      const other = append(journal, 1, reading('e', 'other'));
      await Promise.all([...block.map((text) => append(journal, 0, reading('d', text))), other]);
    }
    // What is dropped is dropped before we look.
    await journal.retain();
    const [earliest = 0] = earliestOffsets(journal, 'readings');
    expect(earliest).toBeGreaterThan(100);
    expect(earliest).toBeLessThan(1_200);
    const wanted = [0, earliest - 1, earliest, earliest + 1, earliest + 40, 1_480, 1_499, 1_500];
    const folder = await FolderView.open(files, FOLDER);
    for (const view of [journal, folder]) {
      const found: Array<[offset: number, text: string | undefined]> = [];
      for await (const { offset, record } of recordsAt({ files, view, ...STREAM }, wanted)) {
        found.push([offset, record && textOf(record).split(' ')[0]]);
      }
      const isThere = (n: number) => n >= earliest && n < 1_500;
      expect(found).toEqual(wanted.map((n) => [n, isThere(n) ? String(n) : undefined]));
    }
    await journal.close();
  });

  it('are looked for: what lies between two that are far apart is not read', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, { segmentBytes: 16 * KIB });
    const random = seededRandom(8);
    const texts = Array.from({ length: 4_000 }, (_, i) => `${i} ${noiseOf(random, 100)}`);
    await Promise.all(texts.map((text) => append(journal, 0, reading('d', text))));
    let reads = 0;
    files.fault = (operation) => {
      if (operation === 'read') reads += 1;
      return undefined;
    };
    const readOf = async (offsets: readonly number[]) => {
      reads = 0;
      for await (const { record } of recordsAt({ files, view: journal, ...STREAM }, offsets)) {
        expect(record).toBeDefined();
      }
      return reads;
    };
    const all = await readOf(texts.map((_, i) => i));
    expect(await readOf([0, 3_999])).toBeLessThan(all / 4);
    await journal.close();
  });
});
