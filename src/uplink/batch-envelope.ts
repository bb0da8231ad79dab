import type { LogRecord } from '../base/reading.ts';
import { payloadJson } from '../base/record-json.ts';
import type { Origin } from './envelope.ts';

/**
 * Many records of one stream as one JSON document with columns: docs/envelope.md. Format 1; what
 * reads it is in decode-envelope.ts. Pure.
 */

export const BATCH_FORMAT = 1;

/** Partition, device, topic, and what the ids begin with that end in a number. */
export type BatchSource = readonly [number, string, string, string?];

/** Columns hold one entry a record, in order. One that would say nothing is left out. */
export interface BatchDocument {
  readonly headgate: typeof BATCH_FORMAT;
  readonly gateway: string;
  readonly log: string;
  readonly stream: string;
  readonly historical?: true;
  /**
   * [place of a record in the batch, its offset], by place: one for each partition, at its first
   * record, and one after each hole. Every other record's offset is one above the last one's of its
   * partition.
   */
  readonly starts: readonly (readonly [number, number])[];
  readonly sources: readonly BatchSource[];
  /** Index into sources. */
  readonly source: readonly number[];
  /**
   * A number: the source's prefix and the sum of this and all earlier numbers of that source. A
   * text: the id. null: none.
   */
  readonly id?: readonly (number | string | null)[];
  /** ms since 1970 of the first record; of the others the difference from the one before. */
  readonly receivedAt: readonly number[];
  /** receivedAt less the device's time, in ms; null: it sent none. */
  readonly lag?: readonly (number | null)[];
  readonly reason?: readonly (string | null)[];
  readonly payload: readonly string[];
  /** Places of the records whose payload is base64. */
  readonly base64?: readonly number[];
}

/** What is known of a source while a batch is written. */
interface Source {
  readonly index: number;
  prefix: string | undefined;
  lastNumber: number;
}

/** Digits that are a whole number that JSON carries unchanged, whatever they are. */
const MAX_DIGITS = 15;

/** Where the number begins that an id ends in, without leading zeros; its length if in none. */
function numberAt(id: string): number {
  const from = Math.max(0, id.length - MAX_DIGITS);
  let at = id.length;
  while (at > from && id.charCodeAt(at - 1) >= 0x30 && id.charCodeAt(at - 1) <= 0x39) at -= 1;
  while (at < id.length - 1 && id.charCodeAt(at) === 0x30) at += 1;
  return at;
}

/** The number after the prefix, if the two give back the id, byte for byte. */
function numberAfter(prefix: string, id: string): number | undefined {
  if (!id.startsWith(prefix)) return undefined;
  const digits = id.slice(prefix.length);
  const number = Number(digits);
  // Only one way to write it is the decoder's: no zeros before it, no sign, no exponent.
  return Number.isSafeInteger(number) && number >= 0 && String(number) === digits
    ? number
    : undefined;
}

function idEntry(source: Source, id: string): number | string {
  if (source.prefix === undefined) {
    const at = numberAt(id);
    if (at === id.length) return id;
    source.prefix = id.slice(0, at);
  }
  const number = numberAfter(source.prefix, id);
  if (number === undefined) return id;
  const difference = number - source.lastNumber;
  source.lastNumber = number;
  return difference;
}

/** Distinct sources of a batch, in the order in which they come. */
class Sources {
  readonly #byKey = new Map<string, Source>();
  readonly #heads: (readonly [number, string, string])[] = [];

  of({ partition, device, topic }: LogRecord): Source {
    // The length keeps apart what the two texts would run together.
    const key = `${partition} ${device.length} ${device}${topic}`;
    let source = this.#byKey.get(key);
    if (source === undefined) {
      source = { index: this.#heads.length, prefix: undefined, lastNumber: 0 };
      this.#byKey.set(key, source);
      this.#heads.push([partition, device, topic]);
    }
    return source;
  }

  list(): BatchSource[] {
    const prefixes = [...this.#byKey.values()].map(({ prefix }) => prefix);
    return this.#heads.map((head, i): BatchSource => {
      const prefix = prefixes[i];
      return prefix === undefined ? head : [...head, prefix];
    });
  }
}

/** A column, unless it says nothing. */
function unlessEmpty<K extends string, T>(name: K, column: readonly T[]): { [P in K]?: T[] } {
  return column.every((entry) => entry === null) ? {} : ({ [name]: column } as { [P in K]: T[] });
}

/** `records`: of one stream, at least one, in the order in which the far side shall have them. */
export function batchDocument(
  records: readonly LogRecord[],
  { gateway, log }: Origin,
  historical: boolean,
): BatchDocument {
  const [first] = records;
  if (first === undefined) throw new Error('a batch of no records');
  const nextOffsets = new Map<number, number>();
  const sources = new Sources();
  const starts: [number, number][] = [];
  const source: number[] = [];
  const id: (number | string | null)[] = [];
  const receivedAt: number[] = [];
  const lag: (number | null)[] = [];
  const reason: (string | null)[] = [];
  const payload: string[] = [];
  const base64: number[] = [];
  let lastMs = 0;
  for (const [place, record] of records.entries()) {
    const { partition, offset, messageId, deviceTimeMs } = record;
    if (nextOffsets.get(partition) !== offset) starts.push([place, offset]);
    nextOffsets.set(partition, offset + 1);
    const own = sources.of(record);
    source.push(own.index);
    id.push(messageId === undefined ? null : idEntry(own, messageId.text));
    const ms = Math.round(record.receivedAtMs);
    receivedAt.push(ms - lastMs);
    lastMs = ms;
    lag.push(deviceTimeMs === undefined ? null : ms - deviceTimeMs);
    reason.push(record.reason ?? null);
    const json = payloadJson(record.payload);
    payload.push(json.payload);
    if (json.encoding !== undefined) base64.push(place);
  }
  const flag = historical ? { historical } : {};
  return {
    headgate: BATCH_FORMAT,
    ...{ gateway, log, stream: first.stream, ...flag, starts, sources: sources.list(), source },
    ...unlessEmpty('id', id),
    receivedAt,
    ...unlessEmpty('lag', lag),
    ...unlessEmpty('reason', reason),
    payload,
    ...unlessEmpty('base64', base64),
  };
}

/**
 * The document, uncompressed. The path of every record: measured at 1.2 million records/s on one
 * core of a server, deflate at level 6 takes as long again.
 */
export function encodeBatch(
  records: readonly LogRecord[],
  origin: Origin,
  historical: boolean,
): Buffer {
  return Buffer.from(JSON.stringify(batchDocument(records, origin, historical)));
}
