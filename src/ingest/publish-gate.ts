import { codeOf, HeadgateError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { AckQueue } from './ack-queue.ts';
import type { OpenMessages, Settle } from './open-messages.ts';
import type { UserProperties } from './parse-reading.ts';

/** A PUBLISH as it came in. */
export interface InboundPublish {
  /** undefined: a will that an earlier run of the broker left. */
  readonly clientId: string | undefined;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly userProperties?: UserProperties;
}

/** The part of an aedes client that is looked at here. */
export interface GatedClient {
  readonly id: string;
  /** 3, 4 or 5. */
  readonly version: number;
  disconnect(reason: { readonly reasonCode: number }): void;
}

/** A PUBLISH or a will, as aedes has it. */
export interface GatedPacket {
  /** Without it: a will, which is a part of a CONNECT and no packet by itself. */
  readonly cmd?: string;
  readonly topic: string;
  readonly payload: string | Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly messageId?: number | undefined;
  readonly properties?: { readonly userProperties?: UserProperties };
}

export interface PublishGateOptions {
  readonly reserved?: readonly string[];
  readonly open: OpenMessages;
  /** Takes the note of an open message out of the session store; never rejects. */
  readonly drop: (clientId: string, messageId: number) => Promise<unknown>;
  readonly logger: Logger;
  accept?(message: InboundPublish, settle: Settle): boolean;
}

const RESERVED = ['$SYS/', 'headgate/'];
/** A property of wills. */
const WILL_DELAY = 'willDelayInterval';
/** MQTT 5, 2.4: reason codes of a DISCONNECT. */
const IMPLEMENTATION_ERROR = 0x83;
const QUOTA_EXCEEDED = 0x97;

type Done = (error?: Error | null) => void;

/**
 * Asks `accept` about every message, in the order of arrival, and holds its acknowledgement back
 * until the answer is there. Stands in for aedes's own guard of $SYS.
 */
export class PublishGate {
  readonly #options: PublishGateOptions;
  readonly #reserved: readonly string[];
  readonly #queues = new WeakMap<GatedClient, AckQueue>();

  constructor(options: PublishGateOptions) {
    this.#options = options;
    this.#reserved = options.reserved ?? RESERVED;
  }

  /** Messages of this client wait for their answer. */
  owes(client: GatedClient): boolean {
    return this.#queues.get(client)?.isWaiting ?? false;
  }

  /** `client` is null for a will that an earlier run left. */
  authorize(client: GatedClient | null, packet: GatedPacket, done: Done): void {
    // A will is a part of a CONNECT and no packet by itself.
    if (client === null || packet.cmd === undefined) {
      this.#authorizeWill(client, packet, done);
      return;
    }
    const { topic } = packet;
    if (this.isReserved(topic)) {
      // Refused in its turn: 5 answers it with PUBACK 0x87, which must not overtake others.
      const refused = new HeadgateError('TOPIC_RESERVED', topic);
      this.#queueOf(client).add(() => done(refused))(undefined);
      return;
    }
    if (this.#options.accept === undefined) {
      done();
      return;
    }
    const queue = this.#queueOf(client);
    // Its connection is about to end: it is sent again on the next one, in its turn.
    if (queue.isRefusing) return;
    const settle = queue.add(done);
    if (packet.qos === 2) this.#acceptOnce(client.id, packet, settle);
    else if (!this.#accept(client.id, packet, settle)) settle(undefined);
  }

  #authorizeWill(client: GatedClient | null, packet: GatedPacket, done: Done): void {
    const { topic } = packet;
    const clientId = client?.id;
    const failed = (error: Error) => {
      const fields = { clientId, topic, code: codeOf(error), error: messageOf(error) };
      this.#options.logger.warn(fields, 'a will was not published');
    };
    // It has had its effect; a PUBLISH that carries it is malformed.
    if (packet.properties !== undefined) Reflect.deleteProperty(packet.properties, WILL_DELAY);
    if (this.isReserved(topic)) {
      const error = new HeadgateError('TOPIC_RESERVED', topic);
      failed(error);
      done(error);
      return;
    }
    const settle: Settle = (error) => {
      if (error !== undefined) failed(error);
      // aedes would drop a will that is refused: unanswered, it stays in the store, and is
      // published after the next start.
      if (error === undefined || client === null) done(error);
    };
    if (!this.#accept(clientId, packet, settle)) done();
  }

  /** QoS 2: a message that is open already is not taken again [MQTT-4.3.3-10]. */
  #acceptOnce(clientId: string, packet: GatedPacket, settle: Settle): void {
    const { open, drop } = this.#options;
    const messageId = packet.messageId ?? 0;
    const before = open.find(clientId, messageId);
    if (before !== undefined && packet.dup) {
      before.wait(settle);
      return;
    }
    // Not marked as a repeat [MQTT-3.3.1-1]: a sender that lost its memory starts over with its
    // ids. Taking this for a repeat would acknowledge a reading that was never stored.
    const dropped = before === undefined ? undefined : drop(clientId, messageId);
    const message = open.open(clientId, messageId);
    const ended: Settle = (error) => {
      open.ended(clientId, messageId, message, error);
      if (dropped === undefined) settle(error);
      else void dropped.then(() => settle(error));
    };
    if (!this.#accept(clientId, packet, ended)) ended(undefined);
  }

  /** An exception in `accept` is a defect; it refuses this message and ends nothing else. */
  #accept(clientId: string | undefined, packet: GatedPacket, settle: Settle): boolean {
    const { accept, logger } = this.#options;
    if (accept === undefined) return false;
    try {
      return accept(inbound(clientId, packet), settle);
    } catch (error) {
      const fields = { clientId, topic: packet.topic, error: messageOf(error) };
      logger.error(fields, 'a message could not be handled');
      settle(new Error('the message could not be handled', { cause: error }));
      return true;
    }
  }

  /** Only the gateway itself may publish there. */
  isReserved(topic: string): boolean {
    for (const prefix of this.#reserved) if (topic.startsWith(prefix)) return true;
    return false;
  }

  #queueOf(client: GatedClient): AckQueue {
    let queue = this.#queues.get(client);
    if (queue === undefined) {
      // Later, so that the acknowledgements before it are on their way first.
      queue = new AckQueue((error, done) => setImmediate(() => this.#refuse(client, error, done)));
      this.#queues.set(client, queue);
    }
    return queue;
  }

  /** No acknowledgement: 3.1.1 can only close the connection; 5 can say why before it does. */
  #refuse(client: GatedClient, error: Error, done: Done): void {
    if (client.version !== 5) {
      done(error);
      return;
    }
    const fields = { clientId: client.id, code: codeOf(error), error: messageOf(error) };
    this.#options.logger.info(fields, 'a client was cut off');
    // aedes would answer an error with PUBACK 0x87, and the client would drop what it still has.
    const reasonCode = error instanceof HeadgateError ? QUOTA_EXCEEDED : IMPLEMENTATION_ERROR;
    client.disconnect({ reasonCode });
  }
}

function inbound(clientId: string | undefined, packet: GatedPacket): InboundPublish {
  const { topic, payload, qos, retain, dup, properties } = packet;
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const message = { clientId, topic, payload: bytes, qos, retain, dup };
  const userProperties = properties?.userProperties;
  return userProperties === undefined ? message : { ...message, userProperties };
}
