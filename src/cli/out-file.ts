import { dirname, resolve } from 'node:path';
import { HeadgateError, messageOf } from '../base/errors.ts';
import { nodeFiles } from '../os/node-files.ts';
import { WholeFile } from '../os/whole-file.ts';

/** What a system error of the file itself comes to, for who named it. */
function outError(path: string, error: unknown): unknown {
  if (error instanceof HeadgateError) return error;
  return new HeadgateError('OUT_UNWRITABLE', `--out ${path}: ${messageOf(error)}`, {
    cause: error,
  });
}

/** Throws OUT_UNWRITABLE, before anything is read. */
async function beginFile(path: string): Promise<WholeFile> {
  const kind = await nodeFiles.kindOf(path);
  if (kind === 'folder' || kind === 'other') {
    throw new HeadgateError('OUT_UNWRITABLE', `--out: ${path} is no file`);
  }
  if ((await nodeFiles.kindOf(dirname(path))) !== 'folder') {
    throw new HeadgateError('OUT_UNWRITABLE', `--out: there is no folder ${dirname(path)}`);
  }
  return WholeFile.begin(nodeFiles, path);
}

/** Lines into the file of `--out`, which is there when it is whole. Throws OUT_UNWRITABLE. */
export async function writeOut(
  out: string,
  lines: AsyncIterable<string>,
  lineEnd: string,
): Promise<void> {
  const path = resolve(out);
  // Of the file that is written, not of the log that is read.
  const blame = (error: unknown) => {
    throw outError(path, error);
  };
  const file = await beginFile(path).catch(blame);
  try {
    for await (const line of lines) await file.write(line + lineEnd).catch(blame);
    await file.finish().catch(blame);
  } catch (error) {
    await file.giveUp();
    throw error;
  }
}
