import type { Logger } from '../base/logger.ts';

/**
 * What aedes keeps between packets, sessions and restarts is aedes-persistence's business. This
 * adds what it lacks: which QoS 2 messages are open, known at once, and a bound on what waits for a
 * client that is away.
 */

/** The part of an aedes persistence that is looked at here. */
export interface Persistence {
  incomingDelPacket(client: { id: string }, packet: { messageId: number }): Promise<void>;
  cleanIncoming?(client: { id: string }): Promise<void>;
  outgoingEnqueueCombi(subs: readonly Subscriber[], packet: unknown): Promise<unknown>;
  outgoingClearMessageId(client: { id: string }, packet: unknown): Promise<unknown>;
  streamWill(brokers?: object): AsyncIterable<Will>;
  getWill(client: { id: string }): Promise<Will | undefined>;
  delWill(client: { id: string; brokerId?: string }): Promise<unknown>;
}

export interface Subscriber {
  readonly clientId: string;
}

export interface Will {
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** Keys and nothing else of the level database below a prefix. */
export interface Keys {
  keys(range: { gte: string; lt: string }): { all(): Promise<string[]> };
}

async function clientsOf(
  level: Keys,
  prefix: string,
): Promise<Array<[client: string, rest: string]>> {
  const keys = await level.keys({ gte: `${prefix}:`, lt: `${prefix};` }).all();
  return keys.map((key) => {
    const [, client = '', ...rest] = key.split(':');
    return [decodeURIComponent(client), rest.join(':')];
  });
}

/** Told once whether a message may be acknowledged. */
export type Settle = (error: Error | undefined) => void;

/** Those who wait for the first copy of an open message; null once it is durable. */
type Waiting = Settle[] | null;

/**
 * QoS 2 messages between their PUBLISH and their PUBREL, per client. A PUBLISH that comes again
 * meanwhile must not be taken a second time [MQTT-4.3.3-10], and must not be answered before the
 * first one is durable.
 */
export class OpenMessages {
  readonly #clients = new Map<string, Map<number, Waiting>>();

  /**
   * False for a message that is new: it is open from now on, and `accepted` is to be called. True
   * for
   * one that is open already: `settle` is called when the first copy is durable.
   */
  isRepeat(client: string, messageId: number, settle: Settle): boolean {
    let messages = this.#clients.get(client);
    if (messages === undefined) {
      messages = new Map();
      this.#clients.set(client, messages);
    }
    const waiting = messages.get(messageId);
    if (waiting === undefined) {
      messages.set(messageId, []);
      return false;
    }
    if (waiting === null) settle(undefined);
    else waiting.push(settle);
    return true;
  }

  /** The first copy is durable, or it is not and the message is new again. */
  accepted(client: string, messageId: number, error: Error | undefined): void {
    const messages = this.#clients.get(client);
    const waiting = messages?.get(messageId);
    if (error === undefined) messages?.set(messageId, null);
    else messages?.delete(messageId);
    for (const settle of waiting ?? []) settle(error);
  }

  close(client: string, messageId: number): void {
    this.#clients.get(client)?.delete(messageId);
  }

  forget(client: string): void {
    this.#clients.delete(client);
  }

  /** What was open when the broker went down. */
  async load(level: Keys): Promise<void> {
    for (const [client, id] of await clientsOf(level, 'incoming')) {
      this.isRepeat(client, Number(id), () => {});
      this.accepted(client, Number(id), undefined);
    }
  }

  /** Follows the persistence, which aedes tells of every PUBREL and every clean session. */
  follow(persistence: Persistence): void {
    const drop = persistence.incomingDelPacket.bind(persistence);
    persistence.incomingDelPacket = (client, packet) => {
      this.close(client.id, packet.messageId);
      return drop(client, packet);
    };
    const clean = persistence.cleanIncoming?.bind(persistence);
    if (clean === undefined) return;
    persistence.cleanIncoming = (client) => {
      this.forget(client.id);
      return clean(client);
    };
  }
}

const RECOUNT_EVERY = 1_000;

/**
 * Bounds what is kept for each session that is away: beyond `max` the newest is not kept, counted,
 * and logged once per session. Readings are in the log whatever happens here.
 */
export class OfflineBound {
  readonly #max: number;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, number>();
  readonly #refused = new Map<string, number>();
  #level: Keys | undefined;

  constructor(max: number, logger: Logger) {
    this.#max = max;
    this.#logger = logger;
  }

  async load(level: Keys): Promise<void> {
    this.#level = level;
    for (const [client] of await clientsOf(level, 'outgoing')) this.#add(client, 1);
  }

  follow(persistence: Persistence): void {
    const enqueue = persistence.outgoingEnqueueCombi.bind(persistence);
    const keep = async (subs: readonly Subscriber[], packet: unknown) => {
      const kept: Subscriber[] = [];
      for (const sub of subs) {
        if ((this.#waiting.get(sub.clientId) ?? 0) >= this.#max) await this.#refuse(sub.clientId);
        else {
          this.#add(sub.clientId, 1);
          kept.push(sub);
        }
      }
      return enqueue(kept, packet);
    };
    // Nearly always nobody is away.
    persistence.outgoingEnqueueCombi = (subs, packet) =>
      subs.length === 0 ? enqueue(subs, packet) : keep(subs, packet);
    const clear = persistence.outgoingClearMessageId.bind(persistence);
    persistence.outgoingClearMessageId = async (client, packet) => {
      const cleared = await clear(client, packet);
      if (cleared !== undefined) this.#add(client.id, -1);
      return cleared;
    };
  }

  #add(client: string, count: number): void {
    const now = (this.#waiting.get(client) ?? 0) + count;
    if (now > 0) this.#waiting.set(client, now);
    else {
      this.#waiting.delete(client);
      this.#refused.delete(client);
    }
  }

  async #refuse(client: string): Promise<void> {
    const refused = (this.#refused.get(client) ?? 0) + 1;
    this.#refused.set(client, refused);
    if (refused === 1) {
      const fields = { clientId: client, max: this.#max };
      this.#logger.warn(
        fields,
        'the queue of a session that is away is full; its newest are not kept',
      );
    }
    if (refused % RECOUNT_EVERY !== 0 || this.#level === undefined) return;
    // A session that was wiped takes its queue with it without saying so: count again now and then.
    const own = (await clientsOf(this.#level, 'outgoing')).filter(([name]) => name === client);
    this.#waiting.set(client, own.length);
  }
}
