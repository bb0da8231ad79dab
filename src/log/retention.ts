import type { RecordPosition } from '../base/reading.ts';
import { PAGE_BYTES } from './bytes.ts';
import type { SegmentInfo } from './catalog.ts';

/** How much is kept. Whole sealed segments are dropped; the active one never is. Pure. */
export interface Retention {
  readonly maxBytes: number;
  /** On the run clock, so a wall clock that jumps by years drops nothing. 0: no limit. */
  readonly maxAgeMs: number;
  /** Space that stays free in the file system. Default 0: none. */
  readonly minFreeBytes?: number;
}

/** How things stand. */
export interface RetentionNeed {
  readonly runMs: number;
  /** Bytes that the file system has less free than it should. */
  readonly shortBytes: number;
  /** A file of this size will be that of the next segment, so that it frees nothing. 0: none. */
  readonly reusedBytes: number;
}

/** What a dropped segment held of one partition: `count` records from `offset` on. */
export interface DroppedOffsets extends RecordPosition {
  readonly count: number;
}

/**
 * The sealed segments to drop, oldest first. `sizes` come with each segment; a segment's newest
 * record is no younger than the start of the segment after it.
 */
export function expiredSegments(
  segments: readonly SegmentInfo[],
  activeBytes: number,
  limits: Retention & RetentionNeed,
): SegmentInfo[] {
  const sealed = segments.slice(0, -1);
  let bytes = activeBytes + sealed.reduce((sum, info) => sum + info.sizeBytes, 0);
  const expired: SegmentInfo[] = [];
  let { shortBytes, reusedBytes } = limits;
  for (const [i, info] of sealed.entries()) {
    const endedMs = segments[i + 1]?.header.runMs ?? Number.POSITIVE_INFINITY;
    const tooOld = limits.maxAgeMs > 0 && limits.runMs - endedMs > limits.maxAgeMs;
    const tooMuch = bytes > Math.max(limits.maxBytes, PAGE_BYTES);
    if (!tooOld && !tooMuch && shortBytes <= 0) break;
    expired.push(info);
    bytes -= info.sizeBytes;
    if (info.sizeBytes === reusedBytes) reusedBytes = 0;
    else shortBytes -= info.sizeBytes;
  }
  return expired;
}

/** What goes with a segment, from its header and the one after it. */
export function droppedBy(info: SegmentInfo, following: SegmentInfo): DroppedOffsets[] {
  return info.header.streams.flatMap((stream) => {
    const after = following.header.streams.find(({ number }) => number === stream.number);
    return stream.nextOffsets.flatMap((offset, partition) => {
      const count = (after?.nextOffsets[partition] ?? offset) - offset;
      return count > 0 ? [{ stream: stream.name, partition, offset, count }] : [];
    });
  });
}
