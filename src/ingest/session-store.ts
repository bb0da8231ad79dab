import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { OfflineBound } from './offline-bound.ts';
import type { OpenMessages } from './open-messages.ts';
import { keptBytes, type RetainedBound, type Sizable } from './retained-bound.ts';
import { type SessionFilter, SessionIndex } from './session-index.ts';

/**
 * What aedes keeps between packets, sessions and restarts is aedes-persistence's business. This
 * joins it with what it lacks: which QoS 2 messages are open, known at once; a bound on what waits
 * for a session; and that a session which ends leaves nothing behind.
 */

interface Sized {
  readonly length: number;
}

interface ClientName {
  readonly id: string;
}

interface StoringClient extends ClientName {
  readonly clean?: boolean;
  readonly closed?: boolean;
}

interface Numbered {
  readonly messageId: number;
}

interface Subscription {
  readonly topic: string;
  readonly qos: number;
}

export interface Will {
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** MQTT 5. */
  readonly properties?: object;
}

/** The part of an aedes persistence that is looked at here. */
export interface Persistence {
  addSubscriptions(client: ClientName, subs: readonly Subscription[]): Promise<void>;
  removeSubscriptions(client: ClientName, topics: readonly string[]): Promise<void>;
  subscriptionsByClient(client: ClientName): Promise<readonly Subscription[]>;
  subscriptionsByTopic(topic: string): Promise<readonly SessionFilter[]>;
  cleanSubscriptions(client: ClientName): Promise<void>;
  incomingStorePacket(client: StoringClient, packet: unknown): Promise<void>;
  incomingDelPacket(client: ClientName, packet: Numbered): Promise<void>;
  cleanIncoming(client: ClientName): Promise<void>;
  outgoingEnqueueCombi(subs: readonly SessionFilter[], packet: Sizable): Promise<unknown>;
  outgoingUpdate(client: ClientName, packet: unknown): Promise<void>;
  outgoingClearMessageId(client: ClientName, packet: unknown): Promise<unknown>;
  storeRetained(packet: Sizable): Promise<void>;
  createRetainedStreamCombi(patterns: readonly string[]): NodeJS.ReadableStream;
  streamWill(brokers?: object): AsyncIterable<Will>;
  putWill(client: StoringClient, will: unknown): Promise<unknown>;
  getWill(client: ClientName): Promise<Will | undefined>;
  delWill(client: ClientName): Promise<unknown>;
}

/** The level database that a persistence is on, as far as it is used here. */
export interface SessionLevel {
  keys(range: { gte: string; lt: string }): { all(): Promise<string[]> };
  iterator(range: { gte: string; lt: string }): AsyncIterable<[key: string, value: Sized]>;
  clear(range: { gte: string; lt: string }): Promise<void>;
}

/** All keys below a prefix, as aedes-persistence-level names them. */
function below(prefix: string): { gte: string; lt: string } {
  return { gte: `${prefix}:`, lt: `${prefix};` };
}

async function clientsOf(
  level: SessionLevel,
  prefix: string,
): Promise<Array<[client: string, rest: string]>> {
  const keys = await level.keys(below(prefix)).all();
  return keys.map(partsOf);
}

/** `outgoing:client:rest`. */
function partsOf(key: string): [client: string, rest: string] {
  const [, client = '', ...rest] = key.split(':');
  return [decodeURIComponent(client), rest.join(':')];
}

/** What takes the retained message of its topic away. */
function emptied(packet: Sizable): Sizable {
  return { ...packet, payload: Buffer.alloc(0) };
}

export interface SessionStoreOptions {
  readonly open: OpenMessages;
  readonly bound: OfflineBound;
  readonly retained: RetainedBound;
  /** Topics that only the gateway publishes to: few, and kept whatever room there is. */
  isOwn(topic: string): boolean;
  /** undefined: the persistence is in memory. */
  readonly level: SessionLevel | undefined;
  readonly logger: Logger;
}

/** Stands in for single calls of a persistence. */
export class SessionStore {
  readonly #options: SessionStoreOptions;
  readonly #index = new SessionIndex();
  /** Clients with subscriptions that outlive their connections. */
  readonly #sessions = new Set<string>();
  #persistence: Persistence | undefined;

  constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  /** What was open and waiting when the broker went down; returns the last number of a queue. */
  async load(): Promise<number> {
    const { open, bound, retained, isOwn, level } = this.#options;
    let last = 0;
    if (level === undefined) return last;
    for (const [client, id] of await clientsOf(level, 'incoming')) {
      open.open(client, Number(id)).end(undefined);
    }
    for await (const [key, packet] of level.iterator(below('outgoing'))) {
      const [client, place] = partsOf(key);
      bound.take(client, packet.length);
      last = Math.max(last, Number(place.slice(place.lastIndexOf(':') + 1)));
    }
    for await (const [key, packet] of level.iterator(below('retained'))) {
      const topic = key.slice(key.indexOf(':') + 1);
      if (!isOwn(topic)) retained.count(topic, topic.length + packet.length);
    }
    return last;
  }

  /** The persistence is set up. */
  async follow(persistence: Persistence): Promise<void> {
    this.#persistence = persistence;
    if (this.#options.level !== undefined) await this.#indexBy(persistence, this.#options.level);
    this.#followSubscriptions(persistence);
    this.#followIncoming(persistence);
    this.#followOutgoing(persistence);
    this.#followRetained(persistence);
    this.#catchFailures(persistence);
  }

  /**
   * Somebody has a session with a filter, so that messages may have to be written to its queue. In
   * memory nobody counts: what is kept there takes no time.
   */
  get hasSessions(): boolean {
    return !this.#index.isEmpty;
  }

  /** A session of this client is kept. */
  has(client: string): boolean {
    return this.#sessions.has(client);
  }

  /** Sessions that are kept, whether their clients are here or away. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Open messages of a session that has ended. */
  async forgetOpen(client: string): Promise<void> {
    if (!this.#options.open.has(client)) return;
    this.#options.open.forget(client);
    await this.#persistence?.cleanIncoming({ id: client });
  }

  /** Puts an index of our own in the place of that of the persistence. */
  async #indexBy(persistence: Persistence, level: SessionLevel): Promise<void> {
    const index = this.#index;
    const clients = (await clientsOf(level, 'subscriptions')).map(([client]) => client);
    for (const id of new Set(clients)) {
      this.#sessions.add(id);
      const subs = await persistence.subscriptionsByClient({ id });
      for (const { topic, qos } of subs) index.set(id, topic, qos);
    }
    persistence.subscriptionsByTopic = async (topic) => index.match(topic);
    const add = persistence.addSubscriptions.bind(persistence);
    persistence.addSubscriptions = (client, subs) => {
      for (const { topic, qos } of subs) index.set(client.id, topic, qos);
      return add(client, subs);
    };
    const remove = persistence.removeSubscriptions.bind(persistence);
    persistence.removeSubscriptions = (client, topics) => {
      for (const topic of topics) index.remove(client.id, topic);
      return remove(client, topics);
    };
  }

  #followSubscriptions(persistence: Persistence): void {
    const add = persistence.addSubscriptions.bind(persistence);
    const added = new WeakMap<object, Promise<void>>();
    // aedes hands the whole list over once for each of its filters: n² writes.
    persistence.addSubscriptions = (client, subs) => {
      const before = added.get(subs);
      if (before !== undefined) return before;
      this.#sessions.add(client.id);
      const done = add(client, subs);
      added.set(subs, done);
      return done;
    };
    const remove = persistence.removeSubscriptions.bind(persistence);
    persistence.removeSubscriptions = async (client, topics) => {
      await remove(client, topics);
      const left = await persistence.subscriptionsByClient(client);
      if (left.length === 0) this.#sessions.delete(client.id);
    };
    const clean = persistence.cleanSubscriptions.bind(persistence);
    // This is where aedes starts a session afresh and where it ends one, and all that it does. An
    // open message left behind would swallow the next one of its id.
    persistence.cleanSubscriptions = async (client) => {
      await Promise.all([clean(client), this.#wipe(persistence, client)]);
    };
  }

  async #wipe(persistence: Persistence, client: ClientName): Promise<void> {
    const { open, bound, level } = this.#options;
    open.forget(client.id);
    this.#sessions.delete(client.id);
    bound.forget(client.id);
    this.#index.forget(client.id);
    const name = encodeURIComponent(client.id);
    await Promise.all([
      persistence.cleanIncoming(client),
      // aedes empties the queue itself, but on level it misses what was never sent.
      level?.clear(below(`outgoing:${name}`)),
      level?.clear(below(`outgoing-id:${name}`)),
    ]);
  }

  #followIncoming(persistence: Persistence): void {
    const { open } = this.#options;
    const store = persistence.incomingStorePacket.bind(persistence);
    persistence.incomingStorePacket = async (client, packet) => {
      // Its session went with its connection: nobody would ever take the note away.
      if (client.clean === true && client.closed === true) return;
      await store(client, packet);
    };
    const drop = persistence.incomingDelPacket.bind(persistence);
    persistence.incomingDelPacket = (client, packet) => {
      open.close(client.id, packet.messageId);
      return drop(client, packet);
    };
  }

  #followOutgoing(persistence: Persistence): void {
    const { bound } = this.#options;
    const enqueue = persistence.outgoingEnqueueCombi.bind(persistence);
    // Nearly always nobody has a session.
    persistence.outgoingEnqueueCombi = (subs, packet) =>
      enqueue(subs.length === 0 ? subs : this.#withPlace(subs, packet), packet);
    const update = persistence.outgoingUpdate.bind(persistence);
    const updates = new WeakMap<object, Promise<void>>();
    persistence.outgoingUpdate = async (client, packet) => {
      const updated = update(client, packet).catch((error: unknown) => {
        // One that was not kept, for a client that is here: it gets it, unkept.
        if (!bound.hasRefused(client.id)) throw error;
      });
      // aedes writes each message when its note is stored: in the order of the messages
      // [MQTT-4.6.0-6], not in that of the store's answers.
      const before = updates.get(client) ?? Promise.resolve();
      const inTurn = before.then(() => updated);
      updates.set(
        client,
        inTurn.catch(() => {}),
      );
      await inTurn;
    };
    const clear = persistence.outgoingClearMessageId.bind(persistence);
    persistence.outgoingClearMessageId = async (client, packet) => {
      const cleared = await clear(client, packet);
      if (cleared !== undefined) bound.release(client.id);
      return cleared;
    };
  }

  /** The last of two messages on one topic stays, whichever the store writes first. */
  #followRetained(persistence: Persistence): void {
    const { retained, isOwn } = this.#options;
    const store = persistence.storeRetained.bind(persistence);
    const last = new Map<string, Promise<void>>();
    persistence.storeRetained = async (packet) => {
      const { topic } = packet;
      const kept = isOwn(topic) || retained.take(packet) ? packet : emptied(packet);
      const stored = (last.get(topic) ?? Promise.resolve()).then(() => store(kept));
      const settled = stored.catch(() => {});
      last.set(topic, settled);
      try {
        await stored;
      } catch (error) {
        // Nobody knows what there is now; a store that fails must not use up the room.
        if (last.get(topic) === settled) retained.count(topic, 0);
        throw error;
      } finally {
        if (last.get(topic) === settled) last.delete(topic);
      }
    };
  }

  /** Those who have a place left. One whose filters overlap is named twice, and needs one place. */
  #withPlace(subs: readonly SessionFilter[], packet: Sizable): readonly SessionFilter[] {
    const { bound } = this.#options;
    const bytes = keptBytes(packet);
    const places = new Map<string, boolean>();
    return subs.filter(({ clientId }) => {
      const known = places.get(clientId);
      if (known !== undefined) return known;
      const place = bound.take(clientId, bytes);
      places.set(clientId, place);
      return place;
    });
  }

  /** aedes waits for these without looking at how they end: a failure would end the process. */
  #catchFailures(persistence: Persistence): void {
    const { logger } = this.#options;
    const failed = (error: unknown) => {
      logger.warn({ error: messageOf(error) }, 'the session store met an error');
    };
    const owners = new Map<string, StoringClient>();
    const putWill = persistence.putWill.bind(persistence);
    persistence.putWill = (client, will) => {
      owners.set(client.id, client);
      return putWill(client, will);
    };
    const delWill = persistence.delWill.bind(persistence);
    persistence.delWill = async (client) => {
      const owner = owners.get(client.id);
      // A connection that was taken over from clears up behind itself, and the will that is stored
      // by now is that of the new one.
      if (owner !== undefined && owner !== client && owner.closed !== true) return undefined;
      owners.delete(client.id);
      return delWill(client).catch(failed);
    };
    const drop = persistence.incomingDelPacket.bind(persistence);
    // In memory it also fails for a PUBREL that comes twice.
    persistence.incomingDelPacket = (client, packet) => drop(client, packet).catch(failed);
    const retained = persistence.createRetainedStreamCombi.bind(persistence);
    persistence.createRetainedStreamCombi = (patterns) => retained(patterns).on('error', failed);
  }
}
