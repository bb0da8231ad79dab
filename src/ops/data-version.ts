import { join } from 'node:path';
import { HeadgateError } from '../base/errors.ts';
import { readCatalog } from '../log/catalog.ts';
import { recoverTail } from '../log/recovery.ts';
import type { Files } from '../os/files.ts';
import { WholeFile } from '../os/whole-file.ts';
import type { DataFolder } from './data-folder.ts';

/**
 * Which release's data a folder holds. The log says so of itself, segment by segment; what lies
 * around it, and the keys of the state store, are told by a marker in the folder. All of it is
 * looked at before anything is opened for writing: a release that can't read a folder leaves every
 * byte of it as it is.
 */

/** Of the folder: which files and folders there are, and what they are for. */
export const DATA_VERSION = 1;
/** Of the state store: its keys, and what their values are. */
export const STATE_VERSION = 1;

export const MARKER = 'version.json';
/** A restore that has not come to its end; see src/restore.ts. */
export const RESTORE_PART = 'restore.part';

export interface DataVersions {
  readonly data: number;
  readonly state: number;
}

export const VERSIONS: DataVersions = { data: DATA_VERSION, state: STATE_VERSION };

export function versionsText(versions: DataVersions): string {
  return `${JSON.stringify(versions)}\n`;
}

/** Throws DATA_VERSION if a newer release wrote it, or if it is no marker. */
export function checkVersions(text: string, path: string): void {
  let read: Partial<Record<keyof DataVersions, unknown>>;
  try {
    read = JSON.parse(text) as typeof read;
  } catch (error) {
    throw new HeadgateError('DATA_VERSION', `${path} is damaged`, { cause: error });
  }
  for (const name of ['data', 'state'] as const) {
    const version = read?.[name];
    if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
      throw new HeadgateError('DATA_VERSION', `${path} names no version of its ${name}`);
    }
    if (version > VERSIONS[name]) {
      const known = `this release reads up to ${VERSIONS[name]}`;
      throw new HeadgateError(
        'DATA_VERSION',
        `${path}: ${name} is of version ${version}, ${known}`,
      );
    }
  }
}

/**
 * Looks whether this release can read all of the folder; reads only. Throws DATA_VERSION,
 * LOG_FORMAT, RESTORE_UNFINISHED or a system error. Returns whether there is a marker.
 */
export async function checkDataFolder(files: Files, data: DataFolder): Promise<boolean> {
  if ((await files.kindOf(join(data.root, RESTORE_PART))) !== undefined) {
    throw new HeadgateError('RESTORE_UNFINISHED', join(data.root, RESTORE_PART));
  }
  const marker = join(data.root, MARKER);
  const text = await files.readText(marker);
  if (text !== undefined) checkVersions(text, marker);
  for (const folder of [data.telemetry, data.events]) {
    const { segments } = await readCatalog(files, folder);
    // What a block of the end is made of is known only by reading it.
    if (segments.length > 0) await recoverTail(files, segments);
  }
  return text !== undefined;
}

/** As `checkDataFolder`; then a folder without a marker, which is new or of before it, gets one. */
export async function adoptDataFolder(files: Files, data: DataFolder): Promise<void> {
  if (await checkDataFolder(files, data)) return;
  await files.makeFolder(data.root);
  await writeMarker(files, data.root);
}

/** Durable and whole, or not there. */
export async function writeMarker(files: Files, root: string): Promise<void> {
  const file = await WholeFile.begin(files, join(root, MARKER));
  try {
    await file.write(versionsText(VERSIONS));
    await file.finish();
  } catch (error) {
    await file.giveUp();
    throw error;
  }
}
