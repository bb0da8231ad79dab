import { codeOf, messageOf } from '../base/errors.ts';

/** The fields of a diagnostic line: made safe to write, and written as `key=value`. Pure. */

export type Fields = Readonly<Record<string, unknown>>;

const SECRET_NAME = /(password|token|secret)$/i;
const MASK = '***';
// Bounds on one line. A payload or a stack from outside must not become a page in the diagnostics.
const MAX_TEXT_CHARACTERS = 1000;
const MAX_ITEMS = 50;
const MAX_DEPTH = 4;
const MAX_CAUSES = 3;
/** pino writes these itself; a field of that name would stand in the line twice. */
const TAKEN_NAMES = new Set(['level', 'time', 'msg']);

function shorten(text: string): string {
  const safe = text.replace(/\/\/[^\s@]*@/g, `//${MASK}@`);
  return safe.length > MAX_TEXT_CHARACTERS ? `${safe.slice(0, MAX_TEXT_CHARACTERS)}…` : safe;
}

/** Code, message, what caused it; for an error that nobody foresaw, the line that it came from. */
function safeError(error: Error, depth = 0): Fields {
  const code = codeOf(error);
  const isForeseen = typeof (error as { code?: unknown }).code === 'string';
  const at = isForeseen ? undefined : error.stack?.split('\n').find((line) => /^\s+at /.test(line));
  const cause = depth < MAX_CAUSES && error.cause instanceof Error ? error.cause : undefined;
  return {
    code,
    message: shorten(messageOf(error)),
    ...(at === undefined ? {} : { at: at.trim().slice(3) }),
    ...(cause === undefined ? {} : { cause: safeError(cause, depth + 1) }),
  };
}

function safeObject(value: object, depth: number): unknown {
  if (value instanceof Error) return safeError(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'no date' : value.toISOString();
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value) || value instanceof Set) {
    const items = [...value].slice(0, MAX_ITEMS).map((item) => safeValue(item, depth + 1));
    return items;
  }
  const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
  return safeEntries(entries, depth + 1);
}

function safeValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return shorten(value);
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'function':
    case 'symbol':
      return typeof value;
    case 'object':
      return value === null ? null : safeObject(value, depth);
    default:
      return value;
  }
}

function safeEntries(entries: ReadonlyArray<[unknown, unknown]>, depth: number): Fields {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of entries.slice(0, MAX_ITEMS)) {
    const key = String(name);
    safe[key] = SECRET_NAME.test(key) ? MASK : safeValue(value, depth);
  }
  return safe;
}

/** A copy that holds no secret, no more than a line's worth, and nothing that JSON cannot say. */
export function safeFields(fields: Fields): Fields {
  const entries = Object.entries(fields).map(([name, value]): [string, unknown] => [
    TAKEN_NAMES.has(name) ? `${name}_` : name,
    value,
  ]);
  return safeEntries(entries, 0);
}

/**
 * Quoted unless it is one plain word: a value from outside can neither end the line nor forge a
 * field.
 */
function quoted(text: string): string {
  if (/^[^\s"=\\\p{C}]+$/u.test(text)) return text;
  return JSON.stringify(text).replace(/\p{C}/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return `\\u${hex.padStart(4, '0')}`;
  });
}

function isErrorShape(value: unknown): value is { code: string; message: string; cause?: unknown } {
  return typeof value === 'object' && value !== null && 'code' in value && 'message' in value;
}

function showError(error: { code: string; message: string; at?: string; cause?: unknown }): string {
  const own = error.message.startsWith(error.code)
    ? error.message
    : `${error.code}: ${error.message}`;
  const at = error.at === undefined ? '' : ` at ${error.at}`;
  const cause = isErrorShape(error.cause) ? `, caused by ${showError(error.cause)}` : '';
  return `${own}${at}${cause}`;
}

function showValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (isErrorShape(value)) return quoted(showError(value));
  return typeof value === 'object' && value !== null
    ? quoted(JSON.stringify(value))
    : String(value);
}

/** `device=d1 topic="a b"`, of fields that `safeFields` gave. */
export function showFields(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${quoted(name)}=${showValue(value)}`)
    .join(' ');
}
