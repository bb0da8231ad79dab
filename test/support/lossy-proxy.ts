import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Random, seededRandom, systemClock } from '../../src/base/clock.ts';

/** What the link between the two sides is like. All of it can be changed while it is in use. */
export interface LinkWeather {
  /** On its way in each direction. */
  readonly delayMs: number;
  /** Part of the segments that are lost at first, from 0 to 1. */
  readonly lossShare: number;
  /** How long TCP takes to send a lost segment again, beside two times `delayMs`. */
  readonly retransmitMs: number;
  /** In each direction; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Bytes a direction that may wait in the link before it takes no more of the sender. */
  readonly bufferBytes: number;
}

const FAIR: LinkWeather = {
  delayMs: 0,
  lossShare: 0,
  retransmitMs: 200,
  bytesPerSecond: 0,
  bufferBytes: 1024 * 1024,
};

/** What a connection attempt meets while the link is frozen. */
export type WhenFrozen = 'silent' | 'refused';

export interface ProxyOptions extends Partial<LinkWeather> {
  readonly toPort: number;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly seed?: number;
}

/** Bytes that arrived: up at the far side, down at the one that connected. */
export interface PassedBytes {
  readonly up: number;
  readonly down: number;
}

/** Payload of a TCP segment on Ethernet: what is lost at one time. */
const SEGMENT_BYTES = 1448;

interface Waiting {
  readonly dueMonoMs: number;
  readonly bytes: Buffer;
}

interface LaneParts {
  readonly from: Socket;
  readonly to: Socket;
  readonly weather: () => LinkWeather;
  readonly random: Random;
  /** How many of so many bytes may pass now. */
  readonly allow: (count: number) => number;
}

/** One direction of a connection. What comes in goes out in the same order, later. */
class Lane {
  readonly #parts: LaneParts;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #ended = false;
  #lastDueMonoMs = 0;
  #departsMonoMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #mayWrite = true;
  #isFrozen = false;
  isSwallowed = false;
  passedBytes = 0;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    const { from, to } = parts;
    from.on('data', (bytes) => this.#take(bytes));
    from.on('end', () => {
      this.#ended = true;
      this.#pass();
    });
    to.on('drain', () => {
      this.#mayWrite = true;
      this.#pass();
    });
  }

  get waitingBytes(): number {
    return this.#queuedBytes;
  }

  /** What the sender has and what is on its way stay where they are. */
  freeze(isFrozen: boolean): void {
    this.#isFrozen = isFrozen;
    this.#pass();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isFrozen = true;
    this.#queue = [];
  }

  #take(bytes: Buffer): void {
    const { lossShare, bytesPerSecond } = this.#parts.weather();
    // Whole as it came where nothing can tell the difference: a bench is to measure others.
    const step = lossShare > 0 || bytesPerSecond > 0 ? SEGMENT_BYTES : bytes.length;
    for (let at = 0; at < bytes.length; at += step) this.#send(bytes.subarray(at, at + step));
    this.#pass();
  }

  #send(bytes: Buffer): void {
    const { delayMs, lossShare, retransmitMs, bytesPerSecond } = this.#parts.weather();
    const nowMs = systemClock.monoMs();
    let dueMs = nowMs + delayMs;
    if (bytesPerSecond > 0) {
      const leavesMs = Math.max(nowMs, this.#departsMonoMs);
      this.#departsMonoMs = leavesMs + (bytes.length * 1000) / bytesPerSecond;
      dueMs = this.#departsMonoMs + delayMs;
    }
    if (lossShare > 0 && this.#parts.random() < lossShare) dueMs += retransmitMs + 2 * delayMs;
    // TCP hands nothing over that came after what is missing.
    this.#lastDueMonoMs = Math.max(this.#lastDueMonoMs, dueMs);
    this.#queue.push({ dueMonoMs: this.#lastDueMonoMs, bytes });
    this.#queuedBytes += bytes.length;
  }

  #pass(): void {
    clearTimeout(this.#timer);
    const { from, to, weather } = this.#parts;
    const nowMs = systemClock.monoMs();
    let passed = 0;
    while (!this.#isFrozen && this.#mayWrite) {
      const first = this.#queue[passed];
      if (first === undefined || first.dueMonoMs > nowMs) break;
      passed += 1;
      this.#queuedBytes -= first.bytes.length;
      this.#write(first.bytes);
    }
    if (passed > 0) this.#queue.splice(0, passed);
    if (this.#isFrozen || this.#queuedBytes >= weather().bufferBytes) from.pause();
    else from.resume();
    if (this.#isFrozen || !this.#mayWrite) return;
    const [next] = this.#queue;
    if (next !== undefined) {
      this.#timer = setTimeout(() => this.#pass(), Math.max(1, next.dueMonoMs - nowMs));
    } else if (this.#ended) to.end();
  }

  #write(bytes: Buffer): void {
    if (this.isSwallowed) return;
    const count = this.#parts.allow(bytes.length);
    if (count === 0) return;
    this.passedBytes += count;
    this.#mayWrite = this.#parts.to.write(bytes.subarray(0, count));
  }
}

/** One connection that went through the proxy. */
export class ProxyConnection {
  readonly openedMonoMs = systemClock.monoMs();
  readonly #client: Socket;
  readonly #far: Socket;
  readonly #up: Lane;
  readonly #down: Lane;
  #isOpen = true;

  constructor(
    client: Socket,
    toPort: number,
    {
      weather,
      random,
      allowUp,
    }: Pick<LaneParts, 'weather' | 'random'> & { allowUp: LaneParts['allow'] },
  ) {
    this.#client = client;
    this.#far = connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true });
    const all = (count: number) => count;
    const shared = { weather, random };
    this.#up = new Lane({ ...shared, from: client, to: this.#far, allow: allowUp });
    this.#down = new Lane({ ...shared, from: this.#far, to: client, allow: all });
    for (const socket of [client, this.#far]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.cut());
      socket.on('close', () => this.#closed());
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get passed(): PassedBytes {
    return { up: this.#up.passedBytes, down: this.#down.passedBytes };
  }

  /** Bytes of both directions that are on their way. */
  get waitingBytes(): number {
    return this.#up.waitingBytes + this.#down.waitingBytes;
  }

  freeze(isFrozen: boolean): void {
    this.#up.freeze(isFrozen);
    this.#down.freeze(isFrozen);
  }

  dropAnswers(): void {
    this.#down.isSwallowed = true;
  }

  /** Both sides see a reset; what was on its way is gone. */
  cut(): void {
    this.#isOpen = false;
    this.#up.close();
    this.#down.close();
    this.#client.resetAndDestroy();
    this.#far.resetAndDestroy();
  }

  #closed(): void {
    if (this.#client.destroyed && this.#far.destroyed) this.#isOpen = false;
  }
}

/**
 * A link over TCP on which things go wrong as they do on a real one, for tests and benches: to the
 * two sides it looks like a connection that is slow, stalls, goes silent or is cut. With the same
 * seed the same segments are lost, if the same segments are sent.
 */
export class LossyProxy {
  readonly #toPort: number;
  readonly #random: Random;
  readonly #server: Server;
  /** All that were made, the oldest first. */
  readonly connections: ProxyConnection[] = [];
  /** Connections of a frozen link, which nobody has answered. */
  readonly #unanswered = new Set<Socket>();
  #weather: LinkWeather;
  #frozen: WhenFrozen | undefined;
  /** What may still go up before the link is cut. */
  #upLeft = Number.POSITIVE_INFINITY;
  #refused = 0;

  private constructor({ toPort, seed = 1, port: _, ...weather }: ProxyOptions) {
    this.#toPort = toPort;
    this.#random = seededRandom(seed);
    this.#weather = { ...FAIR, ...weather };
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async start(options: ProxyOptions): Promise<LossyProxy> {
    const proxy = new LossyProxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Of all connections so far. */
  get passed(): PassedBytes {
    let up = 0;
    let down = 0;
    for (const { passed } of this.connections) {
      up += passed.up;
      down += passed.down;
    }
    return { up, down };
  }

  /** Connection attempts that were turned away. */
  get refused(): number {
    return this.#refused;
  }

  /** For what is sent from now on. */
  change(weather: Partial<LinkWeather>): void {
    this.#weather = { ...this.#weather, ...weather };
  }

  /** Resets all connections: now, or when so many bytes more have gone up, in all. */
  cut(afterBytes = 0): void {
    this.#upLeft = Number.POSITIVE_INFINITY;
    if (afterBytes > 0) this.#upLeft = afterBytes;
    else for (const connection of this.connections) connection.cut();
  }

  /**
   * Nothing passes any more and nobody is told: no FIN, no reset. Who connects meanwhile is left
   * without an answer, or is reset at once. `thaw` ends it, as if nothing had been.
   */
  freeze(newOnes: WhenFrozen = 'silent'): void {
    this.#frozen = newOnes;
    for (const connection of this.connections) if (connection.isOpen) connection.freeze(true);
  }

  thaw(): void {
    this.#frozen = undefined;
    for (const connection of this.connections) if (connection.isOpen) connection.freeze(false);
    for (const client of this.#unanswered) this.#join(client);
    this.#unanswered.clear();
  }

  /**
   * What the far side says on the connections that are open is lost from now on, while what goes
   * there still arrives. It ends with each of these connections.
   */
  dropAnswers(): void {
    for (const connection of this.connections) connection.dropAnswers();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const client of this.#unanswered) client.destroy();
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    client.on('error', () => {
      // It ends, and its other side with it.
    });
    if (this.#frozen === 'refused') {
      this.#refused += 1;
      client.resetAndDestroy();
    } else if (this.#frozen === 'silent') this.#unanswered.add(client);
    else this.#join(client);
  }

  #join(client: Socket): void {
    this.connections.push(
      new ProxyConnection(client, this.#toPort, {
        weather: () => this.#weather,
        random: this.#random,
        allowUp: (count) => this.#allowUp(count),
      }),
    );
  }

  #allowUp(count: number): number {
    const allowed = Math.min(count, this.#upLeft);
    this.#upLeft -= allowed;
    // What was let through arrives first: a reset overtakes what is still to be written.
    if (allowed > 0 && this.#upLeft === 0) setImmediate(() => this.cut());
    return allowed;
  }
}
