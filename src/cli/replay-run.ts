import type { Alarms } from '../alarms.ts';
import type { AlertEvent } from '../alert/alert-event.ts';
import { reasonOf } from '../alert/alert-reason.ts';
import type { Logger } from '../base/logger.ts';
import type { LogRecord, RecordPosition } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';
import type { Decoder } from '../decode/decoder.ts';
import { Detector } from '../detect/detector.ts';
import { openAlarms } from '../open-alarms.ts';
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
  /** Of one series several may last at one time: what is learned, each limit. */
  readonly source: string;
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
  readonly config: Config;
  readonly stream: string;
  readonly decoder: Decoder;
  /** Names the log that is read: the ids of alerts have it. */
  readonly log: string;
  readonly logger: Logger;
}

function replayedValue(verdict: Verdict): ReplayedValue {
  const { device, metric, value, expectedLow: low, expectedHigh: high, score, state } = verdict;
  const { fault } = verdict;
  return {
    ...{ device, metric, value, low, high, score, state },
    ...(fault === undefined ? {} : { fault }),
  };
}

function replayedEvent(event: AlertEvent): ReplayedEvent {
  const { id, kind, device, metric, source, value, score, cause, suppressed } = event;
  const { fault, severity } = event;
  const { expectedLow: low, expectedHigh: high, atRunMs: runMs } = event;
  const facts = {
    id,
    kind,
    device,
    metric,
    source,
    value,
    low,
    high,
    score,
    cause,
    suppressed,
    runMs,
  };
  return { ...facts, fault, severity, reason: reasonOf(event) };
}

/**
 * Detection over the records of one stream, in the order of the log: the same classes with the same
 * settings as in the daemon, so it raises what the daemon would have raised. Nothing is stored.
 */
export class ReplayRun {
  readonly #detector: Detector;
  readonly #alarms: Alarms;

  constructor({ config, stream, decoder, log, logger }: ReplayOptions) {
    this.#detector = new Detector({ ...config.detect, decoder, logger });
    this.#alarms = openAlarms(config, { log, stream });
  }

  /** Values that are not watched. */
  get unwatched(): number {
    return this.#detector.unwatched;
  }

  observe(record: LogRecord): Replayed[] {
    const verdicts = this.#detector.observe(record);
    const events = this.#alarms.observe(record, verdicts);
    const replayed: Replayed[] = verdicts.map((verdict) => {
      const value = replayedValue(verdict);
      const own = ({ device, metric, source }: AlertEvent) =>
        device === verdict.device && metric === verdict.metric && source === 'learned';
      const at = events.findIndex(own);
      const [event] = at < 0 ? [] : events.splice(at, 1);
      return event === undefined ? { value } : { value, event: replayedEvent(event) };
    });
    return [...replayed, ...events.map((event) => ({ event: replayedEvent(event) }))];
  }
}
