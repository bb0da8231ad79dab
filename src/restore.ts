import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import {
  BACKUP_FORMAT,
  decodeEntries,
  HEAD,
  isHead,
  isManifest,
  LOG_NAME,
  MANIFEST,
  type ManifestRow,
  parseJson,
  STATE_NAME,
} from './backup-format.ts';
import type { Clock, Random } from './base/clock.ts';
import { HeadgateError, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { type TarEntry, tarEntries } from './base/tar.ts';
import { type DataFolder, dataFolder } from './ops/data-folder.ts';
import {
  checkDataFolder,
  checkVersions,
  MARKER,
  RESTORE_PART,
  versionsText,
  writeMarker,
} from './ops/data-version.ts';
import type { Files } from './os/files.ts';
import { openLevelStore } from './os/lazy-level-store.ts';
import type { LevelStore } from './os/level-store.ts';
import { removeFolder } from './os/temporary-folder.ts';
import { goOnElsewhere } from './restored-offsets.ts';

export interface RestoreOptions {
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The archive, unpacked. */
  readonly archive: AsyncIterable<Uint8Array>;
  /** What is there is set aside; without it, RESTORE_NOT_EMPTY. */
  readonly isForced: boolean;
}

export interface Restored {
  /** When the backup was made, ms since 1970. */
  readonly createdMs: number;
  readonly files: number;
  readonly bytes: number;
  /** Where what was in the folder is now. */
  readonly aside: string | undefined;
}

const MAX_SMALL_BYTES = 256 * 1024 * 1024;
/** Of no data folder, whoever put them there. */
const PASSED_OVER = ['lost+found', RESTORE_PART];

/**
 * Fills a data folder from a backup, or leaves it as it was. All is written beside what is there
 * and checked; only then it takes its place. While `restore.part` is there no daemon starts, so
 * that a kill at any moment leaves nothing that could be taken for whole.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { data, files, isForced } = options;
  const there = (await files.list(data.root)).filter(isOfData);
  if (there.length > 0 && !isForced) throw new HeadgateError('RESTORE_NOT_EMPTY', data.root);
  const part = dataFolder(join(data.root, RESTORE_PART), {});
  // Whoever has the state store open has the folder, be it a daemon or another restore.
  for (const folder of [data.state, part.state]) await expectFree(options, folder);
  // One before this may have been cut off among its last steps: until one is done, none starts.
  const isUnfinished = (await files.kindOf(part.root)) !== undefined;
  await emptyFolder(files, part.root);
  await files.makeFolder(part.root);
  let found: Omit<Restored, 'aside'>;
  try {
    found = await unpack(options, part);
    // A daemon that looked for `restore.part` before it was there has opened its store by now.
    await expectFree(options, data.state);
  } catch (error) {
    if (isUnfinished) await emptyFolder(files, part.root);
    else await removeFolder(part.root);
    throw error;
  }
  const aside = await takePlace(options, part.root, there);
  return { ...found, aside };
}

function isOfData(name: string): boolean {
  return !PASSED_OVER.includes(name) && !name.endsWith('.sock') && !/^before-restore-/.test(name);
}

async function emptyFolder(files: Files, folder: string): Promise<void> {
  for (const name of await files.list(folder)) await removeFolder(join(folder, name));
}

/** Throws DATA_IN_USE. */
async function expectFree({ files, logger }: RestoreOptions, folder: string): Promise<void> {
  if ((await files.list(folder)).length === 0) return;
  await openLevelStore({ folder, files, logger }).then(
    (level) => level.close(),
    (error: unknown) => {
      // One that is damaged is nobody's.
      if (error instanceof HeadgateError) throw error;
    },
  );
}

async function unpack(options: RestoreOptions, part: DataFolder): Promise<Omit<Restored, 'aside'>> {
  const { files, logger } = options;
  for (const folder of [part.events, part.telemetry]) await files.makeFolder(folder);
  const level = await openLevelStore({ folder: part.state, files, logger });
  try {
    const { createdMs, rows } = await readArchive(options, part, level);
    const { clock, random } = options;
    await goOnElsewhere({ data: part, files, clock, random, logger, state: level.state });
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    await writeMarker(files, part.root);
    return { createdMs, files: rows.length, bytes };
  } finally {
    await level.close();
  }
}

/** All of it, checked against its own list. Throws BACKUP_INVALID, DATA_VERSION, RESTORE_CLOCK. */
async function readArchive(options: RestoreOptions, part: DataFolder, level: LevelStore) {
  const { archive, files } = options;
  const found = new Map<string, ManifestRow>();
  let createdMs: number | undefined;
  let listed: readonly ManifestRow[] | undefined;
  try {
    for await (const entry of tarEntries(archive)) {
      const { path } = entry;
      if (listed !== undefined) throw new HeadgateError('BACKUP_INVALID', 'it goes on at its end');
      if (createdMs === undefined) {
        const head = await readHead(options, entry);
        createdMs = head.createdMs;
        found.set(path, head.row);
      } else if (path === MANIFEST) {
        listed = parseJson(await whole(entry), isManifest).files;
      } else if (STATE_NAME.test(path)) found.set(path, await readState(entry, level));
      else if (LOG_NAME.test(path)) {
        const target = join(part.root, path);
        found.set(path, await writeFile(files, target, entry));
      } else throw new HeadgateError('BACKUP_INVALID', 'it holds a file that belongs to no backup');
    }
  } catch (error) {
    if (error instanceof HeadgateError || isOfSystem(error)) throw error;
    throw new HeadgateError('BACKUP_INVALID', messageOf(error), { cause: error });
  }
  if (listed === undefined || createdMs === undefined) {
    throw new HeadgateError('BACKUP_INVALID', 'it ends in the middle');
  }
  for (const { path, bytes, sha256 } of listed) {
    const own = found.get(path);
    if (own?.bytes !== bytes || own.sha256 !== sha256) {
      throw new HeadgateError('BACKUP_INVALID', `${path} is not as it was written`);
    }
    found.delete(path);
  }
  // Of what was dropped or packed while the backup was made there may be a part.
  for (const path of found.keys()) {
    if (!LOG_NAME.test(path)) throw new HeadgateError('BACKUP_INVALID', `${path} is not listed`);
    await files.remove(join(part.root, path));
  }
  for (const folder of [part.events, part.telemetry]) await files.syncFolder(folder);
  return { createdMs, rows: listed };
}

/** Of the disk, not of the backup. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

async function readHead({ clock }: RestoreOptions, entry: TarEntry) {
  if (entry.path !== HEAD) throw new HeadgateError('BACKUP_INVALID', 'it is no backup');
  const bytes = await whole(entry);
  const { format, createdMs, versions } = parseJson(bytes, isHead);
  if (format > BACKUP_FORMAT) {
    const detail = `it is of format ${format}, known is ${BACKUP_FORMAT}`;
    throw new HeadgateError('DATA_VERSION', detail);
  }
  checkVersions(versionsText(versions), 'the backup');
  if (clock.wallMs() < createdMs) {
    throw new HeadgateError('RESTORE_CLOCK', `made at ${new Date(createdMs).toISOString()}`);
  }
  return { createdMs, row: rowOf(HEAD, bytes) };
}

async function readState(entry: TarEntry, level: LevelStore): Promise<ManifestRow> {
  const bytes = await whole(entry);
  await level.fill(decodeEntries(bytes));
  return rowOf(entry.path, bytes);
}

function rowOf(path: string, bytes: Uint8Array): ManifestRow {
  return { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function whole({ bytes, body }: TarEntry): Promise<Buffer> {
  if (bytes > MAX_SMALL_BYTES) throw new HeadgateError('BACKUP_INVALID', 'a part is too large');
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

/** Durable when it returns; the name once its folder is synced. */
async function writeFile(files: Files, path: string, entry: TarEntry): Promise<ManifestRow> {
  const hash = createHash('sha256');
  const handle = await files.open(path, 'write');
  let at = 0;
  try {
    // One of the same name may have come before, and been given up.
    await handle.truncate(0);
    for await (const part of entry.body) {
      hash.update(part);
      await handle.write(part, at);
      at += part.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { path: entry.path, bytes: at, sha256: hash.digest('hex') };
}

/** A name that nothing has: of those before some may have been removed. */
async function newAside(files: Files, root: string): Promise<string> {
  const names = new Set(await files.list(root));
  for (let number = 1; ; number++) {
    const name = `before-restore-${number}`;
    if (!names.has(name)) return join(root, name);
  }
}

/** The last step: by names alone. `restore.part` goes when all is in its place. */
async function takePlace(
  { data, files }: RestoreOptions,
  part: string,
  there: readonly string[],
): Promise<string | undefined> {
  let aside: string | undefined;
  if (there.length > 0) {
    aside = await newAside(files, data.root);
    await files.makeFolder(aside);
    for (const name of there) await files.rename(join(data.root, name), join(aside, name));
    await files.syncFolder(aside);
  }
  for (const name of ['log', 'state', MARKER]) {
    await files.rename(join(part, name), join(data.root, name));
  }
  await files.syncFolder(data.root);
  await removeFolder(part);
  await files.syncFolder(data.root);
  await files.syncFolder(dirname(data.root)).catch(() => {
    // It was there before, or was synced when it was made.
  });
  await checkDataFolder(files, data);
  return aside;
}
