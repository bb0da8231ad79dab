import type { AlertEvent } from '../alert/alert-event.ts';
import type { Logger } from '../base/logger.ts';
import type { LogRecord, RecordPosition } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';
import type { Decoder } from '../decode/decoder.ts';
import { Detector } from '../detect/detector.ts';
import type { Config } from '../ops/config.ts';

/** What detection says of one value. */
export interface ReplayedValue {
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly score: number;
  readonly state: Verdict['state'];
  readonly fault?: string;
}

/** The beginning or the end of an alert, under the id that the daemon gives it. */
export interface ReplayedEvent {
  readonly id: string;
  readonly kind: 'begin' | 'end';
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly score: number;
  readonly fault?: string;
  readonly severity?: string;
  readonly cause: RecordPosition;
  readonly runMs: number;
  readonly suppressed: number;
  readonly reason: string;
}

/** A value, with the event that it made; or an event that no value made. */
export interface Replayed {
  readonly value?: ReplayedValue;
  readonly event?: ReplayedEvent;
}

export interface ReplayOptions {
  readonly detect: Config['detect'];
  readonly decoder: Decoder;
  /** Names the log that is read: the ids of alerts have it. */
  readonly log: string;
  readonly logger: Logger;
}

/** What only some verdicts and events have. */
interface Marked {
  readonly fault?: string;
  readonly severity?: string;
}

function marksOf({ fault, severity }: Marked): Marked {
  return {
    ...(fault === undefined ? {} : { fault }),
    ...(severity === undefined ? {} : { severity }),
  };
}

function replayedValue(verdict: Verdict): ReplayedValue {
  const { device, metric, value, expectedLow: low, expectedHigh: high, score, state } = verdict;
  const { fault } = marksOf(verdict as Marked);
  return {
    ...{ device, metric, value, low, high, score, state },
    ...(fault === undefined ? {} : { fault }),
  };
}

function replayedEvent(event: AlertEvent): ReplayedEvent {
  const { id, kind, device, metric, value, score, cause, suppressed } = event;
  const { expectedLow: low, expectedHigh: high, atRunMs: runMs } = event;
  const facts = { id, kind, device, metric, value, low, high, score, cause, suppressed, runMs };
  return { ...facts, ...marksOf(event as Marked), reason: reasonOf(event) };
}

/**
 * Detection over the records of one stream, in the order of the log: the same classes with the same
 * settings as in the daemon, so it raises what the daemon would have raised. Nothing is stored.
 */
export class ReplayRun {
  readonly #detector: Detector;
  readonly #states: AlertStates;

  constructor({ detect, decoder, log, logger }: ReplayOptions) {
    this.#detector = new Detector({ ...detect, decoder, logger });
    this.#states = new AlertStates({ ...detect, log });
  }

  /** Values that are not watched. */
  get unwatched(): number {
    return this.#detector.unwatched;
  }

  observe(record: LogRecord): Replayed[] {
    return this.#detector.observe(record).map((verdict) => {
      const event = this.#states.observe(verdict);
      const value = replayedValue(verdict);
      return event === undefined ? { value } : { value, event: replayedEvent(event) };
    });
  }
}
