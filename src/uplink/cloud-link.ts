/** What the uplink asks of a far side, whatever protocol it speaks. Each driver is one file. */

/** One publish: a record, or a batch of records. */
export interface CloudMessage {
  /** As an MQTT topic; a driver of another protocol makes of it what is a name there. */
  readonly topic: string;
  readonly payload: Uint8Array;
  /** What must stay in order: the device, or of a batch the stream. */
  readonly key: string;
  /** Names what it carries, the same each time the same is sent; so a far side knows a repeat. */
  readonly id: string;
  /** What stands beside the payload: user properties of MQTT 5, headers elsewhere. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Something that the cloud sends to the gateway. */
export interface CloudCommand {
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** A filter that the cloud does not grant as it is asked for, and why. */
export interface RefusedFilter {
  readonly filter: string;
  readonly reason: string;
}

/** A connection to the cloud. */
export interface CloudLink {
  /** Publishes that may be unacknowledged at one time, if the far side said so. */
  readonly receiveMaximum: number | undefined;
  /** Largest `sizeOf` that the far side takes, if it said so. */
  readonly maximumSizeBytes: number | undefined;
  /** Bytes of a message as the protocol carries it, without TLS, TCP and below. */
  sizeOf(message: CloudMessage): number;
  /**
   * Resolves when the cloud has acknowledged it. Rejects with a CloudRefusal when it said no, and
   * with anything else when that can't be known any more: the link is ending then.
   */
  publish(message: CloudMessage): Promise<void>;
  /**
   * Where the far side can send something too. Takes what arrives, also what waited there, one
   * after the other in the order of arrival. The cloud is told that it has been taken when
   * `onCommand` has resolved; if that rejects, the link ends, and it comes again on a later one.
   * Resolves when the cloud has answered for each filter.
   */
  listen?(
    filters: readonly string[],
    onCommand: (command: CloudCommand) => Promise<void>,
  ): Promise<readonly RefusedFilter[]>;
  /** Resolves with the reason when the link is gone. */
  readonly ended: Promise<string>;
  /** Lets go of the link; what is unacknowledged rejects. */
  close(): Promise<void>;
}

/** Tries once. Rejects when no link could be made, and soon when the signal aborts. */
export type OpenLink = (signal: AbortSignal) => Promise<CloudLink>;

/**
 * What to do about a refusal. `later`: the same again, after a rest (quota, busy). `unclear`: so
 * too, but the message may be the cause. `too-large`: in parts. `never`: this message will not be
 * taken as it is (topic, rights, contents).
 */
export type RefusalKind = 'later' | 'unclear' | 'too-large' | 'never';

/** An acknowledgement that says no: the link is fine, the message was not taken. */
export class CloudRefusal extends Error {
  readonly kind: RefusalKind;

  constructor(kind: RefusalKind, reason: string) {
    super(reason);
    this.kind = kind;
  }
}
