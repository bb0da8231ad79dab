import { silentLogger } from '../base/logger.ts';
import { type Broker, openBroker } from '../ingest/broker.ts';
import type { Envelope } from '../uplink/envelope.ts';

/**
 * The cloud: a plain broker of this process that notes what is published to it, and can go away and
 * come back on the same port.
 */
export class DemoCloud {
  readonly heard: Envelope[] = [];
  #broker: Broker | undefined;
  #port: number;

  /** 0: any free port. */
  constructor(port = 0) {
    this.#port = port;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    this.#broker = await openBroker({
      id: 'cloud',
      host: '127.0.0.1',
      port: this.#port,
      maxConnections: 10,
      maxPacketBytes: 4 * 1024 * 1024,
      maxTopicLevels: 16,
      keepaliveLimitSeconds: 0,
      reserved: ['$SYS/'],
      logger: silentLogger,
      accept: ({ payload }) => {
        this.heard.push(JSON.parse(Buffer.from(payload).toString()) as Envelope);
        return false;
      },
    });
    await this.#broker.listen();
    this.#port = this.#broker.port;
  }

  async close(): Promise<void> {
    await this.#broker?.close();
  }
}
