import { Buffer } from 'node:buffer';
import { inflateSync } from 'node:zlib';

/**
 * What the far side gets, as records again: docs/envelope.md. The package exports it as
 * `headgate/envelope`, so it stands alone: nothing of the daemon comes along.
 */

/** One record. The first five fields name it: no two records share them. */
export interface CloudRecord {
  readonly gateway: string;
  /** Names the log's incarnation: offsets start again only with another one. */
  readonly log: string;
  readonly stream: string;
  readonly partition: number;
  readonly offset: number;
  readonly device: string;
  readonly id?: string;
  /** The topic that it was sent to at the gateway. */
  readonly topic: string;
  /** Arrival by the gateway's wall clock, ms since 1970. */
  readonly receivedAt: number;
  /** The device's own time, ms since 1970, if it sent one. */
  readonly deviceTime?: number;
  /** Why it is a dead letter: an error code. */
  readonly reason?: string;
  /** Text as it came, or base64 if it is no valid UTF-8. */
  readonly payload: string;
  readonly encoding?: 'base64';
  /** It had waited on the gateway. */
  readonly historical?: true;
}

/** The message is none that Headgate wrote, or was damaged on its way. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError';
}

export interface DecodeOptions {
  /** Largest message, once it is uncompressed; 64 MiB unless set. */
  readonly maxOutputLength?: number;
  /** Most records in a message; any number unless set. */
  readonly maxRecords?: number;
}

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** First byte of a zlib stream with a window of 32 KiB, and of a JSON object. */
const ZLIB = 0x78;
const BRACE = 0x7b;

type Fields = Readonly<Record<string, unknown>>;

function fault(text: string): never {
  throw new EnvelopeError(text);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, name: string): string {
  return typeof value === 'string' ? value : fault(`${name} is no text`);
}

function wholeOf(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  return fault(`${name} is no whole number`);
}

function countOf(value: unknown, name: string): number {
  const number = wholeOf(value, name);
  return number >= 0 ? number : fault(`${name} is below 0`);
}

function optional<T>(value: unknown, name: string, of: (value: unknown, name: string) => T) {
  return value === undefined || value === null ? undefined : of(value, name);
}

function flagOf(value: unknown): true | undefined {
  if (value === undefined || value === false) return undefined;
  return value === true || fault('historical is neither true nor absent');
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function base64Of(text: string): string {
  return BASE64.test(text) ? text : fault('a payload said to be base64 is none');
}

type Optional = 'id' | 'deviceTime' | 'reason' | 'encoding' | 'historical';
type AllFields = Omit<CloudRecord, Optional> & {
  readonly [K in Optional]: CloudRecord[K] | undefined;
};

/** A record's fields in one order, without those that say nothing. */
function recordOf(fields: AllFields): CloudRecord {
  const { gateway, log, stream, partition, offset, device, id, topic } = fields;
  const { receivedAt, deviceTime, reason, payload, encoding, historical } = fields;
  return {
    ...{ gateway, log },
    ...(historical === undefined ? {} : { historical }),
    ...{ stream, partition, offset, device },
    ...(id === undefined ? {} : { id }),
    ...{ topic, receivedAt },
    ...(deviceTime === undefined ? {} : { deviceTime }),
    ...(reason === undefined ? {} : { reason }),
    payload: encoding === undefined ? payload : base64Of(payload),
    ...(encoding === undefined ? {} : { encoding }),
  };
}

function wrapped(fields: Fields): CloudRecord {
  const { encoding } = fields;
  if (encoding !== undefined && encoding !== 'base64') fault('encoding is not base64');
  return recordOf({
    gateway: textOf(fields['gateway'], 'gateway'),
    log: textOf(fields['log'], 'log'),
    stream: textOf(fields['stream'], 'stream'),
    partition: countOf(fields['partition'], 'partition'),
    offset: countOf(fields['offset'], 'offset'),
    device: textOf(fields['device'], 'device'),
    id: optional(fields['id'], 'id', textOf),
    topic: textOf(fields['topic'], 'topic'),
    receivedAt: wholeOf(fields['receivedAt'], 'receivedAt'),
    deviceTime: optional(fields['deviceTime'], 'deviceTime', wholeOf),
    reason: optional(fields['reason'], 'reason', textOf),
    payload: textOf(fields['payload'], 'payload'),
    encoding: encoding === undefined ? undefined : 'base64',
    historical: flagOf(fields['historical']),
  });
}

/** The names that no other message has together. */
const IDENTITY = ['gateway', 'log', 'stream', 'partition', 'offset'];
const NUMBERS = ['partition', 'offset', 'receivedAt', 'deviceTime'];
const PROPERTIES = [...IDENTITY, ...NUMBERS, 'device', 'id', 'topic', 'reason'];

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function asText(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The payload as it came, and what it is beside it, all values texts. */
function besideIt(payload: Uint8Array, properties: Readonly<Record<string, string>>) {
  const fields: Record<string, unknown> = {};
  for (const name of PROPERTIES) {
    if (!Object.hasOwn(properties, name)) continue;
    const text = textOf(properties[name], name);
    fields[name] = NUMBERS.includes(name) && /^-?\d{1,16}$/.test(text) ? Number(text) : text;
  }
  const flag = Object.hasOwn(properties, 'historical') ? properties['historical'] : 'false';
  if (flag !== 'true' && flag !== 'false') fault('historical is neither true nor absent');
  const text = asText(payload);
  const { buffer, byteOffset, byteLength } = payload;
  return wrapped({
    ...fields,
    ...(flag === 'true' ? { historical: true } : {}),
    payload: text ?? Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
    ...(text === undefined ? { encoding: 'base64' } : {}),
  });
}

function listOf(value: unknown, name: string): readonly unknown[] {
  return Array.isArray(value) ? value : fault(`${name} is no list`);
}

/** Partition, device, topic, prefix; and where its partition and its ids stand. */
interface Source {
  readonly partition: number;
  readonly device: string;
  readonly topic: string;
  readonly prefix: string | undefined;
  lastNumber: number;
}

function sourceOf(value: unknown): Source {
  const entry = listOf(value, 'an entry of sources');
  if (entry.length > 4) fault('an entry of sources has more than four parts');
  return {
    partition: countOf(entry[0], 'the partition of a source'),
    device: textOf(entry[1], 'the device of a source'),
    topic: textOf(entry[2], 'the topic of a source'),
    prefix: entry.length < 4 ? undefined : textOf(entry[3], 'the prefix of a source'),
    lastNumber: 0,
  };
}

function idOf(entry: unknown, source: Source): string | undefined {
  if (typeof entry !== 'number') return optional(entry, 'an id', textOf);
  if (source.prefix === undefined) fault('an id is a number, and its source has no prefix');
  source.lastNumber = countOf(source.lastNumber + entry, 'the number of an id');
  return `${source.prefix}${source.lastNumber}`;
}

/** Starts as a map from place to offset. */
function startsOf(value: unknown, count: number): ReadonlyMap<number, number> {
  const starts = new Map<number, number>();
  let last = -1;
  for (const item of listOf(value, 'starts')) {
    const [place, offset, ...more] = listOf(item, 'an entry of starts');
    const at = countOf(place, 'the place of a start');
    if (more.length > 0) fault('an entry of starts has more than two parts');
    if (at <= last || at >= count) fault('starts are not in order, or outside of the batch');
    starts.set(at, countOf(offset, 'the offset of a start'));
    last = at;
  }
  return starts;
}

/** Places of the payloads that are base64. */
function placesOf(value: unknown, count: number): ReadonlySet<number> {
  const places = new Set<number>();
  for (const place of value === undefined ? [] : listOf(value, 'base64')) {
    const at = countOf(place, 'an entry of base64');
    if (at >= count || places.has(at)) fault('base64 names a payload twice, or one that is not');
    places.add(at);
  }
  return places;
}

/** The columns, each with as many entries as there are payloads; one left out says nothing. */
function columnsOf(document: Fields) {
  const { length } = listOf(document['payload'], 'payload');
  const column = (name: string) => {
    const entries = listOf(document[name], name);
    if (entries.length !== length) {
      fault(`${name} has ${entries.length} entries, payload has ${length}`);
    }
    return entries;
  };
  const orNone = (name: string) => (document[name] === undefined ? [] : column(name));
  return {
    payload: column('payload'),
    source: column('source'),
    receivedAt: column('receivedAt'),
    id: orNone('id'),
    lag: orNone('lag'),
    reason: orNone('reason'),
  };
}

function batched(document: Fields, maxRecords: number): CloudRecord[] {
  if (document['headgate'] !== 1) {
    const version = JSON.stringify(document['headgate'])?.slice(0, 40);
    fault(`batch format ${version} is unknown here: this decoder knows 1. A newer one may know it`);
  }
  const gateway = textOf(document['gateway'], 'gateway');
  const log = textOf(document['log'], 'log');
  const stream = textOf(document['stream'], 'stream');
  const historical = flagOf(document['historical']);
  const columns = columnsOf(document);
  const count = columns.payload.length;
  if (count > maxRecords) fault(`it has ${count} records, more than ${maxRecords}`);
  const sources = listOf(document['sources'], 'sources').map(sourceOf);
  const starts = startsOf(document['starts'], count);
  const base64 = placesOf(document['base64'], count);
  const nextOffsets = new Map<number, number>();
  let receivedAt = 0;
  return columns.payload.map((payload, i) => {
    const source = sources[countOf(columns.source[i], 'an entry of source')];
    if (source === undefined) return fault('an entry of source names none');
    const { partition, device, topic } = source;
    const offset = starts.get(i) ?? nextOffsets.get(partition);
    if (offset === undefined) return fault('a partition has no start');
    nextOffsets.set(partition, countOf(offset + 1, 'an offset'));
    receivedAt = wholeOf(receivedAt + wholeOf(columns.receivedAt[i], 'receivedAt'), 'receivedAt');
    const lag = optional(columns.lag[i], 'an entry of lag', wholeOf);
    return recordOf({
      ...{ gateway, log, stream, partition, offset, device, topic, receivedAt, historical },
      id: idOf(columns.id[i], source),
      deviceTime: lag === undefined ? undefined : wholeOf(receivedAt - lag, 'deviceTime'),
      reason: optional(columns.reason[i], 'an entry of reason', textOf),
      payload: textOf(payload, 'an entry of payload'),
      encoding: base64.has(i) ? 'base64' : undefined,
    });
  });
}

function inflated(payload: Uint8Array, maxBytes: number): Uint8Array {
  try {
    return inflateSync(payload, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof RangeError) return fault(`it is larger than ${maxBytes} bytes inside`);
    return fault(`it is no sound zlib stream: ${error instanceof Error ? error.message : error}`);
  }
}

function parsed(bytes: Uint8Array): unknown {
  const text = asText(bytes) ?? fault('it is no UTF-8');
  try {
    return JSON.parse(text);
  } catch {
    return fault('it is no JSON');
  }
}

/**
 * The records of one message, in the order in which they stand there: one, or those of a batch.
 * `properties`: the user properties (MQTT 5) or headers (NATS, Kafka) of the message as texts; they
 * are needed where `uplink.identity` is `properties`, and do no harm elsewhere. Throws
 * EnvelopeError, and nothing else, if the message is not sound.
 */
export function decodeEnvelope(
  payload: Uint8Array,
  properties: Readonly<Record<string, string>> = {},
  { maxOutputLength = MAX_OUTPUT_BYTES, maxRecords = Number.MAX_SAFE_INTEGER }: DecodeOptions = {},
): CloudRecord[] {
  if (IDENTITY.every((name) => Object.hasOwn(properties, name))) {
    return [besideIt(payload, properties)];
  }
  const first = payload[0];
  if (first !== ZLIB && first !== BRACE) {
    fault('it begins like no envelope; were its user properties or headers passed along?');
  }
  if (first === BRACE && payload.length > maxOutputLength) {
    fault(`it is larger than ${maxOutputLength} bytes`);
  }
  const document = parsed(first === ZLIB ? inflated(payload, maxOutputLength) : payload);
  if (!isFields(document)) return fault('it is no JSON object');
  return Object.hasOwn(document, 'headgate') ? batched(document, maxRecords) : [wrapped(document)];
}
