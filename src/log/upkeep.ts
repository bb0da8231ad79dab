import { codeOf, messageOf } from '../base/errors.ts';
import { packedPath, type SegmentInfo, segmentPath } from './catalog.ts';
import { writeHeaderCopy } from './header-copy.ts';
import type { BeforeDrop, JournalOptions } from './journal-options.ts';
import { packSegment } from './packing.ts';
import { discard, type ReadyFile, recycledFile, zeroedFile } from './ready-file.ts';
import { type DroppedOffsets, droppedBy, expiredSegments } from './retention.ts';
import type { ActiveSegment } from './segment.ts';

export interface UpkeepOptions extends JournalOptions {
  readonly sealed: readonly SegmentInfo[];
  readonly ready: ReadyFile | undefined;
  readonly active: () => ActiveSegment;
  readonly numbers: Numbers;
}

/** Sequence numbers: each is given out once, so no two files ever meet under one name. */
export class Numbers {
  #last: number;

  constructor(last: number) {
    this.#last = last;
  }

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

/** Segments that an earlier process sealed last, and may not have come to pack. */
const LATEST = 2;

/**
 * What a store needs beside its appends: the file of the next segment made ready ahead, indexes
 * written, sparse segments packed, old ones dropped, files used again. One thing after the other,
 * in the background; no commit ever waits for any of it, and what fails is logged and costs space
 * or time, never a reading.
 */
export class Upkeep {
  readonly #options: UpkeepOptions;
  #sealed: readonly SegmentInfo[];
  #ready: ReadyFile | undefined;
  #turn: Promise<void> = Promise.resolve();
  /** The active segment for whose successor a file was last made: once is enough. */
  #triedFor = 0;
  #isClosed = false;
  #bytesWritten = 0;
  /** Files that are to go: of segments that are no more. One that cannot be removed stays here. */
  readonly #doomed = new Set<string>();
  readonly #keepers: BeforeDrop[] = [];

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#sealed = options.sealed;
    this.#ready = options.ready;
  }

  /** What an earlier process did not come to: beside everything else, since it may take long. */
  start(): void {
    const latest = this.#sealed.slice(-LATEST);
    for (const info of latest) void this.#later('packing', () => this.#pack(info.sequence));
  }

  beforeDrop(keep: BeforeDrop): void {
    this.#keepers.push(keep);
  }

  /** Oldest first. */
  get sealed(): readonly SegmentInfo[] {
    return this.#sealed;
  }

  /** Of the files of sealed segments, and of one that is ready for the next. */
  get sizeBytes(): number {
    return this.#sealed.reduce((sum, info) => sum + info.sizeBytes, this.#ready?.sizeBytes ?? 0);
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  #later(what: string, task: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      if (this.#isClosed) return;
      try {
        await task();
      } catch (error) {
        this.#tell(what, error);
      }
    });
    return this.#turn;
  }

  #tell(what: string, error: unknown): void {
    const { logger, folder } = this.#options;
    const fields = { what, folder, code: codeOf(error), error: messageOf(error), repeatKey: what };
    logger.warn(fields, 'the upkeep of the log met an error; no reading is at stake');
  }

  /**
   * The file for the segment after number `after`, if there is one by now. It is the caller's then.
   */
  takeReady(after: number): ReadyFile | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready === undefined || ready.sequence > after) return ready;
    // It came too late: another segment has begun in a file of its own.
    void this.#later('a late file', () => discard(this.#options.files, ready));
    return undefined;
  }

  /** Makes the file of the next segment ready, unless it is, or is on its way. */
  prepare(runMs: number): void {
    const { sequence } = this.#options.active().info;
    if (this.#ready !== undefined || this.#triedFor === sequence) return;
    this.#triedFor = sequence;
    void this.#later('a new file', () => this.#makeReady(runMs));
  }

  /** In a full store the oldest segment gives its file: nothing is filled with zeros there. */
  async #makeReady(runMs: number): Promise<void> {
    const { files, folder, segmentBytes, numbers } = this.#options;
    if (this.#ready === undefined) await this.#drop(runMs, segmentBytes);
    if (this.#ready !== undefined || !(await this.#hasRoomFor(segmentBytes))) return;
    const place = { sequence: numbers.next(), sizeBytes: segmentBytes };
    this.#ready = await zeroedFile(files, folder, place);
    this.#bytesWritten += segmentBytes;
  }

  /** The active segment is over, and `following` has begun. */
  seal(old: ActiveSegment, hasIndex: boolean, following: SegmentInfo): void {
    const info = old.sealedInfo();
    this.#sealed = [...this.#sealed, info];
    const { files, folder } = this.#options;
    // Before anything goes that it may have to stand in for.
    void this.#later('the copy of a header', () =>
      writeHeaderCopy(files, folder, following.header),
    );
    void this.#later('packing', () => this.#pack(info.sequence));
    void this.#later('an index', async () => {
      if (hasIndex && this.#isAsItWas(info)) await this.#writeIndex(old, following);
    });
    // Whether or not the upkeep goes on.
    this.#turn = this.#turn.then(() => old.close());
    void this.retain(following.header.runMs);
  }

  #isAsItWas({ sequence, path }: SegmentInfo): boolean {
    return this.#sealed.some((info) => info.sequence === sequence && info.path === path);
  }

  async #writeIndex(old: ActiveSegment, { header }: SegmentInfo): Promise<void> {
    const { boot, runMs, wallMs } = header;
    this.#bytesWritten += await old.writeIndex({ boot, runMs, wallMs, monoMs: 0 });
  }

  async #pack(sequence: number): Promise<void> {
    const { files, folder, compression = 'auto', packing = true } = this.#options;
    if (!packing) return;
    const at = this.#sealed.findIndex((info) => info.sequence === sequence);
    const info = this.#sealed[at];
    const following = this.#sealed[at + 1] ?? this.#options.active().info;
    if (info === undefined || info.path !== segmentPath(folder, sequence)) return;
    if (following.headerLost) return;
    const { streams } = following.header;
    const path = packedPath(folder, sequence);
    // Should it fail half-way, the segment goes on as it was, and nobody may find the other.
    this.#doomed.add(path);
    const packed = await packSegment({ files, folder, info, following: streams, compression });
    this.#doomed.delete(path);
    if (packed === undefined) return;
    this.#bytesWritten += packed.bytesWritten;
    // From here on readers find the packed one: only then may its old file be written over.
    this.#sealed = this.#sealed.map((one) => (one.sequence === sequence ? packed.info : one));
    await this.#release(info);
  }

  /** The file of a segment that is not needed any more becomes that of the next, or goes. */
  async #release({ path, sizeBytes }: SegmentInfo): Promise<void> {
    const { files, folder, segmentBytes, numbers } = this.#options;
    this.#doomed.add(path);
    if (this.#ready !== undefined || sizeBytes !== segmentBytes) {
      await this.#removeDoomed();
      return;
    }
    const sequence = numbers.next();
    const to = segmentPath(folder, sequence);
    this.#doomed.add(to);
    this.#ready = await recycledFile(files, folder, { from: path, sequence, sizeBytes });
    this.#doomed.delete(path);
    this.#doomed.delete(to);
  }

  async #removeDoomed(): Promise<void> {
    if (this.#doomed.size === 0) return;
    const { files, folder } = this.#options;
    const gone: string[] = [];
    let failure: unknown;
    for (const path of this.#doomed) {
      try {
        await files.remove(path);
        gone.push(path);
      } catch (error) {
        failure = error;
      }
    }
    await files.syncFolder(folder);
    for (const path of gone) this.#doomed.delete(path);
    if (failure !== undefined) this.#tell('removing a file', failure);
  }

  /** Drops what is too much or too old. */
  retain(runMs: number): Promise<void> {
    return this.#later('retention', async () => {
      await this.#removeDoomed();
      await this.#drop(runMs, 0);
    });
  }

  /**
   * Whole sealed segments go, oldest first, with `roomBytes` to spare. A crash between two removals
   * leaves a shorter row, which is as good; one before a removal is durable brings the segment
   * back, to be dropped again.
   */
  async #drop(runMs: number, roomBytes: number): Promise<void> {
    const { retention, segmentBytes, logger, onDrop, active } = this.#options;
    const { info, sizeBytes } = active();
    const readyBytes = this.#ready?.sizeBytes ?? 0;
    const shortBytes = (await this.#shortBytes()) + roomBytes;
    // One that is used again frees nothing; but where room is wanted, it is that room.
    const reusedBytes = this.#ready === undefined && roomBytes === 0 ? segmentBytes : 0;
    const limits = { ...retention, runMs, shortBytes, reusedBytes };
    const row = [...this.#sealed, info];
    for (const expired of expiredSegments(row, sizeBytes + readyBytes + roomBytes, limits)) {
      const dropped = droppedBy(expired, this.#sealed[1] ?? active().info);
      await this.#beKept(dropped);
      // Readers know it no more, and it is counted: only then may its file be another's.
      this.#sealed = this.#sealed.slice(1);
      onDrop?.(dropped);
      const fields = { segment: expired.sequence, repeatKey: expired.sequence };
      logger.info(fields, 'retention removed a segment');
      await this.#release(expired);
    }
  }

  /** A keeper that fails loses what it would have kept; a full disk must not wait for it. */
  async #beKept(dropped: readonly DroppedOffsets[]): Promise<void> {
    for (const keep of this.#keepers) {
      try {
        await keep(dropped);
      } catch (error) {
        this.#tell('keeping what retention drops', error);
      }
    }
  }

  /** Filling the disk to its last byte, only to give it back, would fail the commits meanwhile. */
  async #hasRoomFor(bytes: number): Promise<boolean> {
    const { files, folder, retention } = this.#options;
    const { minFreeBytes = 0 } = retention;
    const reserveBytes = Math.max(minFreeBytes, bytes / 4);
    return (await files.freeBytes(folder)) >= bytes + reserveBytes;
  }

  /** What the file system has less free than it should. */
  async #shortBytes(): Promise<number> {
    const { files, folder, logger, retention } = this.#options;
    const { minFreeBytes = 0 } = retention;
    if (minFreeBytes === 0) return Number.NEGATIVE_INFINITY;
    try {
      return minFreeBytes - (await files.freeBytes(folder));
    } catch (error) {
      const fields = { folder, code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'how much space is free cannot be told: none is kept free');
      return Number.NEGATIVE_INFINITY;
    }
  }

  /** Ends what is under way, and begins nothing else. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    await this.#ready?.handle.close();
  }
}
