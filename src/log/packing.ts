import type { FileHandle, Files } from '../os/files.ts';
import { blocksIn } from './block-records.ts';
import { BlockScanner, type Good } from './block-scanner.ts';
import { PAGE_BYTES } from './bytes.ts';
import { packedPath, type SegmentInfo } from './catalog.ts';
import { type Compression, packBody, packedShare } from './codec.ts';
import {
  BLOCK_INDEX,
  BLOCK_PACKED,
  bodyStart,
  encodeBlock,
  encodeSegmentHeader,
  holdsRecords,
  type Moment,
  plainBody,
  type Run,
  type StreamTable,
} from './format.ts';
import { encodePacked, JoinedRuns, type PlainBlock } from './packed.ts';
import { OffsetTracker } from './recovery.ts';
import { SparseIndex } from './sparse-index.ts';
import { flatOffsets, Slots } from './stream-tables.ts';
import { basesOf, isVoid } from './void-blocks.ts';

export interface PackOptions {
  readonly files: Files;
  readonly folder: string;
  readonly info: SegmentInfo;
  /** Of the segment after it: blocks at or beyond these offsets are void. */
  readonly following: readonly StreamTable[];
  readonly compression: Compression;
}

/** A packed segment in the place of the one it was made from. */
export interface Packed {
  readonly info: SegmentInfo;
  readonly bytesWritten: number;
}

/** Plain bytes of records in one packed block: a reader unpacks so much to read one of them. */
const PACKED_BYTES = 256 * 1024;
const SAMPLE_BYTES = 64 * 1024;
/** Packed once, and only where that makes it half as large. */
const WORTH_SHARE = 0.5;

/** The data blocks of a sealed segment that count, as stored; undefined: it is damaged. */
async function* storedBlocks(
  handle: FileHandle,
  { info, following }: PackOptions,
): AsyncGenerator<Good | undefined> {
  const { salt, pages, streams } = info.header;
  const at = { handle, salt, sequence: info.sequence, page: pages, number: 0 };
  const scanner = new BlockScanner(at);
  const bases = basesOf(following);
  const known = new Set(streams.map(({ number }) => number));
  const tracker = new OffsetTracker(info);
  const isWhole = () => {
    tracker.startSegment({ ...info, header: { ...info.header, streams: following } });
    return tracker.lost.length === 0;
  };
  for (;;) {
    const found = await scanner.next();
    if (found.kind === 'corrupt') {
      yield undefined;
      return;
    }
    if (found.kind !== 'good') {
      // A bad page at the end looks like an end: only the next segment knows what was there.
      if (!isWhole()) yield undefined;
      return;
    }
    if (!holdsRecords(found.header)) continue;
    if (found.header.runs.some((run) => !known.has(run.stream))) {
      yield undefined;
      return;
    }
    if (isVoid(found.header, bases)) continue;
    for (const run of found.header.runs) tracker.take(run);
    yield found;
  }
}

/**
 * Is it worth it? Reads the segment once: how many bytes its records are, and how well the first of
 * them pack.
 */
async function isWorthPacking(handle: FileHandle, options: PackOptions): Promise<boolean> {
  let plainBytes = 0;
  const sample: Uint8Array[] = [];
  for await (const found of storedBlocks(handle, options)) {
    if (found === undefined) return false;
    const { header, body } = found;
    // Only these are unpacked: a dense segment may hold ten times its size.
    if (plainBytes < SAMPLE_BYTES)
      sample.push(...blocksIn(header, body).map((block) => block.body));
    plainBytes += header.plainBytes;
  }
  if (plainBytes === 0) return false;
  const share = packedShare(Buffer.concat(sample), options.compression);
  return share * plainBytes <= WORTH_SHARE * options.info.sizeBytes;
}

/** Writes the blocks of a packed file one after the other. */
class PackedWriter {
  readonly #options: PackOptions;
  readonly #handle: FileHandle;
  readonly #index = new SparseIndex();
  readonly #next: number[];
  readonly #slots: Slots;
  #blocks: PlainBlock[] = [];
  #joined = new JoinedRuns();
  #bytes = 0;
  #lastRuns: readonly Run[] = [];
  #page: number;
  #number = 0;

  constructor(options: PackOptions, handle: FileHandle) {
    this.#options = options;
    this.#handle = handle;
    const { streams, pages } = options.info.header;
    this.#page = pages;
    this.#slots = new Slots(streams);
    this.#next = flatOffsets(streams);
  }

  async add(block: PlainBlock): Promise<void> {
    // Offsets are missing before it: a packed block has none that are.
    if (!this.#joined.fits(block.header.runs)) await this.flush();
    this.#joined.add(block.header.runs);
    this.#blocks.push(block);
    this.#bytes += block.body.length;
    if (this.#bytes >= PACKED_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const blocks = this.#blocks;
    const moment = blocks[0]?.header;
    if (moment === undefined) return;
    const { runs } = this.#joined;
    this.#blocks = [];
    this.#bytes = 0;
    this.#joined = new JoinedRuns();
    const { salt } = this.#options.info.header;
    const plain = encodePacked(blocks, runs, moment.boot);
    const { compression } = this.#options;
    const body = await packBody(plain, bodyStart(2 * runs.length), compression, 'packing');
    const records = runs.reduce((sum, run) => sum + run.records, 0);
    const block = { kind: BLOCK_PACKED, records, moment, runs, body };
    const bytes = encodeBlock({ ...block, ...this.#place() }, salt);
    this.#lastRuns = runs;
    this.#index.note({
      page: this.#page,
      number: this.#number,
      runMs: moment.runMs,
      wallMs: moment.wallMs,
      nextOffsets: this.#next,
    });
    for (const { stream, partition, firstOffset, records: count } of runs) {
      this.#next[this.#slots.of(stream, partition)] = firstOffset + count;
    }
    await this.#put(bytes);
  }

  #place() {
    const { sequence } = this.#options.info;
    return { sequence, number: this.#number, before: this.#lastRuns };
  }

  async #put(bytes: Uint8Array): Promise<void> {
    await this.#handle.write(bytes, this.#page * PAGE_BYTES);
    this.#page += bytes.length / PAGE_BYTES;
    this.#number += 1;
  }

  /** Index, then header, which names the index; then all of it durable. */
  async end(): Promise<Pick<SegmentInfo, 'header' | 'sizeBytes'>> {
    await this.flush();
    const { info } = this.#options;
    const indexPage = this.#page;
    const { boot, wallMs, runMs } = info.header;
    const moment: Moment = { boot, wallMs, runMs, monoMs: 0 };
    const index = { kind: BLOCK_INDEX, ...this.#place(), records: 0, moment, runs: [] };
    const body = plainBody(this.#index.encode());
    await this.#put(encodeBlock({ ...index, body }, info.header.salt));
    const header = { ...info.header, indexPage };
    await this.#handle.write(encodeSegmentHeader(header), 0);
    await this.#handle.sync();
    return { header, sizeBytes: this.#page * PAGE_BYTES };
  }
}

/**
 * Packs a sealed segment if that makes it half as large: docs/log-format.md, *Packing*. undefined:
 * it stays as it is. A crash before the rename leaves a file that the next start removes; after it,
 * the packed file is the segment and the old one a left-over. The caller does away with that.
 */
export async function packSegment(options: PackOptions): Promise<Packed | undefined> {
  const { files, folder, info } = options;
  const source = await files.open(info.path, 'read');
  const path = packedPath(folder, info.sequence);
  const tmp = `${path}.tmp`;
  try {
    if (info.headerLost || !(await isWorthPacking(source, options))) return undefined;
    await files.remove(tmp);
    const target = await files.open(tmp, 'write');
    const written = await writePacked(source, target, options).finally(() =>
      target.close().catch(() => {
        // What counts is its sync.
      }),
    );
    if (written === undefined) {
      await files.remove(tmp);
      return undefined;
    }
    await files.rename(tmp, path);
    await files.syncFolder(folder);
    return { info: { ...info, ...written, path }, bytesWritten: written.sizeBytes };
  } catch (error) {
    await files.remove(tmp).catch(() => {});
    throw error;
  } finally {
    await source.close();
  }
}

async function writePacked(source: FileHandle, target: FileHandle, options: PackOptions) {
  const writer = new PackedWriter(options, target);
  for await (const found of storedBlocks(source, options)) {
    if (found === undefined) return undefined;
    for (const block of blocksIn(found.header, found.body)) await writer.add(block);
  }
  return writer.end();
}
