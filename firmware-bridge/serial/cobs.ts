import { CRC_START, CRC_WHOLE, crc16, crcOfOneMore } from './crc16.ts';

/**
 * Consistent Overhead Byte Stuffing: bytes without 0x00, so that 0x00 ends a frame. Each block is a
 * code byte, which says how far the next 0x00 of the plain bytes is, and up to 254 bytes. Pure.
 */

const FULL_BLOCK = 0xff;
const CRC_BYTES = 2;

/** Without the 0x00 at the end. */
export function cobsEncode(plain: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(plain.length + Math.floor(plain.length / 254) + 1);
  let code = 0;
  let next = 1;
  for (const byte of plain) {
    // A full block stands for no 0x00, and the next one begins only with the byte that it is for.
    if (next - code === FULL_BLOCK) {
      out[code] = FULL_BLOCK;
      code = next++;
    }
    if (byte !== 0) {
      out[next++] = byte;
      continue;
    }
    out[code] = next - code;
    code = next++;
  }
  out[code] = next - code;
  return out.slice(0, next);
}

/** A frame as it goes over the line: COBS of the body and its CRC, then 0x00. */
export function frameOf(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const crc = crc16(body);
  const stuffed = cobsEncode(Uint8Array.from([...body, crc >> 8, crc & 0xff]));
  return Uint8Array.from([...stuffed, 0]);
}

export type CobsEvent =
  | { readonly kind: 'body'; readonly body: Uint8Array }
  /** Its checksum was right, so that its first bytes can be trusted. */
  | { readonly kind: 'tooLong'; readonly head: Uint8Array }
  | { readonly kind: 'noise'; readonly bytes: number };

/**
 * Finds the frames in what a line brings, wherever it is split. Throws nothing, whatever the bytes
 * are, and holds no more than the longest body.
 */
export class CobsFramer {
  readonly #plain: Uint8Array;
  readonly #maxBodyBytes: number;
  /** Bytes since the last 0x00, and of them as they were before they were stuffed. */
  #rawBytes = 0;
  #plainBytes = 0;
  /** Left in this block; and whether a 0x00 stands between it and the next one. */
  #left = 0;
  #zeroFollows = false;
  #crc = CRC_START;

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#plain = new Uint8Array(maxBodyBytes + CRC_BYTES);
  }

  take(bytes: Uint8Array): CobsEvent[] {
    const events: CobsEvent[] = [];
    for (const byte of bytes) {
      if (byte !== 0) {
        this.#add(byte);
        continue;
      }
      // Between two 0x00 there is nothing, and nothing to say.
      if (this.#rawBytes > 0) events.push(this.#event());
      this.#startAnew();
    }
    return events;
  }

  #add(byte: number): void {
    this.#rawBytes += 1;
    if (this.#left > 0) {
      this.#left -= 1;
      this.#keep(byte);
      return;
    }
    if (this.#zeroFollows) this.#keep(0);
    this.#left = byte - 1;
    this.#zeroFollows = byte !== FULL_BLOCK;
  }

  #keep(byte: number): void {
    this.#crc = crcOfOneMore(this.#crc, byte);
    if (this.#plainBytes < this.#plain.length) this.#plain[this.#plainBytes] = byte;
    this.#plainBytes += 1;
  }

  #event(): CobsEvent {
    const isWhole = this.#left === 0 && this.#plainBytes > CRC_BYTES && this.#crc === CRC_WHOLE;
    if (!isWhole) return { kind: 'noise', bytes: this.#rawBytes };
    const bodyBytes = this.#plainBytes - CRC_BYTES;
    if (bodyBytes > this.#maxBodyBytes) return { kind: 'tooLong', head: this.#plain.slice() };
    return { kind: 'body', body: this.#plain.slice(0, bodyBytes) };
  }

  #startAnew(): void {
    this.#rawBytes = 0;
    this.#plainBytes = 0;
    this.#left = 0;
    this.#zeroFollows = false;
    this.#crc = CRC_START;
  }
}
