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
const UNSAFE = /[+#/\u0000-\u001f\u007f-\u009f]/g;

export function alertTopic({ device, metric }: AlertEvent): string {
  return `headgate/alerts/${device.replace(UNSAFE, '_')}/${metric.replace(UNSAFE, '_')}`;
}

const MAX_DECIMALS = 12;

/** As many digits as tell values of this spread apart: 101325.4 beside 101320 is not 101300. */
function short(value: number, spread: number): string {
  const decimals = 2 - Math.floor(Math.log10(spread));
  return String(Number(value.toFixed(Math.min(MAX_DECIMALS, Math.max(0, decimals)))));
}

/** A sentence for the person who is woken. */
export function reasonOf(event: AlertEvent): string {
  const { device, metric, value, expectedLow, expectedHigh } = event;
  const [now = '', low, high] = [value, expectedLow, expectedHigh].map((one) =>
    short(one, expectedHigh - expectedLow),
  );
  return event.kind === 'begin'
    ? `${metric} of ${device} is ${now}, expected ${low} to ${high}`
    : `${metric} of ${device} is ordinary again at ${now}`;
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

/** Two streams may each have an alert of the same device and metric. */
function seriesOf({ cause, device, metric }: AlertEvent): string {
  return JSON.stringify([cause.stream, device, metric]);
}

/** Tells everyone of an alert: the line, the alerts stream, MQTT. */
export class Alerter {
  readonly #options: AlerterOptions;
  /** By series: the alert that is active. */
  readonly #active = new Map<string, { readonly id: string; readonly topic: string }>();
  /** Ids of events that could not be made durable yet, and will be handed in again. */
  readonly #unstored = new Set<string>();

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
   * published. Rejects only if it could not be made durable: hand it in again then. Meanwhile the
   * alert may have ended, so a second try changes neither the line nor what is active.
   */
  async handle(event: AlertEvent): Promise<void> {
    if (!this.#unstored.has(event.id)) this.#see(event);
    const topic = alertTopic(event);
    const payload = Buffer.from(JSON.stringify(alertJson(event)));
    try {
      await this.#options.append(event, payload);
      this.#unstored.delete(event.id);
    } catch (error) {
      this.#unstored.add(event.id);
      throw error;
    }
    // What has ended by now is told, but not retained: nothing would clear it.
    await this.#publish(topic, payload, this.#isActive(event));
    if (event.kind === 'end' && !this.#isShown(topic)) await this.#publish(topic, EMPTY, true);
  }

  /** Names that differ in unsafe characters only share a topic. */
  #isShown(topic: string): boolean {
    for (const active of this.#active.values()) if (active.topic === topic) return true;
    return false;
  }

  #begin(event: AlertEvent): void {
    this.#active.set(seriesOf(event), { id: event.id, topic: alertTopic(event) });
  }

  #isActive(event: AlertEvent): boolean {
    return this.#active.get(seriesOf(event))?.id === event.id;
  }

  /** First sight of an event: the line, the count, the word to the operator. */
  #see(event: AlertEvent): void {
    const { logger, counters } = this.#options;
    const fields = { alert: event.id, reason: reasonOf(event), repeatKey: event.id };
    if (event.kind === 'end') {
      this.#active.delete(seriesOf(event));
      this.#drive();
      logger.info(fields, 'an alert has ended');
      return;
    }
    const known = this.#isActive(event);
    this.#begin(event);
    this.#drive();
    if (known) return;
    counters.alerts += 1;
    logger.warn(fields, 'an alert has begun');
  }

  /** At start: what was active before is active still. */
  async restoreActive(events: readonly AlertEvent[]): Promise<void> {
    for (const event of events) this.#begin(event);
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
