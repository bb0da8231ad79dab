import type { FileHandle, Files } from '../../src/os/files.ts';

/**
 * A file system in memory that breaks on demand: full disks, failed writes and syncs, power cuts
 * that lose or tear what was not synced. What is durable and what is only written are kept apart.
 */

const SECTOR_BYTES = 512;

/** Bytes that grow without being copied each time. */
class Bytes {
  #all = new Uint8Array(0);
  length = 0;

  view(): Uint8Array {
    return this.#all.subarray(0, this.length);
  }

  resize(length: number): void {
    if (length > this.#all.length) {
      const larger = new Uint8Array(Math.max(length, this.#all.length * 2));
      larger.set(this.view());
      this.#all = larger;
    }
    this.#all.fill(0, Math.min(this.length, length), Math.max(this.length, length));
    this.length = length;
  }

  set(bytes: Uint8Array, position: number): void {
    if (position + bytes.length > this.length) this.resize(position + bytes.length);
    this.#all.set(bytes, position);
  }
}

class FakeFile {
  /** What a power cut leaves. */
  readonly durable = new Bytes();
  /** What readers see: the page cache. */
  readonly current = new Bytes();
  /** Sectors written since the last sync. */
  readonly #dirty = new Set<number>();

  write(bytes: Uint8Array, position: number): void {
    this.current.set(bytes, position);
    const last = Math.floor((position + bytes.length - 1) / SECTOR_BYTES);
    for (let n = Math.floor(position / SECTOR_BYTES); n <= last; n++) this.#dirty.add(n);
  }

  #sector(n: number): Uint8Array {
    return this.current.view().subarray(n * SECTOR_BYTES, (n + 1) * SECTOR_BYTES);
  }

  sync(): void {
    this.durable.resize(this.current.length);
    for (const n of this.#dirty) this.durable.set(this.#sector(n), n * SECTOR_BYTES);
    this.#dirty.clear();
  }

  /**
   * As Linux does: what could not be written counts as clean from here on. Readers go on seeing it,
   * the next sync says that all is well, and it never reaches the flash.
   */
  failSync(): void {
    this.#dirty.clear();
  }

  powerCut(keeps: (sector: number) => boolean): void {
    for (const n of this.#dirty) {
      const bytes = this.#sector(n);
      if (bytes.length > 0 && keeps(n)) this.durable.set(bytes, n * SECTOR_BYTES);
    }
    this.#dirty.clear();
    this.current.resize(0);
    this.current.set(this.durable.view(), 0);
  }
}

export type Operation =
  | 'read'
  | 'write'
  | 'sync'
  | 'open'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'freeBytes'
  | 'truncate';

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** The files as one process sees them, until it is killed. */
export interface Life {
  readonly files: Files;
  /** Whatever it still tries fails. What it has written stays in the page cache. */
  kill(): void;
}

/** The code of a fault after which nothing more happens to the files until `powerCut`. */
export const NO_POWER = 'no power';

interface NameChange {
  readonly path: string;
  apply(names: Map<string, FakeFile>): void;
}

export class FakeFiles implements Files {
  #files = new Map<string, FakeFile>();
  /** The names that a power cut leaves. */
  #durableNames = new Map<string, FakeFile>();
  /** Creations, renames and removals since the folder was last synced, in their order. */
  #nameChanges: NameChange[] = [];
  readonly #folders = new Set<string>();
  /** Asked before every operation; a returned code makes it fail. */
  fault: (operation: Operation, path: string) => string | undefined = () => undefined;
  /** Bytes that all files together may hold. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** A write that finds too little room fills what there is. */
  partialWrites = false;
  /** True for a read that the card refuses: a part of it can't be read any more. */
  unreadable: (path: string, position: number, length: number) => boolean = () => false;
  bytesRead = 0;
  /** Operations done so far, for sweeps. */
  operations = 0;

  /** The power goes at the next such operation: nothing is done from there on. */
  stopAt(wanted: Operation): void {
    let isOff = false;
    this.fault = (operation) => {
      isOff ||= operation === wanted;
      return isOff ? NO_POWER : undefined;
    };
  }

  #check(operation: Operation, path: string): void {
    this.operations += 1;
    const code = this.fault(operation, path);
    if (code !== undefined) throw systemError(code);
  }

  #usedBytes(): number {
    let sum = 0;
    for (const file of this.#files.values()) sum += file.current.length;
    return sum;
  }

  async open(path: string, mode: 'read' | 'write'): Promise<FileHandle> {
    this.#check('open', path);
    let file = this.#files.get(path);
    if (file === undefined) {
      if (mode === 'read') throw systemError('ENOENT');
      const made = new FakeFile();
      this.#change(path, (names) => names.set(path, made));
      file = made;
    }
    return this.#handle(path, file);
  }

  #handle(path: string, file: FakeFile): FileHandle {
    return {
      read: async (into, position) => {
        this.#check('read', path);
        if (this.unreadable(path, position, into.length)) throw systemError('EIO');
        const part = file.current.view().subarray(position, position + into.length);
        into.set(part);
        this.bytesRead += part.length;
        return part.length;
      },
      write: async (bytes, position) => {
        this.#check('write', path);
        const grows = Math.max(0, position + bytes.length - file.current.length);
        const room = this.capacityBytes - this.#usedBytes();
        if (grows > room) {
          if (this.partialWrites)
            file.write(bytes.subarray(0, bytes.length - grows + room), position);
          throw systemError('ENOSPC');
        }
        file.write(bytes, position);
      },
      sync: async () => {
        try {
          this.#check('sync', path);
        } catch (error) {
          if ((error as { code?: unknown }).code !== NO_POWER) file.failSync();
          throw error;
        }
        file.sync();
      },
      sizeBytes: async () => file.current.length,
      truncate: async (size) => {
        this.#check('truncate', path);
        file.current.resize(size);
      },
      close: async () => {},
    };
  }

  async list(folder: string): Promise<string[]> {
    const prefix = `${folder}/`;
    const names = [...this.#files.keys()].filter((path) => path.startsWith(prefix));
    return names.map((path) => path.slice(prefix.length)).sort();
  }

  async makeFolder(folder: string): Promise<void> {
    this.#folders.add(folder);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('rename', from);
    const file = this.#files.get(from);
    if (file === undefined) throw systemError('ENOENT');
    this.#change(to, (names) => {
      names.delete(from);
      names.set(to, file);
    });
  }

  async remove(path: string): Promise<void> {
    this.#check('remove', path);
    if (this.#files.has(path)) this.#change(path, (names) => names.delete(path));
  }

  #change(path: string, apply: (names: Map<string, FakeFile>) => unknown): void {
    apply(this.#files);
    this.#nameChanges.push({ path, apply });
  }

  async syncFolder(folder: string): Promise<void> {
    this.#check('syncFolder', folder);
    const isIn = ([path]: [string, FakeFile]) => path.startsWith(`${folder}/`);
    const others = [...this.#durableNames].filter((entry) => !isIn(entry));
    this.#durableNames = new Map([...others, ...[...this.#files].filter(isIn)]);
    this.#nameChanges = this.#nameChanges.filter(({ path }) => !path.startsWith(`${folder}/`));
  }

  async kindOf(path: string): Promise<'file' | 'folder' | undefined> {
    if (this.#files.has(path)) return 'file';
    const isFolder = [...this.#files.keys()].some((one) => one.startsWith(`${path}/`));
    return isFolder ? 'folder' : undefined;
  }

  async freeBytes(folder: string): Promise<number> {
    this.#check('freeBytes', folder);
    return this.capacityBytes - this.#usedBytes();
  }

  async readText(path: string): Promise<string | undefined> {
    const file = this.#files.get(path);
    return file === undefined ? undefined : Buffer.from(file.current.view()).toString();
  }

  /** A process that can be killed. */
  live(): Life {
    let dead = false;
    const alive = <T>(work: () => Promise<T>): Promise<T> =>
      dead ? Promise.reject(systemError(NO_POWER)) : work();
    const files: Files = {
      open: (path, mode) =>
        alive(async () => {
          const handle = await this.open(path, mode);
          return {
            read: (into, position) => alive(() => handle.read(into, position)),
            write: (bytes, position) => alive(() => handle.write(bytes, position)),
            sync: () => alive(() => handle.sync()),
            sizeBytes: () => alive(() => handle.sizeBytes()),
            truncate: (size) => alive(() => handle.truncate(size)),
            close: () => handle.close(),
          };
        }),
      list: (folder) => alive(() => this.list(folder)),
      makeFolder: (folder) => alive(() => this.makeFolder(folder)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      remove: (path) => alive(() => this.remove(path)),
      syncFolder: (folder) => alive(() => this.syncFolder(folder)),
      kindOf: (path) => alive(() => this.kindOf(path)),
      freeBytes: (folder) => alive(() => this.freeBytes(folder)),
      readText: (path) => alive(() => this.readText(path)),
    };
    return {
      files,
      kill: () => {
        dead = true;
      },
    };
  }

  /** The bytes of a file as readers see them; change them to damage it. */
  bytes(path: string): Uint8Array {
    const file = this.#files.get(path);
    if (file === undefined) throw systemError('ENOENT');
    return file.current.view();
  }

  /** Removed by another process. */
  vanish(path: string): void {
    this.#files.delete(path);
  }

  /** Changes of names that a power cut may undo. */
  get pendingNames(): number {
    return this.#nameChanges.length;
  }

  paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /**
   * A power cut: of each 512-byte sector written since the last sync, `keeps` says whether it
   * reached the flash; without it, nothing that was not synced is left. `keepsNames` says which of
   * the names that were not synced (creations, renames, removals) are as they were changed: none,
   * all, or any of them, in no order that anybody may rely on.
   */
  powerCut(
    keeps: (path: string, sector: number) => boolean = () => false,
    { keepsNames = false }: { keepsNames?: boolean | (() => boolean) } = {},
  ): void {
    const isKept = typeof keepsNames === 'function' ? keepsNames : () => keepsNames;
    for (const { apply } of this.#nameChanges) if (isKept()) apply(this.#durableNames);
    this.#nameChanges = [];
    this.#files = new Map(this.#durableNames);
    for (const [path, file] of this.#files) file.powerCut((sector) => keeps(path, sector));
  }
}
