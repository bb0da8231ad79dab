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

export interface CountedFiles extends Files {
  readonly written: WrittenBytes;
}

export function countedFiles(): CountedFiles {
  const written: WrittenBytes = { zeros: 0, packed: 0, blocks: 0 };
  return {
    ...nodeFiles,
    written,
    async open(path, mode): Promise<FileHandle> {
      const handle = await nodeFiles.open(path, mode);
      return {
        read: (into, position) => handle.read(into, position),
        write: (bytes, position) => {
          written[kindOf(path, bytes)] += bytes.length;
          return handle.write(bytes, position);
        },
        sync: () => handle.sync(),
        sizeBytes: () => handle.sizeBytes(),
        truncate: (sizeBytes) => handle.truncate(sizeBytes),
        close: () => handle.close(),
      };
    },
  };
}
