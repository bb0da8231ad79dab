import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { lastNotReached } from './bisect.ts';
import { BlockCursor, type BlockPlace } from './block-cursor.ts';
import { recordsIn } from './block-records.ts';
import type { SegmentInfo } from './catalog.ts';
import { type CorrectedTimes, STEP_MS } from './corrected-time.ts';
import { earliestOffsets, indexOf } from './log-reader.ts';
import type { LogView } from './log-view.ts';
import { probeSegment } from './segment-probe.ts';
import type { IndexEntry } from './sparse-index.ts';
import { namesOf, Slots, tableOf } from './stream-tables.ts';

/**
 * Places in a stream: the first offset of each partition from there on, in commit order. Found by
 * bisection and a short walk, whatever the size of the log.
 */
export interface Search {
  readonly files: Files;
  readonly view: LogView;
  readonly stream: string;
}

/** Where a walk begins, and the offsets there. */
interface Start {
  readonly place: BlockPlace | undefined;
  readonly offsets: readonly number[];
}

/** The beginning of a segment, or a block of it that the index names. */
function startAt({ view, stream }: Search, info: SegmentInfo, entry?: IndexEntry): Start {
  const { header, sequence, path } = info;
  const table = tableOf(info.header, stream);
  const first = table === undefined ? 0 : new Slots(header.streams).of(table.number, 0);
  const offsets = earliestOffsets(view, stream).map((earliest, p) => {
    const here = entry === undefined ? table?.nextOffsets[p] : entry.nextOffsets[first + p];
    return Math.max(earliest, table === undefined ? 0 : (here ?? 0));
  });
  const { page, number } = entry ?? { page: header.pages, number: 0 };
  return { place: { sequence, page, number, path }, offsets };
}

function beginning({ view, stream }: Search): Start {
  return { place: undefined, offsets: earliestOffsets(view, stream) };
}

/** The offsets from the first record on, of any stream of the store, that `reached` names. */
async function walk(
  { files, view, stream }: Search,
  { place, offsets }: Start,
  reached: (record: LogRecord) => boolean,
): Promise<number[]> {
  const at = [...offsets];
  const pass = (partition: number, next: number) => {
    at[partition] = Math.max(at[partition] ?? 0, next);
  };
  const cursor = new BlockCursor(files, view, place);
  try {
    for (;;) {
      const met = await cursor.next();
      if (met.kind === 'end') return at;
      const table = tableOf(met.info.header, stream);
      if (met.kind === 'segment' && !met.info.headerLost) {
        for (const [p, next] of (table?.nextOffsets ?? []).entries()) pass(p, next);
      }
      if (met.kind === 'corrupt') {
        for (const run of met.runs ?? []) {
          if (run.stream === table?.number) pass(run.partition, run.firstOffset + run.records);
        }
      }
      if (met.kind !== 'block') continue;
      const names = namesOf(met.info.header.streams);
      for (const record of recordsIn(met.header, met.body, names)) {
        if (reached(record)) return at;
        if (record.stream === stream) pass(record.partition, record.offset + 1);
      }
    }
  } finally {
    await cursor.close();
  }
}

/** Neighbours in the log may differ by so much the wrong way: what is no step is not corrected. */
const DISORDER_MS = 2 * STEP_MS;

/**
 * The offsets from which on the corrected time is `timeMs` or later: those after everything that
 * was stored before the first such record.
 */
export async function offsetsAtTime(
  search: Search,
  times: CorrectedTimes,
  timeMs: number,
): Promise<number[]> {
  const { files, view } = search;
  const isLate = (wanted: number) => wanted >= timeMs - DISORDER_MS;
  const segments = view.segments();
  const at = await lastNotReached(segments, async ({ sequence }) => {
    const clock = await probeSegment(files, view, sequence, (probe) => probe.first());
    return clock === undefined || isLate(times.timeOf(clock));
  });
  const info = segments[at];
  const found =
    info === undefined
      ? undefined
      : await probeSegment(files, view, info.sequence, async (probe) => {
          const index = await indexOf(files, view, probe.info);
          const entries = index?.entries ?? [];
          const last = await lastNotReached(entries, async ({ page }) => {
            const clock = await probe.clockAt(page);
            return clock === undefined || isLate(times.timeOf(clock));
          });
          return startAt(search, probe.info, entries[last]);
        });
  return walk(search, found ?? beginning(search), (record) => {
    return times.timeOfRecord(record) >= timeMs;
  });
}

/**
 * The offsets right after a record in commit order: what was stored later, in whatever partition.
 * The record is one that the partition has had; where it is not kept any more, the earliest ones.
 */
export async function offsetsAfter(
  search: Search,
  { partition, offset }: Pick<LogRecord, 'partition' | 'offset'>,
): Promise<number[]> {
  const { files, view, stream } = search;
  const earliest = earliestOffsets(view, stream);
  if (offset < (earliest[partition] ?? 0)) return earliest;
  const baseOf = (one: SegmentInfo) => tableOf(one.header, stream)?.nextOffsets[partition] ?? 0;
  const info = view.segments().findLast((one) => !one.headerLost && baseOf(one) <= offset);
  let start = beginning(search);
  if (info !== undefined) {
    const index = await indexOf(files, view, info);
    const slot = new Slots(info.header.streams).of(
      tableOf(info.header, stream)?.number ?? -1,
      partition,
    );
    const entries = index?.entries ?? [];
    const isBeyond = ({ nextOffsets }: IndexEntry) => (nextOffsets[slot] ?? 0) > offset;
    start = startAt(search, info, entries[await lastNotReached(entries, isBeyond)]);
  }
  let isPassed = false;
  const after = await walk(search, start, (record) => {
    const isOfIt = record.stream === stream && record.partition === partition;
    // Should it be lost, the next one of its partition is the first that is not before it.
    if (isPassed || (isOfIt && record.offset > offset)) return true;
    isPassed = isOfIt && record.offset === offset;
    return false;
  });
  after[partition] = Math.max(after[partition] ?? 0, offset + 1);
  return after;
}
