import type { Reading } from '../base/reading.ts';
import { COUNT_NAMES, type Counts } from './counts.ts';

/** A closed bucket, as a record of the stream `audit`: docs/audit.md has the format. Pure. */

export const ENTRY_VERSION = 1;

export interface AuditEntry {
  /** The log whose records were counted. */
  readonly log: string;
  readonly stream: string;
  /** ms since 1970. */
  readonly bucketStart: number;
  readonly bucketMs: number;
  /** Number of the entry. Of several with the same identity the last one holds. */
  readonly n: number;
  readonly counts: Readonly<Counts>;
  /** Of the stream, when the entry was written; absent where there are none. */
  readonly gaps?: { readonly devices: number; readonly numbers: number } | undefined;
}

type EntryName = Pick<AuditEntry, 'stream' | 'bucketStart' | 'n'>;

export function entryId({ stream, bucketStart, n }: EntryName): string {
  return `${stream}/${bucketStart}/${n}`;
}

export function entryReading(entry: AuditEntry, monoMs: number): Reading {
  const { log, stream, bucketStart, bucketMs, n, counts, gaps } = entry;
  const head = { v: ENTRY_VERSION, log, stream, bucketStart, bucketMs, n };
  const text = JSON.stringify({ ...head, ...counts, ...(gaps === undefined ? {} : { gaps }) });
  return {
    device: stream,
    topic: `headgate/audit/${stream}`,
    payload: Buffer.from(text),
    messageId: { kind: 'id', text: entryId(entry) },
    monoMs,
  };
}

/** undefined: it is no entry that this version can read. */
export function parseEntry(payload: Uint8Array): AuditEntry | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const { v, log, stream, bucketStart, bucketMs, n } = fields;
  if (v !== ENTRY_VERSION || typeof log !== 'string' || typeof stream !== 'string') {
    return undefined;
  }
  const numbers = [bucketStart, bucketMs, n, ...COUNT_NAMES.map((name) => fields[name] ?? 0)];
  if (!numbers.every((one) => Number.isSafeInteger(one))) return undefined;
  const counts = Object.fromEntries(COUNT_NAMES.map((name) => [name, fields[name] ?? 0])) as Counts;
  const start = bucketStart as number;
  const name = { log, stream, bucketStart: start, n: n as number };
  return { ...name, bucketMs: bucketMs as number, counts };
}
