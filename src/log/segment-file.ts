import { codeOf, HeadgateError } from '../base/errors.ts';
import type { FileHandle, Files } from '../os/files.ts';
import { PAGE_BYTES } from './bytes.ts';
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  type SegmentHeader,
  segmentHeaderPages,
  segmentVersion,
} from './format.ts';

const MAX_HEADER_PAGES = 64;

/** undefined: it is not whole, or the card gives it no more, which is damage like any other. */
export async function readSegmentHeader(
  handle: FileHandle,
  path: string,
): Promise<SegmentHeader | undefined> {
  try {
    return await readWholeHeader(handle, path);
  } catch (error) {
    if (codeOf(error) === 'EIO') return undefined;
    throw error;
  }
}

async function readWholeHeader(
  handle: FileHandle,
  path: string,
): Promise<SegmentHeader | undefined> {
  const first = new Uint8Array(PAGE_BYTES);
  const read = await handle.read(first, 0);
  if (read < PAGE_BYTES) return undefined;
  const pages = segmentHeaderPages(first);
  if (pages === undefined || pages > MAX_HEADER_PAGES) return undefined;
  const all = pages === 1 ? first : new Uint8Array(pages * PAGE_BYTES);
  if (pages > 1) await handle.read(all, 0);
  const version = segmentVersion(all);
  if (version !== undefined && version > FORMAT_VERSION) {
    throw new HeadgateError(
      'LOG_FORMAT',
      `${path} is of format ${version}, known is ${FORMAT_VERSION}`,
    );
  }
  return decodeSegmentHeader(all);
}

/** undefined: retention or packing has taken it away. */
export async function openIfThere(files: Files, path: string): Promise<FileHandle | undefined> {
  try {
    return await files.open(path, 'read');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
