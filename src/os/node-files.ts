import {
  lstat,
  mkdir,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';

import { dirname, resolve } from 'node:path';
import type { FileHandle, Files } from './files.ts';

type NodeHandle = Awaited<ReturnType<typeof openFile>>;

/** One open file. Short reads and writes are completed here, so callers see all or an error. */
class NodeFile implements FileHandle {
  readonly #handle: NodeHandle;

  constructor(handle: NodeHandle) {
    this.#handle = handle;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const rest = into.length - done;
      const { bytesRead } = await this.#handle.read(into, done, rest, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const rest = bytes.length - done;
      const { bytesWritten } = await this.#handle.write(bytes, done, rest, position + done);
      done += bytesWritten;
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#handle.truncate(sizeBytes);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

async function openForWriting(path: string): Promise<NodeHandle> {
  try {
    return await openFile(path, 'r+');
  } catch (error) {
    if (!isMissing(error)) throw error;
    return openFile(path, 'wx+', 0o640);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await openFile(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** False: it was there. */
async function makeOne(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o750 });
    return true;
  } catch (error) {
    if (!isMissing(error) && (await kindOf(folder)) === 'folder') return false;
    throw error;
  }
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'other' | undefined> {
  try {
    const [own, meant] = [await lstat(path), await stat(path)];
    if (meant.isDirectory()) return 'folder';
    return own.isFile() ? 'file' : 'other';
  } catch {
    return undefined;
  }
}

/**
 * One by one: Node's recursive mkdir never ends where a folder is there and none can be made in it
 * (`/proc/x`: ENOENT, for good).
 */
async function makeFolder(folder: string): Promise<void> {
  const above = dirname(folder);
  try {
    if (!(await makeOne(folder))) return;
  } catch (error) {
    if (!isMissing(error) || above === folder) throw error;
    await makeFolder(above);
    if (!(await makeOne(folder))) return;
  }
  // A file in a folder whose own name is not durable is not durable either.
  await syncFolder(above);
}

/** The real file system. */
export const nodeFiles: Files = {
  async open(path, mode) {
    return new NodeFile(mode === 'read' ? await openFile(path, 'r') : await openForWriting(path));
  },
  async list(folder) {
    try {
      return (await readdir(folder)).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  },
  makeFolder: (folder) => makeFolder(resolve(folder)),
  rename,
  remove: (path) => rm(path, { force: true }),
  syncFolder,
  async freeBytes(folder) {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
  kindOf,
  async readText(path) {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },
};
