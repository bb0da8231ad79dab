import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { DemoCloud } from '../../src/cli/demo-cloud.ts';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { identityOf } from './identity.ts';
import { until } from './until.ts';

/**
 * Clients on the other side of the gateway. A sensor that sends again by itself is
 * firmware-bridge's `DeviceClient`; `TestClient` does nothing by itself: one connection, no
 * retransmits, and it notes what comes back.
 */
export interface TestClientOptions {
  readonly clientId?: string;
  readonly version?: 4 | 5;
  /** Default true: no session. */
  readonly clean?: boolean;
  readonly will?: { readonly topic: string; readonly payload: string };
}

export interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
}

let numbered = 0;

export class TestClient {
  /** What was acknowledged, in the order in which the acknowledgements came: payloads. */
  readonly acked: string[] = [];
  readonly heard: Heard[] = [];
  /** Of the DISCONNECT that the gateway sent, MQTT 5 only. */
  disconnectReason: number | undefined;
  /** The gateway knew a session of this client. */
  sessionPresent = false;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #client: MqttClient;
  #isClosed = false;

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload, packet: IPublishPacket) => {
      this.heard.push({ topic, payload: payload.toString(), retain: packet.retain });
    });
    client.on('disconnect', (packet) => {
      this.disconnectReason = packet.reasonCode;
    });
    // A connection that ends is what some tests look for; `closed` tells.
    client.on('error', () => {});
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#isClosed = true;
        resolve();
      });
    });
  }

  /** Resolves when the gateway has accepted the connection; rejects when it does not. */
  static async connect(port: number, options: TestClientOptions = {}): Promise<TestClient> {
    const { version = 4, clean = true, will, clientId = `test-${++numbered}` } = options;
    const settings: IClientOptions = {
      clientId,
      protocolVersion: version,
      clean,
      reconnectPeriod: 0,
      connectTimeout: 5_000,
      queueQoSZero: false,
      ...(version === 5 && !clean ? { properties: { sessionExpiryInterval: 86_400 } } : {}),
      ...(will === undefined
        ? {}
        : { will: { ...will, payload: Buffer.from(will.payload), qos: 1 as const } }),
    };
    const client = new TestClient(connect(`mqtt://127.0.0.1:${port}`, settings));
    await new Promise<void>((resolve, reject) => {
      client.#client.once('connect', ({ sessionPresent }) => {
        client.sessionPresent = sessionPresent;
        resolve();
      });
      void client.closed.then(() => reject(new Error('the connection was refused')));
    });
    return client;
  }

  get isConnected(): boolean {
    return !this.#isClosed && this.#client.connected;
  }

  /**
   * True when the gateway acknowledged it, false when the connection ended first or it was refused.
   */
  publish(
    topic: string,
    payload: string | Buffer,
    options: { readonly qos?: 0 | 1 | 2; readonly retain?: boolean; readonly dup?: boolean } = {},
  ): Promise<boolean> {
    return new Promise((resolve) => {
      void this.closed.then(() => resolve(false));
      this.#client.publish(topic, payload, { qos: 1, ...options }, (error) => {
        if (error || this.#isClosed) {
          resolve(false);
          return;
        }
        this.acked.push(payload.toString());
        resolve(true);
      });
    });
  }

  /** Resolves with the QoS that was granted. */
  async subscribe(filter: string): Promise<number> {
    const [granted] = await this.#client.subscribeAsync(filter, { qos: 1 });
    return granted?.qos ?? 128;
  }

  /**
   * There and back on this connection, so the gateway has taken in whatever was sent before on it,
   * and whatever it had answered by then has arrived.
   */
  async roundTrip(): Promise<void> {
    await this.#client.unsubscribeAsync('round/trip');
  }

  /** Waits until `count` messages have been heard. */
  async hears(count: number): Promise<readonly Heard[]> {
    await until(`${count} messages heard`, () => this.heard.length >= count);
    return this.heard;
  }

  /** With DISCONNECT. */
  async end(): Promise<void> {
    if (!this.#isClosed) await this.#client.endAsync();
  }

  /** Without a word, as when the sensor's battery is taken out. */
  cut(): void {
    this.#client.stream.destroy();
  }
}

function recordOf({ historical: _, ...record }: Envelope): string {
  return JSON.stringify(record);
}

/** The cloud of the demo, asked what it has. */
export class Cloud extends DemoCloud {
  /**
   * What arrived, by its identity. Throws if two different records came under one. `historical`
   * belongs to a delivery: what was sent fresh and not acknowledged before a kill goes again as
   * backlog.
   */
  records(): Map<string, Envelope> {
    const byIdentity = new Map<string, Envelope>();
    for (const envelope of this.heard) {
      const identity = identityOf(envelope);
      const before = byIdentity.get(identity);
      if (before !== undefined && recordOf(before) !== recordOf(envelope)) {
        throw new Error(`two records are called ${identity}`);
      }
      byIdentity.set(identity, envelope);
    }
    return byIdentity;
  }
}
