import { dirname } from 'node:path';
import type { FileHandle, Files } from '../os/files.ts';
import { PAGE_BYTES, pagesFor } from './bytes.ts';
import type { SegmentInfo } from './catalog.ts';
import {
  BLOCK_INDEX,
  type BlockParts,
  bodyStart,
  encodeBlock,
  encodeSegmentHeader,
  type Moment,
  plainBody,
  type Run,
  type SegmentHeader,
} from './format.ts';
import { discard, type ReadyFile } from './ready-file.ts';
import { SparseIndex } from './sparse-index.ts';

/** A data block before the segment has given it a place. */
export type NewBlock = Omit<BlockParts, 'sequence' | 'number' | 'before'>;

export interface SegmentEnd {
  readonly page: number;
  readonly number: number;
  readonly index: SparseIndex;
  /** Runs of its last block. */
  readonly lastRuns: readonly Run[];
}

/** Pages of a segment that belong together. */
export interface PageRange {
  readonly page: number;
  readonly pages: number;
}

/** The end of a segment that another process wrote. */
export interface ResumedEnd extends SegmentEnd {
  /** undefined: there is none. */
  readonly lastBlock: PageRange | undefined;
  readonly tornBytes: number;
}

async function rewrite(handle: FileHandle, { page, pages }: PageRange): Promise<void> {
  const bytes = new Uint8Array(pages * PAGE_BYTES);
  const read = await handle.read(bytes, page * PAGE_BYTES);
  await handle.write(bytes.subarray(0, read), page * PAGE_BYTES);
}

/**
 * The segment that takes blocks. There is one per store, and only the journal holds it: what is
 * sealed is a `SegmentInfo`, which has no append.
 */
export class ActiveSegment {
  readonly info: SegmentInfo;
  readonly #files: Files;
  readonly #handle: FileHandle;
  readonly #index: SparseIndex;
  #page: number;
  #number: number;
  #lastRuns: readonly Run[];
  /** Goes out with the first block. */
  #header: Uint8Array | undefined;
  #isNamed: boolean;
  #fileBytes: number;

  private constructor(
    files: Files,
    { handle, info, isNamed }: { handle: FileHandle; info: SegmentInfo; isNamed: boolean },
    end: SegmentEnd & { readonly header?: Uint8Array },
  ) {
    this.info = info;
    this.#files = files;
    this.#handle = handle;
    this.#page = end.page;
    this.#number = end.number;
    this.#index = end.index;
    this.#lastRuns = end.lastRuns;
    this.#header = end.header;
    this.#isNamed = isNamed;
    this.#fileBytes = info.sizeBytes;
  }

  /**
   * A segment in a file that is ready for it. Nothing is written: header and first block are one
   * write and one sync, so that beginning a segment costs a commit nothing. A crash before that
   * leaves a file that has not begun.
   */
  static begin(
    files: Files,
    file: ReadyFile,
    header: Omit<SegmentHeader, 'pages' | 'sequence'>,
  ): ActiveSegment {
    const { sequence, path } = file;
    const bytes = encodeSegmentHeader({ ...header, sequence });
    const pages = bytes.length / PAGE_BYTES;
    const info = {
      sequence,
      path,
      header: { ...header, sequence, pages },
      sizeBytes: Math.max(file.sizeBytes, bytes.length),
      headerLost: false,
    };
    const index = new SparseIndex();
    const end = { page: pages, number: 0, index, lastRuns: [], header: bytes };
    return new ActiveSegment(files, { ...file, info }, end);
  }

  /**
   * Goes on with a segment after recovery. An earlier process may have left it before a sync, or
   * after one that failed; the kernel takes such pages for clean, and the next sync says that all
   * is well. So what may be in the page cache alone, the header and the last block, is written once
   * more, the same bytes to the same place, before the sync that counts; and the name is synced
   * too. Where a torn commit began, zeros are written: nobody is to find it again. A crash in
   * between leaves what is there, or less of what was never acknowledged.
   */
  static async resume(files: Files, info: SegmentInfo, end: ResumedEnd): Promise<ActiveSegment> {
    const handle = await files.open(info.path, 'write');
    try {
      if (end.tornBytes > 0) await handle.write(new Uint8Array(PAGE_BYTES), end.page * PAGE_BYTES);
      if (!info.headerLost) await rewrite(handle, { page: 0, pages: info.header.pages });
      if (end.lastBlock !== undefined) await rewrite(handle, end.lastBlock);
      await handle.sync();
      await files.syncFolder(dirname(info.path));
    } catch (error) {
      await handle.close().catch(() => {
        // The error before it is the one to report.
      });
      throw error;
    }
    return new ActiveSegment(files, { handle, info, isNamed: true }, end);
  }

  /** First page that holds nothing committed. */
  get endPage(): number {
    return this.#page;
  }

  get index(): SparseIndex {
    return this.#index;
  }

  /** Of its file. */
  get sizeBytes(): number {
    return Math.max(this.#fileBytes, this.#page * PAGE_BYTES);
  }

  pagesOf({ runs, body }: NewBlock): number {
    return pagesFor(bodyStart(runs.length + this.#lastRuns.length) + body.bytes.length);
  }

  /** Pages that its index would take. */
  get indexPages(): number {
    return pagesFor(bodyStart(this.#lastRuns.length) + this.#index.sizeBytes);
  }

  /**
   * Writes a block and makes it durable; returns the bytes written. A crash before the sync leaves
   * a torn tail or a whole block that was not acknowledged; both are in order. After an error the
   * segment must not be used again: what the kernel holds of it is unknown.
   */
  async append(block: NewBlock, nextOffsets: readonly number[]): Promise<number> {
    const before = this.#lastRuns;
    const place = { sequence: this.info.sequence, number: this.#number, before };
    const bytes = encodeBlock({ ...block, ...place }, this.info.header.salt);
    const written = await this.#write(bytes);
    const { runMs, wallMs } = block.moment;
    this.#index.note({ page: this.#page, number: this.#number, runMs, wallMs, nextOffsets });
    this.#page += bytes.length / PAGE_BYTES;
    this.#number += 1;
    this.#lastRuns = block.runs;
    return written;
  }

  /** Makes the header durable by itself. */
  flush(): Promise<number> {
    return this.#write(new Uint8Array(0));
  }

  async #write(block: Uint8Array): Promise<number> {
    const header = this.#header;
    const bytes = header === undefined ? block : Buffer.concat([header, block]);
    await this.#handle.write(bytes, header === undefined ? this.#page * PAGE_BYTES : 0);
    await this.#handle.sync();
    if (!this.#isNamed) await this.#files.syncFolder(dirname(this.info.path));
    this.#isNamed = true;
    this.#header = undefined;
    return bytes.length;
  }

  /**
   * Writes its index behind its last block; returns the bytes written. Only a sealed segment has
   * one, so nothing else is written here any more. A crash costs the index only, and that is made
   * anew by a scan.
   */
  async writeIndex(moment: Moment): Promise<number> {
    const { sequence, header } = this.info;
    const body = plainBody(this.#index.encode());
    const before = this.#lastRuns;
    const block = { kind: BLOCK_INDEX, records: 0, moment, runs: [], before, body };
    const bytes = encodeBlock({ ...block, sequence, number: this.#number }, header.salt);
    await this.#handle.write(bytes, this.#page * PAGE_BYTES);
    await this.#handle.sync();
    return bytes.length;
  }

  /**
   * Takes off what a failed commit may have left: it would take room, and be found at each start.
   * Best effort: it was never acknowledged, and the next segment's header voids it.
   */
  async dropTail(): Promise<void> {
    this.#fileBytes = this.#page * PAGE_BYTES;
    await this.#handle.truncate(this.#fileBytes).catch(() => {});
  }

  /** The segment once it is sealed: what readers and retention know it by. */
  sealedInfo(): SegmentInfo {
    return { ...this.info, sizeBytes: this.sizeBytes };
  }

  /** Lets go of the file. Everything in it is durable or was never acknowledged. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => {
      // Nothing is buffered here, so nothing can be lost by a failing close.
    });
  }

  /** Of a segment whose first block failed: nothing in it counts. */
  discard(): Promise<void> {
    return discard(this.#files, { path: this.info.path, handle: this.#handle });
  }
}
