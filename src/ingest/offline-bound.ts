import type { Logger } from '../base/logger.ts';

/**
 * Bounds what is kept for each session: beyond `max` the newest is not kept, counted, and logged
 * once per session. Readings are in the log whatever happens here.
 */
export class OfflineBound {
  readonly #max: number;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, number>();
  readonly #refused = new Map<string, number>();

  constructor(max: number, logger: Logger) {
    this.#max = max;
    this.#logger = logger;
  }

  /** Takes the place of one message if there is one left. */
  take(client: string): boolean {
    const waiting = this.#waiting.get(client) ?? 0;
    if (waiting >= this.#max) {
      this.#refuse(client);
      return false;
    }
    this.#waiting.set(client, waiting + 1);
    return true;
  }

  /** One is delivered. */
  release(client: string): void {
    const waiting = (this.#waiting.get(client) ?? 0) - 1;
    if (waiting > 0) this.#waiting.set(client, waiting);
    else this.forget(client);
  }

  /** Messages of this session have been refused since its queue was last empty. */
  hasRefused(client: string): boolean {
    return this.#refused.has(client);
  }

  forget(client: string): void {
    this.#waiting.delete(client);
    const refused = this.#refused.get(client);
    if (refused === undefined) return;
    this.#refused.delete(client);
    const fields = { clientId: client, refused };
    this.#logger.warn(fields, 'a session whose queue was full missed messages');
  }

  #refuse(client: string): void {
    const refused = (this.#refused.get(client) ?? 0) + 1;
    this.#refused.set(client, refused);
    if (refused > 1) return;
    const fields = { clientId: client, max: this.#max, repeatKey: client };
    this.#logger.warn(fields, 'the queue of a session is full; its newest are not kept');
  }
}
