import type { Files } from '../os/files.ts';
import { BlockScanner } from './block-scanner.ts';
import type { SegmentInfo } from './catalog.ts';
import type { BlockHeader, StreamTable } from './format.ts';
import { openIfThere } from './segment-file.ts';
import { flatOffsets, Slots } from './stream-tables.ts';

/**
 * Void blocks: the remains of a commit that failed, never acknowledged. The segment after it gives
 * their offsets out again; see docs/log-format.md, *Segment header*.
 */

/** The first offset of a partition in a segment, if it is known. */
export type Bases = (stream: number, partition: number) => number | undefined;

export function isVoid({ runs }: Pick<BlockHeader, 'runs'>, bases: Bases): boolean {
  return runs.some(({ stream, partition, records, firstOffset }) => {
    const base = bases(stream, partition);
    return base !== undefined && firstOffset + records > base;
  });
}

export function basesOf(streams: readonly StreamTable[]): Bases {
  const slots = new Slots(streams);
  const row = flatOffsets(streams);
  return (stream, partition) => row[slots.of(stream, partition)];
}

/** Of a segment with a damaged header: from its blocks, all of which are looked at. */
async function basesByBlocks(files: Files, info: SegmentInfo): Promise<Bases> {
  const { streams, salt, pages } = info.header;
  const handle = await openIfThere(files, info.path);
  if (handle === undefined) return () => undefined;
  const slots = new Slots(streams);
  const row: Array<number | undefined> = [];
  try {
    const scanner = new BlockScanner({ handle, salt, sequence: info.sequence, page: pages });
    for (;;) {
      const found = await scanner.next();
      if (found.kind === 'end' || found.kind === 'torn') break;
      const runs = found.kind === 'good' ? found.header.runs : (found.runs ?? []);
      for (const run of runs) row[slots.of(run.stream, run.partition)] ??= run.firstOffset;
    }
  } finally {
    await handle.close();
  }
  return (stream, partition) => row[slots.of(stream, partition)];
}

/** Of the first segment of a row; what is not known of it is known of one after it. */
export async function basesOfRow(files: Files, row: readonly SegmentInfo[]): Promise<Bases> {
  const known: Bases[] = [];
  for (const info of row) {
    if (!info.headerLost) {
      known.push(basesOf(info.header.streams));
      break;
    }
    known.push(await basesByBlocks(files, info));
  }
  return (stream, partition) => {
    for (const bases of known) {
      const base = bases(stream, partition);
      if (base !== undefined) return base;
    }
    return undefined;
  };
}
