import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes';
import LevelPersistence from 'aedes-persistence-level/asyncPersistence.js';
import { codeOf, HeadgateError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { AckQueue } from './ack-queue.ts';
import {
  type Keys,
  OfflineBound,
  OpenMessages,
  type Persistence,
  type Settle,
  type Will,
} from './session-store.ts';

/** A PUBLISH as it came in. */
export interface InboundPublish {
  /** undefined: a will that an earlier run of the broker left. */
  readonly clientId: string | undefined;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
}

export interface BrokerOptions {
  /** Names the broker below $SYS/ and in stored wills. */
  readonly id: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly maxConnections: number;
  readonly maxPacketBytes: number;
  readonly maxTopicLevels: number;
  /** Longest keepalive a client may ask for, seconds; 0: no limit. */
  readonly keepaliveLimitSeconds: number;
  /** Messages kept for a session that is away. */
  readonly maxOfflinePerSession?: number;
  /** How long a subscriber may leave its socket full. */
  readonly drainTimeoutMs?: number;
  /** How long a client with a will has to come back after a restart before it is published. */
  readonly willGraceMs?: number;
  /** Topic prefixes that clients may not publish to. */
  readonly reserved?: readonly string[];
  /** Where sessions, retained messages and wills are kept; without it, in memory. */
  readonly sessions?: Keys & object;
  readonly logger: Logger;
  /**
   * Called for every PUBLISH, at once and in the order of arrival. True: `settle` will be called,
   * without
   * an error when the message may be acknowledged, with one when it must not be. False: there is
   * nothing to wait for, and `settle` is never called.
   */
  accept?(message: InboundPublish, settle: Settle): boolean;
}

/** Can publish from the start; takes clients from `listen` to `hangUp`. */
export interface Broker {
  /** Throws PORT_IN_USE or a system error. */
  listen(): Promise<void>;
  /** The port listened on. */
  readonly port: number;
  connections(): number;
  /** Publishes from the gateway itself to local subscribers. */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly retain: boolean; readonly qos: 0 | 1 },
  ): Promise<void>;
  /** Takes no more clients and lets go of those there are. */
  hangUp(): Promise<void>;
  close(): Promise<void>;
}

const RESERVED = ['$SYS/', 'headgate/'];
const MAX_CLIENT_ID = 256;
/** MQTT 5, 2.4: an implementation or administrative limit has been exceeded. */
const QUOTA_EXCEEDED = 0x97;

/** One aedes and its listener. */
class AedesBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #reserved: readonly string[];
  readonly #open = new OpenMessages();
  readonly #queues = new WeakMap<Client, AckQueue>();
  readonly #sockets = new Set<Socket>();
  readonly #stopping = new AbortController();
  readonly #persistence: Persistence | undefined;
  readonly #aedes: Aedes;
  #server: Server | undefined;
  #wills: Promise<void> = Promise.resolve();

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#reserved = options.reserved ?? RESERVED;
    const { sessions } = options;
    this.#persistence =
      sessions === undefined
        ? undefined
        : (new LevelPersistence(sessions) as unknown as Persistence);
    this.#aedes = new Aedes({
      id: options.id,
      ...(this.#persistence === undefined ? {} : { persistence: this.#persistence }),
      maximumPacketSize: options.maxPacketBytes,
      maxTopicLevels: options.maxTopicLevels,
      maxClientsIdLength: MAX_CLIENT_ID,
      keepaliveLimit: options.keepaliveLimitSeconds,
      drainTimeout: options.drainTimeoutMs ?? 20_000,
      authorizePublish: (client, packet, done) => this.#authorize(client, packet, done),
    });
  }

  async start(): Promise<void> {
    const { sessions, maxOfflinePerSession, logger } = this.#options;
    const bound = new OfflineBound(maxOfflinePerSession ?? 10_000, logger);
    if (sessions !== undefined) {
      await this.#open.load(sessions);
      await bound.load(sessions);
    }
    await this.#aedes.listen();
    const persistence = (this.#aedes as unknown as { persistence: Persistence }).persistence;
    this.#open.follow(persistence);
    bound.follow(persistence);
    this.#log();
  }

  #log(): void {
    const { logger } = this.#options;
    const named = (client: Client | null, error: Error) => ({
      clientId: client?.id ?? '',
      code: codeOf(error),
      error: messageOf(error),
    });
    this.#aedes.on('clientError', (client, error) => {
      logger.info(named(client, error), 'a client was cut off');
    });
    this.#aedes.on('connectionError', (client, error) => {
      logger.info(named(client, error), 'a connection was refused');
    });
    this.#aedes.on('keepaliveTimeout', (client) => {
      logger.info({ clientId: client.id }, 'a client fell silent');
    });
    (this.#aedes as NodeJS.EventEmitter).on('error', (error: Error) => {
      logger.error({ error: messageOf(error) }, 'the broker met an error');
    });
  }

  /**
   * The hook that holds acknowledgements back: aedes writes PUBACK and PUBREC only after it. It
   * stands in for aedes's own guard of $SYS, and is asked about wills too, whose client is gone.
   */
  #authorize(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const { topic } = packet;
    if (this.#isReserved(topic)) {
      done(new HeadgateError('TOPIC_RESERVED', topic));
      return;
    }
    const { accept } = this.#options;
    if (accept === undefined) {
      done();
      return;
    }
    if (client === null || client.closed) {
      if (!accept(inbound(client?.id, packet), (error) => done(error))) done();
      return;
    }
    const queue = this.#queueOf(client);
    const settle = queue.add(done);
    if (packet.qos === 2) this.#acceptOnce(client.id, packet, settle);
    else if (!accept(inbound(client.id, packet), settle)) settle(undefined);
  }

  /** QoS 2: a message that is open already is not taken again [MQTT-4.3.3-10]. */
  #acceptOnce(clientId: string, packet: PublishPacket, settle: Settle): void {
    const { accept } = this.#options;
    const messageId = packet.messageId ?? 0;
    if (this.#open.isRepeat(clientId, messageId, settle)) return;
    const ended: Settle = (error) => {
      this.#open.accepted(clientId, messageId, error);
      settle(error);
    };
    if (accept?.(inbound(clientId, packet), ended) !== true) ended(undefined);
  }

  #isReserved(topic: string): boolean {
    for (const prefix of this.#reserved) if (topic.startsWith(prefix)) return true;
    return false;
  }

  #queueOf(client: Client): AckQueue {
    let queue = this.#queues.get(client);
    if (queue === undefined) {
      queue = new AckQueue((error, done) => this.#refuse(client, error, done));
      this.#queues.set(client, queue);
    }
    return queue;
  }

  /** No acknowledgement: 3.1.1 can only close the connection; 5 can say why before it does. */
  #refuse(client: Client, error: Error, done: (error?: Error | null) => void): void {
    if (client.version === 5) {
      const { logger } = this.#options;
      logger.info({ clientId: client.id, code: codeOf(error) }, 'a client was cut off');
      // aedes would answer an error with PUBACK 0x87, and the client would drop what it still has.
      (client as unknown as { disconnect(o: object): void }).disconnect({
        reasonCode: QUOTA_EXCEEDED,
      });
      return;
    }
    done(error);
  }

  async listen(): Promise<void> {
    const left = await this.#leftWills();
    await this.#listen();
    if (left.length > 0) this.#wills = this.#publishWills(left);
  }

  async #listen(): Promise<void> {
    const { host, port, maxConnections, logger } = this.#options;
    const server = createServer((socket: Socket) => {
      socket.setNoDelay(true);
      // Those that never got as far as CONNECT are known to nobody else.
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      this.#aedes.handle(socket);
    });
    server.maxConnections = maxConnections;
    server.on('drop', () => {
      logger.warn({ maxConnections }, 'a connection was refused: mqtt.maxConnections is reached');
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const inUse = error.code === 'EADDRINUSE';
        reject(
          inUse ? new HeadgateError('PORT_IN_USE', `${host}:${port}`, { cause: error }) : error,
        );
      });
      server.listen(port, host, resolve);
    });
    server.on('error', (error) => {
      logger.error({ code: codeOf(error), error: messageOf(error) }, 'the listener met an error');
    });
    this.#server = server;
  }

  /** Wills whose clients were connected when an earlier run of this broker ended without a word. */
  async #leftWills(): Promise<Will[]> {
    const wills: Will[] = [];
    if (this.#persistence === undefined) return wills;
    for await (const will of this.#persistence.streamWill()) wills.push(will);
    return wills;
  }

  async #publishWills(wills: readonly Will[]): Promise<void> {
    const { signal } = this.#stopping;
    const graceMs = this.#options.willGraceMs ?? 10_000;
    await wait(graceMs, undefined, { signal, ref: false }).catch(() => {
      // Stopping: the wills stay where they are, for the next run.
    });
    for (const { clientId } of wills) {
      if (signal.aborted) return;
      await this.#publishWill(clientId);
    }
  }

  async #publishWill(clientId: string): Promise<void> {
    const { logger } = this.#options;
    try {
      const will = await this.#persistence?.getWill({ id: clientId });
      if (will === undefined || this.#clients()[clientId] !== undefined) return;
      const { topic, payload, qos, retain } = will;
      const packet = { cmd: 'publish', topic, payload, qos, retain, dup: false } as const;
      await new Promise<void>((resolve, reject) => {
        this.#authorize(null, packet, (error) => (error ? reject(error) : resolve()));
      });
      await this.#publish(packet);
      await this.#persistence?.delWill({ id: clientId });
    } catch (error) {
      // It stays in the store, and the next run tries again.
      logger.warn({ clientId, error: messageOf(error) }, 'a will could not be published');
    }
  }

  #publish(packet: AedesPublishPacket | PublishPacket): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#aedes.publish(packet as PublishPacket, (error) => (error ? reject(error) : resolve()));
    });
  }

  get port(): number {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  connections(): number {
    return this.#aedes.connectedClients;
  }

  publish(
    topic: string,
    payload: Uint8Array,
    { retain, qos }: { readonly retain: boolean; readonly qos: 0 | 1 },
  ): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    return this.#publish({ cmd: 'publish', topic, payload: bytes, retain, qos, dup: false });
  }

  async hangUp(): Promise<void> {
    this.#stopping.abort();
    const closed = new Promise<void>((resolve) => {
      if (this.#server === undefined) resolve();
      else this.#server.close(() => resolve());
    });
    for (const client of Object.values(this.#clients())) client.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await this.#wills;
  }

  async close(): Promise<void> {
    await this.hangUp();
    await new Promise<void>((resolve) => this.#aedes.close(resolve));
  }

  #clients(): Record<string, Client> {
    return (this.#aedes as unknown as { clients: Record<string, Client> }).clients;
  }
}

function inbound(clientId: string | undefined, packet: PublishPacket): InboundPublish {
  const { topic, payload, qos, retain, dup } = packet;
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return { clientId, topic, payload: bytes, qos, retain, dup };
}

/** Builds a broker that does not listen yet. */
export async function openBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new AedesBroker(options);
  await broker.start();
  return broker;
}
