import { codeOf, messageOf } from '../base/errors.ts';
import type { SegmentInfo } from './catalog.ts';
import { logName, type Moment, type StreamTable } from './format.ts';
import type { JournalOptions } from './journal-options.ts';
import type { LogView } from './log-view.ts';
import type { JournalFiles } from './open-journal.ts';
import { droppedBy, expiredSegments } from './retention.ts';
import { ActiveSegment, type NewBlock } from './segment.ts';
import type { SparseIndex } from './sparse-index.ts';

/**
 * The segments of a store: a row of sealed ones and the active one at its end. Appends a block,
 * rolls to the next segment when one is full, gives up one that failed, and drops what is too much
 * or too old. One call at a time: the journal sees to that.
 */
export class SegmentRow implements LogView {
  readonly #options: JournalOptions;
  readonly #tables: readonly StreamTable[];
  #sealed: readonly SegmentInfo[];
  #active: ActiveSegment;
  #bytesWritten: number;

  constructor(options: JournalOptions, opened: JournalFiles) {
    this.#options = options;
    this.#tables = opened.tables;
    this.#sealed = opened.sealed;
    this.#active = opened.active;
    this.#bytesWritten = opened.bytesWritten;
  }

  get logId(): string {
    return logName(this.#active.info.header.logId);
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /**
   * One block, durable. After a failed write or sync the kernel's pages are not to be trusted, so
   * the segment is given up where it was last good and the block is written once more, to a new
   * one. Rejects if that fails too; the block is then nowhere.
   */
  async append(block: NewBlock, nextOffsets: readonly number[]): Promise<void> {
    const { segmentBytes, logger } = this.#options;
    const full = this.#active.sizeBytes + block.body.length > segmentBytes;
    if (full) await this.#roll(block.moment, nextOffsets);
    try {
      this.#bytesWritten += await this.#active.append(block, nextOffsets);
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'log write failed, trying once more in a new segment');
      await this.#active.dropTail();
      await this.startSegment(block.moment, nextOffsets);
      await this.#appendLastTry(block, nextOffsets);
    }
  }

  async #appendLastTry(block: NewBlock, nextOffsets: readonly number[]): Promise<void> {
    try {
      this.#bytesWritten += await this.#active.append(block, nextOffsets);
    } catch (error) {
      await this.#active.dropTail();
      throw error;
    }
  }

  async #roll(moment: Moment, nextOffsets: readonly number[]): Promise<void> {
    const { indexPage, bytes } = await this.#active.seal(moment);
    this.#bytesWritten += bytes;
    await this.startSegment(moment, nextOffsets, indexPage);
    await this.enforceRetention(moment.runMs);
  }

  /**
   * Leaves the active segment as it stands and starts the next one, whose header voids what a
   * failed commit may have left beyond. A crash before the new header is durable changes nothing.
   */
  async startSegment(
    moment: Moment,
    nextOffsets: readonly number[],
    previousIndexPage = 0,
  ): Promise<void> {
    const { files, folder } = this.#options;
    const old = this.#active;
    const created = await ActiveSegment.create(files, folder, {
      ...old.info.header,
      sequence: old.info.sequence + 1,
      runMs: moment.runMs,
      wallMs: moment.wallMs,
      boot: moment.boot,
      indexPage: 0,
      previousIndexPage,
      streams: this.#tablesWith(nextOffsets),
    });
    await old.close();
    this.#sealed = [...this.#sealed, old.sealedInfo()];
    this.#active = created;
    this.#bytesWritten += created.sizeBytes;
  }

  #tablesWith(nextOffsets: readonly number[]): StreamTable[] {
    let at = 0;
    return this.#tables.map((table) => {
      const own = nextOffsets.slice(at, at + table.nextOffsets.length);
      at += table.nextOffsets.length;
      return { ...table, nextOffsets: own };
    });
  }

  /**
   * Whole sealed segments go, oldest first. A failure to remove one is logged and tried again with
   * the next call. A crash between two removals leaves a shorter row, which is as good.
   */
  async enforceRetention(runMs: number): Promise<void> {
    const { files, folder, retention, logger, onDrop } = this.#options;
    const limits = { ...retention, runMs };
    const expired = expiredSegments(this.segments(), this.#active.sizeBytes, limits);
    for (const info of expired) {
      try {
        const rest = this.#sealed.slice(1);
        await files.remove(info.path);
        await files.syncFolder(folder);
        this.#sealed = rest;
        onDrop?.(droppedBy(info, rest[0] ?? this.#active.info));
        const fields = { segment: info.sequence, repeatKey: info.sequence };
        logger.info(fields, 'retention removed a segment');
      } catch (error) {
        const fields = { code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'retention could not remove a segment');
        return;
      }
    }
  }

  segments(): readonly SegmentInfo[] {
    return [...this.#sealed, this.#active.info];
  }

  endOf(sequence: number): number | undefined {
    return sequence === this.#active.info.sequence ? this.#active.endPage : undefined;
  }

  indexOf(sequence: number): SparseIndex | undefined {
    return sequence === this.#active.info.sequence ? this.#active.index : undefined;
  }

  close(): Promise<void> {
    return this.#active.close();
  }
}
