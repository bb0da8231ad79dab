/**
 * CRC-16/IBM-3740: polynomial 0x1021, start 0xFFFF, not reflected, nothing added at the end. Over
 * bytes and their own big-endian CRC it is 0. Pure.
 */

export const CRC_START = 0xffff;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The CRC of what `crc` is of, and of one byte more. */
export function crcOfOneMore(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (TABLE[((crc >> 8) ^ byte) & 0xff] ?? 0);
}

export function crc16(bytes: Uint8Array): number {
  let crc = CRC_START;
  for (const byte of bytes) crc = crcOfOneMore(crc, byte);
  return crc;
}
