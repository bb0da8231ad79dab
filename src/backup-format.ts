import { HeadgateError } from './base/errors.ts';

/** What a backup is made of: docs/backup.md. Pure. */

export const BACKUP_FORMAT = 1;
export const HEAD = 'backup.json';
export const MANIFEST = 'manifest.json';
export const STATE_NAME = /^state\/\d{8}\.entries$/;
export const LOG_NAME = /^log\/(telemetry|events)\/(\d{16}\.(segment|packed)|header\.copy)$/;

export interface BackupHead {
  readonly format: number;
  /** Version of the program. */
  readonly headgate: string;
  /** When it was begun, ms since 1970. */
  readonly createdMs: number;
  /** As in version.json. */
  readonly versions: { readonly data: number; readonly state: number };
}

export interface ManifestRow {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export type Entry = readonly [key: Uint8Array, value: Uint8Array];

/** Keys and values as they stand in the state store, each with its length before it. */
export function encodeEntry([key, value]: Entry): Uint8Array {
  const bytes = Buffer.alloc(8 + key.length + value.length);
  bytes.writeUInt32LE(key.length, 0);
  bytes.writeUInt32LE(value.length, 4);
  bytes.set(key, 8);
  bytes.set(value, 8 + key.length);
  return bytes;
}

/** Throws BACKUP_INVALID. */
export function decodeEntries(bytes: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const isWhole = at + 8 <= bytes.length;
    const keyEnd = isWhole ? at + 8 + bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    const end = isWhole ? keyEnd + bytes.readUInt32LE(at + 4) : keyEnd;
    if (end > bytes.length) throw new HeadgateError('BACKUP_INVALID', 'its state is cut off');
    entries.push([bytes.subarray(at + 8, keyEnd), bytes.subarray(keyEnd, end)]);
    at = end;
  }
  return entries;
}

/** Throws BACKUP_INVALID. */
export function parseJson<T>(bytes: Uint8Array, isSound: (value: unknown) => value is T): T {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (isSound(value)) return value;
  } catch {
    // Said below.
  }
  throw new HeadgateError('BACKUP_INVALID', 'what it says of itself is not readable');
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

export function isHead(value: unknown): value is BackupHead {
  if (!isMap(value) || !isMap(value['versions'])) return false;
  return Number.isInteger(value['format']) && Number.isSafeInteger(value['createdMs']);
}

export function isManifest(value: unknown): value is { readonly files: readonly ManifestRow[] } {
  return (
    isMap(value) &&
    Array.isArray(value['files']) &&
    value['files'].every(
      (row: unknown) =>
        isMap(row) &&
        typeof row['path'] === 'string' &&
        Number.isSafeInteger(row['bytes']) &&
        typeof row['sha256'] === 'string',
    )
  );
}
