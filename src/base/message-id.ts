import type { ErrorCode } from './errors.ts';
import type { MessageId } from './reading.ts';

/** What may name a message, and how it is written down. Pure. */

export const MAX_ID_BYTES = 256;

/** A string or number as an id; undefined when there is none, null when it is of no usable kind. */
export function idText(field: unknown): string | undefined | null {
  if (field === undefined || field === null) return undefined;
  if (typeof field === 'number') return Number.isFinite(field) ? String(field) : null;
  if (typeof field === 'bigint') return String(field);
  if (typeof field !== 'string' || field === '') return null;
  // JSON may hold half a character, which UTF-8 can't: what is stored would be another id.
  if (!field.isWellFormed()) return null;
  // A UTF-16 unit is at most 3 bytes of UTF-8: only long strings need to be measured.
  if (field.length * 3 > MAX_ID_BYTES && Buffer.byteLength(field) > MAX_ID_BYTES) return null;
  return field;
}

/** A field as an id of its own. */
export function ownId(field: unknown): MessageId | undefined | ErrorCode {
  const text = idText(field);
  if (text === undefined) return undefined;
  if (text === null) return 'PAYLOAD_ID_INVALID';
  // Beyond 2^53 JSON.parse gives one number for several: that must not pass for one id.
  const isExact = typeof field !== 'number' || Number.isSafeInteger(field);
  return isExact ? { kind: 'id', text } : { kind: 'counter', text, sequence: Number(field) };
}

/** A whole number from 0 on that was not rounded, sent as a number or a text of its digits. */
export function sequenceOf(field: unknown): number | undefined {
  const value = typeof field === 'string' && /^\d{1,16}$/.test(field) ? Number(field) : field;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/**
 * A field to count with, and the boot that it counts in. Without a boot it is a counter, which
 * starts again whenever the device does. One that is no number to count with is no better than
 * that, `boot` or not: it may start again too.
 */
export function countedId(field: unknown, boot: unknown): MessageId | undefined | ErrorCode {
  const text = idText(field);
  if (text === undefined) return undefined;
  if (text === null) return 'PAYLOAD_ID_INVALID';
  const sequence = sequenceOf(field);
  if (sequence === undefined) return { kind: 'counter', text, sequence: Number(text) };
  const bootText = idText(boot);
  if (bootText === null) return 'PAYLOAD_ID_INVALID';
  return bootText === undefined
    ? { kind: 'counter', text: String(sequence), sequence }
    : { kind: 'sequence', text: `${bootText}:${sequence}`, boot: bootText, sequence };
}

/** The inverse of a sequence's text. */
export function sequenceFromText(text: string): MessageId {
  const colon = text.lastIndexOf(':');
  const sequence = Number(text.slice(colon + 1));
  return { kind: 'sequence', text, boot: text.slice(0, colon), sequence };
}
