import type { RecordPosition } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';

export interface AlertOptions {
  /** Names the log that the readings are in: offsets begin again in another one. */
  readonly log: string;
  /** Score below which a value counts as normal again: lower than the threshold, for hysteresis. */
  readonly clearScore: number;
  /** Such values in a row that end an alert. */
  readonly clearCount: number;
  /** After an end, how long no alert of the series begins: ms of the run clock. */
  readonly coolDownMs: number;
}

/** The beginning or the end of an alert. */
export interface AlertEvent {
  /**
   * From the kind, the series and the reading that caused it: the same whenever that is read again.
   */
  readonly id: string;
  readonly kind: 'begin' | 'end';
  /** Of an end: the id of its beginning. */
  readonly begunId?: string;
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  readonly score: number;
  readonly expectedLow: number;
  readonly expectedHigh: number;
  readonly cause: RecordPosition;
  /** Wall clock of the reading with which it began, ms since 1970. */
  readonly sinceMs: number;
  /** The same on the log's run clock, ms: how long it lasted is told by this one. */
  readonly sinceRunMs: number;
  /** Wall clock of this event's reading. */
  readonly atMs: number;
  readonly atRunMs: number;
  /** Anomalous values that a cool-down held back since the last alert of the series. */
  readonly suppressed: number;
}

/** A cool-down that is over is kept for as long as it has something held back to tell. */
type SeriesState =
  | { readonly kind: 'active'; readonly begun: AlertEvent; readonly calm: number }
  | { readonly kind: 'cooling'; readonly untilRunMs: number; readonly suppressed: number };

const PREFIX = 'alert/state/';

function keyOf({ device, metric }: { device: string; metric: string }): string {
  return `${encodeURIComponent(device)}/${encodeURIComponent(metric)}`;
}

/** undefined: no key that `keyOf` gives. */
function namesOf(key: string): { device: string; metric: string } | undefined {
  try {
    const [device = '', metric = ''] = key.split('/').map(decodeURIComponent);
    return { device, metric };
  } catch {
    return undefined;
  }
}

/**
 * A message may hold many values. In the record that ends one alert no other one may begin: it
 * would have the id of the first, if that began in it too.
 */
const LEAST_COOL_DOWN_MS = 0.5;

/** What was stored, or undefined if this version can't read it. */
function storedState(text: string): SeriesState | undefined {
  try {
    const state = JSON.parse(text) as SeriesState;
    if (state.kind === 'cooling') {
      return [state.untilRunMs, state.suppressed].every(Number.isFinite) ? state : undefined;
    }
    const { id, device, metric, cause, sinceMs, sinceRunMs } = state.begun;
    const isNamed = [id, device, metric, cause.stream].every((one) => typeof one === 'string');
    const isDated = [sinceMs, sinceRunMs, state.calm].every(Number.isFinite);
    return state.kind === 'active' && isNamed && isDated ? state : undefined;
  } catch {
    return undefined;
  }
}

/** `begun`: the beginning of the alert that ends here. */
function eventOf(log: string, verdict: Verdict, begun?: AlertEvent): AlertEvent {
  const { device, metric, value, score, expectedLow, expectedHigh, cause } = verdict;
  const { receivedAtMs: atMs, atRunMs } = verdict;
  const kind = begun === undefined ? 'begin' : 'end';
  const { stream, partition, offset } = cause;
  const id = `${kind}:${keyOf(verdict)}:${log}:${stream}:${partition}:${offset}`;
  const facts = { device, metric, value, score, expectedLow, expectedHigh, cause };
  const { sinceMs, sinceRunMs } = begun ?? { sinceMs: atMs, sinceRunMs: atRunMs };
  const times = { sinceMs, sinceRunMs, atMs, atRunMs };
  const of = begun === undefined ? {} : { begunId: begun.id };
  return { id, kind, ...of, ...facts, ...times, suppressed: 0 };
}

/**
 * Turns verdicts into alerts that begin and end: idle → active → cooling → idle, per device and
 * metric. Pure, and on the log's own clock: readings that are read again give the same events.
 */
export class AlertStates {
  readonly #options: AlertOptions;
  /** Idle series are not in here. */
  readonly #series = new Map<string, SeriesState>();
  readonly #changed = new Set<string>();

  constructor(options: AlertOptions) {
    this.#options = options;
  }

  /** Alerts that have begun and not ended: the events with which they began. */
  active(): AlertEvent[] {
    return [...this.#series.values()].flatMap((s) => (s.kind === 'active' ? [s.begun] : []));
  }

  /** The event that a verdict makes, if any. */
  observe(verdict: Verdict): AlertEvent | undefined {
    // Nearly always: nothing goes on, and nothing is wrong.
    if (this.#series.size === 0 && verdict.state !== 'anomalous') return undefined;
    const key = keyOf(verdict);
    const state = this.#series.get(key);
    if (state === undefined && verdict.state !== 'anomalous') return undefined;
    if (state?.kind === 'active') return this.#whileActive(key, state, verdict);
    if (state?.kind === 'cooling' && verdict.atRunMs < state.untilRunMs) {
      if (verdict.state === 'anomalous') {
        this.#set(key, { ...state, suppressed: state.suppressed + 1 });
      }
      return undefined;
    }
    const suppressed = state?.kind === 'cooling' ? state.suppressed : 0;
    if (verdict.state !== 'anomalous') {
      if (suppressed === 0) this.#set(key, undefined);
      return undefined;
    }
    const begun = { ...eventOf(this.#options.log, verdict), suppressed };
    this.#set(key, { kind: 'active', begun, calm: 0 });
    return begun;
  }

  #whileActive(
    key: string,
    state: SeriesState & { kind: 'active' },
    verdict: Verdict,
  ): AlertEvent | undefined {
    const { log, clearScore, clearCount, coolDownMs } = this.#options;
    if (verdict.score >= clearScore) {
      if (state.calm > 0) this.#set(key, { ...state, calm: 0 });
      return undefined;
    }
    const calm = state.calm + 1;
    if (calm < clearCount) {
      this.#set(key, { ...state, calm });
      return undefined;
    }
    const untilRunMs = verdict.atRunMs + Math.max(coolDownMs, LEAST_COOL_DOWN_MS);
    this.#set(key, { kind: 'cooling', untilRunMs, suppressed: 0 });
    return eventOf(log, verdict, state.begun);
  }

  /** The series is idle: its alert has ended without a reading that ends it. */
  forget(series: { device: string; metric: string }): void {
    this.#set(keyOf(series), undefined);
  }

  /** Every series that `isWatched` does not know is idle: no reading will ever end its alert. */
  forgetUnwatched(isWatched: (device: string, metric: string) => boolean): void {
    for (const key of [...this.#series.keys()]) {
      const names = namesOf(key);
      if (names === undefined || !isWatched(names.device, names.metric)) this.#set(key, undefined);
    }
  }

  #set(key: string, state: SeriesState | undefined): void {
    if (state === undefined) this.#series.delete(key);
    else this.#series.set(key, state);
    this.#changed.add(key);
  }

  /** What changed since the last call, as it is to be stored; undefined deletes. */
  snapshot(): Map<string, string | undefined> {
    const entries = new Map<string, string | undefined>();
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
    const unreadable: string[] = [];
    this.#series.clear();
    this.#changed.clear();
    for (const [key, text] of entries) {
      if (!key.startsWith(PREFIX)) continue;
      const state = storedState(text);
      if (state === undefined) unreadable.push(key);
      else this.#series.set(key.slice(PREFIX.length), state);
    }
    return unreadable;
  }
}
