import { isJump } from '../base/offset-jump.ts';
import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { lastNotReached } from './bisect.ts';
import { BlockCursor, type BlockPlace } from './block-cursor.ts';
import { recordsIn } from './block-records.ts';
import { BlockScanner } from './block-scanner.ts';
import type { SegmentInfo } from './catalog.ts';
import { BLOCK_INDEX, type Run, type SegmentHeader, type StreamTable } from './format.ts';
import type { LogView } from './log-view.ts';
import type { LostOffsets } from './recovery.ts';
import { openIfThere } from './segment-file.ts';
import { type IndexEntry, SparseIndex } from './sparse-index.ts';
import { Slots, tableOf } from './stream-tables.ts';

export interface ReadOptions {
  readonly files: Files;
  readonly view: LogView;
  readonly stream: string;
  /** Offset to start at, per partition; a missing one starts at the earliest. */
  readonly from: readonly number[];
  /** Told of offsets that a damaged block has taken with it. */
  readonly onLost?: (lost: LostOffsets) => void;
}

/** The newest table of a stream, or undefined if the log has none of that name. */
export function streamTable(view: LogView, stream: string): StreamTable | undefined {
  const newest = view.segments().at(-1);
  return newest === undefined ? undefined : tableOf(newest.header, stream);
}

/**
 * The table of a stream that is newer than the oldest segment, as it began: after a restore not at
 * 0. undefined: the header that would tell is damaged.
 */
function tableAsItBegan(view: LogView, stream: string): StreamTable | undefined {
  const segments = view.segments();
  let low = 0;
  let high = segments.length;
  // A stream that is there once is in all that follow.
  while (low < high) {
    const middle = (low + high) >>> 1;
    const info = segments[middle];
    if (info !== undefined && tableOf(info.header, stream) === undefined) low = middle + 1;
    else high = middle;
  }
  const [before, first] = [segments[low - 1], segments[low]];
  if (first === undefined || first.headerLost || before?.headerLost === true) return undefined;
  return tableOf(first.header, stream);
}

/** Of each partition of a stream, where the first segment with a whole header begins. */
function firstKnownOffsets(view: LogView, stream: string): number[] {
  const partitions = streamTable(view, stream)?.nextOffsets.length ?? 0;
  const first = view.segments().find((info) => !info.headerLost);
  const known = first === undefined ? undefined : tableOf(first.header, stream);
  const table = known ?? tableAsItBegan(view, stream);
  return Array.from({ length: partitions }, (_, p) => table?.nextOffsets[p] ?? 0);
}

/**
 * The oldest offset that is kept of each partition of a stream. Where nobody knows, since the
 * header of the oldest segment is damaged, it is 0: whatever is there comes after it.
 */
export function earliestOffsets(view: LogView, stream: string): number[] {
  const known = firstKnownOffsets(view, stream);
  return view.segments()[0]?.headerLost === true ? known.map(() => 0) : known;
}

/**
 * Where at least the last `count` records of a stream begin, as far as they are kept: the beginning
 * of the last segment that has so many after it. `next`: its next offsets.
 */
export function startOfLast(
  view: LogView,
  stream: string,
  next: readonly number[],
  count: number,
): number[] {
  let from = [...next];
  let records = 0;
  for (const { header, headerLost } of view.segments().toReversed()) {
    const table = headerLost ? undefined : tableOf(header, stream);
    if (table === undefined) continue;
    for (const [p, first] of table.nextOffsets.entries()) {
      const end = from[p] ?? first;
      // How many there were before a restore is not told by what follows it.
      if (!isJump(first, end)) records += end - first;
    }
    from = [...table.nextOffsets];
    if (records >= count) break;
  }
  return from;
}

/**
 * The records of one stream in commit order, from given offsets on. Each offset comes once; what is
 * lost or was dropped by retention is stepped over.
 */
export class StreamCursor {
  readonly #options: ReadOptions;
  readonly #expected: number[];
  /** Partitions of which a damaged block may have held records: their next one tells. */
  #doubtful = new Set<number>();
  #blocks: BlockCursor | undefined;

  constructor(options: ReadOptions) {
    this.#options = options;
    this.#expected = [...options.from];
  }

  /** First offset of each partition that is neither given out nor stepped over. */
  get position(): readonly number[] {
    return this.#expected;
  }

  /** The records of the next block that has any, or undefined if there are none for now. */
  async next(): Promise<LogRecord[] | undefined> {
    this.#blocks ??= await this.#start();
    for (;;) {
      const met = await this.#blocks.next();
      if (met.kind === 'end') return undefined;
      const table = tableOf(met.info.header, this.#options.stream);
      if (table === undefined) continue;
      if (met.kind === 'segment') this.#reach(met.info, table);
      else if (met.kind !== 'block') {
        const runs = met.kind === 'corrupt' ? met.runs : undefined;
        if (runs === undefined) this.#doubtful = new Set(table.nextOffsets.keys());
        for (const run of runs ?? []) if (run.stream === table.number) this.#miss(run);
      }
      if (met.kind !== 'block') continue;
      if (!met.header.runs.some((run) => run.stream === table.number)) continue;
      const names = new Map([[table.number, table.name]]);
      const least = (run: Run) =>
        run.stream === table.number ? (this.#expected[run.partition] ?? 0) : Number.MAX_VALUE;
      const all = recordsIn(met.header, met.body, names, least);
      const records = all.filter((record) => this.#isNext(record));
      if (records.length > 0) return records;
    }
  }

  #isNext({ stream, partition, offset }: LogRecord): boolean {
    if (stream !== this.#options.stream) return false;
    const expected = this.#expected[partition] ?? 0;
    if (offset < expected) return false;
    if (this.#doubtful.delete(partition)) this.#tellLost(partition, offset);
    this.#expected[partition] = offset + 1;
    return true;
  }

  /** A segment's header says where each partition goes on: what is before that and was not met. */
  #reach({ headerLost }: SegmentInfo, { nextOffsets }: StreamTable): void {
    if (headerLost) return;
    for (const [partition, offset] of nextOffsets.entries()) this.#stepOver(partition, offset);
    this.#doubtful.clear();
  }

  /** What a damaged block held. */
  #miss({ partition, firstOffset, records }: Run): void {
    this.#stepOver(partition, firstOffset + records);
  }

  #stepOver(partition: number, end: number): void {
    this.#tellLost(partition, end);
    this.#expected[partition] = Math.max(this.#expected[partition] ?? 0, end);
  }

  /** Offsets before `end` that were expected and are kept: of others retention has told. */
  #tellLost(partition: number, end: number): void {
    const { stream, view, onLost } = this.#options;
    const kept = firstKnownOffsets(view, stream)[partition] ?? 0;
    const offset = Math.max(this.#expected[partition] ?? 0, kept);
    const count = end - offset;
    if (count > 0 && !isJump(offset, end)) onLost?.({ stream, partition, offset, count });
  }

  async #start(): Promise<BlockCursor> {
    const { files, view, stream, from } = this.#options;
    return new BlockCursor(files, view, await findPlace(files, view, { stream, from }));
  }

  async close(): Promise<void> {
    await this.#blocks?.close();
  }
}

/**
 * The last known block at or before all the offsets wanted; undefined: the beginning of the log.
 */
async function findPlace(
  files: Files,
  view: LogView,
  wanted: { stream: string; from: readonly number[] },
): Promise<BlockPlace | undefined> {
  const segments = view.segments();
  const isBehind = (header: SegmentHeader) => {
    const table = tableOf(header, wanted.stream);
    return table?.nextOffsets.every((base, p) => base <= (wanted.from[p] ?? 0)) ?? true;
  };
  const at = segments.findLastIndex((info) => !info.headerLost && isBehind(info.header));
  const info = segments[at];
  if (info === undefined) return undefined;
  const index = await indexOf(files, view, info);
  const table = tableOf(info.header, wanted.stream);
  const first = table === undefined ? 0 : new Slots(info.header.streams).of(table.number, 0);
  const passes = (entry: IndexEntry) =>
    table === undefined ||
    table.nextOffsets.some((_, p) => (entry.nextOffsets[first + p] ?? 0) > (wanted.from[p] ?? 0));
  const entries = index?.entries ?? [];
  const entry = entries[await lastNotReached(entries, passes)];
  const page = entry?.page ?? info.header.pages;
  return { sequence: info.sequence, page, number: entry?.number ?? 0, path: info.path };
}

/** The index of a segment, at hand or read; undefined: it has none, or a bad one. */
export async function indexOf(
  files: Files,
  view: LogView,
  info: SegmentInfo,
): Promise<SparseIndex | undefined> {
  const atHand = view.indexOf(info.sequence);
  if (atHand !== undefined) return atHand;
  const following = view.segments().find(({ sequence }) => sequence > info.sequence);
  return loadIndex(files, info, following);
}

/** The index of a sealed segment, whose page the next header names. */
async function loadIndex(
  files: Files,
  info: SegmentInfo,
  following: SegmentInfo | undefined,
): Promise<SparseIndex | undefined> {
  const named = following?.sequence === info.sequence + 1 && !following.headerLost;
  const page = info.header.indexPage || (named ? following.header.previousIndexPage : 0);
  if (page === 0) return undefined;
  const handle = await openIfThere(files, info.path);
  // Removed by retention a moment ago: the cursor will find the segment after it.
  if (handle === undefined) return undefined;
  try {
    const { salt, streams } = info.header;
    const scanner = new BlockScanner({ handle, salt, sequence: info.sequence, page });
    const found = await scanner.next();
    if (found.kind !== 'good' || found.header.kind !== BLOCK_INDEX) return undefined;
    return SparseIndex.decode(found.body, new Slots(streams).count);
  } finally {
    await handle.close();
  }
}
