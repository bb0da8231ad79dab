import { setTimeout as wait } from 'node:timers/promises';
import type { AlertEvent } from './alert/alert-event.ts';
import type { Alerter } from './alert/alerter.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';

export interface RaisedEventsOptions {
  readonly alerter: Alerter;
  readonly logger: Logger;
  /** The daemon stops. */
  readonly signal: AbortSignal;
}

const RETRY_MS = 1_000;

interface Raised {
  readonly event: AlertEvent;
  /** The reading that caused it is on flash. */
  isDurable: boolean;
  readonly kept: Promise<void>;
}

/**
 * Alert events between their reading and flash. Each is told at once and stored once the reading
 * that caused it is: its name is made of the reading's offset, and were that reading lost in a
 * crash, the next one with this offset would raise what the stream takes for known.
 */
export class RaisedEvents {
  readonly #options: RaisedEventsOptions;
  /** By their names, in the order of raising. */
  readonly #onTheWay = new Map<string, Raised>();
  /** By series: when the last of them is on flash. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** One could not be stored before the stop. */
  #isUnstored = false;
  #toStore = 0;

  constructor(options: RaisedEventsOptions) {
    this.#options = options;
  }

  /** Those whose readings are on flash, and which are not yet. */
  get toStore(): number {
    return this.#toStore;
  }

  /** Some event could not be stored before the stop: no checkpoint may pass it. */
  get isUnstored(): boolean {
    return this.#isUnstored;
  }

  /** Resolves when the next one is on flash, or nowhere. */
  async oneKept(): Promise<void> {
    await Promise.race([...this.#onTheWay.values()].map(({ kept }) => kept));
  }

  /** Resolves when all that are on their way now are on flash, or nowhere. */
  async allKept(): Promise<void> {
    await Promise.all([...this.#onTheWay.values()].map(({ kept }) => kept));
  }

  /** Events of one series reach the flash one after the other. */
  raise(event: AlertEvent, durable: Promise<boolean>): void {
    // Read again after some that are nowhere.
    if (this.#onTheWay.has(event.id) || !this.#options.alerter.see(event)) return;
    const series = JSON.stringify([event.device, event.metric]);
    const before = this.#last.get(series) ?? Promise.resolve();
    const keep = async () => {
      if (!(await durable)) return;
      raised.isDurable = true;
      this.#toStore += 1;
      await before;
      await this.#keep(event);
      this.#toStore -= 1;
      if (this.#onTheWay.get(event.id) === raised) this.#onTheWay.delete(event.id);
    };
    const raised: Raised = { event, isDurable: false, kept: keep() };
    this.#onTheWay.set(event.id, raised);
    const last = Promise.all([before, raised.kept]).then(() => {
      if (this.#last.get(series) === last) this.#last.delete(series);
    });
    this.#last.set(series, last);
  }

  /** What was raised by readings that are nowhere was never raised; the last one first. */
  withdraw(): void {
    for (const { event, isDurable } of [...this.#onTheWay.values()].reverse()) {
      if (isDurable) continue;
      this.#onTheWay.delete(event.id);
      this.#options.alerter.withdraw(event);
    }
  }

  /**
   * Tries until the event is on flash or the daemon stops; it is then raised again after the
   * restart, with all that came after it.
   */
  async #keep(event: AlertEvent): Promise<void> {
    const { alerter, logger, signal } = this.#options;
    while (!this.#isUnstored) {
      try {
        await alerter.keep(event);
        return;
      } catch (error) {
        const fields = { alert: event.id, code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'an alert could not be stored, trying again');
        if (signal.aborted) this.#isUnstored = true;
        else await wait(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }
}
