import { HeadgateError } from '../base/errors.ts';
import { parseTime } from '../base/time-text.ts';
import { parseWhole } from '../base/whole-number.ts';
import { offsetsAtTime } from './find-positions.ts';
import type { LocalStreams } from './local-streams.ts';
import { earliestOffsets } from './log-reader.ts';

/** Where to begin in a stream, as programs and people say it: docs/consumers.md. */

/** Throws PARTITION_UNKNOWN. */
export function checkPartition(streams: LocalStreams, stream: string, partition: number): void {
  const { partitions } = streams.journalOf(stream).stream(stream);
  if (partition < partitions) return;
  const detail = `${stream} has ${partitions} partitions, counted from 0; not ${partition}`;
  throw new HeadgateError('PARTITION_UNKNOWN', detail);
}

/** Throws OFFSET_BEYOND_END: what is there is durable, so nothing beyond has ever been told. */
export function checkOffset(
  streams: LocalStreams,
  { stream, partition, offset }: { stream: string; partition: number; offset: number },
): void {
  checkPartition(streams, stream, partition);
  const end = streams.journalOf(stream).nextOffsets(stream)[partition] ?? 0;
  if (offset <= end) return;
  const detail = `${stream} partition ${partition} ends before ${end}; ${offset} is beyond`;
  throw new HeadgateError('OFFSET_BEYOND_END', detail);
}

/** A whole number that a computer can count to. Throws REQUEST_INVALID. */
export function wholeIn(
  name: string,
  text: string,
  max = Number.MAX_SAFE_INTEGER,
  min = 0,
): number {
  const value = parseWhole(text, min, max);
  if (value !== undefined) return value;
  throw new HeadgateError('REQUEST_INVALID', `${name} is a whole number from ${min} to ${max}`);
}

/** The log has 16 bits for it. */
export const MAX_PARTITION = 65_535;

/** Throws REQUEST_INVALID. */
export function partitionIn(text: string): number {
  return wholeIn('a partition', text, MAX_PARTITION);
}

/** `0:2,1:17` as offsets by partition. Throws REQUEST_INVALID. */
function parsePositions(text: string): Map<number, number> {
  const positions = new Map<number, number>();
  for (const part of text.split(',')) {
    const [partition = '', offset = '', ...more] = part.split(':');
    const p = partitionIn(partition);
    const isTwice = positions.has(p);
    if (more.length > 0 || isTwice) {
      throw new HeadgateError('REQUEST_INVALID', 'positions are 0:2,1:17, each partition once');
    }
    positions.set(p, wholeIn('an offset', offset));
  }
  return positions;
}

/**
 * The first offset of each partition: as `soughtOffsets`, or `0:2,1:17`. Throws REQUEST_INVALID,
 * PARTITION_UNKNOWN, OFFSET_BEYOND_END.
 */
export async function startOffsets(
  streams: LocalStreams,
  stream: string,
  text: string,
): Promise<number[]> {
  if (!/^\d+:/.test(text)) return soughtOffsets(streams, stream, text);
  const positions = parsePositions(text);
  for (const [partition, offset] of positions) {
    checkOffset(streams, { stream, partition, offset });
  }
  const earliest = earliestOffsets(streams.journalOf(stream), stream);
  return earliest.map((first, p) => Math.max(first, positions.get(p) ?? 0));
}

/**
 * The first offset of each partition: `earliest`, `latest`, an offset of each (as far as it goes)
 * or a time. Throws REQUEST_INVALID.
 */
export async function soughtOffsets(
  streams: LocalStreams,
  stream: string,
  text: string,
): Promise<number[]> {
  const journal = streams.journalOf(stream);
  const earliest = earliestOffsets(journal, stream);
  if (text === 'earliest') return earliest;
  const ends = journal.nextOffsets(stream);
  if (text === 'latest') return [...ends];
  if (/^\d+$/.test(text)) {
    const offset = wholeIn('an offset', text);
    return ends.map((end, p) => Math.max(earliest[p] ?? 0, Math.min(offset, end)));
  }
  const timeMs = parseTime(text, await streams.nowMs());
  if (timeMs === undefined) {
    const detail = `${text} is neither earliest, latest, an offset nor a time`;
    throw new HeadgateError('REQUEST_INVALID', detail);
  }
  const search = { files: streams.files, view: journal, stream };
  return offsetsAtTime(search, await streams.times(), timeMs);
}
