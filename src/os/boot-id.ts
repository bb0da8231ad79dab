import { randomBytes } from 'node:crypto';
import type { Files } from './files.ts';

/**
 * First 8 bytes of the kernel's boot id: monotonic times with the same one can be compared. Where
 * the kernel gives none, a random one: times of this process are then comparable with each other
 * only.
 */
export async function readBootId(files: Files): Promise<Uint8Array> {
  const text = await files.readText('/proc/sys/kernel/random/boot_id');
  const hex = (text ?? '').replaceAll('-', '').slice(0, 16);
  return /^[0-9a-f]{16}$/.test(hex) ? Buffer.from(hex, 'hex') : randomBytes(8);
}
