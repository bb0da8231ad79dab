import { connect, type MqttClient } from 'mqtt';

/**
 * The sensor's side of MQTT: what a well-made firmware does. It keeps each message until it is
 * acknowledged and sends it again, byte for byte, after every reconnect. Used by `headgate sim`,
 * `headgate demo` and the tests.
 */
export interface DeviceOptions {
  readonly url: string;
  readonly clientId: string;
  readonly reconnectMs?: number;
  readonly protocolVersion?: 4 | 5;
}

interface Outgoing {
  readonly topic: string;
  readonly payload: Buffer;
  readonly acked: () => void;
  /** Counts attempts; only the answer to the latest one matters. */
  attempt: number;
}

export class DeviceClient {
  readonly #client: MqttClient;
  readonly #ring = new Set<Outgoing>();
  /** From the moment at which what waited has been sent again: nothing new may overtake it. */
  #linked = false;
  #closed = false;
  #resent = 0;

  constructor(options: DeviceOptions) {
    this.#client = connect(options.url, {
      clientId: options.clientId,
      protocolVersion: options.protocolVersion ?? 4,
      clean: true,
      reconnectPeriod: options.reconnectMs ?? 250,
      connectTimeout: 5_000,
      keepalive: 30,
      queueQoSZero: false,
      resubscribe: true,
    });
    this.#client.on('connect', () => {
      this.#linked = true;
      this.#sendAgain();
    });
    this.#client.on('close', () => {
      this.#linked = false;
    });
    // Refused or cut off: it connects again by itself, and what counts is what is in the ring.
    this.#client.on('error', () => {});
  }

  /** Messages that were sent again because their acknowledgement never came. */
  get resent(): number {
    return this.#resent;
  }

  /** Messages without an acknowledgement. */
  get waiting(): number {
    return this.#ring.size;
  }

  /**
   * Resolves when the gateway has acknowledged the message, over as many connections as it takes.
   */
  publish(topic: string, payload: string): Promise<void> {
    return new Promise((resolve) => {
      const message: Outgoing = {
        topic,
        payload: Buffer.from(payload),
        acked: resolve,
        attempt: 0,
      };
      this.#ring.add(message);
      if (this.#linked) this.#send(message);
    });
  }

  /** Sends it once more although it may have been acknowledged: a firmware that lost the ack. */
  repeat(topic: string, payload: string): Promise<void> {
    this.#resent += 1;
    return this.publish(topic, payload);
  }

  #send(message: Outgoing): void {
    message.attempt += 1;
    const { attempt } = message;
    this.#client.publish(message.topic, message.payload, { qos: 1 }, (error) => {
      if (error || attempt !== message.attempt) return;
      if (this.#ring.delete(message)) message.acked();
    });
  }

  /** In the order in which they were first sent. */
  #sendAgain(): void {
    for (const message of this.#ring) {
      if (message.attempt > 0) this.#resent += 1;
      this.#send(message);
    }
  }

  /** Lets go; what is not acknowledged stays so. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise<void>((resolve) => {
      this.#client.end(true, {}, () => resolve());
    });
  }
}

/** What a subscriber hears: for the far side in the demo and in the tests. */
export interface Subscription {
  close(): Promise<void>;
}

/** Subscribes with QoS 1 and hands every message over. Resolves when the broker has granted it. */
export async function subscribe(
  options: DeviceOptions,
  filter: string,
  onMessage: (topic: string, payload: Buffer) => void,
): Promise<Subscription> {
  const client = connect(options.url, {
    clientId: options.clientId,
    protocolVersion: options.protocolVersion ?? 4,
    clean: false,
    ...(options.protocolVersion === 5 ? { properties: { sessionExpiryInterval: 86_400 } } : {}),
    reconnectPeriod: options.reconnectMs ?? 250,
  });
  client.on('error', () => {
    // It connects again by itself.
  });
  client.on('message', (topic, payload) => onMessage(topic, payload));
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => {
      client.subscribe(filter, { qos: 1 }, (error) => (error ? reject(error) : resolve()));
    });
  });
  return {
    close: () =>
      new Promise<void>((resolve) => {
        client.end(true, {}, () => resolve());
      }),
  };
}
