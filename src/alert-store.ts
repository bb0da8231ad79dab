import type { AlertEvent } from './alert/alert-state.ts';
import type { Clock } from './base/clock.ts';
import { HeadgateError } from './base/errors.ts';
import type { Dedup } from './dedup/dedup.ts';
import type { Journal } from './log/journal.ts';
import { ALERTS } from './stores.ts';

export interface AlertStoreOptions {
  readonly events: Journal;
  readonly dedup: Dedup;
  readonly clock: Clock;
}

/**
 * Puts alert events into the alerts stream, each once: an event's id comes from the reading that
 * caused it, so what a replay raises again is known.
 */
export class AlertStore {
  readonly #options: AlertStoreOptions;

  constructor(options: AlertStoreOptions) {
    this.#options = options;
  }

  /** Resolves when the event is durable; rejects if it could not be made so. */
  append(event: AlertEvent, payload: Uint8Array): Promise<void> {
    const { events, dedup, clock } = this.#options;
    const { device, metric } = event;
    const monoMs = clock.monoMs();
    const reading = {
      device,
      topic: `headgate/alerts/${device}/${metric}`,
      payload,
      messageId: { kind: 'id' as const, text: event.id },
      monoMs,
    };
    const sighting = dedup.claim(reading, events.runMs(monoMs));
    if (sighting?.kind === 'known') return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (sighting?.kind === 'in-flight') {
        sighting.claim.wait((durable) =>
          durable ? resolve() : reject(new HeadgateError('LOG_NOT_DURABLE')),
        );
        return;
      }
      events.append(events.stream(ALERTS), 0, reading, (error) => {
        if (error === undefined) {
          sighting?.claim.settle();
          resolve();
        } else {
          sighting?.claim.release();
          reject(error);
        }
      });
    });
  }
}
