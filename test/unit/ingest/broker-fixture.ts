import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate, type Packet, type Parser, parser } from 'mqtt-packet';
import { onTestFinished } from 'vitest';
import type { Logger } from '../../../src/base/logger.ts';
import {
  type Broker,
  type BrokerOptions,
  type InboundPublish,
  openBroker,
} from '../../../src/ingest/broker.ts';
import { type LevelStore, openLevelStore } from '../../../src/os/level-store.ts';
import { nodeFiles } from '../../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';
import { until } from '../../support/until.ts';

/** A broker on a port of its own, what it asked and said, and clients that send raw packets. */

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export class LineLogger implements Logger {
  readonly lines: Line[] = [];
  debug = this.#at('debug');
  info = this.#at('info');
  warn = this.#at('warn');
  error = this.#at('error');

  with(part: string): Line[] {
    return this.lines.filter(({ message }) => message.includes(part));
  }

  #at(level: Line['level']) {
    return (fields: Line['fields'], message: string) => {
      this.lines.push({ level, fields, message });
    };
  }
}

/** One question of the broker: may this be acknowledged? */
export interface Asked {
  readonly message: InboundPublish;
  readonly text: string;
  readonly settle: (error?: Error) => void;
}

/** What the gateway does behind the broker. Takes `s/#`; holds the answers until told otherwise. */
export class Accepting {
  readonly asked: Asked[] = [];
  #answer: ((asked: Asked) => Error | undefined) | undefined;
  readonly #held: Asked[] = [];

  /** Answers at once from now on, and what is held too; an Error refuses. Default: holds. */
  set answer(answer: (asked: Asked) => Error | undefined) {
    this.#answer = answer;
    for (const asked of this.#held.splice(0)) asked.settle(answer(asked));
  }

  get texts(): string[] {
    return this.asked.map(({ text }) => text);
  }

  accept = (message: InboundPublish, settle: (error: Error | undefined) => void): boolean => {
    if (!message.topic.startsWith('s/')) return false;
    const text = Buffer.from(message.payload).toString();
    const asked = { message, text, settle: (error?: Error) => settle(error) };
    this.asked.push(asked);
    if (this.#answer === undefined) this.#held.push(asked);
    else setImmediate(() => settle(this.#answer?.(asked)));
    return true;
  };

  async count(count: number): Promise<readonly Asked[]> {
    await until(`${count} messages asked about`, () => this.asked.length >= count);
    return this.asked;
  }
}

export const accepted = (): undefined => undefined;

export interface Rig {
  readonly broker: Broker;
  readonly accepting: Accepting;
  readonly logger: LineLogger;
  readonly port: number;
}

/** Closed when the test has ended, if not before. */
export async function startBroker(options: Partial<BrokerOptions> = {}): Promise<Rig> {
  const accepting = new Accepting();
  const logger = new LineLogger();
  const broker = await openBroker({
    id: 'test-broker',
    host: '127.0.0.1',
    port: 0,
    maxConnections: 200,
    maxPacketBytes: 65_536,
    maxTopicLevels: 16,
    keepaliveLimitSeconds: 0,
    accept: accepting.accept,
    logger,
    ...options,
  });
  onTestFinished(() => broker.close());
  await broker.listen();
  return { broker, accepting, logger, port: broker.port };
}

/** Brokers one after the other on one store. */
export class Restarts {
  readonly #options: Partial<BrokerOptions>;
  #folder: string | undefined;
  #stop: () => Promise<void> = async () => {};

  constructor(options: Partial<BrokerOptions> = {}) {
    this.#options = options;
    onTestFinished(async () => {
      await this.#stop();
      if (this.#folder !== undefined) await removeFolder(this.#folder);
    });
  }

  /** Stops the broker that runs, if any, and starts the next. */
  async start(options: Partial<BrokerOptions> = {}): Promise<Rig & { level: LevelStore }> {
    await this.stop();
    this.#folder ??= await makeTemporaryFolder('headgate-broker-');
    const logger = new LineLogger();
    const folder = `${this.#folder}/state`;
    const level = await openLevelStore({ folder, files: nodeFiles, logger });
    const rig = await startBroker({ ...this.#options, sessions: level.sessions, ...options });
    this.#stop = async () => {
      await rig.broker.close();
      await level.close();
    };
    return { ...rig, level };
  }

  async stop(): Promise<void> {
    const stop = this.#stop;
    this.#stop = async () => {};
    await stop();
  }
}

export interface Got {
  readonly cmd: string;
  readonly messageId?: number;
  readonly reasonCode?: number;
  readonly returnCode?: number;
  readonly sessionPresent?: boolean;
  readonly topic?: string;
  readonly payload?: Buffer;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly granted?: ReadonlyArray<number | object>;
  readonly properties?: Record<string, unknown>;
}

export type Version = 4 | 5;

/** Sends what it is told to, byte by byte if need be, and answers nothing by itself. */
export class RawClient {
  readonly got: Got[] = [];
  readonly closed: Promise<void>;
  readonly socket: Socket;
  readonly #version: Version;
  isClosed = false;

  private constructor(socket: Socket, version: Version) {
    this.socket = socket;
    this.#version = version;
    const parsed: Parser = parser({ protocolVersion: version });
    parsed.on('packet', (packet) => this.got.push(packet as unknown as Got));
    socket.on('data', (bytes) => parsed.parse(bytes));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
    onTestFinished(() => void socket.destroy());
  }

  /** A connection with nothing said yet. */
  static async dial(port: number, version: Version = 4): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const client = new RawClient(socket, version);
    await Promise.race([once(socket, 'connect').catch(() => {}), client.closed]);
    return client;
  }

  /** With CONNECT and CONNACK behind it. */
  static async connect(
    port: number,
    clientId: string,
    options: { version?: Version } & Record<string, unknown> = {},
  ): Promise<RawClient> {
    const { version = 4, ...rest } = options;
    const client = await RawClient.dial(port, version);
    client.send(connectPacket(clientId, version, rest));
    await client.hears('connack');
    return client;
  }

  /** All in one chunk. */
  send(...packets: object[]): void {
    const options = { protocolVersion: this.#version };
    this.write(Buffer.concat(packets.map((packet) => generate(packet as Packet, options))));
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  all(cmd: string): Got[] {
    return this.got.filter((packet) => packet.cmd === cmd);
  }

  /** Of the packets of that kind: their ids, in the order of arrival. */
  ids(cmd: string): Array<number | undefined> {
    return this.all(cmd).map(({ messageId }) => messageId);
  }

  async hears(cmd: string, count = 1): Promise<Got[]> {
    await until(`${count} ${cmd}, got ${this.got.map((packet) => packet.cmd).join(' ')}`, () => {
      if (this.isClosed && this.all(cmd).length < count) throw new Error(`closed before ${cmd}`);
      return this.all(cmd).length >= count;
    });
    return this.all(cmd);
  }

  /**
   * Waits for the answer to a ping that was sent with the messages before it, so whatever the
   * broker had to say to those by then has arrived.
   */
  async pong(count = 1): Promise<void> {
    await this.hears('pingresp', count);
  }
}

export function connectPacket(clientId: string, version: Version, rest: object = {}): object {
  const base = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: version, keepalive: 0 };
  return { ...base, clientId, clean: true, ...rest };
}

export function publishPacket(text: string, rest: object = {}): object {
  const base = { cmd: 'publish', topic: 's/a', qos: 1, dup: false, retain: false };
  return { ...base, payload: text, ...rest };
}

export const PING = { cmd: 'pingreq' };

export function subscribePacket(...topics: string[]): object {
  const subscriptions = topics.map((topic) => ({ topic, qos: 1, rh: 0, rap: false, nl: false }));
  return { cmd: 'subscribe', messageId: 9, subscriptions };
}

export function texts(packets: readonly Got[]): string[] {
  return packets.map(({ payload }) => String(payload));
}
