import { HeadgateError } from '../base/errors.ts';
import { sequenceFromText } from '../base/message-id.ts';
import type { LogRecord, MessageId, Reading } from '../base/reading.ts';
import { ByteReader, MAX_VARINT_BYTES, viewOf, writeU64, writeVarint } from './bytes.ts';
import { type BlockHeader, bootName, type Run } from './format.ts';

/** Records in the body of a block: docs/log-format.md, *Records*. Pure. */

const ID_KINDS = ['none', 'id', 'sequence', 'counter'] as const;
const HAS_DEVICE_TIME = 4;
const HAS_REASON = 8;
/** Flags, device time and varints. */
export const RECORD_OVERHEAD_BYTES = 9 + 7 * MAX_VARINT_BYTES;
/** Up to here the bytes of a text are guessed, beyond they are counted. */
const SHORT_CHARS = 256;
const KNOWN_FLAGS = 3 | HAS_DEVICE_TIME | HAS_REASON;

function textBound(text: string | undefined): number {
  if (text === undefined) return 0;
  return text.length <= SHORT_CHARS ? 3 * text.length : Buffer.byteLength(text);
}

/** No encoded record is longer than this. */
export function maxRecordBytes(reading: Reading): number {
  const { device, topic, messageId, reason, payload } = reading;
  const text =
    textBound(device) + textBound(topic) + textBound(messageId?.text) + textBound(reason);
  return RECORD_OVERHEAD_BYTES + text + payload.length;
}

/** A body that grows: records are encoded as they arrive, so a commit only has to write them. */
export class BodyWriter {
  #bytes: Buffer;
  #view: DataView;
  #at = 0;

  constructor(capacityBytes: number) {
    this.#bytes = Buffer.allocUnsafe(capacityBytes);
    this.#view = viewOf(this.#bytes);
  }

  get length(): number {
    return this.#at;
  }

  /** The bytes written, not copied: valid until the next `reset`. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  reset(): void {
    this.#at = 0;
  }

  /**
   * `sinceBaseMs`: whole ms since the block's base. About 0.3 µs for a reading of 130 bytes (`npm
   * run bench`, row "encode").
   */
  add(reading: Reading, run: number, sinceBaseMs: number): void {
    this.#reserve(maxRecordBytes(reading));
    const id = reading.messageId;
    const time = reading.deviceTimeMs;
    const { reason } = reading;
    const kind = id === undefined ? 0 : ID_KINDS.indexOf(id.kind);
    const more =
      (time === undefined ? 0 : HAS_DEVICE_TIME) | (reason === undefined ? 0 : HAS_REASON);
    this.#bytes[this.#at++] = kind | more;
    this.#at = writeVarint(this.#bytes, this.#at, run);
    this.#at = writeVarint(this.#bytes, this.#at, sinceBaseMs);
    this.#text(reading.device);
    this.#text(reading.topic);
    if (id !== undefined) this.#text(id.text);
    if (time !== undefined) {
      writeU64(this.#view, this.#at, time);
      this.#at += 8;
    }
    if (reason !== undefined) this.#text(reason);
    this.#at = writeVarint(this.#bytes, this.#at, reading.payload.length);
    this.#bytes.set(reading.payload, this.#at);
    this.#at += reading.payload.length;
  }

  #text(text: string): void {
    // Short texts, the usual case, have a length of one byte: write first, then say how long it
    // was.
    if (text.length < 42) {
      const written = this.#bytes.write(text, this.#at + 1);
      this.#bytes[this.#at] = written;
      this.#at += written + 1;
      return;
    }
    this.#at = writeVarint(this.#bytes, this.#at, Buffer.byteLength(text));
    this.#at += this.#bytes.write(text, this.#at);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }
}

function messageId(kind: number, text: string): MessageId {
  if (kind === 1) return { kind: 'id', text };
  if (kind === 2) return sequenceFromText(text);
  return { kind: 'counter', text, sequence: Number(text) };
}

/** Names of streams by their number. */
export type StreamNames = ReadonlyMap<number, string>;

/** The first offset of a run that is wanted: whoever begins in a block need not make the rest. */
export type Least = (run: Run) => number;

function skipRest(reader: ByteReader, flags: number): void {
  reader.skip(reader.varint());
  reader.skip(reader.varint());
  if ((flags & 3) !== 0) reader.skip(reader.varint());
  if (flags & HAS_DEVICE_TIME) reader.skip(8);
  if (flags & HAS_REASON) reader.skip(reader.varint());
  reader.skip(reader.varint());
}

/**
 * The records of a data block, in commit order. `body` is unpacked and checked; payloads are views
 * into it. Throws LOG_FORMAT for a record that another version wrote, and RangeError if the body is
 * not what its header says, which a checked body never is.
 */
export function decodeRecords(
  header: BlockHeader,
  body: Uint8Array,
  names: StreamNames,
  least: Least = () => 0,
): LogRecord[] {
  const reader = new ByteReader(body);
  const next = header.runs.map((run) => run.firstOffset);
  const leastOf = header.runs.map(least);
  const boot = bootName(header.boot);
  const records: LogRecord[] = [];
  for (let i = 0; i < header.records; i++) {
    const flags = reader.u8();
    if ((flags & ~KNOWN_FLAGS) !== 0) {
      throw new HeadgateError('LOG_FORMAT', `a record with flags 0x${flags.toString(16)}`);
    }
    const runIndex = reader.varint();
    const sinceBaseMs = reader.varint();
    if ((next[runIndex] ?? 0) < (leastOf[runIndex] ?? 0)) {
      skipRest(reader, flags);
      next[runIndex] = (next[runIndex] ?? 0) + 1;
      continue;
    }
    const device = reader.text(reader.varint());
    const topic = reader.text(reader.varint());
    const kind = flags & 3;
    const id = kind === 0 ? undefined : messageId(kind, reader.text(reader.varint()));
    const deviceTimeMs = flags & HAS_DEVICE_TIME ? reader.u64() : undefined;
    const reason = flags & HAS_REASON ? reader.text(reader.varint()) : undefined;
    const payload = reader.bytes(reader.varint());
    const run = header.runs[runIndex];
    const offset = next[runIndex];
    if (run === undefined || offset === undefined) throw new RangeError('no such run');
    next[runIndex] = offset + 1;
    records.push({
      stream: names.get(run.stream) ?? `#${run.stream}`,
      partition: run.partition,
      offset,
      device,
      topic,
      messageId: id,
      deviceTimeMs,
      reason,
      payload,
      monoMs: header.monoMs + sinceBaseMs,
      receivedAtMs: header.wallMs + sinceBaseMs,
      boot,
      runMs: header.runMs + sinceBaseMs,
    });
  }
  return records;
}
