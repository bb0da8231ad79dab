import { createHash } from 'node:crypto';
import type { PayloadValue, Sample } from '../base/reading.ts';
import { type Decoder, MAX_PARTS, MAX_SAMPLES } from './decoder.ts';
import { measured, timeOf } from './fields.ts';
import { type Point, readLine } from './influx-line.ts';
import { textOf } from './text.ts';

/** InfluxDB's line protocol: a point a line, each with numbers of its own. Pure. */

const NS_PER_MS = 1e6;
/** Of the tags in a metric's name. Longer ones stand there as a fingerprint. */
const MAX_TAG_CHARS = 96;
const FINGERPRINT_CHARS = 16;

function timeMsOf({ timestamp }: Point): number | undefined {
  return timestamp === undefined ? undefined : timeOf(Number(timestamp) / NS_PER_MS);
}

/** So that what parts names and values is in none of them. */
function escaped(text: string): string {
  return /[\\,=]/.test(text) ? text.replace(/[\\,=]/g, '\\$&') : text;
}

/** `,host=a,room=b`: tags make a series. In the order of their names, as they may come in any. */
function tagText({ tags }: Point): string {
  const names = Object.keys(tags).sort();
  const text = names.map((name) => `,${escaped(name)}=${escaped(tags[name] ?? '')}`).join('');
  if (text.length <= MAX_TAG_CHARS) return text;
  return `,#${createHash('sha1').update(text).digest('hex').slice(0, FINGERPRINT_CHARS)}`;
}

/** The points of a text; undefined if a line is none, null if there are too many. */
function pointsOf(text: string): Point[] | undefined | null {
  const points: Point[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, text[end - 1] === '\r' ? end - 1 : end).replace(/^ +/, '');
    start = end + 1;
    if (line === '' || line.startsWith('#')) continue;
    const point = readLine(line);
    if (point === undefined) return undefined;
    points.push(point);
    if (points.length > MAX_PARTS) return null;
  }
  return points.length === 0 ? undefined : points;
}

function samples(value: PayloadValue, place: string): Sample[] {
  const found: Sample[] = [];
  for (const point of value as readonly Point[]) {
    const timeMs = timeMsOf(point);
    const before = place === '' ? point.measurement : `${place}.${point.measurement}`;
    const tags = tagText(point);
    for (const name in point.fields) {
      const number = measured(point.fields[name]);
      if (number === undefined) continue;
      if (found.length >= MAX_SAMPLES) return found;
      const sample = { metric: `${before}.${name}${tags}`, value: number };
      found.push(timeMs === undefined ? sample : { ...sample, timeMs });
    }
  }
  return found;
}

export const INFLUX: Decoder = {
  format: 'influx',
  parse(payload) {
    if (payload.length === 0) return { ok: false, code: 'PAYLOAD_EMPTY' };
    const text = textOf(payload);
    const points = text === undefined ? undefined : pointsOf(text);
    if (points === null) return { ok: false, code: 'PAYLOAD_TOO_COMPLEX' };
    if (points === undefined) return { ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' };
    return { ok: true, value: points };
  },
  // A batch of points has no name of its own.
  messageId: () => undefined,
  deviceTime(value) {
    const [first] = value as readonly Point[];
    return first === undefined ? undefined : timeMsOf(first);
  },
  samples,
};
