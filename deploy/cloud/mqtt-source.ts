import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { codeOf } from '../../src/base/errors.ts';
import { aborted, type Intake, Outstanding, type Source, type SourceOptions } from './source.ts';

/**
 * A session at an MQTT broker that outlives connections: what is not acknowledged is delivered
 * again. Acknowledgements leave only after the commit, in the order in which the messages came.
 */

/** The uplink's topics, unless it is told otherwise. */
const DEFAULT_TOPIC = 'headgate/#';
/** An MQTT 5 broker has no more than this many messages on their way to us. */
const RECEIVE_MAXIMUM = 1000;
const KEEPALIVE_SECONDS = 30;
const CONNECT_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 2000;
/** The session never expires: how long a sink is away is not for it to say. */
const NEVER_SECONDS = 0xffff_ffff;

/** Given to the client instead of the success that would make it acknowledge at once. */
const NOT_YET = new Error('acknowledged after the commit');

function clientOptions(options: SourceOptions): IClientOptions {
  const { name, username, password, mqttVersion, tls } = options;
  const properties = { sessionExpiryInterval: NEVER_SECONDS, receiveMaximum: RECEIVE_MAXIMUM };
  return {
    clientId: name,
    clean: false,
    protocolVersion: mqttVersion,
    ...(mqttVersion === 5 ? { properties } : {}),
    keepalive: KEEPALIVE_SECONDS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Packet ids mean nothing on another connection: each has a client of its own.
    reconnectPeriod: 0,
    resubscribe: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
  };
}

/** PUBACK, with success: the same bytes in MQTT 3.1.1 and 5. */
function pubAck(packetId: number): Buffer {
  return Buffer.from([0x40, 2, packetId >> 8, packetId & 0xff]);
}

function propertiesOf({ properties }: IPublishPacket): Record<string, string> {
  const entries = Object.entries(properties?.userProperties ?? {});
  return Object.fromEntries(
    entries.map(([name, value]) => [name, String(Array.isArray(value) ? value[0] : value)]),
  );
}

class Connection {
  readonly #client: MqttClient;
  readonly #intake: Intake;
  readonly #outstanding = new Outstanding();
  #isStopping = false;
  #isOver = false;

  constructor(options: SourceOptions, intake: Intake) {
    this.#intake = intake;
    this.#client = connect(options.url, clientOptions(options));
    // What waits in the session comes right after the CONNACK.
    this.#client.handleMessage = (packet, goOn) => void this.#handle(packet, goOn);
  }

  /** `goOn` lets the client read its next packet. */
  async #handle(packet: IPublishPacket, goOn: (error?: Error) => void): Promise<void> {
    const { topic, payload, messageId, qos } = packet;
    // Neither read on nor acknowledge: the broker delivers it again.
    if (this.#isStopping) return;
    await this.#intake.room();
    if (this.#isStopping || this.#isOver) return;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const stored = this.#intake.take({ topic, payload: bytes, properties: propertiesOf(packet) });
    this.#outstanding.add(
      stored.then((isStored) => {
        if (isStored && qos === 1 && messageId !== undefined && !this.#isOver) {
          this.#client.stream.write(pubAck(messageId));
        }
      }),
    );
    goOn(qos === 1 ? NOT_YET : undefined);
  }

  /** Rejects with why the connection has ended, or never came to be. */
  #ended(): Promise<never> {
    const client = this.#client;
    let reason = 'the connection was closed';
    client.on('error', (error) => {
      reason = error.message === '' ? codeOf(error) : error.message;
      client.end(true);
    });
    client.on('disconnect', ({ reasonCode = 0 }) => {
      const isTaken = reasonCode === 0x8e;
      const text = isTaken ? 'another client has the same name' : `0x${reasonCode.toString(16)}`;
      reason = `the broker ended it: ${text}`;
    });
    return new Promise((_, reject) => {
      client.once('close', () => {
        this.#isOver = true;
        client.end(true);
        reject(new Error(reason));
      });
    });
  }

  async #subscribe(topic: string): Promise<void> {
    const [granted] = await this.#client.subscribeAsync(topic, { qos: 1 });
    // With QoS 0 nothing would be delivered again.
    if (granted !== undefined && granted.qos !== 1) {
      throw new Error(`the broker grants ${topic} QoS ${granted.qos}, and no QoS 1`);
    }
  }

  async #begun({ topic = DEFAULT_TOPIC, onConnect }: SourceOptions): Promise<void> {
    await new Promise<void>((resolve) => this.#client.once('connect', () => resolve()));
    await this.#subscribe(topic);
    onConnect(topic);
  }

  async run(options: SourceOptions, signal: AbortSignal): Promise<void> {
    const ended = this.#ended();
    const stopped = aborted(signal);
    try {
      await Promise.race([ended, this.#begun(options), stopped]);
      await Promise.race([ended, stopped]);
      this.#isStopping = true;
      await Promise.race([ended, this.#outstanding.settled()]);
      const timer = setTimeout(() => this.#client.end(true), END_TIMEOUT_MS);
      this.#client.end();
      await ended.catch(() => clearTimeout(timer));
    } finally {
      this.#isStopping = true;
      this.#client.end(true);
    }
  }
}

export function mqttSource(options: SourceOptions): Source {
  return {
    run: async (intake, signal) => {
      // A connection that does not read is taken for dead: while there is no room, there is none.
      await Promise.race([intake.room(), aborted(signal)]);
      if (!signal.aborted) await new Connection(options, intake).run(options, signal);
    },
  };
}
