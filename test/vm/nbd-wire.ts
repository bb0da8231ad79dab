/** The part of the NBD protocol that a server of one disk needs, as bytes. */

const OPTION_MAGIC = 0x49484156454f5054n;
const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

/** Fixed newstyle, and no zeroes behind the answer to EXPORT_NAME. */
export const GREETING = Buffer.concat([
  Buffer.from('NBDMAGICIHAVEOPT', 'latin1'),
  Buffer.from([0, 3]),
]);
export const CLIENT_FLAGS_BYTES = 4;

export const OPTION = { exportName: 1, abort: 2, info: 6, go: 7 } as const;
export const ANSWER = { ack: 1, info: 3, unsupported: 0x80000001 } as const;
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;
export const EINVAL = 22;

/** Flushes and FUA are understood; nothing else beyond reads and writes. */
const TRANSMISSION_FLAGS = 1 | 4 | 8;
const FORCED = 1;
const OPTION_HEAD_BYTES = 16;
const REQUEST_HEAD_BYTES = 28;

export interface Option {
  readonly code: number;
  /** With its head, in bytes. */
  readonly length: number;
}

/** Undefined: more bytes are needed. Throws on what is no option. */
export function readOption(bytes: Buffer): Option | undefined {
  if (bytes.length < OPTION_HEAD_BYTES) return undefined;
  if (bytes.readBigUInt64BE(0) !== OPTION_MAGIC) throw new Error('NBD: not an option');
  const length = OPTION_HEAD_BYTES + bytes.readUInt32BE(12);
  return bytes.length < length ? undefined : { code: bytes.readUInt32BE(8), length };
}

export function optionReply(code: number, answer: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  head.writeUInt32BE(code, 8);
  head.writeUInt32BE(answer, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

/** What a disk is, as EXPORT_NAME is answered. */
export function exportFacts(sizeBytes: number): Buffer {
  const facts = Buffer.alloc(10);
  facts.writeBigUInt64BE(BigInt(sizeBytes), 0);
  facts.writeUInt16BE(TRANSMISSION_FLAGS, 8);
  return facts;
}

/** The same, as GO and INFO are answered. */
export function exportInfo(sizeBytes: number): Buffer {
  return Buffer.concat([Buffer.from([0, 0]), exportFacts(sizeBytes)]);
}

export interface Request {
  readonly command: number;
  readonly isForced: boolean;
  readonly handle: bigint;
  readonly offset: number;
  readonly bytes: number;
  /** Of a write. */
  readonly data: Buffer;
  /** All of it, in bytes. */
  readonly length: number;
}

/** Undefined: more bytes are needed. Throws on what is no request. */
export function readRequest(bytes: Buffer): Request | undefined {
  if (bytes.length < REQUEST_HEAD_BYTES) return undefined;
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) throw new Error('NBD: not a request');
  const command = bytes.readUInt16BE(6);
  const count = bytes.readUInt32BE(24);
  const length = REQUEST_HEAD_BYTES + (command === COMMAND.write ? count : 0);
  if (bytes.length < length) return undefined;
  return {
    command,
    isForced: (bytes.readUInt16BE(4) & FORCED) !== 0,
    handle: bytes.readBigUInt64BE(8),
    offset: Number(bytes.readBigUInt64BE(16)),
    bytes: count,
    data: bytes.subarray(REQUEST_HEAD_BYTES, length),
    length,
  };
}

export function reply(handle: bigint, error = 0, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32BE(REPLY_MAGIC, 0);
  head.writeUInt32BE(error, 4);
  head.writeBigUInt64BE(handle, 8);
  return data.length === 0 ? head : Buffer.concat([head, data]);
}
