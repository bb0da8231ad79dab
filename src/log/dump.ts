import { basename } from 'node:path';
import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { recordsIn } from './block-records.ts';
import { BlockScanner } from './block-scanner.ts';
import { readCatalog, type SegmentInfo } from './catalog.ts';
import { type BlockHeader, holdsRecords, type Run } from './format.ts';
import { openIfThere, readSegmentHeader } from './segment-file.ts';
import { namesOf } from './stream-tables.ts';
import { type Bases, basesOfRow, isVoid } from './void-blocks.ts';

/** What `headgate log dump` shows of a store, in the order in which it stands there. */
export type Dumped =
  /** A file; `info`: what its header says, if it is a segment. */
  | {
      readonly kind: 'file';
      readonly name: string;
      readonly state: 'active' | 'sealed' | 'packed' | 'ready' | 'left over' | 'not a segment';
      readonly info: SegmentInfo | undefined;
    }
  | {
      readonly kind: 'block';
      readonly page: number;
      readonly pages: number;
      readonly header: BlockHeader;
      readonly runs: readonly NamedRun[];
      /** Remains of a commit that failed: the next segment gives its offsets out again. */
      readonly isVoid: boolean;
      /** undefined: not asked for, or none. */
      readonly records: readonly LogRecord[] | undefined;
    }
  | {
      readonly kind: 'corrupt';
      readonly page: number;
      readonly pages: number;
      /** What it held; undefined: nobody knows. */
      readonly runs: readonly NamedRun[] | undefined;
    }
  | { readonly kind: 'torn'; readonly page: number; readonly bytes: number }
  | { readonly kind: 'end'; readonly page: number }
  /** Packed or dropped, and written over, while it was read: what was shown last is not its own. */
  | { readonly kind: 'moved' };

export interface NamedRun extends Run {
  readonly name: string;
}

export interface DumpOptions {
  /** Only this one. */
  readonly segment: number | undefined;
  readonly records: boolean;
}

/** Every file of the store in a folder, block by block. Reads only. */
export async function* dumpStore(
  files: Files,
  folder: string,
  { segment, records }: DumpOptions,
): AsyncGenerator<Dumped> {
  const { segments, ready, leftovers, unborn } = await readCatalog(files, folder);
  for (const [i, info] of segments.entries()) {
    if (segment !== undefined && segment !== info.sequence) continue;
    const isActive = i === segments.length - 1;
    const isPacked = info.path.endsWith('.packed');
    const state = isPacked ? 'packed' : isActive ? 'active' : 'sealed';
    yield { kind: 'file', name: basename(info.path), state, info };
    const bases = await basesOfRow(files, segments.slice(i + 1));
    yield* dumpSegment(files, info, { bases, records });
  }
  if (segment !== undefined) return;
  const others = [
    ...(ready === undefined ? [] : [{ path: ready, state: 'ready' as const }]),
    ...leftovers.map((path) => ({ path, state: 'left over' as const })),
    ...unborn.map((path) => ({ path, state: 'not a segment' as const })),
  ];
  for (const { path, state } of others) {
    yield { kind: 'file', name: basename(path), state, info: undefined };
  }
}

interface SegmentDump {
  /** Of the segment after it. */
  readonly bases: Bases;
  readonly records: boolean;
}

async function* dumpSegment(
  files: Files,
  info: SegmentInfo,
  { bases, records }: SegmentDump,
): AsyncGenerator<Dumped> {
  const handle = await openIfThere(files, info.path);
  if (handle === undefined) {
    yield { kind: 'moved' };
    return;
  }
  const { salt, pages: page, streams } = info.header;
  const names = namesOf(streams);
  const named = (run: Run) => ({ ...run, name: names.get(run.stream) ?? `#${run.stream}` });
  try {
    const scanner = new BlockScanner({ handle, salt, sequence: info.sequence, page });
    for (;;) {
      const found = await scanner.next();
      if (found.kind === 'corrupt') yield { ...found, runs: found.runs?.map(named) };
      else if (found.kind !== 'good') {
        yield found;
        break;
      } else {
        const { header, body, pages } = found;
        const isShown = records && holdsRecords(header);
        yield {
          kind: 'block',
          page: found.page,
          pages,
          header,
          runs: header.runs.map(named),
          isVoid: isVoid(header, bases),
          records: isShown ? recordsIn(header, body, names) : undefined,
        };
      }
    }
    const now = await readSegmentHeader(handle, info.path);
    if (!info.headerLost && now?.sequence !== info.sequence) yield { kind: 'moved' };
  } finally {
    await handle.close();
  }
}
