import { join } from 'node:path';
import type { Files } from '../os/files.ts';
import { encodeSegmentHeader, type SegmentHeader } from './format.ts';
import { openIfThere, readSegmentHeader } from './segment-file.ts';

/**
 * A copy of the header of the newest segment, or of the one before it: docs/log-format.md, *Reading
 * and recovery*. Without the salt nobody can tell a block, so a store of one segment would be lost
 * with one page.
 */
const NAME = 'header.copy';

/** Durable when it returns. A crash on the way leaves the copy before it. */
export async function writeHeaderCopy(
  files: Files,
  folder: string,
  header: Omit<SegmentHeader, 'pages'>,
): Promise<void> {
  const path = join(folder, NAME);
  const handle = await files.open(`${path}.tmp`, 'write');
  try {
    await handle.write(encodeSegmentHeader(header), 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await files.rename(`${path}.tmp`, path);
  await files.syncFolder(folder);
}

/** undefined: there is none, or it is damaged too. */
export async function readHeaderCopy(
  files: Files,
  folder: string,
): Promise<SegmentHeader | undefined> {
  const path = join(folder, NAME);
  const handle = await openIfThere(files, path);
  if (handle === undefined) return undefined;
  try {
    return await readSegmentHeader(handle, path);
  } finally {
    await handle.close();
  }
}
