import { describe, expect, it } from 'vitest';
import { BlockScanner, type Scanned } from '../../../src/log/block-scanner.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { segmentFileName } from '../../../src/log/format.ts';
import type { JournalOptions } from '../../../src/log/journal-options.ts';
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

// What a card does to a log that is at rest or being read. Each test damages bytes, not code.

const pathOf = (sequence: number) => `${FOLDER}/${segmentFileName(sequence)}`;
const FIRST = pathOf(1);
const PAGE = 4096;

function flip(files: FakeFiles, path: string, at: number): void {
  const bytes = files.bytes(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

/** A stopped journal of one segment: a block a page, `r0` to partition 0, `r1` to 1, and so on. */
async function written(count: number): Promise<FakeFiles> {
  const files = new FakeFiles();
  const journal = await openTestJournal(files);
  for (let i = 0; i < count; i++) await append(journal, i % 2, reading('a', `r${i}`));
  await journal.close();
  return files;
}

const reopen = (files: FakeFiles, more: Partial<JournalOptions> = {}) =>
  openTestJournal(files, more);

describe('offsets', () => {
  it('of a damaged block are lost by name and never given out again', async () => {
    const files = await written(4);
    // r2 is the last that partition 0 has.
    flip(files, FIRST, Buffer.from(files.bytes(FIRST)).indexOf('r2'));
    const lost = [{ stream: 'readings', partition: 0, offset: 1, count: 1 }];
    for (let start = 0; start < 2; start++) {
      const journal = await reopen(files);
      if (start === 0) expect(journal.status()).toMatchObject({ corruptBlocks: 1, lost });
      expect(await append(journal, 0, reading('a', 'new'))).toBe(2 + start);
      expect((await readAll(files, journal)).map((r) => `${r.partition}:${r.offset}`)).toEqual(
        ['0:0', '1:0', '1:1', '0:2', '0:3'].slice(0, 4 + start),
      );
      await journal.close();
    }
    expect(await verifyStore(files, FOLDER)).toMatchObject({ lostOffsets: 1, lost });
  });

  it('that a consumer has handled are never given out again once more', async () => {
    const files = await written(2);
    const handled = async () => new Map([['readings', [5, 1]]]);
    const journal = await reopen(files, { handled });
    const lost = [{ stream: 'readings', partition: 0, offset: 1, count: 4 }];
    expect(journal.status().lost).toEqual(lost);
    expect(await append(journal, 0, reading('a', 'new'))).toBe(5);
    expect(await append(journal, 1, reading('a', 'new'))).toBe(1);
    await journal.close();
    expect(await verifyStore(files, FOLDER)).toMatchObject({ lost });
  });
});

describe('a page that cannot be read', () => {
  it.each([
    ['in the middle', 2, ['r0', 'r2', 'r3']],
    ['at the end', 4, ['r0', 'r1', 'r2']],
    ['with the header', 0, ['r0', 'r1', 'r2', 'r3']],
  ])('%s costs what is in it', async (_, page, left) => {
    const files = await written(4);
    files.unreadable = (path, at, length) =>
      path === FIRST && at < (page + 1) * PAGE && at + length > page * PAGE;
    // Somebody must know the log: without any header there is none.
    if (page === 0) {
      files.unreadable = () => false;
      const journal = await reopen(files, {
        streams: [
          { name: 'readings', partitions: 2 },
          { name: 'other', partitions: 1 },
        ],
      });
      await journal.close();
      files.unreadable = (path, at) => path === FIRST && at < PAGE;
    }
    const journal = await reopen(files);
    expect((await readAll(files, journal)).map(textOf)).toEqual(left);
    // The card puts another sector in the place of one that is written to.
    if (page === 4) files.unreadable = () => false;
    await append(journal, 0, reading('a', 'new'));
    await journal.close();
    const verified = await verifyStore(files, FOLDER);
    expect(verified.records).toBe(left.length + 1);
  });
});

describe('a damaged header', () => {
  it('that claims another version is damage, not another version', async () => {
    const files = await written(3);
    const grown = [
      { name: 'readings', partitions: 2 },
      { name: 'other', partitions: 1 },
    ];
    await (await reopen(files, { streams: grown })).close();
    flip(files, FIRST, 5);
    const journal = await reopen(files);
    expect((await readAll(files, journal)).map(textOf)).toEqual(['r0', 'r1', 'r2']);
    await journal.close();
  });

  it('does not let a commit that failed stand in for the one that was acknowledged', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    await append(journal, 0, reading('a', 'first'));
    // Neither can what was written be taken off again, nor a new segment be started.
    files.fault = (operation) => (['sync', 'truncate'].includes(operation) ? 'EIO' : undefined);
    await expect(append(journal, 0, reading('a', 'ghost'))).rejects.toThrow('LOG_NOT_DURABLE');
    files.fault = () => undefined;
    await expect.poll(() => journal.status().state, { timeout: 3_000 }).toBe('durable');
    await append(journal, 0, reading('a', 'acked'));
    const after = journal.segments().at(-1)?.path ?? '';
    await journal.close();
    // What the failed one left is voided by the header of the segment after it.
    expect(Buffer.from(files.bytes(FIRST)).includes('ghost')).toBe(true);
    files.bytes(after).fill(7, 0, 64);
    const view = await FolderView.open(files, FOLDER);
    expect((await readAll(files, view)).map(textOf)).toEqual(['first', 'acked']);
  });

  it('of one page beside a neighbour of two costs no block', async () => {
    const files = await written(3);
    const many = Array.from({ length: 20 }, (_, i) => ({ name: `stream-${i}`, partitions: 32 }));
    const streams = [{ name: 'readings', partitions: 2 }, ...many];
    await (await reopen(files, { streams })).close();
    files.bytes(FIRST).fill(7, 0, 64);
    const journal = await reopen(files, { streams });
    expect((await readAll(files, journal)).map(textOf)).toEqual(['r0', 'r1', 'r2']);
    await journal.close();
  });
});

describe('beside a live writer', () => {
  it('a reader at the end takes nothing for damage that was not there a moment ago', async () => {
    const files = await written(4);
    const whole = files.bytes(FIRST).slice();
    const view = await FolderView.open(files, FOLDER);
    const [info] = view.segments();
    if (info === undefined) throw new Error('no segment');
    // The file ends after two blocks when the reader comes to its end, and goes on a moment later.
    let asked = 0;
    const real = await files.open(FIRST, 'read');
    const sizeBytes = async () => (++asked <= 2 ? 3 * PAGE : whole.length);
    const handle = { ...real, sizeBytes };
    const { salt, pages } = info.header;
    const scanner = new BlockScanner({ handle, salt, sequence: 1, page: pages, number: 0 });
    const kinds: Array<Scanned['kind']> = [];
    for (let i = 0; i < 5; i++) kinds.push((await scanner.next()).kind);
    expect(asked).toBeGreaterThan(2);
    expect(kinds).toEqual(['good', 'good', 'good', 'good', 'end']);
  });

  it('verify counts nothing as lost that retention removes meanwhile', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    for (let i = 0; i < 60; i++) await append(journal, 0, reading('a', 'x'.repeat(3_000)));
    await journal.close();
    const [first, second] = journal.segments();
    let opened = 0;
    files.fault = (operation, path) => {
      // Once the listing is done and the first blocks are read.
      if (operation === 'read' && path === first?.path && ++opened === 3) {
        files.vanish(first.path);
        files.vanish(second?.path ?? '');
      }
      return undefined;
    };
    const verified = await verifyStore(files, FOLDER);
    expect(opened).toBeGreaterThan(2);
    expect(verified).toMatchObject({ corruptBlocks: 0, lostOffsets: 0 });
    expect(verified.records).toBeLessThan(60);
  });
});

describe('the first page of the only segment', () => {
  it('costs nothing: a copy of the header tells what the blocks are', async () => {
    const files = await written(4);
    files.bytes(FIRST).fill(7, 0, PAGE);
    const verified = await verifyStore(files, FOLDER);
    expect(verified).toMatchObject({ records: 4, corruptBlocks: 0, lostOffsets: 0 });
    const journal = await reopen(files);
    expect(journal.status().lost).toEqual([]);
    expect(await append(journal, 0, reading('a', 'r4'))).toBe(2);
    expect((await readAll(files, journal)).map(textOf)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
    await journal.close();
  });

  it('with the copy gone too, leaves a file that is set aside', async () => {
    const files = await written(4);
    files.bytes(FIRST).fill(7, 0, PAGE);
    files.bytes(`${FOLDER}/header.copy`).fill(7, 0, PAGE);
    const journal = await reopen(files);
    expect(await files.list(FOLDER)).toContain('0000000000000001.segment.unborn');
    await journal.close();
  });
});

describe('several damaged blocks at the end', () => {
  it('cost their own offsets: only the last can be a commit that was cut off', async () => {
    const files = await written(6);
    for (const text of ['r3', 'r4', 'r5']) {
      flip(files, FIRST, Buffer.from(files.bytes(FIRST)).indexOf(text));
    }
    const journal = await reopen(files);
    const lost = [
      { stream: 'readings', partition: 1, offset: 1, count: 1 },
      { stream: 'readings', partition: 0, offset: 2, count: 1 },
    ];
    expect(journal.status()).toMatchObject({ corruptBlocks: 2, lost, tornBytes: PAGE });
    expect(await append(journal, 0, reading('a', 'new'))).toBe(3);
    expect(await append(journal, 1, reading('a', 'new'))).toBe(2);
    await journal.close();
  });
});
