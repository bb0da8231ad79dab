import { type AlertMessage, alertTopic } from './alert/alert-message.ts';
import { appendOnce } from './append-once.ts';
import type { Clock } from './base/clock.ts';
import type { Reading } from './base/reading.ts';
import type { Dedup } from './dedup/dedup.ts';
import type { Journal } from './log/journal.ts';
import { ALERTS } from './stores.ts';

export interface AlertStoreOptions {
  readonly events: Journal;
  readonly dedup: Dedup;
  readonly clock: Clock;
}

/**
 * The alerts stream, which has each event once: its id comes from the reading that caused it, so
 * what a replay raises again is known.
 */
export class AlertStore {
  readonly #options: AlertStoreOptions;

  constructor(options: AlertStoreOptions) {
    this.#options = options;
  }

  #reading(alert: AlertMessage): Reading {
    return {
      device: alert.device,
      topic: alertTopic(alert),
      payload: Buffer.from(JSON.stringify(alert)),
      messageId: { kind: 'id', text: alert.alert },
      monoMs: this.#options.clock.monoMs(),
    };
  }

  /** False while it is on its way. */
  has(alert: AlertMessage): boolean {
    const { events, dedup } = this.#options;
    const reading = this.#reading(alert);
    return dedup.knows(reading, events.runMs(reading.monoMs));
  }

  /** Resolves when it is durable: true if it was not before. Rejects if it could not be made so. */
  append(alert: AlertMessage): Promise<boolean> {
    const { events, dedup } = this.#options;
    const ack = 'durable' as const;
    const target = { journal: events, stream: events.stream(ALERTS), dedup, ack };
    return new Promise((resolve, reject) => {
      appendOnce(target, 0, this.#reading(alert), (outcome) => {
        if (typeof outcome === 'string') resolve(outcome === 'stored');
        else reject(outcome);
      });
    });
  }
}
