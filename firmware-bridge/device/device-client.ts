import { connect, type MqttClient } from 'mqtt';

/**
 * The sensor's side of MQTT: what a well-made firmware does. It keeps each message until it is
 * acknowledged and sends it again, byte for byte, after every reconnect. Used by `headgate-serial`,
 * `headgate sim`, `headgate demo` and the tests.
 */
export interface DeviceOptions {
  readonly url: string;
  readonly clientId: string;
  readonly reconnectMs?: number;
  readonly protocolVersion?: 4 | 5;
  /** Messages on their way at one time, unless the gateway asks for fewer. */
  readonly window?: number;
  readonly username?: string;
  readonly password?: string;
  /** PEM, for a gateway behind TLS. */
  readonly ca?: string;
  /** Told why there is no connection just now. */
  onTrouble?(why: string): void;
  /** Told of each connection. */
  onConnected?(): void;
}

/**
 * Of a message: durable, or refused in words that leave no hope, which MQTT 5 alone has: of this
 * message, or of all as large as it is.
 */
export type Fate = 'stored' | 'refused';

interface Outgoing {
  readonly topic: string;
  readonly payload: Buffer;
  readonly done: (fate: Fate) => void;
  sent: boolean;
}

const WINDOW = 256;
/** Of a PUBLISH with QoS 1 and no properties, besides its topic and its payload. */
const HEAD_BYTES = 10;
/** Topic name invalid, packet too large, payload format invalid: true of the next try as well. */
const FINAL_REASONS = new Set<unknown>([0x90, 0x95, 0x99]);

function packetBytes({ topic, payload }: Outgoing): number {
  return HEAD_BYTES + Buffer.byteLength(topic) + payload.length;
}

export class DeviceClient {
  readonly #client: MqttClient;
  /** Sent on this connection and not acknowledged. */
  readonly #inFlight = new Set<Outgoing>();
  /** In the order in which they are to be sent; those before `#next` have been. */
  #waiting: Outgoing[] = [];
  #next = 0;
  #window = 0;
  #maxPacketBytes = Number.POSITIVE_INFINITY;
  #closed = false;
  #resent = 0;

  constructor(options: DeviceOptions) {
    this.#client = connect(options.url, {
      clientId: options.clientId,
      protocolVersion: options.protocolVersion ?? 4,
      clean: true,
      reconnectPeriod: options.reconnectMs ?? 250,
      reconnectOnConnackError: true,
      connectTimeout: 5_000,
      keepalive: 30,
      queueQoSZero: false,
      resubscribe: false,
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    const window = options.window ?? WINDOW;
    this.#client.on('connect', ({ properties }) => {
      this.#window = Math.min(window, properties?.receiveMaximum ?? window);
      this.#maxPacketBytes = properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
      options.onConnected?.();
      this.#send();
    });
    this.#client.on('close', () => this.#unlink());
    // Refused or cut off: it connects again by itself, and what counts is what is kept here.
    this.#client.on('error', (error: Error & { code?: unknown }) => {
      options.onTrouble?.(error.message || String(error.code));
    });
  }

  /** Messages that were sent again because their acknowledgement never came. */
  get resent(): number {
    return this.#resent;
  }

  /** Messages without an acknowledgement. */
  get waiting(): number {
    return this.#inFlight.size + this.#waiting.length - this.#next;
  }

  /**
   * Resolves when the gateway has acknowledged the message, over as many connections as it takes.
   */
  publish(topic: string, payload: string): Promise<void> {
    return new Promise((resolve) => {
      void this.deliver(topic, Buffer.from(payload)).then((fate) => {
        if (fate === 'stored') resolve();
      });
    });
  }

  /** As `publish`, and says whether the gateway will never take it. */
  deliver(topic: string, payload: Uint8Array): Promise<Fate> {
    return new Promise((resolve) => {
      this.#waiting.push({ topic, payload: Buffer.from(payload), done: resolve, sent: false });
      this.#send();
    });
  }

  /** Sends it once more although it may have been acknowledged: a firmware that lost the ack. */
  repeat(topic: string, payload: string): Promise<void> {
    this.#resent += 1;
    return this.publish(topic, payload);
  }

  /** Fills the window. Does nothing while there is no connection. */
  #send(): void {
    while (!this.#closed && this.#inFlight.size < this.#window) {
      const message = this.#waiting[this.#next];
      if (message === undefined) break;
      this.#next += 1;
      // The library would send nothing, and never say so.
      if (packetBytes(message) > this.#maxPacketBytes) {
        message.done('refused');
        continue;
      }
      if (message.sent) this.#resent += 1;
      message.sent = true;
      this.#inFlight.add(message);
      this.#client.publish(message.topic, message.payload, { qos: 1 }, (error) => {
        if (!error) this.#ended(message, 'stored');
        else if (FINAL_REASONS.has((error as { code?: unknown }).code)) {
          this.#ended(message, 'refused');
        } else this.#refused();
      });
    }
    // Now and then, since moving what is left costs time.
    if (this.#next === this.#waiting.length || this.#next >= 1_024) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
  }

  #ended(message: Outgoing, fate: Fate): void {
    if (!this.#inFlight.delete(message)) return;
    message.done(fate);
    this.#send();
  }

  /**
   * MQTT 5 refuses a message and keeps the connection, which 3.1.1 has no word for but to end it.
   * Ended in both cases, so that all is sent again, in order and after a pause.
   */
  #refused(): void {
    if (this.#window > 0 && !this.#closed) this.#client.stream.destroy();
  }

  /** Everything without an acknowledgement goes out again on the next connection, in order. */
  #unlink(): void {
    this.#window = 0;
    if (this.#closed) return;
    // Otherwise the library sends what it holds by itself, one message after the other, before it
    // says that it is connected.
    for (const id of Object.keys(this.#client.outgoing)) {
      this.#client.removeOutgoingMessage(Number(id));
    }
    this.#waiting = [...this.#inFlight, ...this.#waiting.slice(this.#next)];
    this.#next = 0;
    this.#inFlight.clear();
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
