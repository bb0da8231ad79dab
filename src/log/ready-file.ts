import type { FileHandle, Files } from '../os/files.ts';
import { segmentPath } from './catalog.ts';

/** A file that a segment can begin in. */
export interface ReadyFile {
  readonly sequence: number;
  readonly path: string;
  readonly handle: FileHandle;
  /** Its size; 0: it grows with what is written. */
  readonly sizeBytes: number;
  /** Its name survives a power cut. */
  readonly isNamed: boolean;
}

const ZEROS = new Uint8Array(256 * 1024);

/**
 * A new file, filled with zeros, so that its blocks are allocated and written before any commit.
 * Durable with its name. A crash leaves a file that has not begun; it is used or removed then.
 */
export async function zeroedFile(
  files: Files,
  folder: string,
  { sequence, sizeBytes }: Pick<ReadyFile, 'sequence' | 'sizeBytes'>,
): Promise<ReadyFile> {
  const path = segmentPath(folder, sequence);
  const handle = await files.open(path, 'write');
  try {
    for (let at = 0; at < sizeBytes; at += ZEROS.length) {
      await handle.write(ZEROS.subarray(0, Math.min(ZEROS.length, sizeBytes - at)), at);
    }
    await handle.sync();
    await files.syncFolder(folder);
  } catch (error) {
    await discard(files, { path, handle });
    throw error;
  }
  return { sequence, path, handle, sizeBytes, isNamed: true };
}

/**
 * The file of a segment that is not needed any more, under the name of one to come. A crash before
 * the folder is synced leaves it under one of the two names; the next start finds it either way.
 */
export async function recycledFile(
  files: Files,
  folder: string,
  { from, sequence, sizeBytes }: { from: string; sequence: number; sizeBytes: number },
): Promise<ReadyFile> {
  const path = segmentPath(folder, sequence);
  await files.rename(from, path);
  await files.syncFolder(folder);
  const handle = await files.open(path, 'write');
  return { sequence, path, handle, sizeBytes, isNamed: true };
}

/** A file that grows, for when there is no other: each commit then writes metadata as well. */
export async function growingFile(
  files: Files,
  folder: string,
  sequence: number,
): Promise<ReadyFile> {
  const path = segmentPath(folder, sequence);
  const handle = await files.open(path, 'write');
  return { sequence, path, handle, sizeBytes: 0, isNamed: false };
}

/** Nothing in it counts. Best effort: what is left is found to have nothing that counts. */
export async function discard(
  files: Files,
  { path, handle }: Pick<ReadyFile, 'path' | 'handle'>,
): Promise<void> {
  await handle.close().catch(() => {});
  await files.remove(path).catch(() => {});
}
