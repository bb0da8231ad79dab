import { ClassicLevel } from 'classic-level';
import { codeOf, HeadgateError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Files } from './files.ts';
import type { PageStore } from './page-store.ts';
import { SERIES_ROOT, type StateStore } from './state-store.ts';

/** The database as MQTT sessions see it: a part of the key space of its own. */
export type SessionLevel = ReturnType<typeof sessionLevel>;

export interface LevelStore {
  readonly state: StateStore;
  /** What dedup keeps. */
  readonly pages: PageStore;
  readonly sessions: SessionLevel;
  /** All of it, as it stands there at the moment of the call. */
  dump(): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Writes what `dump` gave. */
  fill(entries: ReadonlyArray<readonly [key: Uint8Array, value: Uint8Array]>): Promise<void>;
  /** Keys and values written since it was opened. LevelDB writes most of them several times. */
  bytesWritten(): number;
  close(): Promise<void>;
}

export interface LevelStoreOptions {
  readonly folder: string;
  readonly files: Files;
  readonly logger: Logger;
}

function sessionLevel(db: ClassicLevel<string, string>) {
  return db.sublevel<string, string>('mqtt', {});
}

type StateLevel = ReturnType<typeof stateLevel>;

function stateLevel(db: ClassicLevel<string, string>) {
  return db.sublevel<string, string>(STATE, {});
}

/** The error at the bottom: LevelDB's own, below "Database failed to open". */
function rootOf(error: unknown): unknown {
  const cause = (error as { cause?: unknown } | undefined)?.cause;
  return cause === undefined ? error : rootOf(cause);
}

/** Faults of the machine. To set a store aside for one of these would mend nothing. */
const MACHINE = new RegExp(
  'No space left|Disk quota|Read-only file system|Permission denied|Operation not permitted|' +
    'Too many open files|Cannot allocate memory',
);

function isDamage(error: unknown): boolean {
  const root = rootOf(error);
  const code = codeOf(root);
  return (
    code === 'LEVEL_CORRUPTION' || (code === 'LEVEL_IO_ERROR' && !MACHINE.test(messageOf(root)))
  );
}

const KEYS_AT_ONCE = 1_000;

const PAGES = 'dedup';
const STATE = 'state';
/**
 * Of ids and of series, which may be many: each is looked at by itself, and who does that expects
 * the worst.
 */
const MANY = new RegExp(`^(!${PAGES}![^/]+/page|!${STATE}!${SERIES_ROOT})(?=/)`);

/** Behind all keys of a folder: a zero comes after the slash. */
function after(folder: string): string {
  return `${folder}0`;
}

/** Reads all but these, which is little: LevelDB opens a store whose tables it can't read. */
async function readThrough(db: ClassicLevel<string, string>): Promise<void> {
  const keys = db.keys();
  try {
    for (;;) {
      const some = await keys.nextv(KEYS_AT_ONCE);
      const last = some.at(-1);
      if (last === undefined) return;
      const folder = MANY.exec(last)?.[0];
      if (folder !== undefined) keys.seek(after(folder));
    }
  } finally {
    await keys.close();
  }
}

/**
 * LevelDB maps the files that it has open into memory, whole: by its own measure that would be as
 * much as there is of series. These are 64 files of 1 MiB, the fewest that it takes.
 */
const SMALL_FILES = { maxOpenFiles: 74, maxFileSize: 1024 * 1024 };

async function openLevel(folder: string): Promise<MendingLevel> {
  const db = new MendingLevel(folder, SMALL_FILES);
  try {
    await db.open();
    await readThrough(db);
    return db;
  } catch (error) {
    await db.close().catch(() => {
      // It never opened; the reason why is what counts.
    });
    if (codeOf(rootOf(error)) === 'LEVEL_LOCKED') {
      throw new HeadgateError('DATA_IN_USE', folder, { cause: error });
    }
    throw error;
  }
}

/** A name for a damaged store that is not taken yet. */
async function asideName(files: Files, folder: string): Promise<string> {
  for (let i = 1; ; i++) {
    const name = `${folder}.damaged-${i}`;
    if ((await files.list(name)).length === 0) return name;
  }
}

/**
 * Opens, else repairs and opens, else sets the folder aside and starts afresh: a power cut may
 * damage LevelDB, and no reading is in here. Whoever has it open has the data folder: a second
 * daemon gets DATA_IN_USE.
 */
async function openOrRebuild(options: LevelStoreOptions): Promise<MendingLevel> {
  const { folder, files, logger } = options;
  try {
    return await openLevel(folder);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const fields = { code: 'STATE_REBUILT', folder, error: messageOf(rootOf(error)) };
    logger.warn(fields, 'the state store is damaged and is being repaired');
  }
  try {
    await ClassicLevel.repair(folder);
    return await openLevel(folder);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const aside = await asideName(files, folder);
    await files.rename(folder, aside);
    const fields = { code: 'STATE_REBUILT', aside, error: messageOf(rootOf(error)) };
    logger.warn(fields, 'the state store could not be repaired and starts afresh');
    return openLevel(folder);
  }
}

type Operations = ReadonlyArray<{ readonly key: unknown; readonly value?: unknown }>;

/** Keys and values come encoded: texts or bytes. */
function lengthOf(encoded: unknown): number {
  return (encoded as { length?: number } | undefined)?.length ?? 0;
}

/** What abstract-level calls for every write, of sublevels too. No part of the package's types. */
interface Writes {
  _put(key: unknown, value: unknown, options: unknown): Promise<void>;
  _del(key: unknown, options: unknown): Promise<void>;
  _batch(operations: Operations, options: unknown): Promise<void>;
  _clear(options: unknown): Promise<void>;
}

const WritingLevel = ClassicLevel as unknown as new (
  folder: string,
  options: typeof SMALL_FILES,
) => ClassicLevel<string, string> & Writes;

/**
 * The database, but the first write that succeeds after one that failed starts a new log file:
 * LevelDB appends behind the torn record, and what stands there would be skipped at the next
 * opening, sessions and checkpoints alike.
 */
class MendingLevel extends WritingLevel {
  bytesWritten = 0;
  #isTorn = false;

  override _put(key: unknown, value: unknown, options: unknown): Promise<void> {
    this.bytesWritten += lengthOf(key) + lengthOf(value);
    return this.#watched(super._put(key, value, options));
  }

  override _del(key: unknown, options: unknown): Promise<void> {
    this.bytesWritten += lengthOf(key);
    return this.#watched(super._del(key, options));
  }

  override _batch(operations: Operations, options: unknown): Promise<void> {
    for (const { key, value } of operations) this.bytesWritten += lengthOf(key) + lengthOf(value);
    return this.#watched(super._batch(operations, options));
  }

  override _clear(options: unknown): Promise<void> {
    return this.#watched(super._clear(options));
  }

  async #watched(write: Promise<void>): Promise<void> {
    try {
      await write;
      if (!this.#isTorn) return;
      // First, since others may fail meanwhile.
      this.#isTorn = false;
      await this.compactRange('', '\uffff');
    } catch (error) {
      this.#isTorn = true;
      throw error;
    }
  }
}

const AS_BYTES = { keyEncoding: 'view', valueEncoding: 'view' } as const;

async function pageStore(db: ClassicLevel<string, string>): Promise<PageStore> {
  const pages = db.sublevel<string, Uint8Array>(PAGES, { valueEncoding: 'view' });
  // Whoever asks without waiting needs it open; others would be made to wait.
  await pages.open();
  return {
    getSync: (key) => pages.getSync(key),
    write: (entries, { sync } = { sync: false }) =>
      db.batch<string, Uint8Array>(
        [...entries].map(([key, value]) =>
          value === undefined
            ? { type: 'del' as const, key, sublevel: pages }
            : { type: 'put' as const, key, value, sublevel: pages, valueEncoding: 'view' },
        ),
        { sync },
      ),
    entries: (folder) => pages.iterator({ gte: `${folder}/`, lt: after(folder) }),
    clear: (gte, lt) => pages.clear({ gte, lt }),
  };
}

async function bytesOf(values: StateLevel, key: string): Promise<Uint8Array | undefined> {
  try {
    return await values.get<string, Uint8Array>(key, { valueEncoding: 'view' });
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

function stateStore(db: ClassicLevel<string, string>): StateStore {
  const values = stateLevel(db);
  return {
    get: (key) => values.get(key),
    getBytes: (keys) => Promise.all(keys.map((key) => bytesOf(values, key))),
    write: (entries, { sync } = { sync: false }) =>
      db.batch<string, string | Uint8Array>(
        [...entries].map(([key, value]) => {
          if (value === undefined) return { type: 'del' as const, key, sublevel: values };
          const valueEncoding = typeof value === 'string' ? 'utf8' : 'view';
          return { type: 'put' as const, key, value, sublevel: values, valueEncoding };
        }),
        { sync },
      ),
    entries: (prefix) => values.iterator({ gte: prefix, lt: `${prefix}\uffff` }).all(),
  };
}

/** Opens the store. Throws DATA_IN_USE or a system error. */
export async function openLevelStore(options: LevelStoreOptions): Promise<LevelStore> {
  await options.files.makeFolder(options.folder);
  const db = await openOrRebuild(options);
  const state = stateStore(db);
  const bytesWritten = () => db.bytesWritten;
  const pages = await pageStore(db);
  const dump = () => db.iterator<Uint8Array, Uint8Array>(AS_BYTES);
  const fill = (entries: ReadonlyArray<readonly [Uint8Array, Uint8Array]>) =>
    db.batch<Uint8Array, Uint8Array>(
      entries.map(([key, value]) => ({ type: 'put' as const, key, value })),
      { ...AS_BYTES, sync: true },
    );
  const sessions = sessionLevel(db);
  return { state, pages, sessions, dump, fill, bytesWritten, close: () => db.close() };
}
