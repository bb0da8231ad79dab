import { codeOf } from '../base/errors.ts';
import type { FileHandle, Files } from '../os/files.ts';
import { blocksIn } from './block-records.ts';
import { BlockScanner } from './block-scanner.ts';
import { PAGE_BYTES, pagesFor } from './bytes.ts';
import type { SegmentInfo } from './catalog.ts';
import type { ClockReading } from './corrected-time.ts';
import {
  BLOCK_PACKED,
  type BlockHeader,
  blockHeadBytes,
  bootName,
  decodeBlockHeader,
  holdsRecords,
} from './format.ts';
import type { LogView } from './log-view.ts';
import { openIfThere, readSegmentHeader } from './segment-file.ts';

export function clockOf({ boot, monoMs, wallMs }: BlockHeader): ClockReading {
  return { boot: bootName(boot), monoMs, wallMs };
}

/** Looks at single blocks of a segment, a page each, where a scan would read all before them. */
export class SegmentProbe {
  readonly info: SegmentInfo;
  readonly #handle: FileHandle;
  readonly #endPage: number | undefined;

  /** `endPage`: the first that is not committed; undefined: read to whatever is there. */
  constructor(info: SegmentInfo, handle: FileHandle, endPage: number | undefined) {
    this.info = info;
    this.#handle = handle;
    this.#endPage = endPage;
  }

  /** The clocks at the block that starts at a page; undefined: none with records does. */
  async clockAt(page: number): Promise<ClockReading | undefined> {
    if (page >= (this.#endPage ?? Number.POSITIVE_INFINITY)) return undefined;
    let bytes = await this.#pagesAt(page, 1);
    const head = blockHeadBytes(bytes);
    if (head === undefined) return undefined;
    if (head > bytes.length) bytes = await this.#pagesAt(page, pagesFor(head));
    const header = decodeBlockHeader(bytes, this.info.header.salt);
    const isOwn = header?.sequence === this.info.sequence && holdsRecords(header);
    return isOwn ? clockOf(header) : undefined;
  }

  /** Empty where the card gives them no more: one bad page must not hide the rest of the log. */
  async #pagesAt(page: number, pages: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(pages * PAGE_BYTES);
    try {
      return bytes.subarray(0, await this.#handle.read(bytes, page * PAGE_BYTES));
    } catch (error) {
      if (codeOf(error) !== 'EIO') throw error;
      return bytes.subarray(0, 0);
    }
  }

  /** The clocks at the first block; damaged ones are passed over. */
  async first(): Promise<ClockReading | undefined> {
    const { pages } = this.info.header;
    const atOnce = this.info.headerLost ? undefined : await this.clockAt(pages);
    if (atOnce !== undefined) return atOnce;
    for await (const clock of this.clocksFrom(pages)) return clock;
    return undefined;
  }

  /** The clocks of all blocks from a page on, those within packed ones too. */
  async *clocksFrom(page: number): AsyncGenerator<ClockReading> {
    const { sequence, header } = this.info;
    const at = { handle: this.#handle, salt: header.salt, sequence, page };
    const scanner = new BlockScanner(at);
    for (;;) {
      const found = await scanner.next(this.#endPage);
      if (found.kind === 'end' || found.kind === 'torn') return;
      if (found.kind !== 'good' || !holdsRecords(found.header)) continue;
      if (found.header.kind === BLOCK_PACKED) {
        for (const block of blocksIn(found.header, found.body)) yield clockOf(block.header);
      } else yield clockOf(found.header);
    }
  }

  /** A sealed file may have been packed, and been written over, while it was looked at. */
  async isStillOwn(): Promise<boolean> {
    if (this.info.headerLost) return true;
    const header = await readSegmentHeader(this.#handle, this.info.path);
    return header?.sequence === this.info.sequence;
  }
}

const MAX_TRIES = 3;

/** Looks at a segment wherever its file is by now; undefined: retention has dropped it. */
export async function probeSegment<T>(
  files: Files,
  view: LogView,
  sequence: number,
  look: (probe: SegmentProbe) => Promise<T>,
): Promise<T | undefined> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (tries > 0) await view.look();
    const info = view.segments().find((one) => one.sequence === sequence);
    const handle = info === undefined ? undefined : await openIfThere(files, info.path);
    if (info === undefined || handle === undefined) continue;
    try {
      const probe = new SegmentProbe(info, handle, view.endOf(sequence));
      const seen = await look(probe);
      if (await probe.isStillOwn()) return seen;
    } finally {
      await handle.close();
    }
  }
  return undefined;
}
