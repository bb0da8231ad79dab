/** The real files, with a count of what is written to them and what for. */
import type { FileHandle, Files } from '../../src/os/files.ts';
import { nodeFiles } from '../../src/os/node-files.ts';

export interface WrittenBytes {
  /** Zero-filling of files that are made ready. */
  zeros: number;
  /** Segments that are packed. */
  packed: number;
  /** Headers, blocks and indexes. */
  blocks: number;
}

const ZEROS = Buffer.alloc(256 * 1024);

function kindOf(path: string, bytes: Uint8Array): keyof WrittenBytes {
  if (path.endsWith('.packed.tmp')) return 'packed';
  return ZEROS.subarray(0, bytes.length).equals(bytes) ? 'zeros' : 'blocks';
}

export class CountedFiles implements Files {
  readonly written: WrittenBytes = { zeros: 0, packed: 0, blocks: 0 };
  readonly list = nodeFiles.list;
  readonly makeFolder = nodeFiles.makeFolder;
  readonly rename = nodeFiles.rename;
  readonly remove = nodeFiles.remove;
  readonly syncFolder = nodeFiles.syncFolder;
  readonly readText = nodeFiles.readText;

  async open(path: string, mode: 'read' | 'write'): Promise<FileHandle> {
    const handle = await nodeFiles.open(path, mode);
    return {
      read: (into, position) => handle.read(into, position),
      write: (bytes, position) => {
        this.written[kindOf(path, bytes)] += bytes.length;
        return handle.write(bytes, position);
      },
      sync: () => handle.sync(),
      sizeBytes: () => handle.sizeBytes(),
      truncate: (sizeBytes) => handle.truncate(sizeBytes),
      close: () => handle.close(),
    };
  }
}
