import type { FileHandle, Files } from '../os/files.ts';
import { BlockScanner } from './block-scanner.ts';
import type { SegmentInfo } from './catalog.ts';
import { type BlockHeader, holdsRecords, type Run } from './format.ts';
import type { LogView } from './log-view.ts';
import { openIfThere, readSegmentHeader } from './segment-file.ts';
import { type Bases, basesOfRow, isVoid } from './void-blocks.ts';

/** A place in a store: a block to be read next. */
export interface BlockPlace {
  readonly sequence: number;
  readonly page: number;
  readonly number: number;
  /** The file that page and number are of; without it, whichever there is. */
  readonly path?: string;
}

/** What a cursor meets on its way. */
export type Met =
  /** A segment begins here: what is not in one before it is nowhere. */
  | { readonly kind: 'segment'; readonly info: SegmentInfo }
  | {
      readonly kind: 'block';
      readonly info: SegmentInfo;
      readonly page: number;
      readonly header: BlockHeader;
      /** As it is stored. */
      readonly body: Uint8Array;
    }
  /** `runs`: what it held, if that can still be told. */
  | { readonly kind: 'corrupt'; readonly info: SegmentInfo; readonly runs?: readonly Run[] }
  /** A cut-off commit at the end of a segment. */
  | { readonly kind: 'torn'; readonly info: SegmentInfo; readonly bytes: number }
  /** Nothing more for now. */
  | { readonly kind: 'end' };

/** The first block of a segment, wherever its header ends. */
function firstOf(sequence: number): BlockPlace {
  return { sequence, page: 0, number: 0 };
}

interface Open {
  readonly info: SegmentInfo;
  readonly handle: FileHandle;
  readonly scanner: BlockScanner;
}

/**
 * Walks the blocks with records of a store in commit order, over segments that come and go. Where
 * one is packed meanwhile, its blocks may come again from the beginning. Holds one file open. Never
 * blocks the writer: it reads only pages that are committed.
 */
export class BlockCursor {
  readonly #files: Files;
  readonly #view: LogView;
  #place: BlockPlace | undefined;
  #open: Open | undefined;
  #tornSeen = false;
  /** Of the segment after the one that is open. */
  #bases: { readonly sequence: number; readonly of: Bases } | undefined;

  /** Starts at `place`, or at the first block of the oldest segment. */
  constructor(files: Files, view: LogView, place?: BlockPlace) {
    this.#files = files;
    this.#view = view;
    this.#place = place;
  }

  async next(): Promise<Met> {
    for (;;) {
      const open = this.#open;
      if (open === undefined) {
        const info = await this.#openSegment();
        return info === undefined ? { kind: 'end' } : { kind: 'segment', info };
      }
      const { info } = open;
      // In this order: if a later segment is there already, the end that is seen then is final.
      const later = this.#view.segments().find(({ sequence }) => sequence > info.sequence);
      const found = await open.scanner.next(this.#view.endOf(info.sequence));
      if (found.kind === 'good') {
        if (!holdsRecords(found.header)) continue;
        if (later !== undefined && isVoid(found.header, await this.#basesOf(later))) continue;
        const { page, header, body } = found;
        return { kind: 'block', info, page, header, body };
      }
      if (later !== undefined && !(await this.#isStillOwn(open))) {
        await this.#moveTo(firstOf(info.sequence));
        continue;
      }
      if (found.kind === 'corrupt') {
        const { runs } = found;
        return { kind: 'corrupt', info, ...(runs === undefined ? {} : { runs }) };
      }
      if (found.kind === 'torn' && !this.#tornSeen) {
        this.#tornSeen = true;
        return { kind: 'torn', info, bytes: found.bytes };
      }
      if (later === undefined) return { kind: 'end' };
      await this.#moveTo(firstOf(later.sequence));
    }
  }

  /**
   * Is it still the segment's file? A sealed one may have been packed, and its file been renamed
   * and written over from its header on, while we read.
   */
  async #isStillOwn({ info, handle }: Open): Promise<boolean> {
    const header = await readSegmentHeader(handle, info.path);
    if (header?.sequence === info.sequence) return true;
    await this.#view.look();
    const now = this.#view.segments().find(({ sequence }) => sequence === info.sequence);
    return now?.path === info.path;
  }

  async #moveTo(place: BlockPlace): Promise<void> {
    await this.close();
    this.#place = place;
  }

  async #basesOf(later: SegmentInfo): Promise<Bases> {
    if (this.#bases?.sequence !== later.sequence) {
      const row = this.#view.segments().filter(({ sequence }) => sequence >= later.sequence);
      this.#bases = { sequence: later.sequence, of: await basesOfRow(this.#files, row) };
    }
    return this.#bases.of;
  }

  /** Opens the segment of the place, or the first one after it if retention has removed it. */
  async #openSegment(): Promise<SegmentInfo | undefined> {
    let gone: string | undefined;
    for (;;) {
      const wanted = this.#place?.sequence ?? 0;
      const info = this.#view.segments().find(({ sequence }) => sequence >= wanted);
      if (info === undefined) return undefined;
      const handle = await openIfThere(this.#files, info.path);
      if (handle === undefined) {
        // Packed or dropped since the view was made. Once more, and it is only dropped.
        if (gone === info.path) this.#place = firstOf(info.sequence + 1);
        else await this.#view.look();
        gone = info.path;
        continue;
      }
      const own = this.#place?.sequence === info.sequence ? this.#place : undefined;
      // A place in the segment as it was written says nothing of the packed one.
      const known = own?.path === undefined || own.path === info.path ? own : undefined;
      const page = Math.max(known?.page ?? 0, info.header.pages);
      const number = known?.number ?? 0;
      const { salt } = info.header;
      const at = { handle, salt, sequence: info.sequence, page, number };
      this.#tornSeen = false;
      this.#open = { info, handle, scanner: new BlockScanner(at) };
      if (await this.#isStillOwn(this.#open)) return info;
      // Packed or dropped, and written over, between the look and the opening.
      await this.close();
    }
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.handle.close();
  }
}
