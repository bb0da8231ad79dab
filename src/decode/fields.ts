import type { ErrorCode } from '../base/errors.ts';
import { countedId, ownId } from '../base/message-id.ts';
import type { MessageId, PayloadValue, Sample } from '../base/reading.ts';
import { MAX_SAMPLES } from './decoder.ts';

/** What the fields of an object say, in the formats that let the sender choose its fields. Pure. */

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined;
}

/**
 * The message id: `id`, or `messageId`, or `seq`. A `seq` with a `boot` beside it is a sequence;
 * alone it is a counter.
 */
export function messageIdOf(value: PayloadValue): MessageId | undefined | ErrorCode {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  return ownId(fields['id'] ?? fields['messageId']) ?? countedId(fields['seq'], fields['boot']);
}

/** Seconds below this, milliseconds above: 1e11 s is the year 5138, 1e11 ms is 1973. */
const SECONDS_BELOW = 1e11;
/** The last moment that ECMAScript has a date for. */
const TIMES_BELOW_MS = 8.64e15;

/** A time in ms since 1970, or undefined if it is none. */
export function timeOf(ms: number): number | undefined {
  return Number.isFinite(ms) && ms >= 0 && ms < TIMES_BELOW_MS ? Math.round(ms) : undefined;
}

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
        ? isoMs(field)
        : Number.NaN;
  return timeOf(ms);
}

const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * A day, or a day and a time, by ISO 8601 (RFC 3339 among it); without a zone in UTC, wherever the
 * gateway stands. Anything else is NaN: `Date.parse` by itself finds a date in many a text.
 */
function isoMs(text: string): number {
  const [, day, time, zone = 'Z'] = ISO.exec(text) ?? [];
  if (day === undefined) return Number.NaN;
  if (time === undefined) return Date.parse(day);
  const withColon = /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
  return Date.parse(`${day}T${time}${withColon.toUpperCase()}`);
}

/** Fields that say something about the reading, and measure nothing. */
export const NOT_MEASURED: ReadonlySet<string> = new Set([
  ...['id', 'messageId', 'seq', 'boot', 'ts', 'time', 'timestamp'],
]);

/** A number measured, or undefined if the field is none. */
export function measured(field: unknown): number | undefined {
  if (typeof field === 'number') return Number.isFinite(field) ? field : undefined;
  return typeof field === 'bigint' ? Number(field) : undefined;
}

/** A plain number, or what is called `value`, is named by its place; all else by both. */
export function metricOf(place: string, name: string): string {
  if (name === 'value' || name === '') return place || 'value';
  return place === '' ? name : `${place}.${name}`;
}

function addFields(samples: Sample[], fields: Fields, place: string, timeMs?: number): void {
  for (const name in fields) {
    const value = measured(fields[name]);
    if (value === undefined || NOT_MEASURED.has(name)) continue;
    if (samples.length >= MAX_SAMPLES) return;
    const metric = metricOf(place, name);
    samples.push(timeMs === undefined ? { metric, value } : { metric, value, timeMs });
  }
}

/**
 * The finite numbers in a payload. `place` is what the topic says after the device
 * (`sensors/d1/room/temperature` → `room.temperature`), '' if nothing.
 */
export function samplesOf(value: PayloadValue, place: string): Sample[] {
  if (typeof value === 'number') return [{ metric: place || 'value', value }];
  const fields = fieldsOf(value);
  const samples: Sample[] = [];
  if (fields !== undefined) addFields(samples, fields, place);
  return samples;
}

/** The same, and the elements of a list: each a number, or an object with a time of its own. */
export function listSamplesOf(value: PayloadValue, place: string): Sample[] {
  if (!Array.isArray(value)) return samplesOf(value, place);
  const samples: Sample[] = [];
  for (const element of value as readonly unknown[]) {
    if (samples.length >= MAX_SAMPLES) break;
    const number = measured(element);
    const fields = number === undefined ? fieldsOf(element) : undefined;
    if (number !== undefined) samples.push({ metric: place || 'value', value: number });
    else if (fields !== undefined) addFields(samples, fields, place, deviceTimeOf(fields));
  }
  return samples;
}
