import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { HeadgateError } from '../base/errors.ts';
import { pagesFor } from './bytes.ts';

/** How a body is stored. The numbers stand in blocks: docs/log-format.md, *Block*. */
export const CODEC_NONE = 0;
export const CODEC_DEFLATE = 1;
export const CODEC_ZSTD = 2;

/** What the configuration asks for. `auto`: zstd where the runtime has it, else deflate. */
export type Compression = 'auto' | 'deflate' | 'none';

/** A body as it is stored. */
export interface StoredBody {
  readonly codec: number;
  readonly bytes: Uint8Array;
  readonly plainBytes: number;
}

type Sync = (bytes: Uint8Array, options?: object) => Buffer;
type Async = (
  bytes: Uint8Array,
  options: object,
  done: (error: Error | null, bytes: Buffer) => void,
) => void;

/** Node 22.15 and later. */
const zstd = zlib as unknown as {
  readonly zstdCompress?: Async;
  readonly zstdCompressSync?: Sync;
  readonly zstdDecompressSync?: Sync;
};

export const hasZstd = zstd.zstdCompress !== undefined;

/** Up to here a body is compressed at once: a trip to another thread takes longer. */
const SYNC_BYTES = 16 * 1024;
/** Up to here a better level costs little, and may save the last page of a few. */
const SMALL_BYTES = 64 * 1024;
/** A commit is waited for; a packing is not, and is done once. */
export type Effort = 'commit' | 'packing';

function levelFor(bytes: Uint8Array, effort: Effort): number {
  if (effort === 'packing') return 9;
  return bytes.length <= SMALL_BYTES ? 5 : 1;
}

interface Compressor {
  readonly codec: number;
  readonly now: (bytes: Uint8Array, effort: Effort) => Buffer;
  readonly later: (bytes: Uint8Array, effort: Effort) => Promise<Buffer>;
}

const deflateLater = promisify(zlib.deflateRaw) as (b: Uint8Array, o: object) => Promise<Buffer>;

const DEFLATE: Compressor = {
  codec: CODEC_DEFLATE,
  now: (bytes, effort) => zlib.deflateRawSync(bytes, { level: levelFor(bytes, effort) }),
  later: (bytes, effort) => deflateLater(bytes, { level: levelFor(bytes, effort) }),
};

function zstdOptions(bytes: Uint8Array, effort: Effort): object {
  const { ZSTD_c_compressionLevel: level } = zlib.constants as unknown as Record<string, number>;
  return { params: { [level ?? 0]: levelFor(bytes, effort) } };
}

const ZSTD: Compressor | undefined =
  zstd.zstdCompress === undefined || zstd.zstdCompressSync === undefined
    ? undefined
    : {
        codec: CODEC_ZSTD,
        now: (bytes, effort) => (zstd.zstdCompressSync as Sync)(bytes, zstdOptions(bytes, effort)),
        later: (bytes, effort) =>
          promisify(zstd.zstdCompress as Async)(
            bytes,
            zstdOptions(bytes, effort),
          ) as Promise<Buffer>,
      };

function compressorOf(compression: Compression): Compressor | undefined {
  if (compression === 'none') return undefined;
  return compression === 'auto' ? (ZSTD ?? DEFLATE) : DEFLATE;
}

/**
 * A body as it is best stored: compressed if that saves a page, `headBytes` being what stands
 * before it in its block. Large ones are compressed on another thread. `bytes` must not change
 * until then.
 */
export async function packBody(
  bytes: Uint8Array,
  headBytes: number,
  compression: Compression,
  effort: Effort = 'commit',
): Promise<StoredBody> {
  const plain = { codec: CODEC_NONE, bytes, plainBytes: bytes.length };
  const compressor = compressorOf(compression);
  const pages = pagesFor(headBytes + bytes.length);
  if (compressor === undefined || pages <= 1) return plain;
  const packed =
    bytes.length <= SYNC_BYTES
      ? compressor.now(bytes, effort)
      : await compressor.later(bytes, effort);
  if (pagesFor(headBytes + packed.length) >= pages) return plain;
  return { codec: compressor.codec, bytes: packed, plainBytes: bytes.length };
}

/** What share of its size these bytes would have; at once, so for a sample only. */
export function packedShare(sample: Uint8Array, compression: Compression): number {
  const compressor = compressorOf(compression);
  if (compressor === undefined || sample.length === 0) return 1;
  return compressor.now(sample, 'commit').length / sample.length;
}

/** Why a body can't be unpacked here, or undefined. */
export function codecFault(codec: number): string | undefined {
  if (codec === CODEC_NONE || codec === CODEC_DEFLATE) return undefined;
  if (codec !== CODEC_ZSTD) return `a block with codec ${codec}`;
  return hasZstd ? undefined : 'a block that is packed with zstd, which needs Node 22.15 or newer';
}

/** A stored body as it was. Throws LOG_FORMAT for one that is not what its header says. */
export function unpackBody({ codec, bytes, plainBytes }: StoredBody): Uint8Array {
  if (codec === CODEC_NONE) return bytes;
  // The checksum held, so this is what was written: the bound is against defects of our own.
  const options = { maxOutputLength: Math.max(1, plainBytes) };
  const plain =
    codec === CODEC_DEFLATE
      ? zlib.inflateRawSync(bytes, options)
      : zstd.zstdDecompressSync?.(bytes, options);
  if (plain?.length === plainBytes) return plain;
  throw new HeadgateError('LOG_FORMAT', codecFault(codec) ?? 'a body of another size than it says');
}
