import { createHash } from 'node:crypto';
import { deflate } from 'node:zlib';
import type { LogRecord } from '../base/reading.ts';
import { encodeBatch } from './batch-envelope.ts';
import { type CloudMessage, CloudRefusal } from './cloud-link.ts';
import { cloudTopic, identityText, type Origin, recordMessage } from './envelope.ts';

/** What bounds a message on the link that is up. */
export interface MessageBound {
  readonly maxBytes: number;
  sizeOf(message: CloudMessage): number;
}

/** What bounds one cut. The first record is always in it. */
export interface CutBound {
  /** Of a message. */
  readonly maxBytes: number;
  readonly maxMessages: number;
  /** Of a batch before it is compressed, about. */
  readonly maxDocumentBytes: number;
  /** Of all of its messages, about. */
  readonly maxAllBytes: number;
}

/** How records become messages. */
export interface Shape {
  /** How long a record may wait for others, in ms. */
  readonly lingerMs: number;
  /** So many of these records, from the first on, are sent together. */
  cut(records: readonly LogRecord[], from: number, bound: CutBound): number;
  /** The records that wait are as many as one message holds. */
  isFull(count: number, payloadBytes: number, maxBytes: number): boolean;
  /** Bytes of the messages that `pack` makes of them, about. */
  guessBytes(records: readonly LogRecord[]): number;
  /** Rejects, or throws, a CloudRefusal `too-large` where one record alone is beyond the bound. */
  pack(load: Load): readonly CloudMessage[] | Promise<readonly CloudMessage[]>;
}

export interface Load {
  readonly records: readonly LogRecord[];
  readonly historical: boolean;
  readonly bound: MessageBound;
}

export interface ShapeOptions {
  readonly origin: Origin;
  /** With `{gateway}`, `{stream}` and `{device}` in it. */
  readonly topic: string;
}

function checkSize(message: CloudMessage, { maxBytes, sizeOf }: MessageBound): void {
  const bytes = sizeOf(message);
  if (bytes <= maxBytes) return;
  const reason = `its publish has ${bytes} bytes, and the cloud takes ${maxBytes}`;
  throw new CloudRefusal('too-large', reason);
}

/** Devices come again and again. */
const MAX_TOPICS = 1_000;
/** Around a payload, about. */
const WRAPPER_BYTES = 250;
/** Around the texts of a record, with the topic and the longest names; and a character in JSON. */
const MOST_WRAPPER_BYTES = 4_096;
const MOST_ESCAPED = 6;
const EMPTY = { payload: new Uint8Array(), device: '', topic: '' };

/** Each record of a stream is one message. */
export class RawShape implements Shape {
  readonly lingerMs = 0;
  readonly #options: ShapeOptions & { readonly identity: 'wrapper' | 'properties' };
  /** By device: of one stream. */
  readonly #topics = new Map<string, string>();

  constructor(options: ShapeOptions & { readonly identity: 'wrapper' | 'properties' }) {
    this.#options = options;
  }

  #topicOf(record: LogRecord): string {
    const known = this.#topics.get(record.device);
    if (known !== undefined) return known;
    const { topic: template, origin } = this.#options;
    const topic = cloudTopic(template, record, origin.gateway);
    if (this.#topics.size >= MAX_TOPICS) this.#topics.clear();
    this.#topics.set(record.device, topic);
    return topic;
  }

  /** One that may be too large goes alone: nobody else is sent again if it is. */
  cut(records: readonly LogRecord[], from: number, bound: CutBound): number {
    const { maxBytes, maxMessages, maxAllBytes } = bound;
    const most = Math.min(maxMessages, records.length - from);
    let bytes = 0;
    for (let count = 0; count < most; count++) {
      const { payload, device, topic } = records[from + count] ?? EMPTY;
      bytes += payload.length + WRAPPER_BYTES;
      const texts = payload.length + device.length + topic.length;
      const isDoubtful = texts * MOST_ESCAPED + MOST_WRAPPER_BYTES > maxBytes;
      if (isDoubtful || bytes > maxAllBytes) return Math.max(1, count);
    }
    return most;
  }

  isFull(): boolean {
    return true;
  }

  guessBytes(records: readonly LogRecord[]): number {
    return records.reduce((sum, { payload }) => sum + payload.length + WRAPPER_BYTES, 0);
  }

  pack({ records, historical, bound }: Load): readonly CloudMessage[] {
    const { origin, identity } = this.#options;
    return records.map((record) => {
      const topic = this.#topicOf(record);
      const message = recordMessage(record, origin, { topic, identity, historical });
      if (bound.maxBytes !== Number.POSITIVE_INFINITY) checkSize(message, bound);
      return message;
    });
  }
}

/** Beside its payload, a record takes so many bytes of a document, or fewer. */
const RECORD_BYTES = 64;
/** A little below the bound: what comes out can't be known before. */
const FILL = 0.9;
/** How much smaller a document gets before the first one is known. */
const FIRST_RATIO = 0.25;
/** Of the last document in the mean of all. */
const RATIO_WEIGHT = 0.3;

export interface BatchOptions extends ShapeOptions {
  readonly lingerMs: number;
  readonly compression: 'deflate' | 'none';
  /** Of a document before it is compressed, about. */
  readonly maxDocumentBytes: number;
}

/**
 * Many records are one message: docs/envelope.md. How many fit is guessed from how well the ones
 * before were compressed; what is too large after all is packed in halves.
 */
export class BatchShape implements Shape {
  readonly lingerMs: number;
  readonly #options: BatchOptions;
  #ratio: number;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.lingerMs = options.lingerMs;
    this.#ratio = options.compression === 'none' ? 1 : FIRST_RATIO;
  }

  #documentBytes(maxBytes: number): number {
    return Math.min(this.#options.maxDocumentBytes, (maxBytes * FILL) / this.#ratio);
  }

  cut(records: readonly LogRecord[], from: number, bound: CutBound): number {
    const most = Math.min(this.#documentBytes(bound.maxBytes), bound.maxDocumentBytes);
    let bytes = 0;
    for (let at = from; at < records.length; at++) {
      bytes += RECORD_BYTES + (records[at]?.payload.length ?? 0);
      if (bytes > most) return Math.max(1, at - from);
    }
    return records.length - from;
  }

  isFull(count: number, payloadBytes: number, maxBytes: number): boolean {
    return payloadBytes + count * RECORD_BYTES > this.#documentBytes(maxBytes);
  }

  guessBytes(records: readonly LogRecord[]): number {
    return documentBytes(records) * this.#ratio;
  }

  async pack(load: Load): Promise<readonly CloudMessage[]> {
    const { records, historical, bound } = load;
    const { origin, topic, compression } = this.#options;
    const [first] = records;
    if (first === undefined) return [];
    const document = encodeBatch(records, origin, historical);
    const payload = compression === 'none' ? document : await deflated(document);
    const guess = documentBytes(records);
    this.#ratio += (payload.length / guess - this.#ratio) * RATIO_WEIGHT;
    const message: CloudMessage = {
      topic: cloudTopic(topic, { stream: first.stream, device: '' }, origin.gateway),
      payload,
      key: first.stream,
      id: `${identityText(origin, first)}+${records.length}-${digestOf(records)}`,
      properties: {},
    };
    if (records.length === 1) checkSize(message, bound);
    else if (bound.sizeOf(message) > bound.maxBytes) {
      const half = Math.ceil(records.length / 2);
      const parts = [records.slice(0, half), records.slice(half)];
      const packed = await Promise.all(parts.map((part) => this.pack({ ...load, records: part })));
      return packed.flat();
    }
    return [message];
  }
}

/**
 * Names just these records. Another cut may begin with the same one and be as long: taken for a
 * repeat, it would be acknowledged by a far side that never had it. 64 bits of SHA-256.
 */
function digestOf(records: readonly LogRecord[]): string {
  const places = Float64Array.from(records.flatMap(({ partition, offset }) => [partition, offset]));
  return createHash('sha256').update(places).digest('hex').slice(0, 16);
}

function documentBytes(records: readonly LogRecord[]): number {
  return records.reduce((sum, { payload }) => sum + payload.length + RECORD_BYTES, 0);
}

function deflated(document: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflate(document, (error, packed) => {
      if (error === null) resolve(packed);
      else reject(error);
    });
  });
}
