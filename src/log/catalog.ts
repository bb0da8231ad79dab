import { join } from 'node:path';
import { codeOf, HeadgateError } from '../base/errors.ts';
import type { FileHandle, Files } from '../os/files.ts';
import { BlockScanner } from './block-scanner.ts';
import { PAGE_BYTES } from './bytes.ts';
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  type SegmentHeader,
  type StreamTable,
  segmentFileName,
  segmentHeaderPages,
  segmentVersion,
  sequenceOfFile,
} from './format.ts';

/** One segment file and what its header says. */
export interface SegmentInfo {
  readonly sequence: number;
  readonly path: string;
  readonly header: SegmentHeader;
  /** When the catalogue was read, or when the segment was sealed. */
  readonly sizeBytes: number;
  /** The header could not be read and stands in from the neighbours: offsets in it are guesses. */
  readonly headerLost: boolean;
}

export interface Catalog {
  /** By sequence number, oldest first. Empty: a store that never was. */
  readonly segments: readonly SegmentInfo[];
  /** Files whose header never became whole and that hold no block that can be told for one. */
  readonly unborn: readonly string[];
}

const MAX_HEADER_PAGES = 64;

export async function readSegmentHeader(
  handle: FileHandle,
  path: string,
): Promise<SegmentHeader | undefined> {
  const first = new Uint8Array(PAGE_BYTES);
  const read = await handle.read(first, 0);
  if (read < PAGE_BYTES) return undefined;
  const pages = segmentHeaderPages(first);
  if (pages === undefined || pages > MAX_HEADER_PAGES) return undefined;
  const all = new Uint8Array(pages * PAGE_BYTES);
  await handle.read(all, 0);
  const version = segmentVersion(all);
  if (version !== undefined && version > FORMAT_VERSION) {
    throw new HeadgateError(
      'LOG_FORMAT',
      `${path} is of format ${version}, known is ${FORMAT_VERSION}`,
    );
  }
  return decodeSegmentHeader(all);
}

async function lookAt(files: Files, path: string) {
  const handle = await files.open(path, 'read');
  try {
    const header = await readSegmentHeader(handle, path).catch((error: unknown) => {
      // A page that the card gives no more is damage like any other.
      if (codeOf(error) === 'EIO') return undefined;
      throw error;
    });
    return { header, sizeBytes: await handle.sizeBytes() };
  } finally {
    await handle.close();
  }
}

/**
 * What stands in for a damaged header: identity and streams of a neighbour, its own number. How
 * many pages it has is not known; the blocks after the first tell for themselves.
 */
function standIn(neighbour: SegmentHeader, sequence: number): SegmentHeader {
  return { ...neighbour, pages: 1, sequence, indexPage: 0, previousIndexPage: 0 };
}

/**
 * The segments of a store, from their headers alone: a page a segment, whatever the size of the
 * log. Files that vanish meanwhile (retention at work in a live gateway) are left out.
 */
export async function readCatalog(files: Files, folder: string): Promise<Catalog> {
  const found: Array<Omit<SegmentInfo, 'header' | 'headerLost'> & { header?: SegmentHeader }> = [];
  for (const name of await files.list(folder)) {
    const sequence = sequenceOfFile(name);
    if (sequence === undefined) continue;
    const path = join(folder, name);
    try {
      const { header, sizeBytes } = await lookAt(files, path);
      const whole = header?.sequence === sequence ? { header } : {};
      found.push({ sequence, path, sizeBytes, ...whole });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  const segments: SegmentInfo[] = [];
  const unborn: string[] = [];
  for (const [i, { header, ...file }] of found.entries()) {
    const later = found.slice(i).find((other) => other.header !== undefined);
    const neighbour = later?.header ?? segments.at(-1)?.header;
    if (header !== undefined) {
      segments.push({ ...file, header, headerLost: false });
    } else if (neighbour === undefined) {
      unborn.push(file.path);
    } else {
      const header = standIn(neighbour, file.sequence);
      const info = { ...file, header, headerLost: true };
      const last = i === found.length - 1;
      if (last && !(await holdsBlocks(files, info))) unborn.push(file.path);
      else segments.push(info);
    }
  }
  return { segments, unborn };
}

async function holdsBlocks(files: Files, info: SegmentInfo): Promise<boolean> {
  const handle = await files.open(info.path, 'read');
  try {
    const { salt, pages } = info.header;
    const at = { handle, salt, sequence: info.sequence, page: pages, number: 0 };
    const { kind } = await new BlockScanner(at).next();
    return kind === 'good' || kind === 'corrupt';
  } finally {
    await handle.close();
  }
}

export function segmentPath(folder: string, sequence: number): string {
  return join(folder, segmentFileName(sequence));
}

/** A header's next offsets as one row, stream after stream: the order of index entries too. */
export function flatOffsets(streams: readonly StreamTable[]): number[] {
  return streams.flatMap((stream) => stream.nextOffsets);
}

/** Where each partition stands in such a row. */
export class Slots {
  readonly #first = new Map<number, number>();
  readonly count: number;

  constructor(streams: readonly StreamTable[]) {
    let count = 0;
    for (const stream of streams) {
      this.#first.set(stream.number, count);
      count += stream.nextOffsets.length;
    }
    this.count = count;
  }

  of(stream: number, partition: number): number {
    return (this.#first.get(stream) ?? Number.NaN) + partition;
  }
}
