import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AedesOptions, type Client } from 'aedes';

/** What becomes of a publish: `hold` never answers, `refuse` says no. */
export type Verdict = 'take' | 'hold' | 'refuse';

/**
 * A real broker on a port of its own, as a gateway or a cloud, that does what the test says and
 * keeps a book of each connection. It can go away and come back.
 */
export class ScriptedBroker {
  /** Payloads in the order of arrival, for each connection of a client. */
  readonly connections: string[][] = [];
  readonly clientIds: string[] = [];
  /** What each connection said of itself. */
  readonly logins: Array<{ readonly user: string | undefined; readonly password: string }> = [];
  /** Whether each connection asked for a session. */
  readonly sessions: boolean[] = [];
  /** Topics in the order of arrival. */
  readonly topics: string[] = [];
  /** Payloads that were acknowledged. */
  readonly taken = new Set<string>();
  verdict: (payload: string) => Verdict = () => 'take';
  /** Filters in the order of arrival. */
  readonly subscribed: string[] = [];
  /** Filters that nobody may subscribe to. */
  readonly closed = new Set<string>();
  /** Payloads of what was sent and acknowledged, in the order of the acknowledgements. */
  readonly acked: string[] = [];
  onSubscribe: () => void = () => {};
  /** Says no to connections while true. */
  locked = false;
  refusals = 0;
  count = 0;
  readonly #options: AedesOptions;
  readonly #books = new Map<Client, string[]>();
  readonly #sockets = new Set<Socket>();
  #broker: Aedes | undefined;
  #server: Server | undefined;
  #port = 0;
  readonly #held: Array<() => void> = [];
  #onHeard: () => void = () => {};

  constructor(options: AedesOptions = {}) {
    this.#options = options;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  /** Payloads in the order of arrival, over all connections. */
  heard(): string[] {
    return this.connections.flat();
  }

  /** On the same port every time. */
  async open(): Promise<void> {
    const broker = await Aedes.createBroker({
      ...this.#options,
      authenticate: (_client, user, password, done) => {
        this.logins.push({ user, password: String(password ?? '') });
        if (this.locked) this.refusals += 1;
        done(null, !this.locked);
      },
      authorizePublish: (client, packet, done) => {
        if (client === null) return done(null);
        this.topics.push(packet.topic);
        return this.#take(client, packet.payload.toString(), done);
      },
      authorizeSubscribe: (_client, subscription, done) => {
        this.onSubscribe();
        this.subscribed.push(subscription.topic);
        done(null, this.closed.has(subscription.topic) ? null : subscription);
      },
    });
    broker.on('client', (client) => {
      const book: string[] = [];
      this.#books.set(client, book);
      this.connections.push(book);
      this.clientIds.push(client.id);
      this.sessions.push(!client.clean);
    });
    broker.on('ack', (packet) => {
      // Of QoS 1 the event carries the message that it is for, if that is still there.
      const payload = (packet as { payload?: string | Buffer } | undefined)?.payload;
      if (payload !== undefined) this.acked.push(payload.toString());
    });
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      broker.handle(socket);
    });
    this.#broker = broker;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  #take(client: Client, payload: string, done: (error?: Error | null) => void): void {
    this.#books.get(client)?.push(payload);
    this.count += 1;
    this.#onHeard();
    const verdict = this.verdict(payload);
    if (verdict === 'hold') {
      this.#held.push(() => done());
      return;
    }
    if (verdict === 'take') this.taken.add(payload);
    done(verdict === 'take' ? null : new Error('refused'));
  }

  /** Resolves when it is with those who are there, and stored for sessions that are away. */
  async send(topic: string, payload: string | Buffer, { qos = 1 as 0 | 1 } = {}): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const packet = { cmd: 'publish', topic, payload, qos, retain: false, dup: false } as const;
      this.#broker?.publish(packet, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Acknowledges the oldest publish that is held. */
  release(): void {
    this.#held.shift()?.();
  }

  /** Resolves once `count` publishes have arrived in all. */
  async hears(count: number): Promise<void> {
    while (this.count < count) {
      await new Promise<void>((resolve) => {
        this.#onHeard = resolve;
      });
    }
  }

  /** Cuts every connection; goes on listening. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const [server, broker] = [this.#server, this.#broker];
    this.#server = undefined;
    this.#broker = undefined;
    this.cut();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
    if (broker !== undefined) await new Promise<void>((resolve) => broker.close(resolve));
  }
}
