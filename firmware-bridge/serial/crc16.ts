/**
 * CRC-16/GENIBUS: polynomial 0x1021, start 0xFFFF, not reflected, inverted at the end. Without the
 * last a 0x00 behind a frame would not be seen, and one comes about where the 0x00 that ends the
 * frame loses a bit and the next frame begins with one. Pure.
 */

export const CRC_START = 0xffff;

/** What is left, before it is inverted, of bytes and their own big-endian CRC. */
export const CRC_WHOLE = 0x1d0f;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The CRC of what `crc` is of, and of one byte more; neither is inverted. */
export function crcOfOneMore(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (TABLE[((crc >> 8) ^ byte) & 0xff] ?? 0);
}

export function crc16(bytes: Uint8Array): number {
  let crc = CRC_START;
  for (const byte of bytes) crc = crcOfOneMore(crc, byte);
  return crc ^ 0xffff;
}
