import { createHash } from 'node:crypto';
import { messageOf } from '../../src/base/errors.ts';
import { type CloudRecord, decodeEnvelope } from '../../src/uplink/decode-envelope.ts';
import type { SinkMessage } from './source.ts';

/** What the database gets of a message. Pure. */

/** A row of headgate_records. */
export interface RecordRow {
  readonly gateway: string;
  readonly log: string;
  readonly stream: string;
  readonly part: number;
  readonly offset: number;
  readonly device: string;
  readonly id: string | null;
  readonly topic: string;
  readonly historical: boolean;
  readonly receivedAtMs: number;
  readonly deviceTimeMs: number | null;
  readonly reason: string | null;
  readonly payload: Buffer;
  readonly isText: boolean;
}

/** A row of headgate_rejected. */
export interface RejectedRow {
  readonly digest: Buffer;
  readonly topic: string;
  readonly payload: Buffer;
  /** User properties or headers as JSON: `identity: properties` has the identity there. */
  readonly properties: string;
  readonly reason: string;
}

export interface MessageRows {
  readonly records: readonly RecordRow[];
  readonly rejected: readonly RejectedRow[];
}

/** Years 1 to 9999: PostgreSQL knows more, what reads it often does not. */
const MIN_TIME_MS = Date.parse('0001-01-01T00:00:00Z');
const MAX_TIME_MS = Date.UTC(10_000, 0, 1) - 1;
const MAX_PART = 2 ** 31 - 1;
/**
 * What a message may hold: far more than a gateway puts into one, and little enough that whoever
 * may publish can't take this program's memory or hold it up for seconds.
 */
const BOUNDS = { maxOutputLength: 16 * 1024 * 1024, maxRecords: 50_000 };

function isTime(ms: number): boolean {
  return ms >= MIN_TIME_MS && ms <= MAX_TIME_MS;
}

/** A text column takes every character but NUL, which a device may put into its id. */
function storable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Throws what is wrong with a record that has no place in the table. */
function rowOf(record: CloudRecord): RecordRow {
  const { gateway, log, stream, partition, offset, device, topic, receivedAt } = record;
  // Made storable, two identities could become one.
  if (`${gateway}${log}${stream}`.includes('\0')) throw new Error('NUL in the identity');
  if (partition > MAX_PART) throw new Error(`partition ${partition} is out of range`);
  if (!isTime(receivedAt)) throw new Error(`receivedAt ${receivedAt} is out of range`);
  const { deviceTime, id, reason, payload, encoding } = record;
  return {
    ...{ gateway, log, stream, part: partition, offset },
    device: storable(device),
    id: id === undefined ? null : storable(id),
    topic: storable(topic),
    historical: record.historical === true,
    receivedAtMs: receivedAt,
    deviceTimeMs: deviceTime !== undefined && isTime(deviceTime) ? deviceTime : null,
    reason: reason === undefined ? null : storable(reason),
    payload: Buffer.from(payload, encoding ?? 'utf8'),
    isText: encoding === undefined && !payload.includes('\0'),
  };
}

export function rejectedRow(message: SinkMessage, reason: string): RejectedRow {
  const { topic, payload } = message;
  // In one order: a broker may give them in any.
  const sorted = Object.entries(message.properties).sort(([a], [b]) => (a < b ? -1 : 1));
  const properties = storable(JSON.stringify(Object.fromEntries(sorted)));
  const about = JSON.stringify([topic, properties]);
  return {
    digest: createHash('sha256').update(about).update('\0').update(payload).digest(),
    topic: storable(topic),
    payload: bytesOf(payload),
    properties,
    reason: storable(reason),
  };
}

/** Of a record whose identity another one has already. */
export function impostorRow(record: RecordRow): RejectedRow {
  const { gateway, log, stream, part, offset, device, topic, payload } = record;
  const identity = { gateway, log, stream, partition: `${part}`, offset: `${offset}`, device };
  const reason = 'another record has this identity already, and says something else';
  return rejectedRow({ topic, payload, properties: identity }, reason);
}

/**
 * Sound records of a message become rows. What can't be decoded, or holds a record that has no
 * place in the table, is kept as a whole among the rejected.
 */
export function rowsOf(message: SinkMessage): MessageRows {
  let records: CloudRecord[];
  try {
    records = decodeEnvelope(message.payload, message.properties, BOUNDS);
  } catch (error) {
    return { records: [], rejected: [rejectedRow(message, messageOf(error))] };
  }
  const rows: RecordRow[] = [];
  const faults: string[] = [];
  for (const record of records) {
    try {
      rows.push(rowOf(record));
    } catch (error) {
      faults.push(`offset ${record.offset}: ${messageOf(error)}`);
    }
  }
  if (faults.length === 0) return { records: rows, rejected: [] };
  const reason = `${faults.length} of ${records.length} records: ${faults[0]}`;
  return { records: rows, rejected: [rejectedRow(message, reason)] };
}
