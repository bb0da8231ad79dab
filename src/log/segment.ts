import { dirname } from 'node:path';
import type { FileHandle, Files } from '../os/files.ts';
import { PAGE_BYTES } from './bytes.ts';
import { type SegmentInfo, segmentPath } from './catalog.ts';
import {
  BLOCK_INDEX,
  type BlockParts,
  encodeBlock,
  encodeSegmentHeader,
  type Moment,
  type SegmentHeader,
} from './format.ts';
import { SparseIndex } from './sparse-index.ts';

/** A data block before the segment has given it a place. */
export type NewBlock = Omit<BlockParts, 'sequence' | 'number'>;

export interface SegmentEnd {
  readonly page: number;
  readonly number: number;
  readonly index: SparseIndex;
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
  readonly #handle: FileHandle;
  readonly #index: SparseIndex;
  #page: number;
  #number: number;

  private constructor(info: SegmentInfo, handle: FileHandle, end: SegmentEnd) {
    this.info = info;
    this.#handle = handle;
    this.#page = end.page;
    this.#number = end.number;
    this.#index = end.index;
  }

  /**
   * Starts a segment: its header is durable, and so is its name, before any block can be written. A
   * crash before that leaves a file without a whole header, which the next start takes for unborn.
   */
  static async create(
    files: Files,
    folder: string,
    header: Omit<SegmentHeader, 'pages'>,
  ): Promise<ActiveSegment> {
    const path = segmentPath(folder, header.sequence);
    const bytes = encodeSegmentHeader(header);
    const pages = bytes.length / PAGE_BYTES;
    const handle = await files.open(path, 'write');
    try {
      await handle.write(bytes, 0);
      await handle.sync();
      await files.syncFolder(folder);
    } catch (error) {
      await handle.close().catch(() => {
        // The write's error is the one to report; the file is abandoned either way.
      });
      throw error;
    }
    const info = {
      sequence: header.sequence,
      path,
      header: { ...header, pages },
      sizeBytes: bytes.length,
      headerLost: false,
    };
    return new ActiveSegment(info, handle, { page: pages, number: 0, index: new SparseIndex() });
  }

  /**
   * Goes on with a segment after recovery. An earlier process may have left it before a sync, or
   * after one that failed; the kernel takes such pages for clean, and the next sync says that all
   * is well. So what may be in the page cache alone, the header and the last block, is written once
   * more, the same bytes to the same place, before the sync that counts; and the name is synced
   * too. A crash in between leaves what is there, since no byte changes; a cut-off commit is
   * dropped.
   */
  static async resume(files: Files, info: SegmentInfo, end: ResumedEnd): Promise<ActiveSegment> {
    const handle = await files.open(info.path, 'write');
    try {
      if (end.tornBytes > 0) await handle.truncate(end.page * PAGE_BYTES);
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
    return new ActiveSegment(info, handle, end);
  }

  /** First page that holds nothing committed. */
  get endPage(): number {
    return this.#page;
  }

  get index(): SparseIndex {
    return this.#index;
  }

  get sizeBytes(): number {
    return this.#page * PAGE_BYTES;
  }

  /**
   * Writes a block and makes it durable; returns the bytes written. A crash before the sync leaves
   * a torn tail or a whole block that was not acknowledged; both are in order. After an error the
   * segment must not be used again: what the kernel holds of it is unknown.
   */
  async append(block: NewBlock, nextOffsets: readonly number[]): Promise<number> {
    const place = { sequence: this.info.sequence, number: this.#number };
    const bytes = encodeBlock({ ...block, ...place }, this.info.header.salt);
    await this.#handle.write(bytes, this.#page * PAGE_BYTES);
    await this.#handle.sync();
    this.#index.note({
      page: this.#page,
      number: this.#number,
      runMs: block.moment.runMs,
      wallMs: block.moment.wallMs,
      nextOffsets,
    });
    this.#page += bytes.length / PAGE_BYTES;
    this.#number += 1;
    return bytes.length;
  }

  /**
   * Ends the segment with its index; returns the index's page, 0 if it could not be written. A
   * crash anywhere in here costs the index only, and that is made anew by a scan.
   */
  async seal(moment: Moment): Promise<{ indexPage: number; bytes: number }> {
    const indexPage = this.#page;
    const bytes = encodeBlock(
      {
        kind: BLOCK_INDEX,
        sequence: this.info.sequence,
        number: this.#number,
        records: 0,
        moment,
        runs: [],
        body: this.#index.encode(),
      },
      this.info.header.salt,
    );
    try {
      await this.#handle.write(bytes, indexPage * PAGE_BYTES);
      await this.#handle.sync();
      this.#page += bytes.length / PAGE_BYTES;
      return { indexPage, bytes: bytes.length };
    } catch {
      // No reading is at stake: without an index the segment is scanned when it is read.
      return { indexPage: 0, bytes: 0 };
    } finally {
      await this.close();
    }
  }

  /**
   * Takes off what a failed commit may have left: it would take room, and be found at each start.
   * Best effort: it was never acknowledged, and the next segment's header voids it.
   */
  async dropTail(): Promise<void> {
    await this.#handle.truncate(this.sizeBytes).catch(() => {});
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
}
