import {
  connect,
  type IClientOptions,
  type IClientPublishOptions,
  type IConnackPacket,
  type MqttClient,
} from 'mqtt';
import type { Clock } from '../base/clock.ts';
import { codeOf } from '../base/errors.ts';
import {
  type CloudCommand,
  type CloudLink,
  type CloudMessage,
  CloudRefusal,
  type OpenLink,
  type RefusalKind,
  type RefusedFilter,
} from './cloud-link.ts';
import { MAX_HELD, MqttInbox } from './mqtt-inbox.ts';

export interface CloudOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username: string;
  readonly password: string | undefined;
  readonly protocolVersion: 4 | 5;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  /** Asks for a session, in which the cloud keeps what it has for us while the link is down. */
  readonly session?: SessionOptions;
  readonly clock: Clock;
  readonly tls: TlsOptions;
}

/** Texts of PEM files, the name to ask for instead of the host's, and the protocol to ask for. */
export type TlsOptions = Readonly<
  Partial<Record<'ca' | 'cert' | 'key' | 'serverName' | 'alpn', string | undefined>>
>;

/** MQTT 5 tells the cloud these; with 3.1.1 it has limits of its own. */
export interface SessionOptions {
  readonly expirySeconds: number;
  /** Largest packet that the cloud may send. */
  readonly maxPacketBytes: number;
}

/** MQTT 5, 3.4.2.1: what each refusing reason of a PUBACK asks for; the others: never. */
const KINDS: Readonly<Record<number, RefusalKind>> = {
  128: 'later',
  131: 'later',
  149: 'too-large',
  151: 'later',
};

/**
 * The client's own queue and store are off: the log is the only queue. It never connects again by
 * itself, so each link begins with nothing in flight.
 */
function clientOptions(options: CloudOptions): IClientOptions {
  const tls = tlsOptions(options.tls);
  return {
    clientId: options.clientId,
    protocolVersion: options.protocolVersion,
    keepalive: options.keepaliveSeconds,
    connectTimeout: options.connectTimeoutMs,
    ...sessionOptions(options),
    reconnectPeriod: 0,
    queueQoSZero: false,
    resubscribe: false,
    ...(options.username === '' ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...tls,
    // Of these options the library hands only some to a websocket; and it takes the brackets off
    // an IPv6 address. Batches are compressed already.
    wsOptions: { ...tls, perMessageDeflate: false },
    transformWsUrl: () => options.url,
  };
}

function tlsOptions({ ca, cert, key, serverName, alpn }: TlsOptions): IClientOptions {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName ? { servername: serverName } : {}),
    ...(alpn ? { ALPNProtocols: [alpn] } : {}),
  };
}

/** MQTT 5, 3.2.2.3.4: what the cloud says of itself that no record can be sent with. */
function unfitness({ properties }: IConnackPacket): string | undefined {
  if (properties?.maximumQoS !== 0) return undefined;
  return 'the cloud takes QoS 0 alone: it would acknowledge nothing, and losses could not be seen';
}

/** A session holds nothing of ours: what was unacknowledged is sent again out of the log. */
function sessionOptions({ session, protocolVersion }: CloudOptions): IClientOptions {
  if (session === undefined) return { clean: true };
  if (protocolVersion !== 5) return { clean: false };
  return {
    clean: false,
    properties: {
      sessionExpiryInterval: session.expirySeconds,
      receiveMaximum: MAX_HELD,
      maximumPacketSize: session.maxPacketBytes,
    },
  };
}

/** Takes the acknowledgements of what the cloud sends out of the library's hands. */
function inboxOf(client: MqttClient): MqttInbox {
  const inbox = new MqttInbox({
    acknowledge: (messageId) => {
      // PUBACK, the same in 3.1.1 and 5: without a reason it is a success.
      if (client.connected)
        client.stream.write(Buffer.of(0x40, 2, messageId >> 8, messageId & 255));
    },
    giveUp: (reason) => client.emit('error', new Error(reason)),
  });
  client.handleMessage = (packet, done) => {
    // With an error the library reads on, and writes no acknowledgement of a QoS 1 message.
    const byHand = packet.qos === 2 ? undefined : new Error('acknowledged by the inbox');
    inbox.add(packet, () => done(byHand));
  };
  client.once('close', () => inbox.end());
  return inbox;
}

interface Pending {
  readonly reject: (error: Error) => void;
}

const CLOSED = 'the connection was closed';

interface LinkParts {
  readonly client: MqttClient;
  /** There is one where there is a session. */
  readonly inbox: MqttInbox | undefined;
  readonly options: CloudOptions;
}

class MqttLink implements CloudLink {
  readonly receiveMaximum: number | undefined;
  readonly maximumSizeBytes: number | undefined;
  readonly ended: Promise<string>;
  readonly #client: MqttClient;
  readonly #options: CloudOptions;
  readonly #inbox: MqttInbox | undefined;
  /** In the order in which they were published, so the first is the oldest. */
  readonly #pending = new Set<Pending>();
  /** Since when the oldest is the oldest. */
  #oldestSinceMonoMs = 0;
  #reason = CLOSED;

  constructor({ client, inbox, options }: LinkParts, { properties }: IConnackPacket) {
    this.#client = client;
    this.#inbox = inbox;
    this.#options = options;
    this.receiveMaximum = properties?.receiveMaximum;
    this.maximumSizeBytes = properties?.maximumPacketSize;
    client.on('error', (error) => this.#giveUp(textOf(error)));
    client.on('disconnect', ({ reasonCode }) => {
      this.#giveUp(`the cloud ended it with reason 0x${(reasonCode ?? 0).toString(16)}`);
    });
    const watch = setInterval(() => this.#giveUpIfDead(), options.ackTimeoutMs / 4);
    watch.unref();
    this.ended = new Promise((resolve) => {
      client.once('close', () => {
        clearInterval(watch);
        for (const { reject } of this.#pending) reject(new Error(this.#reason));
        this.#pending.clear();
        resolve(this.#reason);
      });
    });
  }

  #giveUp(reason: string): void {
    this.#reason = reason;
    this.#client.end(true);
  }

  /**
   * A link on which acknowledgements stop coming is dead, whatever TCP believes. Those of a full
   * window may take far longer than one: each has its own time from when it is the oldest.
   */
  #giveUpIfDead(): void {
    const { clock, ackTimeoutMs } = this.#options;
    if (this.#pending.size === 0) return;
    if (clock.monoMs() - this.#oldestSinceMonoMs < ackTimeoutMs) return;
    this.#giveUp(`no acknowledgement within ${ackTimeoutMs} ms`);
  }

  #add(pending: Pending): void {
    if (this.#pending.size === 0) this.#oldestSinceMonoMs = this.#options.clock.monoMs();
    this.#pending.add(pending);
  }

  #delete(pending: Pending): void {
    const [oldest] = this.#pending;
    if (oldest === pending) this.#oldestSinceMonoMs = this.#options.clock.monoMs();
    this.#pending.delete(pending);
  }

  /** PUBLISH of QoS 1: fixed header, topic, packet id, properties, payload. */
  sizeOf({ topic, payload, properties }: CloudMessage): number {
    let body = 2 + Buffer.byteLength(topic) + 2 + payload.length;
    if (this.#options.protocolVersion === 5) {
      let length = 0;
      for (const [name, value] of Object.entries(properties)) {
        length += 5 + Buffer.byteLength(name) + Buffer.byteLength(value);
      }
      body += length + lengthBytes(length);
    }
    return 1 + lengthBytes(body) + body;
  }

  publish({ topic, payload, properties }: CloudMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#client.connected) {
        reject(new Error(this.#reason));
        return;
      }
      const pending = { reject };
      this.#add(pending);
      const { buffer, byteOffset, byteLength } = payload;
      const bytes = Buffer.from(buffer, byteOffset, byteLength);
      const options: IClientPublishOptions = { qos: 1 };
      if (this.#options.protocolVersion === 5 && Object.keys(properties).length > 0) {
        options.properties = { userProperties: { ...properties } };
      }
      this.#client.publish(topic, bytes, options, (error) => {
        const refused = error ? refusalOf(error) : undefined;
        // The link is ending. The library says so to some and to others never; the close says so
        // to all of them, and knows why.
        if (error && refused === undefined) return;
        this.#delete(pending);
        if (refused === undefined) resolve();
        else reject(refused);
      });
    });
  }

  async listen(
    filters: readonly string[],
    onCommand: (command: CloudCommand) => Promise<void>,
  ): Promise<readonly RefusedFilter[]> {
    this.#inbox?.listen(onCommand);
    const reasons = await Promise.all(filters.map((filter) => this.#subscribe(filter)));
    return filters.flatMap((filter, i) => {
      const reason = reasons[i];
      return reason === undefined ? [] : [{ filter, reason }];
    });
  }

  /** Alone in its packet: a refusal is of this filter. Returns the reason of it. */
  #subscribe(filter: string): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      if (!this.#client.connected) {
        reject(new Error(this.#reason));
        return;
      }
      const pending = { reject };
      this.#add(pending);
      // MQTT 5: what is retained comes only where the subscription is new.
      const options = { qos: 1 as const, rh: 1 };
      this.#client.subscribe(filter, options, (_error, _subscriptions, packet) => {
        // Without an answer the link is ending: the close says so.
        const [granted] = packet?.granted ?? [];
        if (typeof granted !== 'number') return;
        this.#delete(pending);
        resolve(refusalOfGrant(granted));
      });
    });
  }

  async close(): Promise<void> {
    this.#client.end(true);
    await this.ended;
  }
}

/** Of a SUBACK: what was asked for is QoS 1. */
function refusalOfGrant(granted: number): string | undefined {
  if (granted >= 0x80) return `reason 0x${granted.toString(16)}`;
  return granted === 0 ? 'QoS 0 only: what is sent while the link is down is lost' : undefined;
}

/** The client library turns a refusing PUBACK into an error with its code. */
function refusalOf(error: Error): CloudRefusal | undefined {
  const { code } = error as { code?: unknown };
  if (typeof code !== 'number' || code < 0x80) return undefined;
  const reason = `the cloud refused a record with reason 0x${code.toString(16)}`;
  return new CloudRefusal(KINDS[code] ?? 'never', reason);
}

/** Bytes of a length as MQTT writes it (1.5.5): seven bits each. */
function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}

/** A host name with several addresses fails with an error that has a code and no message. */
function textOf(error: Error): string {
  return error.message === '' ? codeOf(error) : error.message;
}

/** Opens links to the MQTT broker of `options.url`. */
export function mqttCloud(options: CloudOptions): OpenLink {
  return (signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const client = connect(options.url, clientOptions(options));
      // Now: what a session kept comes right behind the CONNACK.
      const inbox = options.session === undefined ? undefined : inboxOf(client);
      let failure = CLOSED;
      const giveUp = (why: string) => {
        failure = why;
        client.end(true);
      };
      const onError = (error: Error) => giveUp(textOf(error));
      const onAbort = () => giveUp('stopped');
      const letGo = () => {
        signal.removeEventListener('abort', onAbort);
        client.off('connect', onConnect);
        client.off('close', onClose);
      };
      const onConnect = (connack: IConnackPacket) => {
        const unfit = unfitness(connack);
        if (unfit !== undefined) {
          giveUp(unfit);
          return;
        }
        letGo();
        resolve(new MqttLink({ client, inbox, options }, connack));
        client.off('error', onError);
      };
      // The listener for errors stays: one that comes late has nobody else.
      const onClose = () => {
        letGo();
        client.end(true);
        reject(new Error(failure));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      // A websocket that is refused, say for its path, ends a stream, and the library is silent.
      client.stream.on('error', (error) => {
        failure = textOf(error);
      });
      client.on('error', onError);
      client.on('close', onClose);
      client.on('connect', onConnect);
    });
}
