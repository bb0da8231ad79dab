import { isAscii, isUtf8 } from 'node:buffer';

/**
 * The bytes as text, or undefined if they are no valid UTF-8. Plain ASCII, the usual case, is
 * cheap.
 */
export function textOf(bytes: Uint8Array): string | undefined {
  const { buffer, byteOffset, byteLength } = bytes;
  const all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength);
  if (isAscii(all)) return all.toString('latin1');
  return isUtf8(all) ? all.toString('utf8') : undefined;
}
