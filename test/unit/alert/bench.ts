import type { AlertEvent } from '../../../src/alert/alert-event.ts';
import { type AlertMessage, alertMessage } from '../../../src/alert/alert-message.ts';
import { Alerter, type AlerterOptions } from '../../../src/alert/alerter.ts';
import { newCounters } from '../../../src/base/counters.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** An alerter whose flash, broker and line write down what they are told, and fail on demand. */
export class Bench {
  readonly counters = newCounters();
  readonly clock = new FakeClock();
  /** What happened, in order. */
  readonly told: string[] = [];
  readonly alerts: AlertMessage[] = [];
  readonly logged: string[] = [];
  /** By topic: the alert whose message a new subscriber gets. */
  readonly retained = new Map<string, string>();
  /** Ids that the stream has. */
  readonly stored = new Set<string>();
  lineActive = false;
  /** What the signal was told, in order. */
  readonly shown: Array<string | undefined> = [];
  append: () => Promise<void> = async () => {};
  publish: (topic: string) => Promise<void> = async () => {};

  readonly alerter: Alerter;

  constructor(over: Partial<Pick<AlerterOptions, 'untilSeen' | 'latch' | 'lineSeverity'>> = {}) {
    this.alerter = new Alerter({ ...this.#options(), ...over });
  }

  #options(): AlerterOptions {
    return {
      isStored: ({ alert }) => this.stored.has(alert),
      append: async (alert) => {
        await this.append();
        const isNew = !this.stored.has(alert.alert);
        this.stored.add(alert.alert);
        if (isNew) this.told.push(`append ${alert.kind}`);
        this.alerts.push(alert);
        return isNew;
      },
      publish: async (topic, payload, retain) => {
        await this.publish(topic);
        const text = Buffer.from(payload).toString();
        const kind = text === '' ? 'nothing' : JSON.parse(text).kind;
        if (retain && text === '') this.retained.delete(topic);
        else if (retain) this.retained.set(topic, JSON.parse(text).alert);
        this.told.push(`publish ${topic} ${kind}${retain ? ' retained' : ''}`);
      },
      signal: {
        name: 'bench',
        show: (severity, isNew) => {
          this.shown.push(isNew ? `new ${severity}` : severity);
          this.lineActive = severity !== undefined;
          this.told.push(`line ${this.lineActive ? 'on' : 'off'}`);
        },
        close() {},
      },
      untilSeen: false,
      latch: false,
      lineSeverity: 'info',
      counters: this.counters,
      clock: this.clock,
      logger: this.#logger(),
    };
  }

  async handle(event: AlertEvent): Promise<void> {
    this.alerter.see(event);
    await this.alerter.keep(event);
  }

  /** As after a restart: this is what the stream holds. */
  async restart(events: readonly AlertEvent[]): Promise<void> {
    for (const event of events) {
      this.stored.add(event.id);
      this.alerter.remember(alertMessage(event));
    }
    await this.alerter.start();
  }

  #logger(): Logger {
    const log = (_: unknown, message: string) => this.logged.push(message);
    return { ...silentLogger, warn: log, info: log, error: log };
  }
}
