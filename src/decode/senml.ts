import type { PayloadValue, Sample } from '../base/reading.ts';
import { type Decoder, MAX_PARTS, MAX_SAMPLES, type ParsedPayload } from './decoder.ts';
import { type Fields, fieldsOf, measured, timeOf } from './fields.ts';
import { parseJson } from './json.ts';

/**
 * SenML (RFC 8428): a pack of records, in which a record's base fields go on for those after it.
 * Pure. JSON and CBOR differ in nothing once the numbers that stand for names have been replaced.
 */

/** The only version there is; a pack of a later one may not be used. */
const VERSION = 10;
/** Times below this are from now on, in s; above, they are since 1970. RFC 8428, 4.5.3. */
const RELATIVE_BELOW_S = 2 ** 28;
/** RFC 8428, 4.5.1. */
const MAX_NAME_CHARS = 512;
const NAME = /^[A-Za-z0-9][A-Za-z0-9\-:./_]*$/;
const VALUES = ['v', 'vs', 'vb', 'vd'] as const;

type Kind = 'string' | 'number' | 'boolean';

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ...['bn', 'bu', 'n', 'u', 'vs', 'vd'].map((label) => [label, 'string'] as const),
  ...['bt', 'bv', 'bs', 'bver', 'v', 's', 't', 'ut'].map((label) => [label, 'number'] as const),
  ['vb', 'boolean'] as const,
]);

/** The numbers that stand for names in CBOR. RFC 8428, table 6. */
export const SENML_LABELS: ReadonlyMap<number, string> = new Map([
  ...['bs', 'bv', 'bu', 'bt', 'bn', 'bver'].map((label, i) => [i - 6, label] as const),
  ...['n', 'u', 'v', 'vs', 'vb', 's', 't', 'ut', 'vd'].map((label, i) => [i, label] as const),
]);

/** A measurement, with the base fields in it. */
interface Resolved {
  readonly name: string;
  /** Of a record without one: it is what the text, the bytes or the boolean say. */
  readonly value: number | undefined;
  readonly sum: number | undefined;
  /** s, since 1970 or from now on. */
  readonly time: number;
}

function isSound(record: Fields): boolean {
  for (const label in record) {
    const kind = KINDS.get(label);
    const field = record[label];
    // Fields that nobody knows may be passed over, but for those that say they may not.
    if (kind === undefined && label.endsWith('_')) return false;
    if (kind === 'number' && measured(field) === undefined) return false;
    if (kind !== undefined && kind !== 'number' && typeof field !== kind) return false;
  }
  return VALUES.filter((label) => Object.hasOwn(record, label)).length <= 1;
}

/** Walks through a pack. False if it is none that may be used; `take` may end it with false. */
function walk(pack: unknown, take: (record: Resolved) => boolean): boolean {
  if (!Array.isArray(pack) || pack.length === 0) return false;
  const base = { name: '', time: 0, value: 0, sum: 0, version: undefined as number | undefined };
  for (const element of pack as readonly unknown[]) {
    const record = fieldsOf(element);
    if (record === undefined || !isSound(record)) return false;
    const number = (label: string) => measured(record[label]);
    const version = number('bver') ?? base.version ?? VERSION;
    const isOther = base.version !== undefined && version !== base.version;
    if (isOther || version > VERSION) return false;
    base.version = version;
    if (typeof record['bn'] === 'string') base.name = record['bn'];
    base.time = number('bt') ?? base.time;
    base.value = number('bv') ?? base.value;
    base.sum = number('bs') ?? base.sum;
    const [v, s] = [number('v'), number('s')];
    if (s === undefined && !VALUES.some((label) => Object.hasOwn(record, label))) continue;
    const own = typeof record['n'] === 'string' ? record['n'] : '';
    // Before they are joined: each record would make a text of that length.
    if (base.name.length + own.length > MAX_NAME_CHARS) return false;
    const name = base.name + own;
    const resolved = {
      name,
      value: v === undefined ? undefined : base.value + v,
      sum: s === undefined ? undefined : base.sum + s,
      time: base.time + (number('t') ?? 0),
    };
    const numbers = [resolved.value, resolved.sum, resolved.time];
    const areFinite = numbers.every((one) => one === undefined || Number.isFinite(one));
    if (!NAME.test(name) || !areFinite) return false;
    if (!take(resolved)) return true;
  }
  return true;
}

/** A time of 0 is now, which is when it arrives. */
function timeFields(seconds: number): Pick<Sample, 'timeMs' | 'fromArrivalMs'> {
  if (seconds < RELATIVE_BELOW_S) {
    return seconds === 0 ? {} : { fromArrivalMs: Math.round(seconds * 1000) };
  }
  const timeMs = timeOf(seconds * 1000);
  return timeMs === undefined ? {} : { timeMs };
}

function samples(value: PayloadValue, place: string): Sample[] {
  const found: Sample[] = [];
  walk(value, ({ name, value: measuredValue, sum, time }) => {
    const metric = place === '' ? name : `${place}.${name}`;
    const when = timeFields(time);
    if (measuredValue !== undefined) found.push({ metric, value: measuredValue, ...when });
    if (sum !== undefined && found.length < MAX_SAMPLES) {
      found.push({ metric: `${metric}.sum`, value: sum, ...when });
    }
    return found.length < MAX_SAMPLES;
  });
  return found;
}

/** The time of the first measurement, if it is one since 1970. */
function deviceTime(value: PayloadValue): number | undefined {
  let first: number | undefined;
  walk(value, ({ time }) => {
    first = time;
    return false;
  });
  return first === undefined || first < RELATIVE_BELOW_S ? undefined : timeOf(first * 1000);
}

/** `read`: from bytes to a tree with names. */
export function senmlOf(
  format: 'senml' | 'senml-cbor',
  read: (payload: Uint8Array) => ParsedPayload,
): Decoder {
  return {
    format,
    parse(payload) {
      const parsed = read(payload);
      if (!parsed.ok) return parsed;
      if (Array.isArray(parsed.value) && parsed.value.length > MAX_PARTS) {
        return { ok: false, code: 'PAYLOAD_TOO_COMPLEX' };
      }
      if (walk(parsed.value, () => true)) return parsed;
      return { ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' };
    },
    // A pack is about measurements, and has no name of its own.
    messageId: () => undefined,
    deviceTime,
    samples,
  };
}

export const SENML_JSON = senmlOf('senml', (payload) =>
  parseJson(payload, 'PAYLOAD_NOT_OF_FORMAT'),
);
