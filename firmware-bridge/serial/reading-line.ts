import { crc16 } from './crc16.ts';
import { textOf } from './frame.ts';

/** A line of JSON, as docs/serial.md has it. Pure. */

type Scalar = string | number;

/** What an answer names: an id as it came, or boot and seq. */
export type LineId = Scalar | readonly [Scalar, Scalar];

export interface ReadingLine {
  /** The line without its checksum, byte for byte. */
  readonly payload: Uint8Array;
  /** undefined: the line names none; null: what it names is no text. */
  readonly device: string | undefined | null;
  readonly topic: string | undefined | null;
  readonly id: LineId | undefined;
  /** The line had a checksum, so the answer has one too. */
  readonly isChecked: boolean;
}

/** `*` and four hexadecimal digits. */
const CHECKSUM_BYTES = 5;
const CHECKSUM = /^\*[0-9a-f]{4}$/i;

function scalarOf(field: unknown): Scalar | undefined {
  if (typeof field === 'string') return field.isWellFormed() ? field : undefined;
  // Rounded, it would name another reading.
  if (typeof field !== 'number' || !Number.isFinite(field)) return undefined;
  return Number.isInteger(field) && !Number.isSafeInteger(field) ? undefined : field;
}

function idOf(fields: Readonly<Record<string, unknown>>): LineId | undefined {
  const own = scalarOf(fields['id'] ?? fields['messageId'] ?? undefined);
  if (own !== undefined) return own;
  const seq = scalarOf(fields['seq']);
  const boot = scalarOf(fields['boot']);
  return seq === undefined || boot === undefined ? seq : [boot, seq];
}

function nameOf(field: unknown): string | undefined | null {
  if (field === undefined || field === null) return undefined;
  return typeof field === 'string' ? field : null;
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** undefined: noise. */
export function readLine(line: Uint8Array): ReadingLine | undefined {
  const tail = Buffer.from(line.subarray(-CHECKSUM_BYTES)).toString('latin1');
  const isChecked = CHECKSUM.test(tail);
  const payload = isChecked ? line.subarray(0, -CHECKSUM_BYTES) : line;
  if (isChecked && Number.parseInt(tail.slice(1), 16) !== crc16(payload)) return undefined;
  const text = textOf(payload);
  const fields = text === undefined ? undefined : objectOf(text);
  if (fields === undefined) return undefined;
  const device = nameOf(fields['device']);
  const topic = nameOf(fields['topic']);
  return { payload, device, topic, id: idOf(fields), isChecked };
}

export type Answer =
  | { readonly ack: LineId }
  | { readonly nak: LineId; readonly error: 'device' | 'topic' | 'refused' };

/** A line for the device. */
export function answerLine(answer: Answer, isChecked: boolean): Uint8Array {
  const text = JSON.stringify(answer);
  if (!isChecked) return Buffer.from(`${text}\n`);
  const crc = crc16(Buffer.from(text)).toString(16).toUpperCase().padStart(4, '0');
  return Buffer.from(`${text}*${crc}\n`);
}
