import { HeadgateError } from '../base/errors.ts';
import { recordJson } from '../base/record-json.ts';
import { textValue, type Values } from './command.ts';
import type { TimedRecord } from './read-range.ts';

/** Records as lines. */

const FORMATS = ['ndjson', 'text', 'raw'];

export function formatHelp(byDefault: string): string {
  return `ndjson: an object a line; text: for people; raw: payloads alone; ${byDefault} by default`;
}

/** Throws USAGE. */
export function formatOption(values: Values, defaultFormat: string): string {
  const format = textValue(values, 'format') ?? defaultFormat;
  if (FORMATS.includes(format)) return format;
  throw new HeadgateError('USAGE', `--format is one of ${FORMATS.join(', ')}`);
}

export function formatRecord({ record, timeMs }: TimedRecord, format: string): string {
  if (format === 'ndjson') return JSON.stringify(recordJson(record, timeMs));
  const payload = Buffer.from(record.payload).toString();
  if (format === 'raw') return payload;
  const { partition, offset, topic, reason } = record;
  const place = `${partition}:${offset}`.padEnd(10);
  const why = reason === undefined ? '' : ` [${reason}]`;
  return `${place} ${new Date(timeMs).toISOString()} ${plain(topic)}${why} ${plain(payload)}`;
}

/** A line is a line, and says nothing to the terminal: control characters are spelt out. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (one) => {
    const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[one];
    return short ?? `\\x${(one.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`;
  });
}
