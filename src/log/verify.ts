import type { Files } from '../os/files.ts';
import { BlockCursor } from './block-cursor.ts';
import { recordsIn } from './block-records.ts';
import { FolderView } from './folder-view.ts';
import { earliestOffsets } from './log-reader.ts';
import { type LostOffsets, OffsetTracker } from './recovery.ts';
import { namesOf } from './stream-tables.ts';

/** What `headgate log verify` finds in a store. */
export interface Verified {
  readonly records: number;
  readonly blocks: number;
  readonly corruptBlocks: number;
  /** How many offsets are missing in all; `lost` names them. */
  readonly lostOffsets: number;
  readonly lost: readonly LostOffsets[];
  /**
   * A cut-off commit at the end of the active segment: normal after a power cut, nothing was acked.
   */
  readonly tornBytes: number;
}

/** What of a range is not older than the log's beginning. */
export function stillKept(view: FolderView, range: LostOffsets): LostOffsets[] {
  const first = earliestOffsets(view, range.stream)[range.partition] ?? 0;
  const offset = Math.max(range.offset, first);
  const count = range.offset + range.count - offset;
  return count > 0 ? [{ ...range, offset, count }] : [];
}

/**
 * Reads every block and record of the store in `folder`. Throws NO_LOG if there is none.
 */
export async function verifyStore(files: Files, folder: string): Promise<Verified> {
  const view = await FolderView.open(files, folder);
  const [oldest] = view.segments();
  const cursor = new BlockCursor(files, view);
  const tracker = oldest === undefined ? undefined : new OffsetTracker(oldest);
  let records = 0;
  let blocks = 0;
  let corruptBlocks = 0;
  let tornBytes = 0;
  try {
    for (;;) {
      const met = await cursor.next();
      if (met.kind === 'end') break;
      if (met.kind === 'segment') {
        if (!met.info.headerLost) tracker?.startSegment(met.info);
        // What an earlier segment holds beyond its last good block is void, not a torn tail of
        // today.
        tornBytes = 0;
        continue;
      }
      if (met.kind === 'corrupt') {
        corruptBlocks += 1;
        tracker?.lose(met.runs ?? []);
      } else if (met.kind === 'torn') tornBytes = met.bytes;
      else {
        blocks += 1;
        const names = namesOf(met.info.header.streams);
        records += recordsIn(met.header, met.body, names).length;
        for (const run of met.header.runs) tracker?.take(run);
      }
    }
  } finally {
    await cursor.close();
  }
  // What retention has removed from under us is not lost by damage.
  await view.look();
  const lost = (tracker?.lost ?? []).flatMap((range) => stillKept(view, range));
  const lostOffsets = lost.reduce((sum, { count }) => sum + count, 0);
  return { records, blocks, corruptBlocks, lostOffsets, lost, tornBytes };
}
