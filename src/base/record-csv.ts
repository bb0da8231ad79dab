import type { LogRecord } from './reading.ts';
import { recordJson } from './record-json.ts';

/** Records as CSV: RFC 4180, with a header line. A line lacks its line break, which is CRLF. */

const COLUMNS = [
  'stream',
  'partition',
  'offset',
  'device',
  'id',
  'topic',
  'receivedAt',
  'time',
  'deviceTime',
  'reason',
  'payload',
  'encoding',
] as const;

export const CSV_HEADER = COLUMNS.join(',');

/** A field as it stands between commas. */
export function csvField(value: string | number | undefined): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** `timeMs`: the corrected time, which every row has. */
export function recordCsv(record: LogRecord, timeMs: number): string {
  const row = { ...recordJson(record), time: Math.round(timeMs) };
  return COLUMNS.map((name) => csvField(row[name])).join(',');
}
