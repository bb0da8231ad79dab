import type { Logger } from '../base/logger.ts';
import { parsePayload, samplesOf } from '../base/payload.ts';
import type { LogRecord, PayloadValue, Sample } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';
import { RollingBaseline } from './rolling-baseline.ts';

export interface DetectorOptions {
  /** Score from which a value is an anomaly. */
  readonly threshold: number;
  /** Values of a series that are learnt from before any verdict but `learning`. */
  readonly warmup: number;
  /** Series watched, at most. */
  readonly maxSeries: number;
  readonly logger: Logger;
}

const PREFIX = 'detect/series/';

function storedKey(device: string, metric: string): string {
  return `${PREFIX}${encodeURIComponent(device)}/${encodeURIComponent(metric)}`;
}

/** What the topic says after the device: `sensors/d1/room/temperature` → `room.temperature`. */
function placeOf(topic: string, device: string): string {
  const levels = topic.split('/');
  return levels.slice(levels.indexOf(device) + 1).join('.');
}

const MAX_PLACES = 10_000;
/** Names come from devices: no field may make the map of series large by itself. */
const MAX_METRIC_CHARS = 256;
/** The band of expected values stays finite: JSON knows no other numbers. */
const MAX_REACH = Number.MAX_VALUE / 2;
/** JSON may name a field with half a character, which can be no part of a key or a topic. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** What the payload says; undefined for one that says nothing. */
function readValue({ value, payload }: LogRecord): PayloadValue | undefined {
  if (value !== undefined) return value;
  const parsed = parsePayload(payload);
  return parsed.ok ? parsed.value : undefined;
}

/** What was stored, or undefined if this version can't read it. */
function storedBaseline(text: string): RollingBaseline | undefined {
  try {
    return RollingBaseline.restore(JSON.parse(text));
  } catch {
    return undefined;
  }
}

interface Series {
  readonly device: string;
  readonly metric: string;
  readonly baseline: RollingBaseline;
}

/**
 * One baseline per device and metric. What it says depends on the records alone, in their order:
 * read again from a checkpoint, they end in the same state and the same verdicts.
 */
export class Detector {
  readonly #options: DetectorOptions;
  /** By device, then by metric. */
  readonly #devices = new Map<string, Map<string, Series>>();
  readonly #changed = new Set<Series>();
  /** Places of topics seen; emptied when full. */
  readonly #places = new Map<string, string>();
  #watched = 0;
  #unwatched = 0;
  /** Why series are not watched: each reason is logged once. */
  readonly #refusals = new Set<string>();

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  /** Series watched. */
  get watched(): number {
    return this.#watched;
  }

  /** Values that nobody watches: of series beyond `maxSeries`, or with too long a name. */
  get unwatched(): number {
    return this.#unwatched;
  }

  /**
   * About 1.9 µs for a JSON reading with one number, a third of it parsing (`npm run bench`, row
   * "detect", on a shared x86 server core).
   */
  observe(record: LogRecord): Verdict[] {
    const value = readValue(record);
    if (value === undefined) return [];
    const verdicts: Verdict[] = [];
    for (const sample of samplesOf(value, this.#place(record))) {
      const verdict = this.#judge(record, sample);
      if (verdict !== undefined) verdicts.push(verdict);
    }
    return verdicts;
  }

  #place({ topic, device }: LogRecord): string {
    let place = this.#places.get(topic);
    if (place === undefined) {
      place = placeOf(topic, device);
      if (this.#places.size >= MAX_PLACES) this.#places.clear();
      this.#places.set(topic, place);
    }
    return place;
  }

  #judge(record: LogRecord, { metric: name, value }: Sample): Verdict | undefined {
    const { device, stream, partition, offset, runMs, receivedAtMs } = record;
    const series = this.#find(device, name);
    if (series === undefined) return undefined;
    const { baseline, metric } = series;
    const { threshold, warmup } = this.#options;
    const { median, scale, score } = baseline.compare(value);
    const learning = baseline.seen < warmup;
    const reach = Math.min(threshold * scale, MAX_REACH);
    // Anomalies are taken in as well: a level that stays becomes the ordinary one after half a
    // window of it, and its alert ends.
    baseline.add(value, scale);
    this.#changed.add(series);
    return {
      device,
      metric,
      value,
      score: learning ? 0 : score,
      expectedLow: median - reach,
      expectedHigh: median + reach,
      state: learning ? 'learning' : score >= threshold ? 'anomalous' : 'normal',
      atRunMs: runMs,
      receivedAtMs,
      cause: { stream, partition, offset },
    };
  }

  /** The series, a new one if it may be watched. */
  #find(device: string, name: string): Series | undefined {
    const found = this.#devices.get(device)?.get(name);
    if (found !== undefined) return found;
    if (name.length > MAX_METRIC_CHARS) return this.#refuse(device, name, 'its name is too long');
    const metric = name.replace(LONE_SURROGATE, '\ufffd');
    if (metric !== name) return this.#find(device, metric);
    if (this.#watched >= this.#options.maxSeries) {
      return this.#refuse(device, metric, 'detect.maxSeries is reached');
    }
    return this.#add(device, metric, new RollingBaseline());
  }

  #refuse(device: string, name: string, why: string): undefined {
    this.#unwatched += 1;
    if (this.#refusals.has(why)) return;
    this.#refusals.add(why);
    const fields = { device, metric: name.slice(0, MAX_METRIC_CHARS) };
    this.#options.logger.warn(fields, `a series is not watched: ${why}`);
  }

  #add(device: string, metric: string, baseline: RollingBaseline): Series {
    const series = { device, metric, baseline };
    let metrics = this.#devices.get(device);
    if (metrics === undefined) {
      metrics = new Map();
      this.#devices.set(device, metrics);
    }
    metrics.set(metric, series);
    this.#watched += 1;
    return series;
  }

  /** The series that changed since the last call, as they are to be stored. */
  snapshot(): Map<string, string> {
    const entries = new Map<string, string>();
    for (const { device, metric, baseline } of this.#changed) {
      entries.set(storedKey(device, metric), JSON.stringify(baseline.save()));
    }
    this.#changed.clear();
    return entries;
  }

  /**
   * Takes up what `snapshot` gave; other keys are passed over. A series whose state can't be read
   * is learnt afresh: a cache must not keep the gateway from starting.
   */
  restore(entries: ReadonlyMap<string, string>): void {
    for (const [key, text] of entries) {
      if (!key.startsWith(PREFIX)) continue;
      const [device = '', metric = ''] = key.slice(PREFIX.length).split('/');
      const baseline = storedBaseline(text);
      if (baseline === undefined) {
        this.#options.logger.warn({ key }, 'a series is learnt afresh: its state is not readable');
        continue;
      }
      this.#add(decodeURIComponent(device), decodeURIComponent(metric), baseline);
    }
  }
}
