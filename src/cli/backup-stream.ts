import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { HeadgateError, messageOf, unreadable } from '../base/errors.ts';
import { nodeFiles } from '../os/node-files.ts';

/** Bytes between files, standard input and output, and gzip, a piece at a time. */

const CHUNK_BYTES = 256 * 1024;

export async function* zipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const gzip = createGzip();
  const fed = pipeline(Readable.from(pieces), gzip);
  // It is told below, where the pieces come out.
  fed.catch(() => {});
  for await (const piece of gzip) yield piece as Buffer;
  await fed;
}

/** Throws BACKUP_INVALID for what is no gzip, is damaged or is cut off. */
export async function* unzipped(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const gunzip = createGunzip();
  const fed = pipeline(Readable.from(pieces), gunzip);
  fed.catch(() => {});
  try {
    for await (const piece of gunzip) yield piece as Buffer;
    await fed;
  } catch (error) {
    if (error instanceof HeadgateError) throw error;
    throw new HeadgateError('BACKUP_INVALID', messageOf(error), { cause: error });
  }
}

/** A file, or standard input for `-`. Throws BACKUP_INVALID if there is none. */
export async function* piecesOf(path: string): AsyncGenerator<Uint8Array, void> {
  if (path === '-') {
    for await (const piece of process.stdin) yield piece as Buffer;
    return;
  }
  const handle = await nodeFiles.open(path, 'read').catch((error: unknown) => {
    throw new HeadgateError('BACKUP_INVALID', unreadable(path, error), { cause: error });
  });
  try {
    for (let at = 0; ; ) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const read = await handle.read(chunk, at).catch((error: unknown) => {
        throw new HeadgateError('BACKUP_INVALID', unreadable(path, error), { cause: error });
      });
      if (read === 0) return;
      yield chunk.subarray(0, read);
      at += read;
    }
  } finally {
    await handle.close();
  }
}

/** Writes to standard output at the pace of who reads it. */
export async function toStandardOutput(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(piece, (error) => (error ? reject(error) : resolve()));
    });
  }
  return bytes;
}
