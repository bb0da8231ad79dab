import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { codeOf } from '../base/errors.ts';

/**
 * Writes an attribute of /sys before it returns: a lamp must not wait for a thread that is busy
 * with the flash. Throws system errors; makes no file.
 */
export type WriteAttribute = (path: string, text: string) => void;

export const writeAttribute: WriteAttribute = (path, text) => {
  const file = openSync(path, constants.O_WRONLY);
  try {
    writeSync(file, text, 0);
  } finally {
    closeSync(file);
  }
};

/** Why this process may not write there (`EACCES`), or undefined if it may. */
export type WriteBar = (path: string) => Promise<string | undefined>;

export const writeBar: WriteBar = async (path) => {
  try {
    await access(path, constants.W_OK);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
};
