import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
// The package is CommonJS: its names are no names of exports on every version of Node.
import kafkajs, { type KafkaConfig, type Message, type Producer, type SASLOptions } from 'kafkajs';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { AckWatch } from './ack-watch.ts';
import {
  type CloudLink,
  type CloudMessage,
  CloudRefusal,
  type OpenLink,
  type RefusalKind,
} from './cloud-link.ts';
import { isEncrypted, serversOf } from './uplink-url.ts';

export type SaslMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';

/**
 * The uplink's way into Kafka. A record is acknowledged once all replicas that are in sync have it
 * (acks=all). Why it sends as it does: docs/decisions/0007-kafka-client.md.
 */
export interface KafkaOptions {
  /** kafka:// or kafkas://, and one or more brokers of a cluster with commas between them. */
  readonly url: string;
  readonly clientId: string;
  /** Empty: no SASL. */
  readonly username: string;
  readonly password: string | undefined;
  readonly saslMechanism: SaslMechanism;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly clock: Clock;
  readonly tls: Readonly<Partial<Record<'ca' | 'cert' | 'key', string | undefined>>>;
}

const DEFAULT_PORT = 9092;
const CLOSED = 'the connection was closed';
/** A quarter of what a topic takes in one request unless it is told otherwise. */
const MAX_REQUEST_BYTES = 262_144;
const MAX_TOPIC_CHARACTERS = 249;

/** What the brokers' errors of a publish ask for; the others: later. */
const KINDS: Readonly<Record<string, RefusalKind>> = {
  MESSAGE_TOO_LARGE: 'too-large',
  RECORD_LIST_TOO_LARGE: 'too-large',
  INVALID_TOPIC_EXCEPTION: 'never',
  INVALID_TIMESTAMP: 'never',
  INVALID_RECORD: 'never',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'never',
  TOPIC_AUTHORIZATION_FAILED: 'never',
  CLUSTER_AUTHORIZATION_FAILED: 'never',
};

/** Names of topics have a small alphabet: `/` becomes `.`, and whatever else is none of it `_`. */
export function kafkaTopicOf(topic: string): string {
  const safe = topic.replaceAll('/', '.').replace(/[^A-Za-z0-9._-]/gu, '_');
  const name = safe.slice(0, MAX_TOPIC_CHARACTERS);
  return /^\.{0,2}$/.test(name) ? `${name}_` : name;
}

function recordOf({ payload, key, properties }: CloudMessage): Message {
  const { buffer, byteOffset, byteLength } = payload;
  return { key, value: Buffer.from(buffer, byteOffset, byteLength), headers: { ...properties } };
}

/** Bytes of a length as Kafka writes it: zigzag, then seven bits each. */
function lengthBytes(length: number): number {
  let bytes = 1;
  for (let rest = length * 2; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

function textBytes(text: string): number {
  const bytes = Buffer.byteLength(text);
  return lengthBytes(bytes) + bytes;
}

/** A batch (format 2) of this record alone: what the limits of a topic are held against. */
function batchBytes({ key, payload, properties }: CloudMessage): number {
  const headers = Object.entries(properties);
  // Attributes, and the distances in time and offset from the first record: this one.
  let record = 3 + textBytes(key) + lengthBytes(payload.length) + payload.length;
  record += lengthBytes(headers.length);
  for (const [name, value] of headers) record += textBytes(name) + textBytes(value);
  return 61 + lengthBytes(record) + record;
}

interface Pending {
  readonly message: CloudMessage;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Sockets of one link. The client would leave those of a dead broker to the kernel. */
class Sockets {
  readonly #open = new Set<Socket>();
  readonly #options: KafkaOptions;
  #isOver = false;
  /** None is left. */
  onEmpty: () => void = () => {};

  constructor(options: KafkaOptions) {
    this.#options = options;
  }

  make(host: string, port: number, onConnect: () => void): Socket {
    const { url, tls, keepaliveSeconds } = this.#options;
    const name = isIP(host) === 0 ? { servername: host } : {};
    const files = Object.fromEntries(Object.entries(tls).filter(([, text]) => text !== undefined));
    const socket = isEncrypted(url)
      ? connectTls({ host, port, ...name, ...files }, onConnect)
      : connectTcp({ host, port }, onConnect);
    socket.setKeepAlive(true, keepaliveSeconds * 1000);
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) this.onEmpty();
    });
    if (this.#isOver) socket.destroy(new Error(CLOSED));
    return socket;
  }

  destroy(): void {
    this.#isOver = true;
    // With an error: the client's timers of a connection that is being made end by that alone.
    for (const socket of this.#open) socket.destroy(new Error(CLOSED));
  }
}

/**
 * One request is on its way at a time, with everything that was published while the one before it
 * was: a lone record does not wait, a full window goes as one, and the order of a key can't change.
 */
class KafkaLink implements CloudLink {
  /** The brokers state none: the window of the uplink holds. */
  readonly receiveMaximum = undefined;
  /** It is a setting of each topic, which brokers do not tell. */
  readonly maximumSizeBytes = undefined;
  readonly ended: Promise<string>;
  readonly #producer: Producer;
  readonly #sockets: Sockets;
  readonly #timeoutMs: number;
  readonly #watch: AckWatch;
  readonly #waiting: Pending[] = [];
  #isSending = false;
  #reason: string | undefined;
  #end: (reason: string) => void = () => {};

  constructor(producer: Producer, sockets: Sockets, { clock, ackTimeoutMs }: KafkaOptions) {
    this.#producer = producer;
    this.#sockets = sockets;
    this.#timeoutMs = ackTimeoutMs;
    this.#watch = new AckWatch(clock, ackTimeoutMs, (why) => this.#giveUp(why));
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    // In a turn of its own: a request on that socket fails first, and knows more.
    sockets.onEmpty = () => setImmediate(() => this.#giveUp(CLOSED));
  }

  #giveUp(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#waiting.length = 0;
    this.#watch.end(reason);
    this.#sockets.destroy();
    this.#producer.disconnect().catch(() => {
      // Its sockets are gone already.
    });
    this.#end(reason);
  }

  sizeOf(message: CloudMessage): number {
    return batchBytes(message);
  }

  publish(message: CloudMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== undefined) {
        reject(new Error(this.#reason));
        return;
      }
      this.#watch.add(message, reject);
      this.#waiting.push({ message, resolve, reject });
      // Those of the same turn share a request.
      queueMicrotask(() => void this.#sendWaiting());
    });
  }

  /** Never rejects. */
  async #sendWaiting(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#waiting.length > 0) await this.#send(this.#nextRequest());
    this.#isSending = false;
  }

  #nextRequest(): Pending[] {
    let count = 0;
    let bytes = 0;
    for (const { message } of this.#waiting) {
      bytes += batchBytes(message);
      if (count > 0 && bytes > MAX_REQUEST_BYTES) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #send(pending: readonly Pending[]): Promise<void> {
    if (this.#reason !== undefined) return;
    const topicMessages = pending.map(({ message }) => ({
      topic: kafkaTopicOf(message.topic),
      messages: [recordOf(message)],
    }));
    try {
      await this.#producer.sendBatch({ acks: -1, timeout: this.#timeoutMs, topicMessages });
      for (const { message, resolve } of pending) {
        this.#watch.delete(message);
        resolve();
      }
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) this.#giveUp(textOf(error));
      else if (refusal.kind === 'later' || pending.length === 1) this.#refuse(pending, refusal);
      // One of them is too large, or has a topic of its own; which, is not said.
      else for (const one of pending) await this.#send([one]);
    }
  }

  #refuse(pending: readonly Pending[], refusal: CloudRefusal): void {
    for (const { message, reject } of pending) {
      this.#watch.delete(message);
      reject(refusal);
    }
  }

  async close(): Promise<void> {
    this.#giveUp(CLOSED);
  }
}

/** What is at the bottom of the client's wrappings. */
function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return root;
}

function textOf(error: unknown): string {
  return messageOf(rootOf(error)) || CLOSED;
}

/** Undefined: no broker said so, hence nothing is known of the link any more. */
function refusalOf(error: unknown): CloudRefusal | undefined {
  const root = rootOf(error);
  if (!(root instanceof kafkajs.KafkaJSProtocolError)) return undefined;
  return new CloudRefusal(KINDS[root.type] ?? 'later', `Kafka: ${root.message} (${root.type})`);
}

function saslOf({ username, password = '', saslMechanism }: KafkaOptions): SASLOptions {
  return { mechanism: saslMechanism, username, password } as SASLOptions;
}

function producerOf(options: KafkaOptions, sockets: Sockets): Producer {
  const brokers = serversOf(options.url, DEFAULT_PORT);
  const config: KafkaConfig = {
    brokers,
    clientId: options.clientId,
    connectionTimeout: options.connectTimeoutMs,
    authenticationTimeout: options.connectTimeoutMs,
    requestTimeout: options.ackTimeoutMs,
    // While connecting, each broker once.
    retry: { retries: brokers.length - 1, initialRetryTime: 100 },
    logLevel: kafkajs.logLevel.NOTHING,
    socketFactory: ({ host, port, onConnect }) => sockets.make(host, port, onConnect),
    ...(options.username === '' ? {} : { sasl: saslOf(options) }),
  };
  return new kafkajs.Kafka(config).producer({
    // A key has the partition that it has with the clients of Java.
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    // What fails is sent again by the uplink, which knows the order.
    retry: { retries: 0 },
  });
}

/** Opens links to the cluster of `options.url`. */
export function kafkaCloud(options: KafkaOptions): OpenLink {
  return (signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const sockets = new Sockets(options);
      const producer = producerOf(options, sockets);
      const onAbort = () => {
        sockets.destroy();
        reject(new Error('stopped'));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      producer
        .connect()
        .then(async () => {
          if (signal.aborted) await producer.disconnect();
          else resolve(new KafkaLink(producer, sockets, options));
        })
        .catch((error: unknown) => {
          sockets.destroy();
          reject(new Error(textOf(error)));
        })
        .finally(() => signal.removeEventListener('abort', onAbort));
    });
}
