import { isJump } from '../base/offset-jump.ts';
import type { RecordPosition } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { BlockScanner } from './block-scanner.ts';
import type { SegmentInfo } from './catalog.ts';
import { holdsRecords, type Run } from './format.ts';
import type { PageRange, ResumedEnd } from './segment.ts';
import { SparseIndex } from './sparse-index.ts';
import { flatOffsets, namesOf, Slots } from './stream-tables.ts';

/** Offsets that should be there and are not: from `offset`, `count` of them. */
export interface LostOffsets extends RecordPosition {
  readonly count: number;
}

/** What recovery found in the active segment. */
export interface Recovered extends ResumedEnd {
  /** Next offset of each slot of the segment header's tables. */
  readonly nextOffsets: number[];
  /** Run clock at the last block, or at the segment's start. */
  readonly runMs: number;
  readonly corruptBlocks: number;
  readonly lost: readonly LostOffsets[];
}

/** Follows the offsets of a store's partitions through its segments and notes what is missing. */
export class OffsetTracker {
  #slots: Slots;
  #names: ReadonlyMap<number, string>;
  /** Next offset expected of each slot, in the order of the newest tables seen. */
  next: number[];
  readonly lost: LostOffsets[] = [];
  /** Slots of which nothing is known yet. */
  #unknown = new Set<number>();

  constructor(info: SegmentInfo) {
    this.#slots = new Slots(info.header.streams);
    this.#names = namesOf(info.header.streams);
    this.next = flatOffsets(info.header.streams);
    // Nobody knows where its partitions begin: what comes first tells.
    if (info.headerLost) this.#unknown = new Set(this.next.keys());
  }

  /** A following segment's header says where each partition goes on. */
  startSegment(info: SegmentInfo): void {
    const before = { slots: this.#slots, next: this.next };
    for (const { number, nextOffsets } of info.header.streams) {
      for (const [p, offset] of nextOffsets.entries()) this.#reach(number, p, offset);
    }
    this.#slots = new Slots(info.header.streams);
    this.#names = namesOf(info.header.streams);
    this.next = info.header.streams.flatMap(({ number, nextOffsets }) =>
      nextOffsets.map((offset, p) => before.next[before.slots.of(number, p)] ?? offset),
    );
  }

  /** A run of a good block. */
  take(run: Run): void {
    this.#reach(run.stream, run.partition, run.firstOffset);
    const slot = this.#slots.of(run.stream, run.partition);
    if (!Number.isNaN(slot)) this.next[slot] = run.firstOffset + run.records;
  }

  /** A damaged block whose header still tells what it held. */
  lose(runs: readonly Run[]): void {
    for (const { stream, partition, records, firstOffset } of runs) {
      this.#reach(stream, partition, firstOffset);
      this.#reach(stream, partition, firstOffset + records);
    }
  }

  /** The partition goes on at `offset`: anything between is lost. */
  #reach(stream: number, partition: number, offset: number): void {
    const slot = this.#slots.of(stream, partition);
    if (this.#unknown.delete(slot)) this.next[slot] = offset;
    const expected = this.next[slot];
    if (expected === undefined || offset <= expected) return;
    const name = this.#names.get(stream) ?? `#${stream}`;
    if (!isJump(expected, offset)) {
      this.lost.push({ stream: name, partition, offset: expected, count: offset - expected });
    }
    this.next[slot] = offset;
  }
}

/**
 * Reads the active segment from its header to its end. A torn tail is what a power cut in the
 * middle of a commit leaves: nothing in it was acknowledged, and the next commit overwrites it.
 * Should the active segment's header be damaged, reading starts at the last segment with a whole
 * one.
 */
export async function recoverTail(
  files: Files,
  segments: readonly SegmentInfo[],
): Promise<Recovered> {
  const whole = segments.findLastIndex((info) => !info.headerLost);
  const [first, ...rest] = segments.slice(Math.max(0, whole));
  if (first === undefined) throw new RangeError('no segment to recover');
  const tracker = new OffsetTracker(first);
  let recovered = await recoverSegment(files, first, tracker);
  for (const info of rest) {
    // What stands in for its header may know of streams that began in it.
    tracker.startSegment(info);
    const next = await recoverSegment(files, info, tracker);
    const corruptBlocks = recovered.corruptBlocks + next.corruptBlocks;
    recovered = { ...next, corruptBlocks, runMs: Math.max(recovered.runMs, next.runMs) };
  }
  return recovered;
}

async function recoverSegment(
  files: Files,
  info: SegmentInfo,
  tracker: OffsetTracker,
): Promise<Recovered> {
  const handle = await files.open(info.path, 'read');
  try {
    const { salt, pages } = info.header;
    const at = { handle, salt, sequence: info.sequence, page: pages, number: 0 };
    const scanner = new BlockScanner(at);
    const index = new SparseIndex();
    let runMs = info.header.runMs;
    let corruptBlocks = 0;
    let lastBlock: PageRange | undefined;
    let lastRuns: readonly Run[] = [];
    for (;;) {
      const found = await scanner.next();
      if (found.kind === 'good') {
        const { header, page } = found;
        lastBlock = { page, pages: found.pages };
        lastRuns = header.runs;
        if (!holdsRecords(header)) continue;
        const { number, wallMs } = header;
        index.note({ page, number, runMs: header.runMs, wallMs, nextOffsets: tracker.next });
        for (const run of header.runs) tracker.take(run);
        runMs = Math.max(runMs, header.runMs);
      } else if (found.kind === 'corrupt') {
        corruptBlocks += 1;
        tracker.lose(found.runs ?? []);
      } else {
        const tornBytes = found.kind === 'torn' ? found.bytes : 0;
        const { page, number } = scanner.position;
        const { next, lost } = tracker;
        const last = { lastBlock, lastRuns };
        const seen = { page, number, ...last, index, tornBytes, corruptBlocks, lost };
        return { ...seen, nextOffsets: next, runMs };
      }
    }
  } finally {
    await handle.close();
  }
}
