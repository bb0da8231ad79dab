import type { FileHandle, Files } from '../../src/os/files.ts';
import { nodeFiles } from '../../src/os/node-files.ts';

export type Operation =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'list'
  | 'makeFolder'
  | 'rename'
  | 'remove'
  | 'freeBytes'
  | 'syncFolder';

/** What a flash card does on a bad day. */
export interface Fault {
  readonly operations: readonly Operation[];
  /** A part of the path. Default: everywhere. */
  readonly path?: string;
  /** The system error: EIO, EROFS. */
  readonly code: string;
  /** How often. Default: until `mend`. */
  times?: number;
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

interface Hold {
  readonly operation: Operation;
  readonly path: string;
  readonly released: Promise<void>;
  readonly release: () => void;
}

/** The real file system, but some operations fail, wait, or find no room. */
export class FaultyFiles implements Files {
  /** Bytes by which files may still grow. */
  roomBytes = Number.POSITIVE_INFINITY;
  readonly #real: Files;
  #faults: Fault[] = [];
  readonly #holds = new Set<Hold>();
  #armed: { after: Operation; fault: Fault } | undefined;
  #held = 0;
  readonly #open = new Set<FileHandle>();

  constructor(real: Files = nodeFiles) {
    this.#real = real;
  }

  break(fault: Fault): void {
    this.#faults.push({ ...fault });
  }

  /** The fault begins with the next operation of the kind `after`. */
  breakAfter(after: Operation, fault: Fault): void {
    this.#armed = { after, fault };
  }

  /** Handles that were not closed. */
  get openFiles(): number {
    return this.#open.size;
  }

  /** No fault is left, nothing waits, there is room. */
  mend(): void {
    this.#faults = [];
    this.roomBytes = Number.POSITIVE_INFINITY;
    for (const { release } of this.#holds) release();
    this.#holds.clear();
  }

  /** Operations that are waiting just now. */
  get held(): number {
    return this.#held;
  }

  /** Lets such operations wait from now on; returns what lets them go. */
  hold(operation: Operation, path = ''): () => void {
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hold = { operation, path, released, release };
    this.#holds.add(hold);
    return () => {
      this.#holds.delete(hold);
      release();
    };
  }

  async #meet(operation: Operation, path: string): Promise<void> {
    for (const hold of this.#holds) {
      if (hold.operation !== operation || !path.includes(hold.path)) continue;
      this.#held += 1;
      await hold.released;
      this.#held -= 1;
    }
    const fault = this.#faults.find(
      ({ operations, path: part = '', times = 1 }) =>
        times > 0 && operations.includes(operation) && path.includes(part),
    );
    if (this.#armed?.after === operation) {
      this.break(this.#armed.fault);
      this.#armed = undefined;
    }
    if (fault === undefined) return;
    if (fault.times !== undefined) fault.times -= 1;
    throw systemError(fault.code);
  }

  async open(path: string, mode: 'read' | 'write'): Promise<FileHandle> {
    // Opening to read is possible on a card that takes no writes.
    if (mode === 'write') await this.#meet('open', path);
    const handle = await this.#real.open(path, mode);
    this.#open.add(handle);
    return this.#wrap(path, handle);
  }

  #wrap(path: string, handle: FileHandle): FileHandle {
    return {
      read: async (into, position) => {
        await this.#meet('read', path);
        return handle.read(into, position);
      },
      write: async (bytes, position) => {
        await this.#meet('write', path);
        await this.#writeWhatFits(handle, bytes, position);
      },
      sync: async () => {
        await this.#meet('sync', path);
        await handle.sync();
      },
      sizeBytes: () => handle.sizeBytes(),
      truncate: async (sizeBytes) => {
        await this.#meet('truncate', path);
        const before = await handle.sizeBytes();
        await handle.truncate(sizeBytes);
        this.roomBytes += before - sizeBytes;
      },
      close: async () => {
        await handle.close();
        this.#open.delete(handle);
      },
    };
  }

  /** A full disk takes the beginning and then says no, as the real one does. */
  async #writeWhatFits(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
    const size = await handle.sizeBytes();
    const grows = Math.max(0, position + bytes.length - size);
    if (grows <= this.roomBytes) {
      this.roomBytes -= grows;
      await handle.write(bytes, position);
      return;
    }
    const fits = Math.max(0, bytes.length - (grows - this.roomBytes));
    this.roomBytes = 0;
    if (fits > 0) await handle.write(bytes.subarray(0, fits), position);
    throw systemError('ENOSPC');
  }

  async #sizeOf(path: string): Promise<number> {
    try {
      const handle = await this.#real.open(path, 'read');
      return await handle.sizeBytes().finally(() => handle.close());
    } catch {
      return 0;
    }
  }

  async list(folder: string): Promise<string[]> {
    await this.#meet('list', folder);
    return this.#real.list(folder);
  }

  async makeFolder(folder: string): Promise<void> {
    await this.#meet('makeFolder', folder);
    await this.#real.makeFolder(folder);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#meet('rename', from);
    await this.#real.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    await this.#meet('remove', path);
    this.roomBytes += await this.#sizeOf(path);
    await this.#real.remove(path);
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#meet('syncFolder', folder);
    await this.#real.syncFolder(folder);
  }

  kindOf(path: string): ReturnType<Files['kindOf']> {
    return this.#real.kindOf(path);
  }

  async freeBytes(folder: string): Promise<number> {
    await this.#meet('freeBytes', folder);
    return Math.min(this.roomBytes, await this.#real.freeBytes(folder));
  }

  readText(path: string): Promise<string | undefined> {
    return this.#real.readText(path);
  }
}
