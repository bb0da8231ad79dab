import { crc32 } from 'node:zlib';

/** The partition of a key: the same for the same key, for good. */
export function partitionOf(key: string, partitions: number): number {
  return partitions === 1 ? 0 : crc32(key) % partitions;
}
