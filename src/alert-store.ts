import type { AlertEvent } from './alert/alert-state.ts';
import { alertTopic } from './alert/alerter.ts';
import { appendOnce } from './append-once.ts';
import type { Clock } from './base/clock.ts';
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
    const reading = {
      device: event.device,
      topic: alertTopic(event),
      payload,
      messageId: { kind: 'id' as const, text: event.id },
      monoMs: clock.monoMs(),
    };
    const target = { journal: events, stream: events.stream(ALERTS), dedup };
    return new Promise((resolve, reject) => {
      appendOnce(target, 0, reading, (outcome) => {
        if (typeof outcome === 'string') resolve();
        else reject(outcome);
      });
    });
  }
}
