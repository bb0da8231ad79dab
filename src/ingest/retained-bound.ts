import type { Logger } from '../base/logger.ts';

/** The part of a packet that is looked at here. */
export interface Sizable {
  readonly topic: string;
  readonly payload: { readonly length: number };
  /** MQTT 5. */
  readonly properties?: object;
}

/** What a message takes besides its texts, about. */
const OVERHEAD_BYTES = 100;

/** Bytes of a message that is kept: with its properties, which may be longer than its payload. */
export function keptBytes({ topic, payload, properties }: Sizable): number {
  const more = properties === undefined ? 0 : JSON.stringify(properties).length;
  return OVERHEAD_BYTES + topic.length + payload.length + more;
}

/**
 * Bounds what retained messages take in all. One that finds no room is passed on and not kept, and
 * the one before it on its topic is not kept either: it is what is so no longer.
 */
export class RetainedBound {
  readonly #maxBytes: number;
  readonly #logger: Logger;
  readonly #byTopic = new Map<string, number>();
  #bytes = 0;

  constructor(maxBytes: number, logger: Logger) {
    this.#maxBytes = maxBytes;
    this.#logger = logger;
  }

  /** Counts one that is kept already, or is to be, whatever room there is. 0: none any more. */
  count(topic: string, bytes: number): void {
    this.#bytes += bytes - (this.#byTopic.get(topic) ?? 0);
    if (bytes === 0) this.#byTopic.delete(topic);
    else this.#byTopic.set(topic, bytes);
  }

  /** Is there room for it, in the place of the one before on its topic? If so it is counted. */
  take(packet: Sizable): boolean {
    const { topic, payload } = packet;
    const bytes = payload.length === 0 ? 0 : keptBytes(packet);
    const left = this.#maxBytes - this.#bytes + (this.#byTopic.get(topic) ?? 0);
    if (bytes <= left) {
      this.count(topic, bytes);
      return true;
    }
    this.count(topic, 0);
    const fields = { topic, bytes, maxBytes: this.#maxBytes, repeatKey: 'retained' };
    this.#logger.warn(fields, 'retained messages take all their room; one is not retained');
    return false;
  }
}
