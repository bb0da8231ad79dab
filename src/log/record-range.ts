import type { LogRecord } from '../base/reading.ts';
import { type ReadOptions, StreamCursor } from './log-reader.ts';

export interface RangeOptions extends ReadOptions {
  /** Offset to end before, per partition; without it, to the end of the log as it is then. */
  readonly until?: readonly number[];
  /** Only this partition. */
  readonly partition?: number | undefined;
}

/** Where a cursor starts that is to give one partition only: the others are at their end. */
export function onlyPartition(from: readonly number[], partition: number | undefined): number[] {
  if (partition === undefined) return [...from];
  return from.map((offset, p) => (p === partition ? offset : Number.MAX_SAFE_INTEGER));
}

/** The records of a range in commit order, a block at a time: no more is ever in memory. */
export async function* readRange(options: RangeOptions): AsyncGenerator<readonly LogRecord[]> {
  const { until, partition } = options;
  const from = onlyPartition(options.from, partition);
  const cursor = new StreamCursor({ ...options, from });
  const isBefore = ({ partition: p, offset }: LogRecord) =>
    offset < (until?.[p] ?? Number.POSITIVE_INFINITY);
  const isOver = () => until?.every((end, p) => (cursor.position[p] ?? 0) >= end) === true;
  try {
    while (!isOver()) {
      const records = await cursor.next();
      if (records === undefined) return;
      const wanted = until === undefined ? records : records.filter(isBefore);
      if (wanted.length > 0) yield wanted;
    }
  } finally {
    await cursor.close();
  }
}
