import { expect, it } from 'vitest';
import { LostNotes } from '../../../src/cli/lost-notes.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { segmentFileName } from '../../../src/log/format.ts';
import { earliestOffsets } from '../../../src/log/log-reader.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, FOLDER, openTestJournal, reading } from '../../support/journals.ts';

const lost = (partition: number, offset: number, count: number) => ({
  stream: 'readings',
  partition,
  offset,
  count,
});

/** What is complained of, of ranges met while reading a log whose first segment goes meanwhile. */
async function toldOf(ranges: ReadonlyArray<ReturnType<typeof lost>>, partition?: number) {
  const files = new FakeFiles();
  const journal = await openTestJournal(files);
  // A page each; a segment has 16.
  for (let i = 0; i < 20; i++) await append(journal, 0, reading('a', `r${i}`));
  await journal.close();
  const view = await FolderView.open(files, FOLDER);
  const notes = new LostNotes(partition);
  for (const range of ranges) notes.note(range);
  await files.remove(`${FOLDER}/${segmentFileName(1)}`);
  const told: string[] = [];
  const io = { env: {}, print: () => true, complain: (line: string) => told.push(line) };
  await notes.tell(view, io);
  await notes.tell(view, io);
  return { told, kept: earliestOffsets(view, 'readings')[0] ?? 0 };
}

it('what retention took while it was read is not lost', async () => {
  const { told, kept } = await toldOf([lost(0, 0, 3), lost(0, 9, 10)]);
  expect(kept).toBeGreaterThan(9);
  expect(kept).toBeLessThan(18);
  expect(told).toEqual([
    `headgate: offsets ${kept}–18 of partition 0 are lost; see headgate log verify`,
  ]);
});

it('ranges that meet are one; those of the partition asked for are told, once', async () => {
  const ranges = [lost(0, 17, 1), lost(1, 4, 1), lost(1, 5, 2), lost(1, 9, 1)];
  expect((await toldOf(ranges, 1)).told).toEqual([
    'headgate: offsets 4–6 of partition 1 are lost; see headgate log verify',
    'headgate: offset 9 of partition 1 is lost; see headgate log verify',
  ]);
});
