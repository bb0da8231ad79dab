import type { Fault, Severity, Verdict } from '../base/verdict.ts';
import {
  type AlertEvent,
  type AlertSeries,
  beginOf,
  endOf,
  isSoundBeginning,
  keyOf,
  type Since,
  type Source,
  seriesOfKey,
  supersededBy,
} from './alert-event.ts';
import {
  type ActiveState,
  type AlertRules,
  isActive,
  type SeriesState,
  step,
} from './alert-step.ts';
import { type FloodCount, type FloodRules, Floods } from './floods.ts';

export interface AlertOptions extends AlertRules {
  /** Names the log that the readings are in: offsets begin again in another one. */
  readonly log: string;
  /** Of what is no limit's. */
  readonly severity: Readonly<Record<Fault, Severity>>;
  readonly flood: FloodRules;
}

/** A device that has fallen silent. */
export interface SilentDevice {
  /** Its cause is the last reading. */
  readonly verdict: Verdict;
  /** Wall clock and run clock of that. */
  readonly since: Since;
  /** The run clock at a restart that its silence is counted from. */
  readonly from?: number;
}

const PREFIX = 'alert/state/';

/** What was stored, or undefined if this version can't read it. */
function storedState(text: string): SeriesState | undefined {
  try {
    const state = JSON.parse(text) as SeriesState;
    const numbers: unknown[] = [];
    if (state.kind === 'cooling') numbers.push(state.untilRunMs, state.suppressed);
    else if (state.kind === 'pending') {
      numbers.push(state.sinceMs, state.sinceRunMs, state.suppressed);
    } else if (isActive(state)) {
      if (!isSoundBeginning(state.begun)) return undefined;
      if (state.kind === 'clearing') numbers.push(state.calm, state.calmRunMs);
    } else return undefined;
    return numbers.every(Number.isFinite) ? state : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Turns verdicts into alerts that begin and end, per device, metric and source. Pure, and on the
 * log's own clock: readings that are read again give the same events.
 */
export class AlertStates {
  readonly #options: AlertOptions;
  /** Idle series are not in here. */
  readonly #series = new Map<string, SeriesState>();
  readonly #floods: Floods;
  readonly #changed = new Set<string>();

  constructor(options: AlertOptions) {
    this.#options = options;
    const { log, coolDownMs, flood } = options;
    this.#floods = new Floods({ log, coolDownMs, ...flood });
  }

  /** Alerts that have begun and not ended: the events with which they began. */
  active(): AlertEvent[] {
    const own = [...this.#series.values()].flatMap((state) =>
      isActive(state) && state.flood === undefined ? [state.begun] : [],
    );
    return [...own, ...this.#floods.active()];
  }

  /** What a flood has come to, by the id of its beginning; undefined: that is none. */
  countOf(id: string): FloodCount | undefined {
    return this.#floods.countOf(id);
  }

  /** The events that a verdict makes, in their order. */
  observe(verdict: Verdict, source: Source = 'learned'): AlertEvent[] {
    // Nearly always: nothing goes on, and nothing is wrong.
    if (this.#series.size === 0 && verdict.state !== 'anomalous') return this.#settled(verdict);
    const series = { device: verdict.device, metric: verdict.metric, source };
    const key = keyOf(series);
    const state = this.#series.get(key);
    if (state === undefined && verdict.state !== 'anomalous') return this.#settled(verdict);
    const severity = this.#severityOf(verdict);
    const next = step(state, verdict, this.#options, severity);
    if (next.change === 'none') {
      if (next.state !== state) this.#set(key, next.state);
      return this.#settled(verdict);
    }
    if (next.change === 'end') {
      this.#set(key, next.state);
      return [...this.#ended(state, verdict), ...this.#settled(verdict)];
    }
    const ended = next.change === 'worsen' ? this.#worsened(state, verdict) : [];
    const settled = this.#settled(verdict);
    const begun = beginOf(series, verdict, { ...next, log: this.#options.log, severity });
    return [...ended, ...settled, ...this.#begin([begun], {})];
  }

  #severityOf({ limit, fault = 'unusual' }: Verdict): Severity {
    return limit?.severity ?? this.#options.severity[fault];
  }

  #settled(verdict: Verdict): AlertEvent[] {
    return this.#floods.settle(verdict);
  }

  /** One by one, or as a flood. */
  #begin(events: AlertEvent[], how: { isFlood?: boolean; from?: number | undefined }) {
    const flooded = this.#floods.begin({ events, ...how });
    for (const begun of events) {
      const flood = flooded === undefined ? {} : { flood: flooded.key };
      this.#set(keyOf(begun), { kind: 'active', begun, ...flood });
    }
    if (flooded === undefined) return events;
    return flooded.event === undefined ? [] : [flooded.event];
  }

  #ended(state: SeriesState | undefined, verdict: Verdict): AlertEvent[] {
    if (!isActive(state)) return [];
    if (state.flood === undefined) return [endOf(this.#options.log, state.begun, verdict)];
    const end = this.#floods.leave(state.flood, verdict);
    return end === undefined ? [] : [end];
  }

  /** The end of what another alert of its series takes the place of. */
  #worsened(state: SeriesState | undefined, verdict: Verdict): AlertEvent[] {
    if (!isActive(state)) return [];
    if (state.flood === undefined) return [supersededBy(state.begun, verdict)];
    return this.#ended(state, verdict);
  }

  /**
   * Devices that have fallen silent at about the same time, of so many that are listened for. Most
   * of them, or more than come one by one, are one alert.
   */
  silent(fallen: readonly SilentDevice[], devices: number): AlertEvent[] {
    const bySeverity = new Map<Severity, SilentDevice[]>();
    for (const one of fallen) {
      const severity = this.#severityOf(one.verdict);
      const others = bySeverity.get(severity);
      if (others === undefined) bySeverity.set(severity, [one]);
      else others.push(one);
    }
    return [...bySeverity].flatMap(([severity, group]) => {
      const events = group.flatMap(({ verdict, since, from }) => {
        const series = silenceSeries(verdict);
        if (isActive(this.#series.get(keyOf(series)))) return [];
        const { log } = this.#options;
        return beginOf(series, verdict, { log, severity, suppressed: 0, ...since, from });
      });
      const isFlood = events.length >= 2 && events.length * 2 > devices;
      return this.#begin(events, { isFlood, from: group[0]?.from });
    });
  }

  /** A device that was silent is heard again: the verdict of the reading. */
  heard(verdict: Verdict): AlertEvent[] {
    const key = keyOf(silenceSeries(verdict));
    const state = this.#series.get(key);
    if (!isActive(state)) return [];
    this.#set(key, undefined);
    return this.#ended(state, verdict);
  }

  /** The alert has ended without a reading that ends it: its series is idle, or all of a flood. */
  forget(begun: AlertSeries): void {
    const key = keyOf(begun);
    this.#set(key, undefined);
    if (!this.#floods.has(key)) return;
    for (const [other, state] of [...this.#series]) {
      if (isActive(state) && state.flood === key) this.#set(other, undefined);
    }
    this.#floods.forget(key);
  }

  /** Every series that `isWatched` does not know is idle: no reading will ever end its alert. */
  forgetUnwatched(isWatched: (series: AlertSeries) => boolean): void {
    for (const [key, state] of [...this.#series]) {
      const series = seriesOfKey(key);
      if (series !== undefined && isWatched(series)) continue;
      this.#set(key, undefined);
      if (series !== undefined) this.#floods.dropRecent(series.device);
      if (isActive(state) && state.flood !== undefined) this.#floods.drop(state.flood);
    }
  }

  #set(key: string, state: SeriesState | undefined): void {
    if (state === undefined) this.#series.delete(key);
    else this.#series.set(key, state);
    this.#changed.add(key);
  }

  /** What changed since the last call, as it is to be stored; undefined deletes. */
  snapshot(): Map<string, string | undefined> {
    const entries = new Map(this.#floods.snapshot());
    for (const key of this.#changed) {
      const state = this.#series.get(key);
      entries.set(PREFIX + key, state === undefined ? undefined : JSON.stringify(state));
    }
    this.#changed.clear();
    return entries;
  }

  /**
   * Takes up what `snapshot` gave, in place of all that is there; other keys are passed over.
   * Returns the keys that can't be read: a cache must not keep the gateway from starting.
   */
  restore(entries: ReadonlyMap<string, string>): string[] {
    const unreadable = this.#floods.restore(entries);
    for (const [key, text] of entries) {
      if (!key.startsWith(PREFIX)) continue;
      const state = storedState(text);
      if (state === undefined) unreadable.push(key);
      else this.#series.set(key.slice(PREFIX.length), this.#withFlood(state));
    }
    return unreadable;
  }

  /** An alert whose flood could not be read is told by itself. */
  #withFlood(state: SeriesState): SeriesState {
    if (!isActive(state) || state.flood === undefined || this.#floods.has(state.flood))
      return state;
    const { flood: _, ...alone } = state;
    return alone as ActiveState;
  }
}

function silenceSeries({ device, metric, limit }: Verdict): AlertSeries {
  const source: Source = limit === undefined ? 'silence' : `silence:${limit.name}`;
  return { device, metric, source };
}
