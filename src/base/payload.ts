import { isAscii, isUtf8 } from 'node:buffer';
import type { ErrorCode } from './errors.ts';
import type { MessageId, PayloadValue, Sample } from './reading.ts';

/**
 * What a payload says: JSON of any shape, or a plain number. Pure, and it never throws: hostile
 * bytes give a code. Ingest asks it for the id and the time, detection for the numbers.
 */

export type ParsedPayload =
  | { readonly ok: true; readonly value: PayloadValue }
  | { readonly ok: false; readonly code: ErrorCode };

export const MAX_ID_BYTES = 256;

/**
 * The bytes as text, or undefined if they are no valid UTF-8. Plain ASCII, the usual case, is
 * cheap.
 */
function textOf(bytes: Uint8Array): string | undefined {
  const { buffer, byteOffset, byteLength } = bytes;
  const all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength);
  if (isAscii(all)) return all.toString('latin1');
  return isUtf8(all) ? all.toString('utf8') : undefined;
}

export function parsePayload(payload: Uint8Array): ParsedPayload {
  if (payload.length === 0) return { ok: false, code: 'PAYLOAD_EMPTY' };
  const text = textOf(payload);
  if (text === undefined) return { ok: false, code: 'PAYLOAD_NOT_A_READING' };
  try {
    const value: unknown = JSON.parse(text);
    // 1e999 is valid JSON and parses to Infinity, which is no measurement.
    if (typeof value === 'number' && !Number.isFinite(value)) {
      return { ok: false, code: 'PAYLOAD_NOT_A_READING' };
    }
    return { ok: true, value: value as PayloadValue };
  } catch {
    return { ok: false, code: 'PAYLOAD_NOT_A_READING' };
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: PayloadValue): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined;
}

/** A string or number as an id; undefined when there is none, null when it is of no usable kind. */
function idText(field: unknown): string | undefined | null {
  if (field === undefined || field === null) return undefined;
  if (typeof field === 'number') return Number.isFinite(field) ? String(field) : null;
  if (typeof field !== 'string' || field === '') return null;
  // JSON may hold half a character, which UTF-8 can't: what is stored would be another id.
  if (!field.isWellFormed()) return null;
  // A UTF-16 unit is at most 3 bytes of UTF-8: only long strings need to be measured.
  if (field.length * 3 > MAX_ID_BYTES && Buffer.byteLength(field) > MAX_ID_BYTES) return null;
  return field;
}

/** A field as an id of its own. */
function named(field: unknown): MessageId | undefined | ErrorCode {
  const text = idText(field);
  if (text === undefined) return undefined;
  if (text === null) return 'PAYLOAD_ID_INVALID';
  // Beyond 2^53 JSON.parse gives one number for several: that must not pass for one id.
  const isExact = typeof field !== 'number' || Number.isSafeInteger(field);
  return isExact ? { kind: 'id', text } : { kind: 'counter', text, sequence: Number(field) };
}

/** A whole number from 0 on that JSON did not round, sent as a number or a text of its digits. */
function sequenceOf(field: unknown): number | undefined {
  const value = typeof field === 'string' && /^\d{1,16}$/.test(field) ? Number(field) : field;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/**
 * The message id: `id`, or `messageId`, or `seq`. A `seq` with a `boot` beside it is a sequence;
 * alone it is a counter, which starts again whenever the device does. One that is no number to
 * count with is no better than a counter, `boot` or not: it may start again too.
 */
export function messageIdOf(value: PayloadValue): MessageId | undefined | ErrorCode {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const id = named(fields['id'] ?? fields['messageId']);
  if (id !== undefined) return id;
  const text = idText(fields['seq']);
  if (text === undefined) return undefined;
  if (text === null) return 'PAYLOAD_ID_INVALID';
  const sequence = sequenceOf(fields['seq']);
  if (sequence === undefined) return { kind: 'counter', text, sequence: Number(text) };
  const boot = idText(fields['boot']);
  if (boot === null) return 'PAYLOAD_ID_INVALID';
  return boot === undefined
    ? { kind: 'counter', text: String(sequence), sequence }
    : { kind: 'sequence', text: `${boot}:${sequence}`, boot, sequence };
}

/** The inverse of a sequence's text. */
export function sequenceFromText(text: string): MessageId {
  const colon = text.lastIndexOf(':');
  const sequence = Number(text.slice(colon + 1));
  return { kind: 'sequence', text, boot: text.slice(0, colon), sequence };
}

/** Seconds below this, milliseconds above: 1e11 s is the year 5138, 1e11 ms is 1973. */
const SECONDS_BELOW = 1e11;

/** The device's own time in ms since 1970: `ts`, `time` or `timestamp`, as s, ms or ISO 8601. */
export function deviceTimeOf(value: PayloadValue): number | undefined {
  const fields = fieldsOf(value);
  const field = fields?.['ts'] ?? fields?.['time'] ?? fields?.['timestamp'];
  const ms =
    typeof field === 'number'
      ? field < SECONDS_BELOW
        ? field * 1000
        : field
      : typeof field === 'string'
        ? Date.parse(field)
        : Number.NaN;
  return Number.isFinite(ms) && ms >= 0 && ms < 8.64e15 ? Math.round(ms) : undefined;
}

const NOT_MEASURED = new Set(['id', 'messageId', 'seq', 'boot', 'ts', 'time', 'timestamp']);

/**
 * The finite numbers in a payload. `place` is what the topic says after the device
 * (`sensors/d1/room/temperature` → `room.temperature`), '' if nothing.
 * A plain number, or the field `value`, is named by the place; other fields by place and field.
 */
export function samplesOf(value: PayloadValue, place: string): Sample[] {
  if (typeof value === 'number') return [{ metric: place || 'value', value }];
  const fields = fieldsOf(value);
  if (fields === undefined) return [];
  const samples: Sample[] = [];
  for (const name in fields) {
    const field = fields[name];
    if (typeof field !== 'number' || !Number.isFinite(field) || NOT_MEASURED.has(name)) continue;
    const own = place === '' ? name : `${place}.${name}`;
    samples.push({ metric: name === 'value' ? place || 'value' : own, value: field });
  }
  return samples;
}
