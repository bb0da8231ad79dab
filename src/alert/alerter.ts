import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { AlertSignal } from '../base/output-line.ts';
import { SEVERITIES, type Severity } from '../base/verdict.ts';
import type { AlertEvent } from './alert-event.ts';
import {
  type AlertMessage,
  abandoned,
  acknowledged,
  alertMessage,
  alertTopic,
} from './alert-message.ts';

export interface AlerterOptions {
  /** True if the alerts stream has it: a replay raises again what was raised before. */
  isStored(alert: AlertMessage): boolean;
  /** Puts it into the alerts stream, once; resolves when it is durable: was it new? */
  append(alert: AlertMessage): Promise<boolean>;
  /** Publishes on the local broker. */
  publish(topic: string, payload: Uint8Array, retain: boolean): Promise<void>;
  readonly signal: AlertSignal;
  /** The line tells of alerts that nobody has seen yet, rather than of all that last. */
  readonly untilSeen: boolean;
  /** It goes on telling of an alert that has ended, until somebody has seen it. */
  readonly latch: boolean;
  /** The least severity that it tells of. */
  readonly lineSeverity: Severity;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly logger: Logger;
}

const EMPTY = new Uint8Array(0);
/** As many alerts as may be between flash and MQTT at one time. */
const RECENT_ENDS = 64;

/** What became of an acknowledgement. */
export type Acknowledged =
  /** Now, or before. */
  | 'acknowledged'
  | 'already'
  /** There is no such alert, or not any more. */
  | 'not-active'
  /** Its beginning is not on flash yet. */
  | 'not-stored';

/** An alert that has ended and that nobody has seen. */
export interface LatchedAlert {
  readonly begun: AlertMessage;
  /** ms since 1970. */
  readonly ended: number;
}

/** Two streams may each have an alert of the same device and metric. */
function seriesOf({ cause, device, metric, source }: AlertMessage): string {
  return JSON.stringify([cause.stream, device, metric, source]);
}

/**
 * Tells everyone of an alert: the line, the alerts stream, MQTT. Which alerts are active is what
 * the alerts stream says of them, so a restart changes nothing about that.
 */
export class Alerter {
  readonly #options: AlerterOptions;
  /** By series: the beginning of the alert that is active. */
  readonly #active = new Map<string, AlertMessage>();
  /** By the name of a beginning: when a person has seen it, ms since 1970. */
  readonly #seen = new Map<string, number>();
  /** By series: the last one that has ended without being seen. Empty unless they are latched. */
  readonly #latched = new Map<string, LatchedAlert>();
  /** By the name of a beginning: the alert whose place it took, and the end of that one. */
  readonly #replaced = new Map<
    string,
    { readonly begun: AlertMessage; readonly end: AlertMessage }
  >();
  /** By the name of an end that is on its way: what it takes away, should it be withdrawn. */
  readonly #ending = new Map<
    string,
    { readonly begun: AlertMessage; readonly seen?: number; readonly latched?: LatchedAlert }
  >();
  /** Topics of ends in the stream: the last ones may never have been cleared. */
  #ended: string[] = [];

  constructor(options: AlerterOptions) {
    this.#options = options;
  }

  get lineName(): string {
    return this.#options.signal.name;
  }

  /** Alerts that have begun and not ended. */
  get active(): number {
    return this.#active.size;
  }

  /** Alerts that last, each with when it was seen, if it was. */
  list(): AlertMessage[] {
    return [...this.#active.values()].map((begun) => this.#shown(begun));
  }

  /** What the line shows though it has ended, until it is acknowledged. */
  latched(): LatchedAlert[] {
    return [...this.#latched.values()];
  }

  #shown(begun: AlertMessage): AlertMessage {
    const seen = this.#seen.get(begun.alert);
    return seen === undefined ? begun : { ...begun, acknowledged: seen };
  }

  /** At start: what the alerts stream holds, oldest first. */
  remember(alert: AlertMessage): void {
    const begun = this.#active.get(seriesOf(alert));
    if (alert.kind === 'begin') this.#setActive(alert);
    else if (alert.kind === 'ack') {
      const isOfThis = begun !== undefined && acknowledged(begun, 0).alert === alert.alert;
      if (isOfThis) this.#seen.set(begun.alert, alert.at);
      // It is of the last one of its series, or of one before that: those are seen with it.
      this.#latched.delete(seriesOf(alert));
    } else {
      this.#setEnded(alert);
      this.#ended = [...this.#ended.slice(1 - RECENT_ENDS), alertTopic(alert)];
    }
  }

  /** Then: what was active before is active still, on the line and on MQTT. */
  async start(): Promise<void> {
    this.#drive();
    for (const topic of new Set(this.#ended)) {
      if (this.#shownOn(topic).length === 0) await this.#clear(topic);
    }
    this.#ended = [];
    const bySeverity = [...this.#active.values()].sort((a, b) => graveness(a) - graveness(b));
    // The gravest of a topic last, and so retained.
    for (const alert of bySeverity) await this.#publish(alert, true);
  }

  /**
   * First sight of an event, at once: a siren must not wait for flash. The line, the count, the
   * word to the operator. False, and nothing: the stream has it, or an end of the same alert.
   */
  see(event: AlertEvent): boolean {
    const alert = alertMessage(event);
    if (this.#options.isStored(alert)) return false;
    const { begunId } = event;
    if (begunId !== undefined && this.#hasEnded({ ...alert, alert: begunId })) return false;
    const { counters, logger } = this.#options;
    const fields = { alert: alert.alert, reason: alert.reason, repeatKey: alert.alert };
    if (alert.kind === 'end') {
      this.#noteEnding(alert);
      this.#setEnded(alert);
      // What turned out to be graver goes on: the beginning that follows drives the line.
      if (!alert.superseded) this.#drive();
      logger.info(fields, 'an alert has ended');
      return true;
    }
    this.#replace(alert);
    this.#drive(alert);
    counters.alerts += 1;
    logger.warn(fields, 'an alert has begun');
    return true;
  }

  #noteEnding(end: AlertMessage): void {
    const series = seriesOf(end);
    const begun = this.#active.get(series);
    if (begun === undefined) return;
    const seen = this.#seen.get(begun.alert);
    const latched = this.#latched.get(series);
    this.#ending.set(end.alert, {
      begun,
      ...(seen === undefined ? {} : { seen }),
      ...(latched === undefined ? {} : { latched }),
    });
  }

  /**
   * Another alert of the series is active if the settings have changed since a crash: what is read
   * again ends no alert that it would not begin. That one ends here.
   */
  #replace(begun: AlertMessage): void {
    const { clock, logger } = this.#options;
    const old = this.#active.get(seriesOf(begun));
    this.#setActive(begun);
    if (old === undefined || old.alert === begun.alert) return;
    const end = abandoned(old, clock.wallMs());
    this.#replaced.set(begun.alert, { begun: old, end });
    const fields = { alert: end.alert, reason: end.reason, repeatKey: end.alert };
    logger.info(fields, 'an alert has ended');
  }

  /**
   * Then: makes the event durable and publishes it. Rejects only if it could not be made durable:
   * hand it in again then. Events of one series one after the other, so that no end is stored
   * before its beginning, and no beginning before the end of the alert that it replaces.
   */
  async keep(event: AlertEvent): Promise<void> {
    const replaced = this.#replaced.get(event.id);
    if (replaced !== undefined) await this.#keep(replaced.end);
    this.#replaced.delete(event.id);
    await this.#keep(alertMessage(event));
    this.#ending.delete(event.id);
  }

  /**
   * Instead: the reading that caused the event is not stored and never will be. The line is as it
   * was before; of several, the last one is to be withdrawn first.
   */
  withdraw(event: AlertEvent): void {
    const alert = alertMessage(event);
    const series = seriesOf(alert);
    const ending = this.#ending.get(event.id);
    const before = this.#replaced.get(event.id)?.begun ?? ending?.begun;
    this.#replaced.delete(event.id);
    this.#ending.delete(event.id);
    if (alert.kind === 'begin' && this.#active.get(series)?.alert === alert.alert) {
      this.#active.delete(series);
    }
    if (before !== undefined && !this.#active.has(series)) this.#active.set(series, before);
    if (this.#latched.get(series)?.begun === before) this.#latched.delete(series);
    if (ending?.latched !== undefined) this.#latched.set(series, ending.latched);
    if (ending?.seen !== undefined) this.#seen.set(ending.begun.alert, ending.seen);
    this.#drive();
    const fields = { alert: event.id, reason: alert.reason, repeatKey: event.id };
    this.#options.logger.warn(fields, 'an alert is withdrawn: its reading could not be stored');
  }

  async #keep(alert: AlertMessage): Promise<void> {
    const isNew = await this.#options.append(alert);
    // Published already, or by `start`.
    if (!isNew) return;
    const topic = alertTopic(alert);
    // What has ended by now is told, but not retained: nothing would clear it. Nor is what stands
    // beside something graver: whoever comes later hears of that.
    await this.#publish(alert, this.#gravestOn(topic)?.alert === alert.alert);
    if (alert.kind === 'end') await this.#showGravest(topic);
  }

  /** An alert has ended: what lasts on its topic takes its place there. */
  async #showGravest(topic: string): Promise<void> {
    if (this.#shownOn(topic).length === 0) return this.#clear(topic);
    const gravest = this.#gravestOn(topic);
    if (gravest !== undefined) await this.#publish(gravest, true);
  }

  /** Of those that last, the last one among equals; what is not on flash yet waits until it is. */
  #gravestOn(topic: string): AlertMessage | undefined {
    const stored = this.#shownOn(topic).filter((begun) => this.#options.isStored(begun));
    const most = Math.max(...stored.map(graveness));
    return stored.findLast((begun) => graveness(begun) === most);
  }

  /** By the name of the event with which it began. */
  isActive(alert: string): boolean {
    for (const begun of this.#active.values()) if (begun.alert === alert) return true;
    return false;
  }

  #setActive(begun: AlertMessage): void {
    const old = this.#active.get(seriesOf(begun));
    if (old !== undefined && old.alert !== begun.alert) this.#seen.delete(old.alert);
    this.#active.set(seriesOf(begun), begun);
  }

  #setEnded(end: AlertMessage): void {
    const series = seriesOf(end);
    const begun = this.#active.get(series);
    if (begun === undefined) return;
    const isSeen = this.#seen.delete(begun.alert);
    this.#active.delete(series);
    if (!this.#options.latch || isSeen || end.superseded || !this.#isGrave(begun)) return;
    this.#latched.set(series, { begun, ended: end.at });
  }

  /**
   * A person has seen an alert that lasts, or that is latched: once, for good. Rejects if that
   * could not be made durable.
   */
  async acknowledge(alert: string): Promise<Acknowledged> {
    const latched = this.latched().map(({ begun }) => begun);
    const begun = [...this.list(), ...latched].find((one) => one.alert === alert);
    if (begun === undefined) return 'not-active';
    if (begun.acknowledged !== undefined) return 'already';
    if (!this.#options.isStored(begun)) return 'not-stored';
    const ack = acknowledged(begun, this.#options.clock.wallMs());
    const isNew = await this.#options.append(ack);
    // It may have ended meanwhile.
    if (this.isActive(alert)) this.#seen.set(alert, ack.at);
    this.#latched.delete(seriesOf(begun));
    this.#drive();
    if (!isNew) return 'already';
    await this.#publish(ack, false);
    const topic = alertTopic(begun);
    if (this.#gravestOn(topic)?.alert === alert) await this.#publish(begun, true);
    return 'acknowledged';
  }

  /** The stream has this beginning, and its end. */
  hasEnded(begun: AlertEvent): boolean {
    return this.#hasEnded(alertMessage(begun));
  }

  #hasEnded(begun: AlertMessage): boolean {
    return this.#options.isStored(begun) && !this.isActive(begun.alert);
  }

  /**
   * Ends the alerts that `isOrphan` picks: nobody watches their series any more. What could not be
   * stored is tried again at the next start.
   */
  async endOrphans(isOrphan: (begun: AlertMessage) => boolean): Promise<void> {
    const { clock, logger } = this.#options;
    for (const [series, begun] of [...this.#active]) {
      // What has ended or was replaced while another one was stored is no orphan any more.
      if (!isOrphan(begun) || this.#active.get(series) !== begun) continue;
      const end = abandoned(begun, clock.wallMs());
      this.#setEnded(end);
      this.#drive();
      const fields = { alert: end.alert, reason: end.reason, repeatKey: end.alert };
      logger.info(fields, 'an alert has ended');
      try {
        await this.#keep(end);
      } catch (error) {
        const fault = { alert: end.alert, code: codeOf(error), error: messageOf(error) };
        logger.error(fault, 'the end of an alert could not be stored');
      }
    }
  }

  /** Names that differ in unsafe characters only share a topic. */
  #shownOn(topic: string): AlertMessage[] {
    return [...this.#active.values()].filter((active) => alertTopic(active) === topic);
  }

  /** Shows the gravest of what is to be seen. `begun`: the alert that has begun just now. */
  #drive(begun?: AlertMessage): void {
    let gravest = -1;
    const see = ({ severity }: AlertMessage) => {
      gravest = Math.max(gravest, SEVERITIES.indexOf(severity));
    };
    for (const one of this.#active.values()) if (this.#isOnLine(one)) see(one);
    for (const one of this.#latched.values()) see(one.begun);
    this.#options.signal.show(SEVERITIES[gravest], begun !== undefined && this.#isOnLine(begun));
  }

  #isOnLine(begun: AlertMessage): boolean {
    if (this.#options.untilSeen && this.#seen.has(begun.alert)) return false;
    return this.#isGrave(begun);
  }

  #isGrave({ severity }: AlertMessage): boolean {
    return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(this.#options.lineSeverity);
  }

  async #publish(alert: AlertMessage, retain: boolean): Promise<void> {
    await this.#send(alertTopic(alert), Buffer.from(JSON.stringify(this.#shown(alert))), retain);
  }

  async #clear(topic: string): Promise<void> {
    await this.#send(topic, EMPTY, true);
  }

  /**
   * The alert is on flash already: a broker that can't publish it now is logged and stops nothing.
   */
  async #send(topic: string, payload: Uint8Array, retain: boolean): Promise<void> {
    try {
      await this.#options.publish(topic, payload, retain);
    } catch (error) {
      this.#options.logger.error({ topic, error: messageOf(error) }, 'an alert was not published');
    }
  }
}

function graveness({ severity }: AlertMessage): number {
  return SEVERITIES.indexOf(severity);
}
