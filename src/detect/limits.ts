import { globPattern } from '../base/glob.ts';
import type { LogRecord } from '../base/reading.ts';
import { matchFilter } from '../base/topic-filter.ts';
import type { Severity, Verdict } from '../base/verdict.ts';

/** One plain limit, as a person wrote it. */
export interface Limit {
  /** Globs; undefined: any. */
  readonly device?: string | undefined;
  readonly metric?: string | undefined;
  /** An MQTT filter; undefined: any. */
  readonly topic?: string | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly ratePerSecond?: number | undefined;
  readonly silenceSeconds?: number | undefined;
  readonly severity: Severity;
}

/** Which devices and topics a limit is for. */
export class LimitScope {
  readonly name: string;
  readonly limit: Limit;
  readonly #device: RegExp | undefined;
  readonly #metric: RegExp | undefined;
  readonly #topic: readonly string[] | undefined;

  constructor(name: string, limit: Limit) {
    this.name = name;
    this.limit = limit;
    const { device, metric, topic } = limit;
    this.#device = device === undefined ? undefined : globPattern(device);
    this.#metric = metric === undefined ? undefined : globPattern(metric);
    this.#topic = topic?.split('/');
  }

  hasDevice(device: string): boolean {
    return this.#device?.test(device) ?? true;
  }

  hasMetric(metric: string): boolean {
    return this.#metric?.test(metric) ?? true;
  }

  hasTopic(topic: string): boolean {
    return this.#topic === undefined || matchFilter(this.#topic, topic.split('/')) !== undefined;
  }
}

/** The last value of a series, for its rate. */
interface Last {
  readonly value: number;
  readonly runMs: number;
  readonly deviceMs?: number;
}

const PREFIX = 'limits/last/';
/** Two readings that arrive together say nothing of how fast a value changes. */
const LEAST_STEP_MS = 1_000;
const MAX_SERIES = 1_000_000;
/** Names and numbers of one stored value. */
const USUAL_BYTES = 120;

/** What a series has to do with limits; found once. */
interface Watched {
  readonly scopes: readonly LimitScope[];
  readonly hasRate: boolean;
  last?: Last;
}

/**
 * Plain limits: what a person says a value may be. They need no warm-up. Pure, and on the run
 * clock, or on that of the device where it says when it measured.
 */
export class Limits {
  readonly #scopes: readonly LimitScope[];
  readonly #series = new Map<string, Watched>();
  readonly #changed = new Set<string>();

  constructor(limits: Readonly<Record<string, Limit>>) {
    this.#scopes = Object.entries(limits)
      .filter(([, { min, max, ratePerSecond }]) => (min ?? max ?? ratePerSecond) !== undefined)
      .map(([name, limit]) => new LimitScope(name, limit));
  }

  /** By name: it is for values of this series. */
  watches(name: string, { device, metric }: { device: string; metric: string }): boolean {
    return this.#scopes.some(
      (scope) => scope.name === name && scope.hasDevice(device) && scope.hasMetric(metric),
    );
  }

  /**
   * What the limits say of the values that detection found in a record: one verdict for each limit
   * that is for it, passed or not.
   */
  observe(record: LogRecord, learned: readonly Verdict[]): Verdict[] {
    if (this.#scopes.length === 0) return [];
    return learned.flatMap((verdict) => this.#judge(record, verdict));
  }

  #judge(record: LogRecord, verdict: Verdict): Verdict[] {
    const key = keyOf(verdict);
    const watched = this.#watched(key, verdict);
    if (watched.scopes.length === 0) return [];
    const { last } = watched;
    if (watched.hasRate) {
      const { deviceTimeMs } = record;
      const { value, atRunMs: runMs } = verdict;
      const now = {
        value,
        runMs,
        ...(deviceTimeMs === undefined ? {} : { deviceMs: deviceTimeMs }),
      };
      watched.last = now;
      this.#changed.add(key);
    }
    return watched.scopes
      .filter((scope) => scope.hasTopic(record.topic))
      .map((scope) => judged(verdict, scope, last, record.deviceTimeMs));
  }

  #watched(key: string, { device, metric }: Verdict): Watched {
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const scopes = this.#scopes.filter((one) => one.hasDevice(device) && one.hasMetric(metric));
    const hasRate = scopes.some(({ limit }) => limit.ratePerSecond !== undefined);
    const watched = { scopes, hasRate };
    // Names come from devices: beyond it they are looked up each time, and have no rate.
    if (this.#series.size < MAX_SERIES) this.#series.set(key, watched);
    return watched;
  }

  get changedBytes(): number {
    return this.#changed.size * USUAL_BYTES;
  }

  /** What changed since the last call, as it is to be stored. */
  *snapshot(): Generator<[key: string, value: string | undefined]> {
    for (const key of this.#changed) {
      const last = this.#series.get(key)?.last;
      yield [PREFIX + key, last === undefined ? undefined : JSON.stringify(last)];
    }
    this.#changed.clear();
  }

  /** Takes up what `snapshot` gave; what can't be read, or is of no limit any more, is dropped. */
  restore(entries: ReadonlyMap<string, string>): void {
    for (const [stored, text] of entries) {
      if (!stored.startsWith(PREFIX)) continue;
      const key = stored.slice(PREFIX.length);
      const last = storedLast(text);
      const names = last === undefined ? undefined : namesOf(key);
      const watched = names === undefined ? undefined : this.#watched(key, names as Verdict);
      if (watched?.hasRate && last !== undefined) watched.last = last;
      else this.#changed.add(key);
    }
  }
}

function keyOf({ device, metric }: { device: string; metric: string }): string {
  return `${encodeURIComponent(device)}/${encodeURIComponent(metric)}`;
}

function namesOf(key: string): { device: string; metric: string } | undefined {
  try {
    const [device = '', metric = ''] = key.split('/').map(decodeURIComponent);
    return { device, metric };
  } catch {
    return undefined;
  }
}

function storedLast(text: string): Last | undefined {
  try {
    const last = JSON.parse(text) as Last;
    return Number.isFinite(last.value) && Number.isFinite(last.runMs) ? last : undefined;
  } catch {
    return undefined;
  }
}

/** ms from the last value to this one, by the device's clock if that is of use. */
function stepMs(last: Last, runMs: number, deviceMs: number | undefined): number {
  if (last.deviceMs !== undefined && deviceMs !== undefined && deviceMs > last.deviceMs) {
    return deviceMs - last.deviceMs;
  }
  return Math.max(LEAST_STEP_MS, runMs - last.runMs);
}

function judged(
  { oneIn: _, sinceRunMs: __, fault: ___, ...verdict }: Verdict,
  { name, limit }: LimitScope,
  last: Last | undefined,
  deviceMs: number | undefined,
): Verdict {
  const { min = -Number.MAX_VALUE, max = Number.MAX_VALUE, ratePerSecond, severity } = limit;
  const { value, atRunMs } = verdict;
  const of = { ...verdict, learned: 1, limit: { name, severity } };
  const range = { expectedLow: min, expectedHigh: max };
  if (value < min || value > max) {
    return { ...of, ...range, state: 'anomalous', score: 1, fault: 'range' };
  }
  if (ratePerSecond === undefined || last === undefined) {
    return { ...of, ...range, state: 'normal', score: 0 };
  }
  const reach = (ratePerSecond * stepMs(last, atRunMs, deviceMs)) / 1000;
  if (Math.abs(value - last.value) <= reach) return { ...of, ...range, state: 'normal', score: 0 };
  const expected = { expectedLow: last.value - reach, expectedHigh: last.value + reach };
  return { ...of, ...expected, state: 'anomalous', score: 1, fault: 'rate' };
}
