import { crc32 } from 'node:zlib';
import { ByteReader, PAGE_BYTES, pagesFor, readU64, viewOf, writeU64 } from './bytes.ts';
import { CODEC_NONE, codecFault, type StoredBody } from './codec.ts';

/**
 * Segment headers and block headers as bytes: docs/log-format.md in code, shared by writer and
 * reader. Pure. Decoders return undefined for anything that is not what it should be and never
 * throw.
 */

export const FORMAT_VERSION = 1;
export const BLOCK_HEADER_BYTES = 80;
export const RUN_BYTES = 16;
export const BLOCK_DATA = 1;
export const BLOCK_INDEX = 2;
export const BLOCK_PACKED = 3;

const KINDS: ReadonlySet<number> = new Set([BLOCK_DATA, BLOCK_INDEX, BLOCK_PACKED]);
const SEGMENT_MAGIC = 0x47534748; // "HGSG"
const BLOCK_MAGIC = 0x4b424748; // "HGBK"
const SEGMENT_HEADER_BYTES = 80;

/** A stream as the log knows it. Its number, not its name, stands in blocks. */
export interface StreamTable {
  readonly number: number;
  readonly name: string;
  /** Next offset of each partition. */
  readonly nextOffsets: readonly number[];
}

/** Three clocks at one moment; see *Clocks* in docs/log-format.md. */
export interface Moment {
  readonly boot: Uint8Array;
  readonly monoMs: number;
  readonly wallMs: number;
  readonly runMs: number;
}

/** A moment as a block's header keeps it: µs of the monotonic clock, ms of the others. */
export function asStored({ boot, monoMs, wallMs, runMs }: Moment): Moment {
  return {
    boot,
    monoMs: Math.floor(monoMs * 1000) / 1000,
    wallMs: Math.max(0, Math.floor(wallMs)),
    runMs: Math.floor(runMs),
  };
}

export interface SegmentHeader {
  readonly pages: number;
  readonly sequence: number;
  readonly logId: Uint8Array;
  readonly salt: Uint8Array;
  readonly runMs: number;
  readonly wallMs: number;
  readonly boot: Uint8Array;
  readonly indexPage: number;
  readonly previousIndexPage: number;
  readonly streams: readonly StreamTable[];
}

export interface Run {
  readonly stream: number;
  readonly partition: number;
  readonly records: number;
  readonly firstOffset: number;
}

export interface BlockHeader {
  readonly kind: number;
  readonly codec: number;
  readonly sequence: number;
  readonly number: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
  readonly records: number;
  readonly bodyCrc: number;
  readonly boot: Uint8Array;
  readonly monoMs: number;
  readonly wallMs: number;
  readonly runMs: number;
  readonly runs: readonly Run[];
  /** Those of the block before it in the segment: if that is damaged, they tell what it held. */
  readonly before: readonly Run[];
}

/** What of a block that is whole this version can't read; undefined: it can. */
export function unknownIn({ kind, codec }: BlockHeader): string | undefined {
  return KINDS.has(kind) ? codecFault(codec) : `a block of kind ${kind}`;
}

/** It holds records, by itself or in others. */
export function holdsRecords({ kind }: Pick<BlockHeader, 'kind'>): boolean {
  return kind === BLOCK_DATA || kind === BLOCK_PACKED;
}

/** Where the body of a block starts; `runs`: its own and those of the block before it. */
export function bodyStart(runs: number): number {
  return BLOCK_HEADER_BYTES + runs * RUN_BYTES;
}

export function blockPages(header: BlockHeader): number {
  return pagesFor(bodyStart(header.runs.length + header.before.length) + header.storedBytes);
}

/** The log id as consumers and the cloud know it. */
export function logName(logId: Uint8Array): string {
  return Buffer.from(logId).toString('hex').slice(0, 8);
}

/** A boot id as records and readers know it. */
export function bootName(boot: Uint8Array): string {
  return Buffer.from(boot).toString('hex');
}

export function segmentFileName(sequence: number): string {
  return `${String(sequence).padStart(16, '0')}.segment`;
}

export function packedFileName(sequence: number): string {
  return `${String(sequence).padStart(16, '0')}.packed`;
}

/** What a file in a store's folder is, by its name; undefined: none of the log's. */
export function fileKind(
  name: string,
): { readonly sequence: number; readonly kind: 'segment' | 'packed' | 'tmp' } | undefined {
  const [, digits, kind] = /^(\d{16})\.(segment|packed|packed\.tmp)$/.exec(name) ?? [];
  if (digits === undefined) return undefined;
  const sequence = Number(digits);
  return { sequence, kind: kind === 'segment' || kind === 'packed' ? kind : 'tmp' };
}

/** The seed of a block's checksums: bytes that do not know the salt cannot pass for a block. */
function seedOf(salt: Uint8Array, sequence: number, number: number): number {
  const bytes = new Uint8Array(20);
  const view = viewOf(bytes);
  bytes.set(salt, 0);
  writeU64(view, 8, sequence);
  view.setUint32(16, number, true);
  return crc32(bytes);
}

export function encodeSegmentHeader(header: Omit<SegmentHeader, 'pages'>): Uint8Array {
  const names = header.streams.map((stream) => Buffer.from(stream.name));
  const tableBytes = header.streams.reduce(
    (sum, stream, i) => sum + 6 + (names[i]?.length ?? 0) + 8 * stream.nextOffsets.length,
    0,
  );
  const pages = pagesFor(SEGMENT_HEADER_BYTES + tableBytes);
  const bytes = new Uint8Array(pages * PAGE_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint16(4, FORMAT_VERSION, true);
  view.setUint16(6, pages, true);
  writeU64(view, 8, header.sequence);
  bytes.set(header.logId, 16);
  bytes.set(header.salt, 32);
  writeU64(view, 40, header.runMs);
  writeU64(view, 48, header.wallMs);
  bytes.set(header.boot, 56);
  view.setUint32(64, header.indexPage, true);
  view.setUint32(68, header.previousIndexPage, true);
  view.setUint32(72, tableBytes, true);
  let at = SEGMENT_HEADER_BYTES;
  for (const [i, stream] of header.streams.entries()) {
    const name = names[i] ?? Buffer.alloc(0);
    view.setUint16(at, stream.number, true);
    view.setUint16(at + 2, stream.nextOffsets.length, true);
    view.setUint16(at + 4, name.length, true);
    bytes.set(name, at + 6);
    at += 6 + name.length;
    for (const offset of stream.nextOffsets) {
      writeU64(view, at, offset);
      at += 8;
    }
  }
  view.setUint32(76, headerCrc(bytes, SEGMENT_HEADER_BYTES, tableBytes, 0), true);
  return bytes;
}

/** crc32 of bytes 0–75 and of the `tail` bytes that follow a header of `size` bytes. */
function headerCrc(bytes: Uint8Array, size: number, tail: number, seed: number): number {
  const head = crc32(bytes.subarray(0, 76), seed);
  return crc32(bytes.subarray(size, size + tail), head);
}

/** More than all partitions that a store can have; what claims more is no block. */
const MAX_RUNS = 4_096;

/** Pages that the header at the start of `firstPage` claims to have, or undefined if it is none. */
export function segmentHeaderPages(firstPage: Uint8Array): number | undefined {
  if (firstPage.length < PAGE_BYTES) return undefined;
  const view = viewOf(firstPage);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return undefined;
  return view.getUint16(6, true);
}

/** Bytes of the tables of a header whose checksum holds, in whatever version. */
function wholeTableBytes(bytes: Uint8Array): number | undefined {
  const pages = segmentHeaderPages(bytes);
  if (pages === undefined || pages === 0 || bytes.length < pages * PAGE_BYTES) return undefined;
  const view = viewOf(bytes);
  const tableBytes = view.getUint32(72, true);
  if (SEGMENT_HEADER_BYTES + tableBytes > pages * PAGE_BYTES) return undefined;
  const crc = headerCrc(bytes, SEGMENT_HEADER_BYTES, tableBytes, 0);
  return view.getUint32(76, true) === crc ? tableBytes : undefined;
}

/** Format version of a segment whose header is whole: a damaged one claims any. */
export function segmentVersion(bytes: Uint8Array): number | undefined {
  return wholeTableBytes(bytes) === undefined ? undefined : viewOf(bytes).getUint16(4, true);
}

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  const tableBytes = wholeTableBytes(bytes);
  const view = viewOf(bytes);
  if (tableBytes === undefined || view.getUint16(4, true) !== FORMAT_VERSION) return undefined;
  const end = SEGMENT_HEADER_BYTES + tableBytes;
  const reader = new ByteReader(bytes.subarray(SEGMENT_HEADER_BYTES, end));
  const streams: StreamTable[] = [];
  while (!reader.atEnd) {
    const number = reader.u16();
    const partitions = reader.u16();
    const name = reader.text(reader.u16());
    const nextOffsets = Array.from({ length: partitions }, () => reader.u64());
    streams.push({ number, name, nextOffsets });
  }
  return {
    pages: view.getUint16(6, true),
    sequence: readU64(view, 8),
    logId: bytes.slice(16, 32),
    salt: bytes.slice(32, 40),
    runMs: readU64(view, 40),
    wallMs: readU64(view, 48),
    boot: bytes.slice(56, 64),
    indexPage: view.getUint32(64, true),
    previousIndexPage: view.getUint32(68, true),
    streams,
  };
}

/** What a block needs besides its body. */
export interface BlockParts {
  readonly kind: number;
  readonly sequence: number;
  readonly number: number;
  readonly records: number;
  /** As stored. */
  readonly moment: Moment;
  readonly runs: readonly Run[];
  /** Of the block before it; none in a segment's first. */
  readonly before: readonly Run[];
  /** Copied. */
  readonly body: StoredBody;
}

/** A body that is stored as it is. */
export function plainBody(bytes: Uint8Array): StoredBody {
  return { codec: CODEC_NONE, bytes, plainBytes: bytes.length };
}

/** A whole block, padded with zeros to full pages. */
export function encodeBlock(parts: BlockParts, salt: Uint8Array): Uint8Array {
  const { body, runs, before } = parts;
  const start = bodyStart(runs.length + before.length);
  const bytes = new Uint8Array(pagesFor(start + body.bytes.length) * PAGE_BYTES);
  const view = viewOf(bytes);
  const seed = seedOf(salt, parts.sequence, parts.number);
  view.setUint32(0, BLOCK_MAGIC, true);
  bytes[4] = FORMAT_VERSION;
  bytes[5] = parts.kind;
  bytes[6] = body.codec;
  writeU64(view, 8, parts.sequence);
  view.setUint32(16, parts.number, true);
  view.setUint32(20, runs.length, true);
  view.setUint32(24, body.bytes.length, true);
  view.setUint32(28, body.plainBytes, true);
  view.setUint32(32, parts.records, true);
  view.setUint32(36, crc32(body.bytes, seed), true);
  bytes.set(parts.moment.boot, 40);
  writeU64(view, 48, Math.round(parts.moment.monoMs * 1000));
  writeU64(view, 56, parts.moment.wallMs);
  writeU64(view, 64, parts.moment.runMs);
  view.setUint32(72, before.length, true);
  let at = BLOCK_HEADER_BYTES;
  for (const run of [...runs, ...before]) {
    view.setUint16(at, run.stream, true);
    view.setUint16(at + 2, run.partition, true);
    view.setUint32(at + 4, run.records, true);
    writeU64(view, at + 8, run.firstOffset);
    at += RUN_BYTES;
  }
  view.setUint32(76, headerCrc(bytes, BLOCK_HEADER_BYTES, start - BLOCK_HEADER_BYTES, seed), true);
  bytes.set(body.bytes, start);
  return bytes;
}

/** The segment that a block header names, whole or not; undefined: none begins here. */
export function sequenceNamed(bytes: Uint8Array): number | undefined {
  if (bytes.length < 16) return undefined;
  const view = viewOf(bytes);
  return view.getUint32(0, true) === BLOCK_MAGIC ? readU64(view, 8) : undefined;
}

/** Bytes of header and runs of the block that seems to start here, or undefined if none does. */
export function blockHeadBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length < BLOCK_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== BLOCK_MAGIC || bytes[4] !== FORMAT_VERSION) return undefined;
  const runs = view.getUint32(20, true) + view.getUint32(72, true);
  return runs <= 2 * MAX_RUNS ? bodyStart(runs) : undefined;
}

/**
 * The header of the block at the start of `bytes`, if its checksum holds; the body is not looked
 * at.
 */
export function decodeBlockHeader(bytes: Uint8Array, salt: Uint8Array): BlockHeader | undefined {
  const head = blockHeadBytes(bytes);
  if (head === undefined || bytes.length < head) return undefined;
  const view = viewOf(bytes);
  const sequence = readU64(view, 8);
  const number = view.getUint32(16, true);
  const seed = seedOf(salt, sequence, number);
  const crc = headerCrc(bytes, BLOCK_HEADER_BYTES, head - BLOCK_HEADER_BYTES, seed);
  if (view.getUint32(76, true) !== crc) return undefined;
  const all: Run[] = [];
  for (let at = BLOCK_HEADER_BYTES; at < head; at += RUN_BYTES) {
    all.push({
      stream: view.getUint16(at, true),
      partition: view.getUint16(at + 2, true),
      records: view.getUint32(at + 4, true),
      firstOffset: readU64(view, at + 8),
    });
  }
  return {
    kind: bytes[5] ?? 0,
    codec: bytes[6] ?? 0,
    sequence,
    number,
    storedBytes: view.getUint32(24, true),
    plainBytes: view.getUint32(28, true),
    records: view.getUint32(32, true),
    bodyCrc: view.getUint32(36, true),
    boot: bytes.slice(40, 48),
    monoMs: readU64(view, 48) / 1000,
    wallMs: readU64(view, 56),
    runMs: readU64(view, 64),
    runs: all.slice(0, view.getUint32(20, true)),
    before: all.slice(view.getUint32(20, true)),
  };
}

/** The body of a block, if it is all there and its checksum holds. `bytes` starts at the block. */
export function blockBody(
  bytes: Uint8Array,
  header: BlockHeader,
  salt: Uint8Array,
): Uint8Array | undefined {
  const start = bodyStart(header.runs.length + header.before.length);
  if (bytes.length < start + header.storedBytes) return undefined;
  const body = bytes.subarray(start, start + header.storedBytes);
  const seed = seedOf(salt, header.sequence, header.number);
  return crc32(body, seed) === header.bodyCrc ? body : undefined;
}
