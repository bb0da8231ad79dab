import { Socket } from 'node:net';
import { connect, type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import type { Clock } from '../base/clock.ts';
import { codeOf } from '../base/errors.ts';
import { AckWatch } from './ack-watch.ts';
import type {
  CloudCommand,
  CloudLink,
  CloudMessage,
  OpenLink,
  RefusedFilter,
} from './cloud-link.ts';
import { MAX_HELD, MqttInbox } from './mqtt-inbox.ts';
import { MqttOutbox } from './mqtt-outbox.ts';
import { publishBytes } from './mqtt-packets.ts';
import { PacketIds } from './packet-ids.ts';

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

/**
 * The client's own queue and store are off: the log is the only queue. It never connects again by
 * itself, so each link begins with nothing in flight.
 */
function clientOptions(options: CloudOptions, ids: PacketIds): IClientOptions {
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
    messageIdProvider: ids,
    reschedulePings: false,
    // Else each packet looks a dozen times whether somebody listens.
    log: () => {},
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

/** Fewer hold no record: somebody has set the wrong figure. */
const LEAST_PACKET_BYTES = 1024;

/** MQTT 5, 3.2.2.3: what the cloud says of itself that no record can be sent with. */
function unfitness({ properties }: IConnackPacket): string | undefined {
  const { maximumQoS, receiveMaximum, maximumPacketSize } = properties ?? {};
  if (maximumQoS === 0) {
    return 'the cloud takes QoS 0 alone: it would acknowledge nothing, so losses could not be seen';
  }
  if (receiveMaximum === 0) return 'the cloud takes no publish at a time (receive maximum 0)';
  if (maximumPacketSize === undefined || maximumPacketSize >= LEAST_PACKET_BYTES) return undefined;
  return `the cloud takes packets of ${maximumPacketSize} bytes at most: no record fits`;
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

const CLOSED = 'the connection was closed';

interface LinkParts {
  readonly client: MqttClient;
  readonly ids: PacketIds;
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
  readonly #watch: AckWatch;
  readonly #outbox: MqttOutbox;
  #reason = CLOSED;

  constructor({ client, inbox, ids, options }: LinkParts, { properties }: IConnackPacket) {
    this.#client = client;
    this.#inbox = inbox;
    this.#options = options;
    this.receiveMaximum = properties?.receiveMaximum;
    this.maximumSizeBytes = properties?.maximumPacketSize;
    const { clock, ackTimeoutMs, protocolVersion } = options;
    this.#watch = new AckWatch(clock, ackTimeoutMs, (reason) => this.#giveUp(reason));
    this.#outbox = new MqttOutbox({
      protocolVersion,
      ids,
      watch: this.#watch,
      write: (packets) => {
        client.stream.write(packets);
        // Of the library's own packets it does so by itself, and of each acknowledgement.
        if (hasHeard) client.reschedulePing(true);
        hasHeard = false;
      },
    });
    // Neither an alert nor the end of a burst waits for an acknowledgement of TCP.
    if (client.stream instanceof Socket) client.stream.setNoDelay(true);
    let hasHeard = false;
    client.on('packetreceive', (packet) => {
      if (packet.cmd !== 'puback' || packet.messageId === undefined) return;
      hasHeard = true;
      this.#outbox.answered(packet.messageId, packet.reasonCode);
    });
    client.on('error', (error) => this.#giveUp(textOf(error)));
    client.on('disconnect', ({ reasonCode }) => {
      this.#giveUp(`the cloud ended it with reason 0x${(reasonCode ?? 0).toString(16)}`);
    });
    this.ended = new Promise((resolve) => {
      client.once('close', () => {
        this.#outbox.end();
        this.#watch.end(this.#reason);
        resolve(this.#reason);
      });
    });
  }

  #giveUp(reason: string): void {
    this.#reason = reason;
    this.#client.end(true);
  }

  sizeOf(message: CloudMessage): number {
    return publishBytes(message, this.#options.protocolVersion);
  }

  publish(message: CloudMessage): Promise<void> {
    if (!this.#client.connected) return Promise.reject(new Error(this.#reason));
    return this.#outbox.publish(message);
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
      const asked = {};
      this.#watch.add(asked, reject);
      // MQTT 5: what is retained comes only where the subscription is new.
      const options = { qos: 1 as const, rh: 1 };
      this.#client.subscribe(filter, options, (_error, _subscriptions, packet) => {
        // Without an answer the link is ending: the close says so.
        const [granted] = packet?.granted ?? [];
        if (typeof granted !== 'number') return;
        this.#watch.delete(asked);
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

/** A host name with several addresses fails with an error that has a code and no message. */
function textOf(error: Error): string {
  return error.message === '' ? codeOf(error) : error.message;
}

/** Opens links to the MQTT broker of `options.url`. */
export function mqttCloud(options: CloudOptions): OpenLink {
  return (signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const ids = new PacketIds();
      const client = connect(options.url, clientOptions(options, ids));
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
        resolve(new MqttLink({ client, inbox, ids, options }, connack));
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
