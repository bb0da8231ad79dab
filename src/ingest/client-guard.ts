import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { mergeChunks } from './chunks.ts';
import type { ConnectTurns } from './connect-turns.ts';
import type { HalfPackets, HalfSender } from './half-packets.ts';
import { type Packet, packetFault, pinSubscriptions } from './packet-rules.ts';
import type { SlowReaders } from './slow-readers.ts';

type Deliver = (packet: { readonly brokerId: unknown }, done: () => void) => void;

/** The part of an aedes client that is looked at here. */
export interface GuardedClient extends EventEmitter {
  readonly conn: Socket;
  readonly connected: boolean;
  readonly closed: boolean;
  subscriptions: Record<string, unknown>;
  deliver0: Deliver;
  deliverQoS: Deliver;
  readonly _parser: EventEmitter & {
    parse(bytes: Uint8Array): unknown;
    /** What there is of a packet that is not whole yet: its bytes, and the chunks they are in. */
    readonly _list: { readonly length: number; getBuffers(): Uint8Array[] };
  };
  /** Of what was read last, not dealt with yet: until then no more is read. */
  readonly _parsingBatch: number;
  readonly _paused?: boolean;
  _keepaliveTimer: NodeJS.Timeout | null;
  readonly _keepaliveInterval: number;
  /** Runs while its socket is full; cuts it off when it fires. */
  readonly _drainTimer: NodeJS.Timeout | null;
  waitForDrain(done: () => void): void;
  pause(): void;
  resume(): void;
}

export interface GuardOptions {
  readonly maxSubscriptions: number;
  /** Of a packet before the client is connected. */
  readonly maxConnectBytes: number;
  readonly halfPackets: HalfPackets;
  readonly slowReaders: SlowReaders;
  readonly turns: ConnectTurns;
  /** Acknowledgements are owed to it: it may be silent for as long as they are. */
  isOwed(client: GuardedClient): boolean;
  /** It said nothing for longer than it wanted to. */
  onSilence(client: GuardedClient): void;
}

/** Packets held back before the client is connected; its socket is read no further then. */
const MAX_HELD = 64;

/** Of all filters of one client: a single one may have 65,535. */
const MAX_FILTER_CHARS = 128 * 1024;

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/**
 * Stands between one client's bytes and the broker: whatever is sent, in whatever order and speed,
 * ends no more than its own connection and holds up nobody else.
 */
export class ClientGuard implements HalfSender {
  readonly #client: GuardedClient;
  readonly #options: GuardOptions;
  readonly #handlers: readonly ((packet: Packet) => void)[];
  /** Filters asked for, whether or not they are stored yet. */
  readonly #filters = new Set<string>();
  #filterChars = 0;
  #hasAsked = false;
  #hasPaused = false;
  /** Whole packets so far. */
  #packets = 0;
  /** What came after CONNECT and before its answer; undefined once the client is connected. */
  #held: Packet[] | undefined = [];

  constructor(client: GuardedClient, options: GuardOptions) {
    this.#client = client;
    this.#options = options;
    // Looked up by topic: an object with a prototype has subscriptions to `constructor` and such.
    client.subscriptions = Object.create(null) as Record<string, unknown>;
    const parser = client._parser;
    this.#handlers = parser.listeners('packet') as Array<(packet: Packet) => void>;
    parser.removeAllListeners('packet');
    parser.on('packet', (packet: Packet) => this.#take(packet));
    this.#watchParser();
    client.deliver0 = this.#unwaited(client.deliver0);
    client.deliverQoS = this.#unwaited(client.deliverQoS);
    client.once('connected', () => this.#connected());
    client.conn.once('close', () => options.halfPackets.forget(this));
  }

  /** Packets are parsed and handled in one call; what that throws would end the process. */
  #watchParser(): void {
    const client = this.#client;
    const parser = client._parser;
    const parse = parser.parse.bind(parser);
    parser.parse = (bytes) => {
      try {
        const rest = parse(bytes);
        this.#noteRest();
        this.#noteUnread();
        if (client._keepaliveInterval > 0) client._keepaliveTimer?.refresh();
        return rest;
      } catch (error) {
        client.emit('error', asError(error));
        return 0;
      }
    };
  }

  #noteRest(): void {
    const { halfPackets, maxConnectBytes } = this.#options;
    const list = this.#client._parser._list;
    if (list.length > 0) mergeChunks(list.getBuffers());
    if (!this.#client.connected && list.length > maxConnectBytes) {
      if (!this.#hasAsked) {
        this.#refuse('too much before CONNECT');
        return;
      }
      // A client need not wait for the answer [MQTT-3.1.4-5]; we read on once it is there.
      this.#pause();
    }
    if (!halfPackets.note(this, list.length, this.#packets)) {
      this.#refuse('too many packets are half sent');
    }
  }

  /**
   * aedes waits for room in the socket when it writes a message, not when it writes an
   * acknowledgement: who sends and never reads would have them pile up without bound.
   */
  #noteUnread(): void {
    const { conn, _drainTimer: timer } = this.#client;
    if (!conn.writableNeedDrain || !this.#options.slowReaders.takes(conn)) return;
    if (timer === null) this.#client.waitForDrain(() => {});
  }

  get isRead(): boolean {
    return this.#client._paused !== true && this.#client._parsingBatch <= 0;
  }

  late(): void {
    this.#refuse('the rest of a packet did not come in time');
  }

  #refuse(why: string): void {
    this.#client.emit('error', new Error(why));
  }

  #take(packet: Packet): void {
    this.#packets += 1;
    const fault = packetFault(packet) ?? this.#subscriptionFault(packet);
    if (fault !== undefined) {
      this.#refuse(fault);
      return;
    }
    if (packet.cmd === 'subscribe') pinSubscriptions(packet);
    if (packet.cmd === 'connect' && !this.#hasAsked) {
      this.#hasAsked = true;
      const pass = () => this.#pass(packet);
      this.#options.turns.take(packet.clientId ?? '', this.#client, pass);
      return;
    }
    if (!this.#hasAsked || this.#held === undefined) {
      this.#pass(packet);
      return;
    }
    // aedes would hold these back only in part, and take later ones before them.
    this.#held.push(packet);
    if (this.#held.length >= MAX_HELD) this.#pause();
  }

  /** Until the client is connected. */
  #pause(): void {
    this.#hasPaused = true;
    this.#client.pause();
  }

  #pass(packet: Packet): void {
    for (const handle of this.#handlers) handle.call(this.#client._parser, packet);
  }

  #connected(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const filter of Object.keys(this.#client.subscriptions)) this.#addFilter(filter);
    this.#watchSilence();
    for (const packet of held) this.#pass(packet);
    if (this.#hasPaused) this.#client.resume();
  }

  #subscriptionFault({ subscriptions = [], unsubscriptions = [] }: Packet): string | undefined {
    for (const filter of unsubscriptions) {
      if (this.#filters.delete(filter)) this.#filterChars -= filter.length;
    }
    for (const { topic } of subscriptions) this.#addFilter(topic);
    const { maxSubscriptions } = this.#options;
    return this.#filters.size > maxSubscriptions || this.#filterChars > MAX_FILTER_CHARS
      ? 'too many subscriptions'
      : undefined;
  }

  #addFilter(filter: string): void {
    if (this.#filters.has(filter)) return;
    this.#filters.add(filter);
    this.#filterChars += filter.length;
  }

  /**
   * The broker reads no further while acknowledgements wait for the flash: a ping behind them is
   * not seen, and its sender is not silent.
   */
  #watchSilence(): void {
    const client = this.#client;
    const intervalMs = client._keepaliveInterval;
    if (intervalMs <= 0 || client._keepaliveTimer === null) return;
    clearTimeout(client._keepaliveTimer);
    const timer = setTimeout(() => {
      if (this.#options.isOwed(client)) timer.refresh();
      else this.#options.onSilence(client);
    }, intervalMs);
    client._keepaliveTimer = timer;
  }

  /** Delivers without letting the publisher wait for this client's socket. */
  #unwaited(deliver: Deliver): Deliver {
    return (packet, done) => {
      // Retained messages for a new subscription: many, perhaps, and nobody else waits for them.
      if (packet.brokerId === null) {
        deliver(packet, done);
        return;
      }
      if (this.#options.slowReaders.takes(this.#client.conn)) deliver(packet, () => {});
      setImmediate(done);
    };
  }
}
