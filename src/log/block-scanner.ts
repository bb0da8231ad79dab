import { codeOf, HeadgateError } from '../base/errors.ts';
import type { FileHandle } from '../os/files.ts';
import { PAGE_BYTES, pagesFor } from './bytes.ts';
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  blockBody,
  blockHeadBytes,
  blockPages,
  decodeBlockHeader,
  holdsRecords,
  type Run,
  sequenceNamed,
  unknownIn,
} from './format.ts';
import { casesOf, type PageFacts } from './page-case.ts';

export interface Good {
  readonly kind: 'good';
  readonly page: number;
  readonly pages: number;
  readonly header: BlockHeader;
  /** As it is stored. */
  readonly body: Uint8Array;
}

/** A place further on where a block of the segment begins. */
interface Later {
  readonly page: number;
  readonly header: BlockHeader;
}

/** What stands at a page where a block should start: docs/log-format.md, *Reading and recovery*. */
export type Scanned =
  | Good
  /**
   * Bad pages with a block of this segment after them. `runs`: what the damaged block held, if
   * it or the block after it tells.
   */
  | {
      readonly kind: 'corrupt';
      readonly page: number;
      readonly pages: number;
      readonly runs: readonly Run[] | undefined;
    }
  | { readonly kind: 'end'; readonly page: number }
  /** A commit that was cut off; nothing follows. */
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
/** Stands for a page that can't be read: neither zeros, which would be the end, nor a header. */
const UNREADABLE = 0xff;

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
  /** How the page began at which the end was found: while it is the same, nothing has come. */
  #endSeen: { readonly page: number; readonly begins: Buffer; readonly as: Scanned } | undefined;

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
    if (good !== undefined) return this.#passed(good);
    const rest = (await this.#bytesAt(page, 1, endPage)).subarray(0, PAGE_BYTES);
    const begins = Buffer.from(rest.subarray(0, BLOCK_HEADER_BYTES));
    const before = this.#endSeen;
    if (before?.page === page && before.begins.equals(begins)) {
      this.#forgetWindow();
      return before.as;
    }
    const follows = await this.#findLater(page + 1, endPage);
    // A live writer may have filled these pages since we looked: what stood before a later block
    // was whole before that one was begun. Nor is the end ever answered from them twice.
    this.#forgetWindow();
    if (follows !== undefined) {
      const after = await this.#blockAt(page, this.#number, endPage);
      if (after !== undefined) return this.#passed(after);
    }
    const [met] = casesOf(this.#factsOf(rest, follows !== undefined));
    if (follows !== undefined && met?.is === 'corrupt') {
      return this.#corrupt(page, follows, endPage);
    }
    const as = met?.is === 'torn' ? await this.#torn(page, rest) : ({ kind: 'end', page } as const);
    this.#endSeen = { page, begins, as };
    return as;
  }

  /** Of a page where no block is whole. */
  #factsOf(bytes: Uint8Array, follows: boolean): PageFacts {
    const header = decodeBlockHeader(bytes, this.#salt);
    const isUnreadable = bytes.length > 0 && bytes.every((byte) => byte === UNREADABLE);
    const named = sequenceNamed(bytes);
    const isThere = header === undefined ? 'damaged' : 'whole';
    return {
      header: isUnreadable ? 'unreadable' : named === undefined ? 'none' : isThere,
      body: 'damaged',
      sequence: named === this.#sequence ? 'own' : 'other',
      number: header?.number === this.#number ? 'next' : 'other',
      follows,
    };
  }

  async #torn(page: number, rest: Uint8Array): Promise<Scanned> {
    const header = decodeBlockHeader(rest, this.#salt);
    const bytes = (header === undefined ? 1 : blockPages(header)) * PAGE_BYTES;
    const there = (await this.#handle.sizeBytes()) - page * PAGE_BYTES;
    return { kind: 'torn', page, bytes: Math.max(0, Math.min(bytes, there)) };
  }

  #passed(good: Good): Good {
    this.#page = good.page + good.pages;
    this.#number = good.header.number + 1;
    return good;
  }

  /**
   * If its header is whole, the damaged block says itself which offsets go with it; if not, the
   * block behind it does.
   */
  async #corrupt(page: number, follows: Later, endPage?: number): Promise<Scanned> {
    const header = await this.#headerAt(page, this.#number, endPage);
    const pages = header === undefined ? 0 : blockPages(header);
    const isTold = header !== undefined && page + pages <= follows.page;
    const isNext = follows.header.number === (this.#number ?? Number.NaN) + 1;
    const own = isTold ? (holdsRecords(header) ? header.runs : []) : undefined;
    const runs = own ?? (isNext ? follows.header.before : undefined);
    this.#page = isTold ? page + pages : follows.page;
    this.#number = isTold ? header.number + 1 : follows.header.number;
    return { kind: 'corrupt', page, pages: this.#page - page, runs };
  }

  /**
   * The next place with a whole header of this segment. One commit is on its way at a time: whoever
   * began a block knew that those before it were durable.
   */
  async #findLater(from: number, endPage?: number): Promise<Later | undefined> {
    for (let page = from; ; page++) {
      if (endPage !== undefined && page >= endPage) return undefined;
      const bytes = await this.#bytesAt(page, 1, endPage);
      if (bytes.length === 0) return undefined;
      const header = await this.#headerAt(page, undefined, endPage);
      if (header !== undefined && header.number >= (this.#number ?? 0)) return { page, header };
    }
  }

  /** The whole header at a page; `number` undefined accepts any number. */
  async #headerAt(
    page: number,
    number: number | undefined,
    endPage?: number,
  ): Promise<BlockHeader | undefined> {
    let bytes = await this.#bytesAt(page, 1, endPage);
    const head = blockHeadBytes(bytes);
    if (head === undefined) return undefined;
    if (head > bytes.length) bytes = await this.#bytesAt(page, pagesFor(head), endPage);
    const header = decodeBlockHeader(bytes, this.#salt);
    if (header === undefined || header.sequence !== this.#sequence) return undefined;
    return number === undefined || header.number === number ? header : undefined;
  }

  /** The good block at a page; `number` undefined accepts any number. */
  async #blockAt(
    page: number,
    number: number | undefined,
    endPage?: number,
  ): Promise<Good | undefined> {
    const header = await this.#headerAt(page, number, endPage);
    if (header === undefined) return undefined;
    const pages = blockPages(header);
    const bytes = await this.#bytesAt(page, pages, endPage);
    const body = blockBody(bytes, header, this.#salt);
    if (body === undefined) return undefined;
    const unknown = unknownIn(header);
    if (unknown !== undefined) throw new HeadgateError('LOG_FORMAT', unknown);
    return { kind: 'good', page, pages, header, body };
  }

  #forgetWindow(): void {
    this.#window = new Uint8Array(0);
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
      const read = await readPages(this.#handle, buffer, page * PAGE_BYTES);
      this.#window = buffer.subarray(0, read);
      this.#windowPage = page;
      return this.#window;
    }
    return this.#window.subarray(skip);
  }
}

/** Reads what can be read: a page that the card gives no more is damage like any other. */
async function readPages(handle: FileHandle, into: Buffer, position: number): Promise<number> {
  try {
    return await handle.read(into, position);
  } catch (error) {
    if (codeOf(error) !== 'EIO') throw error;
  }
  for (let at = 0; at < into.length; at += PAGE_BYTES) {
    const page = into.subarray(at, at + PAGE_BYTES);
    try {
      const read = await handle.read(page, position + at);
      if (read < page.length) return at + read;
    } catch (error) {
      if (codeOf(error) !== 'EIO') throw error;
      page.fill(UNREADABLE);
    }
  }
  return into.length;
}
