import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { Clock } from '../base/clock.ts';

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

/** Tries once. Rejects when no link could be made. */
export type OpenLink = () => Promise<CloudLink>;

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
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
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
    ...options.tls,
  };
}

interface Pending {
  readonly sinceMonoMs: number;
  readonly reject: (error: Error) => void;
}

class MqttLink implements CloudLink {
  readonly receiveMaximum: number | undefined;
  readonly ended: Promise<string>;
  readonly #client: MqttClient;
  readonly #options: CloudOptions;
  /** In the order in which they were published, so the first is the oldest. */
  readonly #pending = new Set<Pending>();
  #lastError = 'the connection was closed';

  constructor(client: MqttClient, options: CloudOptions, receiveMaximum: number | undefined) {
    this.#client = client;
    this.#options = options;
    this.receiveMaximum = receiveMaximum;
    client.on('error', (error) => {
      this.#lastError = error.message;
    });
    const watch = setInterval(() => this.#giveUpIfDead(), options.ackTimeoutMs / 4);
    watch.unref();
    this.ended = new Promise((resolve) => {
      client.once('close', () => {
        clearInterval(watch);
        for (const { reject } of this.#pending) reject(new Error(this.#lastError));
        this.#pending.clear();
        resolve(this.#lastError);
      });
    });
  }

  /** A link on which acknowledgements stop coming is dead, whatever TCP believes. */
  #giveUpIfDead(): void {
    const { clock, ackTimeoutMs } = this.#options;
    const [oldest] = this.#pending;
    if (oldest === undefined || clock.monoMs() - oldest.sinceMonoMs < ackTimeoutMs) return;
    this.#lastError = `no acknowledgement within ${ackTimeoutMs} ms`;
    this.#client.end(true);
  }

  publish(topic: string, payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#client.connected) {
        reject(new Error(this.#lastError));
        return;
      }
      const pending = { sinceMonoMs: this.#options.clock.monoMs(), reject };
      this.#pending.add(pending);
      const { buffer, byteOffset, byteLength } = payload;
      const bytes = Buffer.from(buffer, byteOffset, byteLength);
      this.#client.publish(topic, bytes, { qos: 1 }, (error, packet) => {
        this.#pending.delete(pending);
        const code = (packet as { reasonCode?: number } | undefined)?.reasonCode ?? 0;
        if (error) reject(refusalOf(error));
        else if (code >= 0x80) reject(new CloudRefusal(code));
        else resolve();
      });
    });
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#client.end(true, {}, () => resolve());
    });
  }
}

/** The client library turns a refusing PUBACK into an error with its code. */
function refusalOf(error: Error): Error {
  const { code } = error as { code?: unknown };
  return typeof code === 'number' && code >= 0x80 ? new CloudRefusal(code) : error;
}

/** Opens links to the MQTT broker of `options.url`. */
export function mqttCloud(options: CloudOptions): OpenLink {
  return () =>
    new Promise((resolve, reject) => {
      const client = connect(options.url, clientOptions(options));
      let failure = 'the connection was closed';
      const onError = (error: Error) => {
        failure = error.message;
      };
      const onClose = () => {
        client.end(true);
        reject(new Error(failure));
      };
      client.on('error', onError);
      client.once('close', onClose);
      client.once('connect', (connack) => {
        client.off('close', onClose);
        client.off('error', onError);
        const receiveMaximum = connack.properties?.receiveMaximum;
        resolve(new MqttLink(client, options, receiveMaximum));
      });
    });
}
