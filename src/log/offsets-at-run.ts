import type { Files } from '../os/files.ts';
import { lastNotReached } from './bisect.ts';
import { earliestOffsets, indexOf } from './log-reader.ts';
import type { LogView } from './log-view.ts';
import { Slots, tableOf } from './stream-tables.ts';

/**
 * Where to begin to read a stream to meet all that came at `runMs` or later by the run clock: the
 * first offset of each partition. Some of what came before is met too, a step of the index at most
 * and a segment where it has none. Whatever the size of the log, one index is read.
 */
export async function offsetsAtRun(
  files: Files,
  view: LogView,
  stream: string,
  runMs: number,
): Promise<number[]> {
  const earliest = earliestOffsets(view, stream);
  const info = view.segments().findLast(({ header, headerLost }) => {
    return !headerLost && header.runMs <= runMs && tableOf(header, stream) !== undefined;
  });
  const table = info === undefined ? undefined : tableOf(info.header, stream);
  if (info === undefined || table === undefined) return earliest;
  const entries = (await indexOf(files, view, info))?.entries ?? [];
  const entry = entries[await lastNotReached(entries, (one) => one.runMs >= runMs)];
  const first = new Slots(info.header.streams).of(table.number, 0);
  return earliest.map((least, p) => {
    const here = entry === undefined ? table.nextOffsets[p] : entry.nextOffsets[first + p];
    return Math.max(least, here ?? 0);
  });
}
