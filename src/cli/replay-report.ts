import type { RecordPosition } from '../base/reading.ts';
import type { Replayed, ReplayedEvent, ReplayedValue } from './replay-run.ts';

/** One value as it is shown. */
export interface ReplayRow extends ReplayedValue {
  /** Corrected time of arrival, ms since 1970. */
  readonly timeMs: number;
  /** What it means for the alert of its series; empty: there is none. */
  readonly alert: '' | 'begin' | 'active' | 'end';
  /** Of a beginning: the sentence for the person who is woken. */
  readonly reason?: string;
}

export interface ReplayedAlert {
  /** The id of its beginning. */
  readonly alert: string;
  readonly device: string;
  readonly metric: string;
  readonly fault?: string;
  readonly severity?: string;
  /** Corrected times, ms since 1970. */
  readonly began: number;
  /** Without it, it is active at the end of what was read. */
  readonly ended?: number;
  /**
   * On the log's run clock: until its end, or until the last value of its series; of a silence or a
   * flood, whose series has no values, until the last record.
   */
  readonly lastedMs: number;
  readonly value: number;
  /** null: no bound. */
  readonly expected: readonly [low: number | null, high: number | null];
  readonly score: number;
  readonly cause: RecordPosition;
  readonly suppressed: number;
  readonly reason: string;
}

export interface ReportOptions {
  readonly device: string | undefined;
  readonly metric: string | undefined;
  readonly onRow: (row: ReplayRow) => void;
}

export interface ReplayTotals {
  /** Of the series that are shown. */
  readonly values: number;
  readonly learning: number;
  readonly anomalous: number;
  readonly series: number;
  readonly alerts: number;
  /** Of these, still active at the end. */
  readonly active: number;
}

interface OpenAlert {
  readonly begun: ReplayedEvent;
  readonly began: number;
  lastRunMs: number;
  isListed: boolean;
}

/** As many as are listed; what is beyond is counted. */
export const MAX_ALERTS = 100_000;

function keyOf({ device, metric }: { device: string; metric: string }): string {
  return JSON.stringify([device, metric]);
}

const bound = (one: number) => (Math.abs(one) < Number.MAX_VALUE ? one : null);

function listed({ begun, began, lastRunMs }: OpenAlert, ended?: number): ReplayedAlert {
  const { id, device, metric, fault, severity, value, low, high, score } = begun;
  const { cause, suppressed, reason } = begun;
  return {
    ...{ alert: id, device, metric },
    ...(fault === undefined ? {} : { fault }),
    ...(severity === undefined ? {} : { severity }),
    began,
    ...(ended === undefined ? {} : { ended }),
    lastedMs: Math.round(lastRunMs - begun.runMs),
    ...{ value, expected: [bound(low), bound(high)], score, cause, suppressed, reason },
  };
}

/** Makes rows and alerts of what a replay says, for the series that are asked for. */
export class ReplayReport {
  readonly #options: ReportOptions;
  readonly #series = new Set<string>();
  /** By series, then by what raised them. */
  readonly #open = new Map<string, Map<string, OpenAlert>>();
  readonly #ended: ReplayedAlert[] = [];
  #reachedRunMs = 0;
  #values = 0;
  #learning = 0;
  #anomalous = 0;
  #alerts = 0;

  constructor(options: ReportOptions) {
    this.#options = options;
  }

  #isWanted({ device, metric }: { device: string; metric: string }): boolean {
    const { device: onlyDevice, metric: onlyMetric } = this.#options;
    return (
      (onlyDevice === undefined || onlyDevice === device) &&
      (onlyMetric === undefined || onlyMetric === metric)
    );
  }

  /** A record is read, whatever it says: at this moment of the run clock. */
  reach(runMs: number): void {
    this.#reachedRunMs = Math.max(this.#reachedRunMs, runMs);
  }

  /** `isShown`: it lies in the range that is asked for, and is not only learnt from. */
  take({ value, event }: Replayed, at: { timeMs: number; runMs: number; isShown: boolean }): void {
    const subject = value ?? event;
    if (subject === undefined || !this.#isWanted(subject)) return;
    const key = keyOf(subject);
    for (const open of this.#openOf(key)) open.lastRunMs = at.runMs;
    if (event !== undefined) this.#turn(key, event, at);
    const active = this.#openOf(key);
    if (!at.isShown) return;
    for (const one of active) this.#list(one);
    if (value === undefined) return;
    this.#count(key, value);
    const alert = event?.kind ?? (active.length === 0 ? '' : 'active');
    const reason = event?.kind === 'begin' ? { reason: event.reason } : {};
    this.#options.onRow({ ...value, timeMs: at.timeMs, alert, ...reason });
  }

  #openOf(key: string): OpenAlert[] {
    return [...(this.#open.get(key)?.values() ?? [])];
  }

  #count(key: string, { state }: ReplayedValue): void {
    this.#series.add(key);
    this.#values += 1;
    if (state === 'learning') this.#learning += 1;
    if (state === 'anomalous') this.#anomalous += 1;
  }

  #turn(
    key: string,
    event: ReplayedEvent,
    at: { timeMs: number; runMs: number; isShown: boolean },
  ): void {
    const alerts = this.#open.get(key) ?? new Map<string, OpenAlert>();
    const open = alerts.get(event.source);
    if (event.kind === 'begin') {
      // A silence began before the record that tells of it was read.
      const began = Math.round(at.timeMs - (at.runMs - event.runMs));
      const begun = { begun: event, began, lastRunMs: event.runMs, isListed: false };
      this.#open.set(key, alerts.set(event.source, begun));
      return;
    }
    alerts.delete(event.source);
    if (alerts.size === 0) this.#open.delete(key);
    if (open === undefined) return;
    if (at.isShown) this.#list(open);
    if (!open.isListed || this.#ended.length >= MAX_ALERTS) return;
    this.#ended.push(listed(open, Math.round(at.timeMs)));
  }

  /** Some of it lies in the range that is asked for. */
  #list(open: OpenAlert): void {
    if (!open.isListed) this.#alerts += 1;
    open.isListed = true;
  }

  #active(): OpenAlert[] {
    const all = [...this.#open.values()].flatMap((alerts) => [...alerts.values()]);
    return all.filter(({ isListed }) => isListed);
  }

  #upToNow(open: OpenAlert): OpenAlert {
    const hasValues = /^(?:learned$|limit:)/.test(open.begun.source);
    if (hasValues) return open;
    return { ...open, lastRunMs: Math.max(open.lastRunMs, this.#reachedRunMs) };
  }

  /** Those in the range, by their beginnings; at most `MAX_ALERTS`. */
  alerts(): ReplayedAlert[] {
    const all = [...this.#ended, ...this.#active().map((open) => listed(this.#upToNow(open)))];
    return all.toSorted((a, b) => a.began - b.began).slice(0, MAX_ALERTS);
  }

  totals(): ReplayTotals {
    return {
      values: this.#values,
      learning: this.#learning,
      anomalous: this.#anomalous,
      series: this.#series.size,
      alerts: this.#alerts,
      active: this.#active().length,
    };
  }
}
