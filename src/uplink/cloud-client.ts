import { connect, type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import type { Clock } from '../base/clock.ts';
import { codeOf } from '../base/errors.ts';

/** A connection to the cloud, as the uplink sees it. `cloud-client.ts` makes one of MQTT. */
export interface CloudLink {
  /** Publishes that may be unacknowledged at one time, if the far side said so. */
  readonly receiveMaximum: number | undefined;
  /** Resolves when the cloud has acknowledged it; rejects when that can't be known any more. */
  publish(topic: string, payload: Uint8Array): Promise<void>;
  /** Resolves with the reason when the link is gone. */
  readonly ended: Promise<string>;
  /** Lets go of the link; what is unacknowledged rejects. */
  close(): Promise<void>;
}

/** Tries once. Rejects when no link could be made, and soon when the signal aborts. */
export type OpenLink = (signal: AbortSignal) => Promise<CloudLink>;

export interface CloudOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username: string;
  readonly password: string | undefined;
  readonly protocolVersion: 4 | 5;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly clock: Clock;
  readonly tls: Readonly<Partial<Record<'ca' | 'cert' | 'key', string | undefined>>>;
}

/** An acknowledgement that says no, MQTT 5 only: the link is fine, the record was not taken. */
export class CloudRefusal extends Error {
  readonly reasonCode: number;

  constructor(reasonCode: number) {
    super(`the cloud refused a record with reason 0x${reasonCode.toString(16)}`);
    this.reasonCode = reasonCode;
  }
}

/**
 * The client's own queue and store are off: the log is the only queue. It never connects again by
 * itself, so each link begins with nothing in flight.
 */
function clientOptions(options: CloudOptions): IClientOptions {
  return {
    clientId: options.clientId,
    protocolVersion: options.protocolVersion,
    keepalive: options.keepaliveSeconds,
    connectTimeout: options.connectTimeoutMs,
    clean: true,
    reconnectPeriod: 0,
    queueQoSZero: false,
    resubscribe: false,
    ...(options.username === '' ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...Object.fromEntries(Object.entries(options.tls).filter(([, text]) => text !== undefined)),
  };
}

interface Pending {
  readonly reject: (error: Error) => void;
}

const CLOSED = 'the connection was closed';

class MqttLink implements CloudLink {
  readonly receiveMaximum: number | undefined;
  readonly ended: Promise<string>;
  readonly #client: MqttClient;
  readonly #options: CloudOptions;
  /** In the order in which they were published, so the first is the oldest. */
  readonly #pending = new Set<Pending>();
  /** Since when the oldest is the oldest. */
  #oldestSinceMonoMs = 0;
  #reason = CLOSED;

  constructor(client: MqttClient, options: CloudOptions, receiveMaximum: number | undefined) {
    this.#client = client;
    this.#options = options;
    this.receiveMaximum = receiveMaximum;
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

  publish(topic: string, payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#client.connected) {
        reject(new Error(this.#reason));
        return;
      }
      const pending = { reject };
      this.#add(pending);
      const { buffer, byteOffset, byteLength } = payload;
      const bytes = Buffer.from(buffer, byteOffset, byteLength);
      this.#client.publish(topic, bytes, { qos: 1 }, (error) => {
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

  async close(): Promise<void> {
    this.#client.end(true);
    await this.ended;
  }
}

/** The client library turns a refusing PUBACK into an error with its code. */
function refusalOf(error: Error): CloudRefusal | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'number' && code >= 0x80 ? new CloudRefusal(code) : undefined;
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
      const onConnect = ({ properties }: IConnackPacket) => {
        letGo();
        resolve(new MqttLink(client, options, properties?.receiveMaximum));
        client.off('error', onError);
      };
      // The listener for errors stays: one that comes late has nobody else.
      const onClose = () => {
        letGo();
        client.end(true);
        reject(new Error(failure));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      client.on('error', onError);
      client.on('close', onClose);
      client.on('connect', onConnect);
    });
}
