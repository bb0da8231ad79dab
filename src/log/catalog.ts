import { join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import type { Files } from '../os/files.ts';
import { BlockScanner } from './block-scanner.ts';
import { fileKind, packedFileName, type SegmentHeader, segmentFileName } from './format.ts';
import { readHeaderCopy } from './header-copy.ts';
import { readSegmentHeader } from './segment-file.ts';

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

/** Files that are no segment's. */
export interface LooseFiles {
  /** Of the highest number, not begun yet: the next segment's. */
  readonly ready: string | undefined;
  /** The only files, with a name but no whole header: nobody knows what they were. */
  readonly unborn: readonly string[];
  /** What a packing has replaced or not finished, and files that no segment has begun in. */
  readonly leftovers: readonly string[];
}

export interface Catalog extends LooseFiles {
  /** By sequence number, oldest first. Empty: a store that never was. */
  readonly segments: readonly SegmentInfo[];
}

async function lookAt(files: Files, path: string) {
  const handle = await files.open(path, 'read');
  try {
    const header = await readSegmentHeader(handle, path);
    return { header, sizeBytes: await handle.sizeBytes() };
  } finally {
    await handle.close();
  }
}

/**
 * What stands in for a damaged header: its copy if it is that of the same segment; else identity
 * and streams of a neighbour, and its own number. How many pages it has is not known then; the
 * blocks after the first tell for themselves.
 */
function standIn(known: SegmentHeader, sequence: number): SegmentHeader {
  const pages = known.sequence === sequence ? known.pages : 1;
  return { ...known, pages, sequence, indexPage: 0, previousIndexPage: 0 };
}

interface Found {
  readonly sequence: number;
  readonly path: string;
  readonly sizeBytes: number;
  readonly header: SegmentHeader | undefined;
}

/** The file of each segment by its name: a packed one stands for the one that it was made from. */
function filesByName(folder: string, names: readonly string[]) {
  const bySequence = new Map<number, string>();
  const leftovers: string[] = [];
  const kinds = names.flatMap((name) => {
    const found = fileKind(name);
    return found === undefined ? [] : [{ ...found, path: join(folder, name) }];
  });
  for (const { kind, sequence, path } of kinds)
    if (kind === 'packed') bySequence.set(sequence, path);
  for (const { kind, sequence, path } of kinds) {
    if (kind === 'tmp' || (kind === 'segment' && bySequence.has(sequence))) leftovers.push(path);
    else if (kind === 'segment') bySequence.set(sequence, path);
  }
  const files = [...bySequence].sort(([a], [b]) => a - b);
  return { files, leftovers };
}

/** undefined: retention or packing has taken it away meanwhile. */
async function lookIfThere(
  files: Files,
  sequence: number,
  path: string,
): Promise<Found | undefined> {
  try {
    const { header, sizeBytes } = await lookAt(files, path);
    return {
      sequence,
      path,
      sizeBytes,
      header: header?.sequence === sequence ? header : undefined,
    };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Files that a live gateway changes while they are listed are listed again, so many times. */
const MAX_LOOKS = 5;
/** A log of small segments has thousands: each look waits for the disk a few times. */
const LOOKS_AT_ONCE = 32;

/**
 * The segments of a store, from their headers alone: a page a segment, whatever the size of the
 * log.
 */
export async function readCatalog(files: Files, folder: string): Promise<Catalog> {
  for (let look = 1; ; look++) {
    const byName = filesByName(folder, await files.list(folder));
    const found: Found[] = [];
    for (let at = 0; at < byName.files.length; at += LOOKS_AT_ONCE) {
      const some = byName.files.slice(at, at + LOOKS_AT_ONCE);
      const looks = some.map(([sequence, path]) => lookIfThere(files, sequence, path));
      for (const one of await Promise.all(looks)) if (one !== undefined) found.push(one);
    }
    // Dropped by retention, or packed and somewhere else by now.
    if (found.length < byName.files.length && look < MAX_LOOKS) continue;
    const copy = () => readHeaderCopy(files, folder);
    const { idle, ...known } = await segmentsOf(files, found, copy);
    return { ...known, leftovers: [...byName.leftovers, ...idle] };
  }
}

async function segmentsOf(
  files: Files,
  found: readonly Found[],
  copy: () => Promise<SegmentHeader | undefined>,
) {
  const isKnown = found.some(({ header }) => header !== undefined);
  const fallback = isKnown || found.length === 0 ? undefined : await copy();
  const segments: SegmentInfo[] = [];
  const unborn: string[] = [];
  const idle: string[] = [];
  let ready: string | undefined;
  for (const [i, { header, ...file }] of found.entries()) {
    const later = found.slice(i).find((other) => other.header !== undefined);
    const neighbour = later?.header ?? segments.at(-1)?.header ?? fallback;
    if (header !== undefined) {
      segments.push({ ...file, header, headerLost: false });
    } else if (neighbour === undefined) {
      unborn.push(file.path);
    } else {
      const known = later === undefined ? newestOf(neighbour, await copy()) : neighbour;
      const info = { ...file, header: standIn(known, file.sequence), headerLost: true };
      // Without a block it has not begun: the next one's, or left by a try that failed.
      if (await holdsBlocks(files, info)) segments.push(info);
      else if (i === found.length - 1) ready = file.path;
      else idle.push(file.path);
    }
  }
  return { segments, unborn, ready, idle };
}

/** Of two headers that may stand in, the one that knows more of the store. */
function newestOf(neighbour: SegmentHeader, copy: SegmentHeader | undefined): SegmentHeader {
  if (copy === undefined || copy.sequence < neighbour.sequence) return neighbour;
  return Buffer.compare(copy.logId, neighbour.logId) === 0 ? copy : neighbour;
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

export function packedPath(folder: string, sequence: number): string {
  return join(folder, packedFileName(sequence));
}
