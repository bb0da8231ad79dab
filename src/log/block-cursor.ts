import type { FileHandle, Files } from '../os/files.ts';
import { BlockScanner } from './block-scanner.ts';
import { type SegmentInfo, Slots } from './catalog.ts';
import { BLOCK_DATA, type BlockHeader, type SegmentHeader } from './format.ts';
import type { LogView } from './log-view.ts';

/** A place in a store: a block to be read next. */
export interface BlockPlace {
  readonly sequence: number;
  readonly page: number;
  readonly number: number;
}

/** What a cursor meets on its way. */
export type Met =
  | {
      readonly kind: 'block';
      readonly info: SegmentInfo;
      readonly page: number;
      readonly header: BlockHeader;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'corrupt'; readonly info: SegmentInfo; readonly page: number }
  /** A cut-off commit at the end of a segment. */
  | { readonly kind: 'torn'; readonly info: SegmentInfo; readonly bytes: number }
  /** Nothing more for now. */
  | { readonly kind: 'end' };

/**
 * True if the block holds an offset that the following segment's header gives out again: the
 * remains of a commit that failed, never acknowledged.
 */
function isVoid(header: BlockHeader, following: SegmentHeader): boolean {
  const slots = new Slots(following.streams);
  const bases = following.streams.flatMap((stream) => stream.nextOffsets);
  return header.runs.some((run) => {
    const base = bases[slots.of(run.stream, run.partition)];
    return base !== undefined && run.firstOffset + run.records > base;
  });
}

/** The first block of a segment, wherever its header ends. */
function firstOf(sequence: number): BlockPlace {
  return { sequence, page: 0, number: 0 };
}

/**
 * Walks the data blocks of a store in commit order, over segments that come and go. Holds one file
 * open. Never blocks the writer: it reads only pages that are committed and never written again.
 */
export class BlockCursor {
  readonly #files: Files;
  readonly #view: LogView;
  #place: BlockPlace | undefined;
  #open: { info: SegmentInfo; handle: FileHandle; scanner: BlockScanner } | undefined;
  #tornSeen = false;

  /** Starts at `place`, or at the first block of the oldest segment. */
  constructor(files: Files, view: LogView, place?: BlockPlace) {
    this.#files = files;
    this.#view = view;
    this.#place = place;
  }

  async next(): Promise<Met> {
    for (;;) {
      const open = this.#open ?? (await this.#openSegment());
      if (open === undefined) return { kind: 'end' };
      // In this order: if a later segment is there already, the end that is seen then is final.
      const { sequence } = open.info;
      const later = this.#view.segments().find((info) => info.sequence > sequence);
      const found = await open.scanner.next(this.#view.endOf(sequence));
      if (found.kind === 'good') {
        if (found.header.kind !== BLOCK_DATA) continue;
        const bases = later === undefined || later.headerLost ? undefined : later.header;
        if (bases !== undefined && isVoid(found.header, bases)) continue;
        const { page, header, body } = found;
        return { kind: 'block', info: open.info, page, header, body };
      }
      if (found.kind === 'corrupt') return { kind: 'corrupt', info: open.info, page: found.page };
      if (found.kind === 'torn' && !this.#tornSeen) {
        this.#tornSeen = true;
        return { kind: 'torn', info: open.info, bytes: found.bytes };
      }
      if (later === undefined) return { kind: 'end' };
      await this.close();
      this.#place = firstOf(later.sequence);
    }
  }

  /** Opens the segment of the place, or the first one after it if retention has removed it. */
  async #openSegment() {
    for (;;) {
      const segments = this.#view.segments();
      const wanted = this.#place?.sequence ?? 0;
      const info = segments.find(({ sequence }) => sequence >= wanted);
      if (info === undefined) return undefined;
      const own = this.#place?.sequence === info.sequence ? this.#place : undefined;
      const page = Math.max(own?.page ?? 0, info.header.pages);
      const number = own?.number ?? 0;
      let handle: FileHandle;
      try {
        handle = await this.#files.open(info.path, 'read');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        this.#place = firstOf(info.sequence + 1);
        continue;
      }
      const { salt } = info.header;
      const at = { handle, salt, sequence: info.sequence, page, number };
      this.#tornSeen = false;
      this.#open = { info, handle, scanner: new BlockScanner(at) };
      return this.#open;
    }
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.handle.close();
  }
}
