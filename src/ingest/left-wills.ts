import { setTimeout as wait } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Persistence, Will } from './session-store.ts';

/**
 * Wills whose clients were connected when an earlier run of the broker ended. A client that comes
 * back within the grace period is alive: aedes then drops its old will. The wills of the others are
 * published. aedes's own sweep passes over wills that bear the broker's own name.
 */
export class LeftWills {
  readonly #persistence: Persistence;
  readonly #logger: Logger;
  readonly #clients = new Set<string>();

  constructor(persistence: Persistence, logger: Logger) {
    this.#persistence = persistence;
    this.#logger = logger;
  }

  async load(): Promise<void> {
    for await (const { clientId } of this.#persistence.streamWill()) this.#clients.add(clientId);
  }

  cameBack(client: string): void {
    this.#clients.delete(client);
  }

  /** Waits for the grace period, then publishes. When `stopping`, all stay for the next run. */
  async publishAfter(
    graceMs: number,
    stopping: AbortSignal,
    publish: (will: Will) => Promise<void>,
  ): Promise<void> {
    if (this.#clients.size === 0) return;
    await wait(graceMs, undefined, { signal: stopping, ref: false }).catch(() => {
      // Stopping.
    });
    for (const client of this.#clients) {
      if (stopping.aborted) return;
      await this.#publishOne(client, publish);
    }
    this.#clients.clear();
  }

  async #publishOne(client: string, publish: (will: Will) => Promise<void>): Promise<void> {
    try {
      const will = await this.#persistence.getWill({ id: client });
      if (will === undefined || !this.#clients.has(client)) return;
      await publish(will);
      // A client that came while it was published has a new one, which is not ours to drop.
      if (this.#clients.has(client)) await this.#persistence.delWill({ id: client });
    } catch (error) {
      // It stays in the store, and the next run tries again.
      const fields = { clientId: client, error: messageOf(error) };
      this.#logger.warn(fields, 'a will could not be published');
    }
  }
}
