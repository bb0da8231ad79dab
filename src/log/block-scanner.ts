import { HeadgateError } from '../base/errors.ts';
import type { FileHandle } from '../os/files.ts';
import { PAGE_BYTES, pagesFor } from './bytes.ts';
import {
  type BlockHeader,
  blockBody,
  blockHeadBytes,
  blockPages,
  bodyStart,
  decodeBlockHeader,
  unknownIn,
} from './format.ts';

/** What stands at a page where a block should start: docs/log-format.md, *Reading and recovery*. */
export type Scanned =
  | {
      readonly kind: 'good';
      readonly page: number;
      readonly pages: number;
      readonly header: BlockHeader;
      readonly body: Uint8Array;
    }
  /** Bad pages with a good block of this segment after them. */
  | { readonly kind: 'corrupt'; readonly page: number; readonly pages: number }
  | { readonly kind: 'end'; readonly page: number }
  /** A commit that was cut off; nothing good follows. */
  | { readonly kind: 'torn'; readonly page: number; readonly bytes: number };

export interface ScanOptions {
  readonly handle: FileHandle;
  readonly salt: Uint8Array;
  readonly sequence: number;
  /** Where to start, and the number of the block there; without it any number will do. */
  readonly page: number;
  readonly number?: number;
}

const WINDOW_PAGES = 64;

/**
 * Goes through the blocks of one segment. Recovery, readers, consumers and `verify` all see the log
 * through this, so they agree on what is there.
 */
export class BlockScanner {
  readonly #handle: FileHandle;
  readonly #salt: Uint8Array;
  readonly #sequence: number;
  #page: number;
  #number: number | undefined;
  #window: Uint8Array = new Uint8Array(0);
  #windowPage = 0;

  constructor(options: ScanOptions) {
    this.#handle = options.handle;
    this.#salt = options.salt;
    this.#sequence = options.sequence;
    this.#page = options.page;
    this.#number = options.number;
  }

  /** The page and block number that `next` looks at. */
  get position(): { readonly page: number; readonly number: number } {
    return { page: this.#page, number: this.#number ?? 0 };
  }

  /**
   * The next thing in the segment. `endPage` is the first page that is not committed yet; without
   * it the file is read to its end. After `end` or `torn` it can be called again, when there may be
   * more. Throws LOG_FORMAT for a whole block that another version wrote.
   */
  async next(endPage?: number): Promise<Scanned> {
    const page = this.#page;
    if (endPage !== undefined && page >= endPage) return { kind: 'end', page };
    const good = await this.#blockAt(page, this.#number, endPage);
    if (good !== undefined) {
      this.#page = page + good.pages;
      this.#number = good.header.number + 1;
      return good;
    }
    const follows = await this.#findGood(page + 1, endPage);
    if (follows !== undefined) {
      this.#page = follows.page;
      this.#number = follows.header.number;
      return { kind: 'corrupt', page, pages: follows.page - page };
    }
    const rest = await this.#bytesAt(page, 1, endPage);
    const untouched = rest.every((byte) => byte === 0) || this.#isOfAnotherLife(rest);
    // A live writer may be about to fill these pages: never answer from them twice.
    this.#window = new Uint8Array(0);
    if (untouched) return { kind: 'end', page };
    const bytes = Math.max(0, (await this.#handle.sizeBytes()) - page * PAGE_BYTES);
    return { kind: 'torn', page, bytes };
  }

  /** A whole block that an earlier use of the file left: not ours, and not damage either. */
  #isOfAnotherLife(bytes: Uint8Array): boolean {
    const header = decodeBlockHeader(bytes, this.#salt);
    return header !== undefined && header.sequence !== this.#sequence;
  }

  async #findGood(from: number, endPage?: number) {
    for (let page = from; ; page++) {
      if (endPage !== undefined && page >= endPage) return undefined;
      const bytes = await this.#bytesAt(page, 1, endPage);
      if (bytes.length === 0) return undefined;
      const good = await this.#blockAt(page, undefined, endPage);
      if (good !== undefined && good.header.number > (this.#number ?? -1)) return good;
    }
  }

  /** The good block at a page; `number` undefined accepts any number. */
  async #blockAt(page: number, number: number | undefined, endPage?: number) {
    let bytes = await this.#bytesAt(page, 1, endPage);
    const head = blockHeadBytes(bytes);
    if (head === undefined) return undefined;
    if (head > bytes.length) bytes = await this.#bytesAt(page, pagesFor(head), endPage);
    const header = decodeBlockHeader(bytes, this.#salt);
    if (header === undefined || header.sequence !== this.#sequence) return undefined;
    if (number !== undefined && header.number !== number) return undefined;
    const pages = blockPages(header);
    if (bodyStart(header.runs.length) + header.storedBytes > bytes.length) {
      bytes = await this.#bytesAt(page, pages, endPage);
    }
    const body = blockBody(bytes, header, this.#salt);
    const unknown = body === undefined ? undefined : unknownIn(header);
    if (unknown !== undefined) throw new HeadgateError('LOG_FORMAT', unknown);
    return body === undefined ? undefined : { kind: 'good' as const, page, pages, header, body };
  }

  /**
   * At least `pages` pages from `page` on, fewer only where the file (or what is committed) ends.
   * Views into the window, which is replaced and never overwritten, so records may keep them.
   */
  async #bytesAt(page: number, pages: number, endPage?: number): Promise<Uint8Array> {
    const skip = (page - this.#windowPage) * PAGE_BYTES;
    if (skip < 0 || skip + pages * PAGE_BYTES > this.#window.length) {
      const end = endPage === undefined ? await this.#handle.sizeBytes() : endPage * PAGE_BYTES;
      const rest = Math.max(0, end - page * PAGE_BYTES);
      const wanted = Math.max(pages, WINDOW_PAGES) * PAGE_BYTES;
      const buffer = Buffer.allocUnsafeSlow(Math.min(wanted, rest));
      const read = await this.#handle.read(buffer, page * PAGE_BYTES);
      this.#window = buffer.subarray(0, read);
      this.#windowPage = page;
      return this.#window;
    }
    return this.#window.subarray(skip);
  }
}
