import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { earliestOffsets, StreamCursor } from './log-reader.ts';
import type { LogView } from './log-view.ts';
import { onlyPartition } from './record-range.ts';

export interface PartitionSource {
  readonly files: Files;
  readonly view: LogView;
  readonly stream: string;
  readonly partition: number;
}

/** `record` is undefined where the log has none: dropped, lost with a block, or not yet there. */
export interface FoundRecord {
  readonly offset: number;
  readonly record: LogRecord | undefined;
}

/** So far apart it is less work to look for the next offset than to read up to it. */
const NEAR_OFFSETS = 256;

/** The records at single offsets, which ascend. A block at a time is in memory. */
export async function* recordsAt(
  { files, view, stream, partition }: PartitionSource,
  offsets: readonly number[],
): AsyncGenerator<FoundRecord> {
  const earliest = earliestOffsets(view, stream);
  let cursor: StreamCursor | undefined;
  /** Of this partition alone. */
  let block: readonly LogRecord[] = [];
  try {
    for (const offset of offsets) {
      const position = cursor?.position[partition] ?? 0;
      if (cursor === undefined || offset >= position + NEAR_OFFSETS) {
        await cursor?.close();
        const from = onlyPartition(
          earliest.map(() => offset),
          partition,
        );
        cursor = new StreamCursor({ files, view, stream, from });
        block = [];
      }
      while ((cursor.position[partition] ?? 0) <= offset) {
        const next = await cursor.next();
        if (next === undefined) break;
        block = next;
      }
      yield { offset, record: block.find((one) => one.offset === offset) };
    }
  } finally {
    await cursor?.close();
  }
}
