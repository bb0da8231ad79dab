import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes';
import LevelPersistence from 'aedes-persistence-level/asyncPersistence.js';
import { codeOf, HeadgateError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type AdmissionOptions, type AdmittedClient, admit, MAX_CLIENT_ID } from './admission.ts';
import { ClientGuard, type GuardedClient, type GuardOptions } from './client-guard.ts';
import { type RegisteringBroker, registerLiving } from './client-register.ts';
import { ConnectTurns } from './connect-turns.ts';
import { HalfPackets } from './half-packets.ts';
import { LeftWills } from './left-wills.ts';
import { OfflineBound } from './offline-bound.ts';
import { OpenMessages, type Settle } from './open-messages.ts';
import { type GatedClient, type InboundPublish, PublishGate } from './publish-gate.ts';
import { orderPublishes, type PublishingBroker, type PublishOrder } from './publish-order.ts';
import { PublisherPressure } from './publisher-pressure.ts';
import { RetainedBound } from './retained-bound.ts';
import { type Persistence, type SessionLevel, SessionStore, type Will } from './session-store.ts';
import { SlowReaders } from './slow-readers.ts';

export type { InboundPublish } from './publish-gate.ts';

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
  /** Bytes of them, and of those of all sessions together. */
  readonly maxOfflineBytes?: number;
  readonly maxOfflineTotalBytes?: number;
  /** Sessions that are kept; beyond them a new one ends with its connection. */
  readonly maxSessions?: number;
  /** Of retained messages in all; beyond it one is passed on and not retained. */
  readonly maxRetainedBytes?: number;
  /** Filters that a client may be subscribed to; one that asks for more is cut off. */
  readonly maxSubscriptions?: number;
  /** How long a connection may stay open without a CONNECT. */
  readonly connectTimeoutMs?: number;
  /** How long a packet may come on by less than 64 KiB. */
  readonly packetTimeoutMs?: number;
  /** How long a client may leave its socket full. */
  readonly drainTimeoutMs?: number;
  /** Bytes that may wait for a client that reads slowly. */
  readonly maxUnreadBytes?: number;
  /** How long a client with a will has to come back after a restart before it is published. */
  readonly willGraceMs?: number;
  /** Topic prefixes that clients may not publish to. */
  readonly reserved?: readonly string[];
  /** Where sessions, retained messages and wills are kept; without it, in memory. */
  readonly sessions?: SessionLevel & object;
  readonly logger: Logger;
  /**
   * Called for every PUBLISH and will, at once and in the order of arrival. True: `settle` will be
   * called, without an error when the message may be acknowledged, with one when it must not be.
   * False: there is nothing to wait for, and `settle` is never called.
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

/** Sessions of MQTT 5 clients that are away with a date to end; beyond these one ends at once. */
const MAX_PENDING_SESSIONS = 10_000;
const MEBIBYTE = 1024 * 1024;
/** Of a packet before its sender is connected: a CONNECT with its will. */
const MAX_CONNECT_BYTES = 128 * 1024;
/** Over all clients: half packets, and what slow readers have not read. */
const MAX_HALF_BYTES = 64 * MEBIBYTE;
const HALF_PACKET_MS = 60_000;
const MAX_UNREAD_TOTAL_BYTES = 64 * MEBIBYTE;
/** How long clients that are told to go may take to read it, and wills to be accepted. */
const HANG_UP_MS = 1_000;
const DRAIN_MS = 20_000;
/** MQTT 5, 2.4: reason code of a DISCONNECT. */
const SHUTTING_DOWN = 0x8b;

type AedesClient = Client & { will: unknown };

/** What aedes has and its types do not say. */
interface AedesInside extends PublishingBroker, RegisteringBroker<AedesClient> {
  persistence: Persistence;
  clients: Record<string, AedesClient>;
  brokers: Record<string, unknown>;
  /** Numbers what is published, and so what is queued for sessions. */
  counter: number;
}

interface Disconnecting {
  disconnect(reason: { reasonCode: number }, done?: () => void): void;
}

/** One aedes and its listener. */
class AedesBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #stopping = new AbortController();
  readonly #gate: PublishGate;
  readonly #store: SessionStore;
  readonly #aedes: Aedes;
  readonly #inside: AedesInside;
  readonly #order: PublishOrder;
  readonly #guarding: GuardOptions;
  readonly #admission: AdmissionOptions;
  #server: Server | undefined;
  #leftWills: LeftWills | undefined;
  #wills: Promise<void> = Promise.resolve();

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { sessions, logger } = options;
    const limits = {
      maxMessages: options.maxOfflinePerSession ?? 10_000,
      maxBytes: options.maxOfflineBytes ?? 16 * MEBIBYTE,
      maxTotalBytes: options.maxOfflineTotalBytes ?? 128 * MEBIBYTE,
    };
    const bound = new OfflineBound(limits, logger);
    const open = new OpenMessages();
    const { maxSessions = 1_000, maxRetainedBytes = 16 * MEBIBYTE } = options;
    const retained = new RetainedBound(maxRetainedBytes, logger);
    const isOwn = (topic: string) => this.#gate.isReserved(topic);
    this.#store = new SessionStore({ open, bound, retained, isOwn, level: sessions, logger });
    this.#admission = { maxSessions, sessions: this.#store, logger };
    const drop = (id: string, messageId: number) =>
      this.#inside.persistence.incomingDelPacket({ id }, { messageId });
    this.#gate = new PublishGate({ ...options, open, drop });
    this.#guarding = this.#guardOptions();
    this.#aedes = new Aedes({
      ...settingsOf(options),
      authenticate: (client, _username, _password, done) =>
        admit(client as unknown as AdmittedClient, this.#admission, done),
      // The hook that holds acknowledgements back: aedes writes PUBACK and PUBREC only after it.
      authorizePublish: (client, packet, done) =>
        this.#gate.authorize(client as GatedClient | null, packet, done),
    });
    this.#inside = this.#aedes as unknown as AedesInside;
    // Looked up by client id: with a prototype, a client named `toString` would end the process.
    this.#inside.clients = Object.create(null) as AedesInside['clients'];
    this.#inside.brokers = Object.create(null) as AedesInside['brokers'];
    registerLiving(this.#inside);
    const pressure = new PublisherPressure();
    this.#order = orderPublishes(this.#inside, {
      hasSessions: () => this.#store.hasSessions,
      begin: (client, packet) => pressure.begin(client, packet),
      end: (client, packet) => pressure.end(client, packet),
    });
  }

  #guardOptions(): GuardOptions {
    const { maxPacketBytes, maxSubscriptions = 1_000 } = this.#options;
    return {
      maxSubscriptions,
      maxConnectBytes: MAX_CONNECT_BYTES,
      halfPackets: new HalfPackets({
        maxBytes: Math.max(MAX_HALF_BYTES, 4 * maxPacketBytes),
        withinMs: this.#options.packetTimeoutMs ?? HALF_PACKET_MS,
      }),
      slowReaders: new SlowReaders({
        maxClientBytes: this.#options.maxUnreadBytes ?? 2 * maxPacketBytes + 4 * MEBIBYTE,
        maxBytes: MAX_UNREAD_TOTAL_BYTES,
      }),
      turns: new ConnectTurns(),
      isOwed: (client) => this.#gate.owes(client as unknown as GatedClient),
      onSilence: (client) => {
        this.#aedes.emit('keepaliveTimeout', client as unknown as Client);
        client.emit('error', new Error('keep alive timeout'));
      },
    };
  }

  async start(): Promise<void> {
    // aedes begins at 0 with each start: new messages would take the places of those still queued.
    this.#inside.counter = await this.#store.load();
    await this.#aedes.listen();
    await this.#store.follow(this.#inside.persistence);
    this.#log();
    this.#aedes.on('client', (client) => this.#leftWills?.cameBack(client.id));
    this.#aedes.on('clientDisconnect', (client) => {
      if (client.clean) this.#forgetOpen(client.id);
    });
  }

  #forgetOpen(clientId: string): void {
    this.#store.forgetOpen(clientId).catch((error: unknown) => {
      const { logger } = this.#options;
      logger.warn({ clientId, error: messageOf(error) }, 'the session store met an error');
    });
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
    const events = this.#aedes as NodeJS.EventEmitter;
    events.on('sessionLimitReached', ({ id }: Client) => {
      logger.warn({ clientId: id }, 'too many sessions are pending; one ended with its connection');
    });
    events.on('sessionExpired', ({ id }: Client) => {
      logger.debug({ clientId: id }, 'the time of a session is over');
    });
    events.on('error', (error: Error) => {
      logger.error({ error: messageOf(error) }, 'the broker met an error');
    });
  }

  async listen(): Promise<void> {
    const { sessions, logger, willGraceMs = 10_000 } = this.#options;
    const left = new LeftWills(this.#inside.persistence, logger);
    if (sessions !== undefined) await left.load();
    this.#leftWills = left;
    await this.#listen();
    const publish = (will: Will) => this.#publishWill(will);
    this.#wills = left.publishAfter(willGraceMs, this.#stopping.signal, publish);
  }

  async #listen(): Promise<void> {
    const { host, port, maxConnections, logger } = this.#options;
    const server = createServer((socket: Socket) => {
      socket.setNoDelay(true);
      // Those that never got as far as CONNECT are known to nobody else.
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      const client = this.#aedes.handle(socket) as unknown as GuardedClient;
      new ClientGuard(client, this.#guarding);
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

  async #publishWill(will: Will): Promise<void> {
    const { topic, payload, qos, retain, properties } = will;
    const packet = { cmd: 'publish', topic, payload, qos, retain, dup: false } as PublishPacket;
    if (properties !== undefined) packet.properties = properties;
    await new Promise<void>((resolve, reject) => {
      this.#gate.authorize(null, packet, (error) => (error ? reject(error) : resolve()));
    });
    await this.#publish(packet);
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
    // Neither a session nor a will ends with the broker; who has died shows after the restart.
    this.#inside.scheduleSessionExpiry = () => {};
    const told = Object.values(this.#inside.clients).map((client) => {
      client.will = null;
      return new Promise<void>((resolve) => {
        (client as unknown as Disconnecting).disconnect({ reasonCode: SHUTTING_DOWN }, resolve);
      });
    });
    const deadline = wait(HANG_UP_MS, undefined, { ref: false });
    await Promise.race([Promise.all(told), deadline]);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    // One that waits for its acceptance just now stays in the store.
    await Promise.race([this.#wills, deadline]);
    // aedes acknowledges what is no reading before it stores it: retained, or for a session.
    await Promise.race([this.#order.ended(), deadline]);
  }

  async close(): Promise<void> {
    await this.hangUp();
    await new Promise<void>((resolve) => this.#aedes.close(resolve));
  }
}

function settingsOf(options: BrokerOptions) {
  const { sessions } = options;
  return {
    id: options.id,
    ...(sessions === undefined ? {} : { persistence: new LevelPersistence(sessions) }),
    // One slot for each message on its way: with fewer, a subscriber that does not read takes them
    // all, everything else queues without bound, and when it goes the queue overflows the stack.
    concurrency: 0,
    maximumPacketSize: options.maxPacketBytes,
    maxTopicLevels: options.maxTopicLevels,
    maxClientsIdLength: MAX_CLIENT_ID,
    connectTimeout: options.connectTimeoutMs ?? 10_000,
    keepaliveLimit: options.keepaliveLimitSeconds,
    drainTimeout: options.drainTimeoutMs ?? DRAIN_MS,
    pendingSessionsLimit: MAX_PENDING_SESSIONS,
  };
}

/** Builds a broker that does not listen yet. */
export async function openBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new AedesBroker(options);
  await broker.start();
  return broker;
}
