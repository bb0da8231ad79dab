import { setImmediate as soon } from 'node:timers/promises';
import type { FileHandle, Files } from './files.ts';

/**
 * Turns for work that has time: one turn of the event loop has one of them at most, however many
 * wait, so what must be prompt (acknowledgements) comes between any two.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  next(): Promise<void> {
    this.#last = this.#last.then(() => soon());
    return this.#last;
  }
}

/** Files for readers that have time: what follows a read is done in a turn of its own. */
export function pacedFiles(files: Files, turns: Turns): Files {
  const paced = (handle: FileHandle): FileHandle => ({
    read: async (into, position) => {
      const bytes = await handle.read(into, position);
      await turns.next();
      return bytes;
    },
    write: (bytes, position) => handle.write(bytes, position),
    sync: () => handle.sync(),
    sizeBytes: () => handle.sizeBytes(),
    truncate: (size) => handle.truncate(size),
    close: () => handle.close(),
  });
  return {
    open: async (path, mode) => paced(await files.open(path, mode)),
    list: (folder) => files.list(folder),
    makeFolder: (folder) => files.makeFolder(folder),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    syncFolder: (folder) => files.syncFolder(folder),
    readText: (path) => files.readText(path),
    kindOf: (path) => files.kindOf(path),
    freeBytes: (folder) => files.freeBytes(folder),
  };
}
