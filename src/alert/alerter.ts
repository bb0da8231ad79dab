import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { OutputLine } from '../base/output-line.ts';
import type { AlertEvent } from './alert-state.ts';

export interface AlerterOptions {
  /** Puts an event into the alerts stream, once for each id; resolves when it is durable. */
  append(event: AlertEvent, payload: Uint8Array): Promise<void>;
  /** Publishes on the local broker. */
  publish(topic: string, payload: Uint8Array, retain: boolean): Promise<void>;
  readonly line: OutputLine;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** A name as one topic level. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced.
const UNSAFE = /[+#/\u0000-\u001f\u007f]/g;

export function alertTopic({ device, metric }: AlertEvent): string {
  return `headgate/alerts/${device.replace(UNSAFE, '_')}/${metric.replace(UNSAFE, '_')}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** A sentence for the person who is woken. */
export function reasonOf(event: AlertEvent): string {
  const { device, metric, value, expectedLow, expectedHigh } = event;
  const band = `expected ${short(expectedLow)} to ${short(expectedHigh)}`;
  return event.kind === 'begin'
    ? `${metric} of ${device} is ${short(value)}, ${band}`
    : `${metric} of ${device} is ordinary again at ${short(value)}`;
}

/**
 * The JSON of an alert event, in the alerts stream and on MQTT: alert (its id), kind (begin or
 * end), device, metric, value, expected [low, high], score, cause {stream, partition, offset},
 * since and at (ms since 1970), suppressed, reason.
 */
export function alertJson(event: AlertEvent): object {
  const { id, kind, device, metric, value, score, expectedLow, expectedHigh, cause } = event;
  return {
    alert: id,
    kind,
    device,
    metric,
    value,
    expected: [expectedLow, expectedHigh],
    score,
    cause,
    since: Math.round(event.sinceMs),
    at: Math.round(event.atMs),
    suppressed: event.suppressed,
    reason: reasonOf(event),
  };
}

const EMPTY = new Uint8Array(0);

/** Tells everyone of an alert: the line, the alerts stream, MQTT. */
export class Alerter {
  readonly #options: AlerterOptions;
  readonly #active = new Set<string>();

  constructor(options: AlerterOptions) {
    this.#options = options;
  }

  get lineName(): string {
    return this.#options.line.name;
  }

  /** Alerts that have begun and not ended. */
  get active(): number {
    return this.#active.size;
  }

  /**
   * The line first: a siren must not wait for flash. Then the event is made durable, then
   * published. Rejects only if it could not be made durable; calling it again with the same event
   * is harmless.
   */
  async handle(event: AlertEvent): Promise<void> {
    const { append, logger, counters } = this.#options;
    const topic = alertTopic(event);
    const known = this.#active.has(topic);
    if (event.kind === 'begin') this.#active.add(topic);
    else this.#active.delete(topic);
    this.#drive();
    const payload = Buffer.from(JSON.stringify(alertJson(event)));
    await append(event, payload);
    const said = { alert: event.id, reason: reasonOf(event) };
    if (event.kind === 'begin' && !known) {
      counters.alerts += 1;
      logger.warn({ ...said, repeatKey: event.id }, 'an alert has begun');
    } else if (event.kind === 'end') {
      logger.info({ ...said, repeatKey: event.id }, 'an alert has ended');
    }
    await this.#publish(topic, payload, event.kind === 'begin');
    if (event.kind === 'end') await this.#publish(topic, EMPTY, true);
  }

  /** At start: what was active before is active still. */
  async restoreActive(events: readonly AlertEvent[]): Promise<void> {
    for (const event of events) this.#active.add(alertTopic(event));
    this.#drive();
    for (const event of events) {
      const payload = Buffer.from(JSON.stringify(alertJson(event)));
      await this.#publish(alertTopic(event), payload, true);
    }
  }

  #drive(): void {
    const { line, logger } = this.#options;
    try {
      line.set(this.#active.size > 0);
    } catch (error) {
      const fields = { code: 'GPIO_UNAVAILABLE', line: line.name, error: messageOf(error) };
      logger.error(fields, 'the alert line could not be driven');
    }
  }

  /**
   * The alert is on flash already: a broker that can't publish it now is logged and stops nothing.
   */
  async #publish(topic: string, payload: Uint8Array, retain: boolean): Promise<void> {
    try {
      await this.#options.publish(topic, payload, retain);
    } catch (error) {
      this.#options.logger.error({ topic, error: messageOf(error) }, 'an alert was not published');
    }
  }
}
