import { codeOf, messageOf } from '../base/errors.ts';
import { PAGE_BYTES } from './bytes.ts';
import type { SegmentInfo } from './catalog.ts';
import { logName, type Moment, type StreamTable } from './format.ts';
import type { BeforeDrop, JournalOptions } from './journal-options.ts';
import type { LogView } from './log-view.ts';
import type { JournalFiles } from './open-journal.ts';
import { growingFile } from './ready-file.ts';
import { ActiveSegment, type NewBlock } from './segment.ts';
import type { SparseIndex } from './sparse-index.ts';
import { withOffsets } from './stream-tables.ts';
import { Numbers, Upkeep } from './upkeep.ts';

/**
 * The segments of a store: a row of sealed ones and the active one at its end. Appends a block,
 * goes on in the next segment when one is full, and gives up one that failed. One append at a time:
 * the journal sees to that. What is not an append (the next file, indexes, packing, retention) is
 * upkeep, and goes on beside it.
 */
export class SegmentRow implements LogView {
  readonly #options: JournalOptions;
  readonly #tables: readonly StreamTable[];
  readonly #upkeep: Upkeep;
  #active: ActiveSegment;
  /** The active segment failed: nothing is appended to it any more. */
  #isGivenUp = false;
  readonly #numbers: Numbers;
  #lastBegun: number;
  #bytesWritten: number;

  constructor(options: JournalOptions, opened: JournalFiles) {
    this.#options = options;
    this.#tables = opened.tables;
    this.#active = opened.active;
    this.#lastBegun = opened.active.info.sequence;
    this.#numbers = new Numbers(Math.max(this.#lastBegun, opened.ready?.sequence ?? 0));
    this.#bytesWritten = opened.bytesWritten;
    this.#upkeep = new Upkeep({
      ...options,
      sealed: opened.sealed,
      ready: opened.ready,
      active: () => this.#active,
      numbers: this.#numbers,
    });
  }

  get logId(): string {
    return logName(this.#active.info.header.logId);
  }

  get bytesWritten(): number {
    return this.#bytesWritten + this.#upkeep.bytesWritten;
  }

  /** Of all its files. */
  get sizeBytes(): number {
    return this.#upkeep.sizeBytes + this.#active.sizeBytes;
  }

  /**
   * One block, durable. After a failed write or sync the kernel's pages are not to be trusted, so
   * the segment is given up where it was last good and the block is written once more, to a new
   * one. Rejects if that fails too; the block is then nowhere.
   */
  async append(block: NewBlock, nextOffsets: readonly number[]): Promise<void> {
    try {
      if (this.#isGivenUp || !this.#hasRoom(block)) await this.#beginWith(block, nextOffsets);
      else await this.#appendHere(block, nextOffsets);
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) };
      this.#options.logger.warn(fields, 'log write failed, trying once more in a new segment');
      await this.#beginWith(block, nextOffsets);
    }
  }

  async #appendHere(block: NewBlock, nextOffsets: readonly number[]): Promise<void> {
    try {
      this.#bytesWritten += await this.#active.append(block, nextOffsets);
    } catch (error) {
      this.#isGivenUp = true;
      await this.#active.dropTail();
      throw error;
    }
    if (this.#isHalfFull()) this.#upkeep.prepare(block.moment.runMs);
  }

  /** With room for its index behind it. */
  #hasRoom(block: NewBlock): boolean {
    const { endPage, indexPages } = this.#active;
    const pages = endPage + this.#active.pagesOf(block) + indexPages + 1;
    return pages * PAGE_BYTES <= this.#options.segmentBytes;
  }

  #isHalfFull(): boolean {
    return this.#active.endPage * PAGE_BYTES * 2 >= this.#options.segmentBytes;
  }

  /** The first block of the next segment, with its header in one write. */
  async #beginWith(block: NewBlock, nextOffsets: readonly number[]): Promise<void> {
    const next = await this.#begin(block.moment, nextOffsets);
    await this.#goOnIn(next, () => next.append(block, nextOffsets));
  }

  /**
   * Leaves the active segment as it stands and starts the next one, whose header voids what a
   * failed commit may have left beyond. A crash before the new header is durable changes nothing.
   */
  async startSegment(moment: Moment, nextOffsets: readonly number[]): Promise<void> {
    const next = await this.#begin(moment, nextOffsets);
    await this.#goOnIn(next, () => next.flush());
  }

  async #begin(moment: Moment, nextOffsets: readonly number[]): Promise<ActiveSegment> {
    const { files, folder } = this.#options;
    const file =
      this.#upkeep.takeReady(this.#lastBegun) ??
      (await growingFile(files, folder, this.#numbers.next()));
    this.#lastBegun = file.sequence;
    const { runMs, wallMs, boot } = moment;
    const { logId, salt } = this.#active.info.header;
    const places = { indexPage: 0, previousIndexPage: this.#indexPage };
    const streams = withOffsets(this.#tables, nextOffsets);
    return ActiveSegment.begin(files, file, {
      ...{ logId, salt, runMs, wallMs, boot, streams },
      ...places,
    });
  }

  /** Where the index of the active segment will be once it is sealed; 0: nowhere. */
  get #indexPage(): number {
    return this.#isGivenUp ? 0 : this.#active.endPage;
  }

  /** A segment joins the row when what begins it is durable. */
  async #goOnIn(next: ActiveSegment, write: () => Promise<number>): Promise<void> {
    try {
      this.#bytesWritten += await write();
    } catch (error) {
      await next.discard();
      throw error;
    }
    const old = this.#active;
    const hasIndex = !this.#isGivenUp;
    this.#active = next;
    this.#isGivenUp = false;
    this.#upkeep.seal(old, hasIndex, next.info);
    if (this.#isHalfFull()) this.#upkeep.prepare(next.info.header.runMs);
  }

  /** Drops what is too much or too old. */
  retain(runMs: number): Promise<void> {
    return this.#upkeep.retain(runMs);
  }

  beforeDrop(keep: BeforeDrop): void {
    this.#upkeep.beforeDrop(keep);
  }

  /** What an earlier process did not come to. */
  startUpkeep(): void {
    this.#upkeep.start();
  }

  async look(): Promise<void> {
    // What is there is always known here.
  }

  segments(): readonly SegmentInfo[] {
    return [...this.#upkeep.sealed, this.#active.info];
  }

  endOf(sequence: number): number | undefined {
    return sequence === this.#active.info.sequence ? this.#active.endPage : undefined;
  }

  indexOf(sequence: number): SparseIndex | undefined {
    return sequence === this.#active.info.sequence ? this.#active.index : undefined;
  }

  async close(): Promise<void> {
    await this.#upkeep.close();
    await this.#active.close();
  }
}
