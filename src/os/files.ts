/**
 * The seam to the file system: everything that reads or writes a file does it through here, so that
 * a full disk, a failed sync, a torn write or a power cut can be tested on every commit.
 * `node-files.ts` is the real one; `test/support/fake-files.ts` is the one that breaks.
 */
export interface FileHandle {
  /** Reads into `into` from `position`; returns the bytes read, 0 at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes` at `position`, or fails. What was written may be lost until `sync`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** fdatasync: resolves when what was written will survive a power cut. */
  sync(): Promise<void>;
  sizeBytes(): Promise<number>;
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  /** `read`: must exist. `write`: opened for both, created if need be. */
  open(path: string, mode: 'read' | 'write'): Promise<FileHandle>;
  /** Names in a folder, sorted; empty if there is no such folder. */
  list(folder: string): Promise<string[]>;
  /** Creates a folder and those above it; what is new survives a power cut. */
  makeFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; no error if it is not there. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in the folder survive a power cut. */
  syncFolder(folder: string): Promise<void>;
  /** What the file system that holds the folder has free for this process. */
  freeBytes(folder: string): Promise<number>;
  /**
   * undefined: there is none, or it may not be looked at. `other`: a device, a pipe, a socket, a
   * link to a file.
   */
  kindOf(path: string): Promise<'file' | 'folder' | 'other' | undefined>;
  /** Whole small file as text, or undefined if it is not there. */
  readText(path: string): Promise<string | undefined>;
}
