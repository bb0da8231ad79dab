import {
  type ConnectionOptions,
  connect,
  errors,
  headers,
  type MsgHdrs,
  type NatsConnection,
} from '@nats-io/transport-node';
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

/**
 * The uplink's way into a stream of NATS JetStream. A publish is a request; its answer, a PubAck,
 * says that the stream has it, on as many servers as the stream has replicas. The stream refuses a
 * repeat by itself: Nats-Msg-Id is the identity of what is carried.
 */
export interface NatsOptions {
  /** nats:// or tls://, and one or more servers of a cluster with commas between them. */
  readonly url: string;
  /** What the servers show of this client. */
  readonly clientId: string;
  readonly username: string;
  /** Without a user name it is a token. */
  readonly password: string | undefined;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly clock: Clock;
  readonly tls: Readonly<Partial<Record<'ca' | 'cert' | 'key', string | undefined>>>;
}

const DEFAULT_PORT = 4222;
const CLOSED = 'the connection was closed';
const MESSAGE_ID = 'Nats-Msg-Id';
/** `_INBOX.`, the name of this client's inbox, a dot, and the name of the request. */
const REPLY_BYTES = 7 + 22 + 1 + 22;
/** The client wants a limit for each request. The watch ends the link long before. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** What the server's errors of a publish ask for; the others: later. */
const KINDS: Readonly<Record<number, RefusalKind>> = {
  // JSStreamMessageExceedsMaximumErr: max_msg_size of the stream.
  10054: 'too-large',
};

/**
 * The subject of a topic: each level is a token. What is no part of a token, or a wildcard, becomes
 * `_`, and so does a level that is empty.
 */
export function subjectOf(topic: string): string {
  const levels = topic.split('/').map((level) => level.replace(/[\s.*>\p{Cc}]/gu, '_') || '_');
  // Subjects that begin with $ belong to the server.
  return levels.join('.').replace(/^\$/, '_');
}

/** A value of a header is one line. */
function headersOf({ id, properties }: CloudMessage): MsgHdrs {
  const all = headers();
  for (const [name, value] of Object.entries(properties)) {
    all.set(name, value.replace(/\p{Cc}/gu, '_'));
  }
  all.set(MESSAGE_ID, id);
  return all;
}

function connectionOptions(options: NatsOptions): ConnectionOptions {
  const { url, username, password, tls } = options;
  const files = Object.entries(tls).filter(([, text]) => text !== undefined);
  return {
    servers: serversOf(url, DEFAULT_PORT),
    name: options.clientId,
    // Each link begins with nothing in flight: the log is the only queue.
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: options.connectTimeoutMs,
    pingInterval: options.keepaliveSeconds * 1000,
    ...(username === '' ? {} : { user: username }),
    ...(password === undefined ? {} : username === '' ? { token: password } : { pass: password }),
    // The client gives up, and sends no password, if the server has no TLS.
    ...(isEncrypted(url) ? { tls: Object.fromEntries(files) } : {}),
  };
}

/** The answer of JetStream to a publish. */
interface PubAck {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

class NatsLink implements CloudLink {
  /** The server states none: the window of the uplink holds. */
  readonly receiveMaximum = undefined;
  readonly maximumSizeBytes: number | undefined;
  readonly ended: Promise<string>;
  readonly #connection: NatsConnection;
  readonly #watch: AckWatch;
  #reason: string | undefined;
  /** What a publish failed with, if the connection gives no reason for its end. */
  #failure = CLOSED;

  constructor(connection: NatsConnection, options: NatsOptions) {
    this.#connection = connection;
    this.maximumSizeBytes = connection.info?.max_payload;
    this.#watch = new AckWatch(options.clock, options.ackTimeoutMs, (why) => this.#giveUp(why));
    this.ended = connection.closed().then((error) => {
      const reason = this.#reason ?? (error ? textOf(error) : this.#failure);
      this.#reason = reason;
      this.#watch.end(reason);
      return reason;
    });
  }

  #giveUp(reason: string): void {
    this.#reason ??= reason;
    this.#close();
  }

  #close(): void {
    this.#connection.close().catch(() => {
      // It is closed for us all the same.
    });
  }

  /** HPUB: subject, where to answer, two lengths, headers, payload. */
  sizeOf(message: CloudMessage): number {
    const head = headersOf(message) as MsgHdrs & { encode(): Uint8Array };
    const headBytes = head.encode().length;
    const total = headBytes + message.payload.length;
    const line = `HPUB ${subjectOf(message.topic)}  ${headBytes} ${total}\r\n`;
    return Buffer.byteLength(line) + REPLY_BYTES + total + 2;
  }

  publish(message: CloudMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== undefined || this.#connection.isClosed()) {
        reject(new Error(this.#reason ?? CLOSED));
        return;
      }
      this.#watch.add(message, reject);
      this.#ask(message)
        .then((refusal) => {
          this.#watch.delete(message);
          if (refusal === undefined) resolve();
          else reject(refusal);
        })
        .catch((error: unknown) => {
          // The library says so to each of them, before the connection says why it has ended.
          this.#failure = messageOf(error);
          this.#close();
        });
    });
  }

  /** Undefined when a stream has it. Rejects when that can't be known. */
  async #ask(message: CloudMessage): Promise<CloudRefusal | undefined> {
    const subject = subjectOf(message.topic);
    const options = { headers: headersOf(message), timeout: NO_TIMEOUT_MS };
    try {
      const { data } = await this.#connection.request(subject, message.payload, options);
      return refusalOf(subject, data);
    } catch (error) {
      const refusal = refusalOfError(subject, error);
      if (refusal === undefined) throw error;
      return refusal;
    }
  }

  async close(): Promise<void> {
    this.#giveUp(CLOSED);
    await this.ended;
  }
}

/** A program that is no stream may listen to the subject, and answer whatever it likes. */
function pubAckOf(answer: Uint8Array): PubAck {
  try {
    const value: unknown = JSON.parse(Buffer.from(answer).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Undefined when a stream has it now, or had it already. */
function refusalOf(subject: string, answer: Uint8Array): CloudRefusal | undefined {
  const { stream, seq, error } = pubAckOf(answer);
  if (error !== undefined) {
    const { err_code: code = 0, description = '' } = error;
    const reason = `JetStream refused a publish on ${subject}: ${description} (${code})`;
    return new CloudRefusal(KINDS[code] ?? 'later', reason);
  }
  if (typeof stream === 'string' && typeof seq === 'number') return undefined;
  return new CloudRefusal('later', `what answers on subject ${subject} is no JetStream stream`);
}

function refusalOfError(subject: string, error: unknown): CloudRefusal | undefined {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (cause instanceof errors.NoRespondersError) {
    return new CloudRefusal('later', `no JetStream stream takes subject ${subject}`);
  }
  // Not that of the inbox: then no answer would ever come.
  if (cause instanceof errors.PermissionViolationError && cause.operation === 'publish') {
    return new CloudRefusal('never', `this user may not publish on ${subject}`);
  }
  // What the client checks of a publish before it goes out: the limit of the server alone.
  if (cause instanceof errors.InvalidArgumentError && /max_payload/.test(cause.message)) {
    return new CloudRefusal('too-large', 'larger than max_payload of the server');
  }
  return undefined;
}

/** A system error says little without its cause. */
function textOf(error: Error): string {
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message || CLOSED;
}

/** Opens links to one of the servers of `options.url`. */
export function natsCloud(options: NatsOptions): OpenLink {
  return (signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onAbort = () => reject(new Error('stopped'));
      signal.addEventListener('abort', onAbort, { once: true });
      connect(connectionOptions(options))
        .then(async (connection) => {
          // The client can't be stopped while it connects: what comes too late is let go of.
          if (signal.aborted) await connection.close();
          else resolve(new NatsLink(connection, options));
        })
        .catch((error: unknown) => {
          reject(new Error(error instanceof Error ? textOf(error) : String(error)));
        })
        .finally(() => signal.removeEventListener('abort', onAbort));
    });
}
