import type { FileHandle, Files } from '../../src/os/files.ts';

/**
 * A file system in memory that breaks on demand: full disks, failed writes and syncs, power cuts
 * that lose or tear what was not synced. What is durable and what is only written are kept apart.
 */

class FakeFile {
  /** What a power cut leaves. */
  durable: Uint8Array = new Uint8Array(0);
  /** What readers see: the page cache. */
  current: Uint8Array = new Uint8Array(0);

  write(bytes: Uint8Array, position: number): void {
    const size = Math.max(this.current.length, position + bytes.length);
    const grown = new Uint8Array(size);
    grown.set(this.current);
    grown.set(bytes, position);
    this.current = grown;
  }
}

export type Operation = 'write' | 'sync' | 'open' | 'rename' | 'remove' | 'syncFolder' | 'truncate';

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

export class FakeFiles implements Files {
  #files = new Map<string, FakeFile>();
  /** The names that a power cut leaves. */
  #durableNames = new Map<string, FakeFile>();
  readonly #folders = new Set<string>();
  /** Asked before every operation; a returned code makes it fail. */
  fault: (operation: Operation, path: string) => string | undefined = () => undefined;
  /** Bytes that all files together may hold. */
  capacityBytes = Number.POSITIVE_INFINITY;
  bytesRead = 0;
  /** Operations done so far, for sweeps. */
  operations = 0;

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
      file = new FakeFile();
      this.#files.set(path, file);
    }
    return this.#handle(path, file);
  }

  #handle(path: string, file: FakeFile): FileHandle {
    return {
      read: async (into, position) => {
        const part = file.current.subarray(position, position + into.length);
        into.set(part);
        this.bytesRead += part.length;
        return part.length;
      },
      write: async (bytes, position) => {
        this.#check('write', path);
        const grows = Math.max(0, position + bytes.length - file.current.length);
        if (this.#usedBytes() + grows > this.capacityBytes) throw systemError('ENOSPC');
        file.write(bytes, position);
      },
      sync: async () => {
        this.#check('sync', path);
        file.durable = file.current.slice();
      },
      sizeBytes: async () => file.current.length,
      truncate: async (size) => {
        this.#check('truncate', path);
        file.current = file.current.slice(0, size);
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
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  async remove(path: string): Promise<void> {
    this.#check('remove', path);
    this.#files.delete(path);
  }

  async syncFolder(folder: string): Promise<void> {
    this.#check('syncFolder', folder);
    const isIn = ([path]: [string, FakeFile]) => path.startsWith(`${folder}/`);
    const others = [...this.#durableNames].filter((entry) => !isIn(entry));
    this.#durableNames = new Map([...others, ...[...this.#files].filter(isIn)]);
  }

  async readText(path: string): Promise<string | undefined> {
    const file = this.#files.get(path);
    return file === undefined ? undefined : Buffer.from(file.current).toString();
  }

  async freeBytes(): Promise<number> {
    return this.capacityBytes - this.#usedBytes();
  }

  /** The bytes of a file as readers see them; change them to damage it. */
  bytes(path: string): Uint8Array {
    const file = this.#files.get(path);
    if (file === undefined) throw systemError('ENOENT');
    return file.current;
  }

  paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /**
   * A power cut: of each 512-byte sector written since the last sync, `keeps` says whether it
   * reached the flash; without it, nothing that was not synced is left. Names that were not synced
   * (creations, renames, removals) are undone, unless `keepsNames`.
   */
  powerCut(
    keeps: (path: string, sector: number) => boolean = () => false,
    { keepsNames = false } = {},
  ): void {
    if (!keepsNames) this.#files = new Map(this.#durableNames);
    this.#durableNames = new Map(this.#files);
    for (const [path, file] of this.#files) {
      const after = new Uint8Array(file.current.length);
      after.set(file.durable.subarray(0, after.length));
      let end = Math.min(file.durable.length, after.length);
      for (let at = 0; at < file.current.length; at += 512) {
        const part = file.current.subarray(at, at + 512);
        const had = file.durable.subarray(at, at + 512);
        if (Buffer.compare(part, had) === 0 || !keeps(path, at / 512)) continue;
        after.set(part, at);
        end = Math.max(end, at + part.length);
      }
      file.current = after.slice(0, end);
      file.durable = file.current.slice();
    }
  }
}
