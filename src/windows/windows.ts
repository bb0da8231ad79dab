import { MAX_METRICS_PER_DEVICE, wellFormed } from '../base/metric-name.ts';
import type { LogRecord, Sample } from '../base/reading.ts';
import { Buckets } from './buckets.ts';
import { type SampleTime, sampleTime } from './sample-time.ts';
import { LONGEST_MS, type SeriesWindows, WindowRings } from './series-windows.ts';

export interface WindowsOptions {
  /** Series with windows, at most; of as many more the last value is kept. */
  readonly maxSeries: number;
}

/** The newest value of a series, by its own time. */
export interface LastValue {
  readonly value: number;
  /** By the run clock, ms. */
  readonly runMs: number;
  /** By the wall clock as it stood then, ms since 1970. */
  readonly wallMs: number;
}

/** A series at one moment: docs/state.md. */
export interface SeriesState {
  readonly device: string;
  readonly metric: string;
  readonly last: LastValue;
  /** Absent of a series that has been silent for longer than the longest window. */
  readonly windows?: SeriesWindows;
  /** Values since the start that were too old for every window. */
  readonly late: number;
}

/** Its last value is all there is of it. */
export interface IdleSeries {
  readonly device: string;
  readonly metric: string;
  readonly last: LastValue;
}

/** Flat, and changed in place: nothing is made for a value. */
interface Series {
  readonly device: string;
  readonly metric: string;
  /** The last value: as in `LastValue`. */
  readonly last: { value: number; runMs: number; wallMs: number };
  /** The last value is one of now, and not of the log that is being read again. */
  isLive: boolean;
  readonly rings: number;
  /** Arrival of its newest value by the run clock. */
  arrivedRunMs: number;
  late: number;
}

/** What `sweep` has changed: what is to be stored, and what is to be forgotten. */
export interface Swept {
  readonly idle: readonly IdleSeries[];
  readonly forgotten: readonly IdleSeries[];
}

/** Names come from devices: none may take the room of many. */
const MAX_NAME_CHARS = 256;

type ByName<T> = Map<string, Map<string, T>>;

type Name = Pick<IdleSeries, 'device' | 'metric'>;

function remove<T>(map: ByName<T>, { device, metric }: Name): void {
  const metrics = map.get(device);
  metrics?.delete(metric);
  if (metrics?.size === 0) map.delete(device);
}

/**
 * Last values and rolling windows of every series (device and metric). Pure: what it holds depends
 * on the values and their times alone, so the last hour of the log makes it again.
 */
export class Windows {
  readonly #options: WindowsOptions;
  readonly #buckets = new Buckets();
  readonly #rings = new WindowRings(this.#buckets);
  readonly #series: ByName<Series> = new Map();
  /** Silent for so long that all windows are empty; by name, and the longest silent ones first. */
  readonly #idleByName: ByName<IdleSeries> = new Map();
  readonly #idle = new Set<IdleSeries>();
  #size = 0;
  #unkept = 0;
  #late = 0;
  /** Series with values since they were last asked for. */
  #changed: Set<Series> | undefined;

  /** By stream and partition: the first offset that `take` has not had. */
  readonly #next = new Map<string, number[]>();

  constructor(options: WindowsOptions) {
    this.#options = options;
  }

  /** Series with windows. */
  get size(): number {
    return this.#size;
  }

  /** Series of which only the last value is kept. */
  get idle(): number {
    return this.#idle.size;
  }

  /** Values since the start that have no series: `windows.maxSeries`, or their names. */
  get unkept(): number {
    return this.#unkept;
  }

  /** Values since the start that were too old for every window. */
  get late(): number {
    return this.#late;
  }

  /** Memory of the windows; names and last values come to some 400 bytes a series besides. */
  get bytes(): number {
    return this.#buckets.bytes + this.#rings.bytes;
  }

  /**
   * The samples of one record, in the order of the log. Once for an offset: detection goes back and
   * reads again what it has seen where readings after that could not be stored.
   */
  take(record: LogRecord, samples: readonly Sample[]): void {
    if (this.#isTaken(record)) return;
    for (const sample of samples) {
      this.observe(record.device, sample.metric, sample.value, sampleTime(record, sample));
    }
  }

  #isTaken({ stream, partition, offset }: LogRecord): boolean {
    const next = this.#next.get(stream) ?? [];
    if (offset < (next[partition] ?? 0)) return true;
    next[partition] = offset + 1;
    this.#next.set(stream, next);
    return false;
  }

  /** One value, as it comes. */
  observe(device: string, metric: string, value: number, time: SampleTime): void {
    const series = this.#series.get(device)?.get(metric) ?? this.#find(device, metric, value, time);
    if (series === undefined) return;
    this.#changed?.add(series);
    if (!this.#add(series, value, time)) {
      series.late += 1;
      this.#late += 1;
    }
    if (time.runMs >= series.last.runMs) this.#setLast(series, value, time, true);
  }

  /** A record that was there before the start. It may come later than those that are newer. */
  recall(record: LogRecord, samples: readonly Sample[]): void {
    const { device } = record;
    for (const { metric, value, ...more } of samples) {
      const time = sampleTime(record, { metric, value, ...more });
      const series =
        this.#series.get(device)?.get(metric) ?? this.#find(device, metric, value, time);
      if (series === undefined) continue;
      this.#add(series, value, time);
      const { runMs } = series.last;
      if (time.runMs > runMs || (time.runMs === runMs && !series.isLive)) {
        this.#setLast(series, value, time, false);
      }
    }
  }

  #add(series: Series, value: number, { runMs, arrivedRunMs }: SampleTime): boolean {
    if (arrivedRunMs > series.arrivedRunMs) series.arrivedRunMs = arrivedRunMs;
    return this.#rings.add(series.rings, value, runMs, arrivedRunMs);
  }

  #setLast(series: Series, value: number, { runMs, wallMs }: SampleTime, isLive: boolean): void {
    const { last } = series;
    last.value = value;
    last.runMs = runMs;
    last.wallMs = wallMs;
    series.isLive = isLive;
  }

  /** The series, a new one if there may be one. */
  #find(device: string, name: string, value: number, time: SampleTime): Series | undefined {
    if (device.length > MAX_NAME_CHARS || name.length > MAX_NAME_CHARS) return this.#refuse();
    const metric = wellFormed(name);
    const metrics = this.#series.get(device) ?? new Map<string, Series>();
    const found = metrics.get(metric);
    if (found !== undefined) return found;
    if (this.#size >= this.#options.maxSeries) return this.#refuse();
    if (metrics.size >= MAX_METRICS_PER_DEVICE) return this.#refuse();
    const known = this.#idleByName.get(device)?.get(metric);
    if (known !== undefined) this.#dropIdle(known);
    const { runMs, wallMs, arrivedRunMs } = time;
    const first = { value, runMs, wallMs };
    const isNewest = known === undefined || runMs >= known.last.runMs;
    const last = isNewest ? first : { ...known.last };
    const rings = this.#rings.create();
    const series = { device, metric, last, isLive: false, rings, arrivedRunMs, late: 0 };
    metrics.set(metric, series);
    this.#series.set(device, metrics);
    this.#size += 1;
    return series;
  }

  #refuse(): undefined {
    this.#unkept += 1;
  }

  #dropIdle(idle: IdleSeries): void {
    remove(this.#idleByName, idle);
    this.#idle.delete(idle);
  }

  /** A last value that was stored: it stands until there is a newer one. */
  restore(idle: IdleSeries): void {
    const { device, metric, last } = idle;
    const series = this.#series.get(device)?.get(metric);
    if (series === undefined) this.#setIdle(idle);
    else if (last.runMs > series.last.runMs) Object.assign(series.last, last);
  }

  #setIdle(idle: IdleSeries): void {
    const metrics = this.#idleByName.get(idle.device) ?? new Map<string, IdleSeries>();
    const before = metrics.get(idle.metric);
    if (before !== undefined) this.#idle.delete(before);
    metrics.set(idle.metric, idle);
    this.#idleByName.set(idle.device, metrics);
    this.#idle.add(idle);
  }

  /**
   * Takes the windows of series away that have all been empty for a while: only their last values
   * stay, at most `maxSeries` of them.
   */
  sweep(nowRunMs: number): Swept {
    const idle: IdleSeries[] = [];
    for (const metrics of this.#series.values()) {
      for (const series of metrics.values()) {
        if (nowRunMs - series.arrivedRunMs <= LONGEST_MS) continue;
        const { device, metric, last, rings } = series;
        this.#rings.free(rings);
        remove(this.#series, series);
        this.#changed?.delete(series);
        this.#size -= 1;
        const one = { device, metric, last: { ...last } };
        this.#setIdle(one);
        idle.push(one);
      }
    }
    const forgotten: IdleSeries[] = [];
    for (const one of this.#idle) {
      if (this.#idle.size <= this.#options.maxSeries) break;
      this.#dropIdle(one);
      forgotten.push(one);
    }
    return { idle, forgotten };
  }

  #stateOf({ device, metric, last, rings, late }: Series, nowRunMs: number): SeriesState {
    return { device, metric, last: { ...last }, windows: this.#rings.at(rings, nowRunMs), late };
  }

  /** Of a series, of a device, or of all; in the order in which they were first seen. */
  *states(nowRunMs: number, device?: string, metric?: string): Generator<SeriesState> {
    for (const series of chosen(this.#series, device, metric)) {
      yield this.#stateOf(series, nowRunMs);
    }
    for (const one of chosen(this.#idleByName, device, metric)) yield { ...one, late: 0 };
  }

  /** Those with values since it was asked last; from the first time on it is kept which. */
  *changed(nowRunMs: number): Generator<SeriesState> {
    const changed = this.#changed ?? new Set(chosen(this.#series));
    this.#changed = new Set();
    for (const series of changed) {
      if (this.#series.get(series.device)?.get(series.metric) !== series) continue;
      yield this.#stateOf(series, nowRunMs);
    }
  }
}

function* chosen<T>(map: ByName<T>, device?: string, metric?: string): Generator<T> {
  const devices = device === undefined ? [...map.values()] : [map.get(device)];
  for (const metrics of devices) {
    if (metrics === undefined) continue;
    if (metric === undefined) yield* metrics.values();
    else {
      const found = metrics.get(metric);
      if (found !== undefined) yield found;
    }
  }
}
