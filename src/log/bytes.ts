/** Little-endian numbers and varints in byte arrays. Pure. */

export const PAGE_BYTES = 4096;

export function pagesFor(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

const HIGH = 0x1_0000_0000;

/** Unsigned, up to 2^53: far beyond any offset, sequence number or time here. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / HIGH), true);
}

export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * HIGH;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** At most 8 bytes: values up to 2^53. */
export const MAX_VARINT_BYTES = 8;

/** Writes LEB128 at `at`; returns the position after it. */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    into[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[at++] = rest;
  return at;
}

/** Reads on through a byte array; throws RangeError at its end. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = viewOf(bytes);
  }

  get atEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  u8(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new RangeError('read beyond the end');
    return byte;
  }

  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }

  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }

  u64(): number {
    this.at += 8;
    return readU64(this.#view, this.at - 8);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new RangeError('varint too long');
  }

  /** A view into the bytes, not a copy. */
  bytes(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new RangeError('read beyond the end');
    const slice = this.#bytes.subarray(this.at, end);
    this.at = end;
    return slice;
  }

  skip(length: number): void {
    if (this.at + length > this.#bytes.length) throw new RangeError('read beyond the end');
    this.at += length;
  }

  text(length: number): string {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new RangeError('read beyond the end');
    const text = this.#bytes.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }
}
