import type { Logger } from '../base/logger.ts';
import { parsePayload, samplesOf } from '../base/payload.ts';
import type { LogRecord, RecordPosition, Sample } from '../base/reading.ts';
import { type BaselineState, RollingBaseline } from './rolling-baseline.ts';

export interface DetectorOptions {
  /** Score from which a value is an anomaly. */
  readonly threshold: number;
  /** Values of a series that are learnt from before any verdict but `learning`. */
  readonly warmup: number;
  /** Series watched, at most. */
  readonly maxSeries: number;
  readonly logger: Logger;
}

/** What the detector says of one value. */
export interface Verdict {
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  /** Robust distance from what is ordinary; 0 while learning. */
  readonly score: number;
  readonly expectedLow: number;
  readonly expectedHigh: number;
  readonly state: 'learning' | 'normal' | 'anomalous';
  /** Run clock of the reading, ms. */
  readonly atRunMs: number;
  readonly receivedAtMs: number;
  readonly cause: RecordPosition;
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

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  /** Series watched. */
  get watched(): number {
    return this.#watched;
  }

  /** Values of series beyond `maxSeries`, which nobody watches. */
  get unwatched(): number {
    return this.#unwatched;
  }

  /**
   * About 1.7 µs for a JSON reading with one number, half of it parsing (`npm run bench`, row
   * "detect").
   */
  observe(record: LogRecord): Verdict[] {
    const parsed = parsePayload(record.payload);
    if (!parsed.ok) return [];
    const verdicts: Verdict[] = [];
    for (const sample of samplesOf(parsed.value, this.#place(record))) {
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

  #judge(record: LogRecord, { metric, value }: Sample): Verdict | undefined {
    const { device, stream, partition, offset, runMs, receivedAtMs } = record;
    const series = this.#find(device, metric);
    if (series === undefined) return undefined;
    const { baseline } = series;
    const { threshold, warmup } = this.#options;
    const { median, scale, score } = baseline.compare(value);
    const learning = baseline.seen < warmup;
    // Anomalies are taken in as well: a level that stays becomes the ordinary one, and its alert
    // ends.
    baseline.add(value, scale);
    this.#changed.add(series);
    return {
      device,
      metric,
      value,
      score: learning ? 0 : score,
      expectedLow: median - threshold * scale,
      expectedHigh: median + threshold * scale,
      state: learning ? 'learning' : score >= threshold ? 'anomalous' : 'normal',
      atRunMs: runMs,
      receivedAtMs,
      cause: { stream, partition, offset },
    };
  }

  /** The series, a new one if it may be watched. */
  #find(device: string, metric: string): Series | undefined {
    const found = this.#devices.get(device)?.get(metric);
    if (found !== undefined) return found;
    const { maxSeries, logger } = this.#options;
    if (this.#watched >= maxSeries) {
      if (this.#unwatched === 0) {
        const fields = { maxSeries, device, metric };
        logger.warn(fields, 'a series is not watched: detect.maxSeries is reached');
      }
      this.#unwatched += 1;
      return undefined;
    }
    return this.#add(device, metric, new RollingBaseline());
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

  /** Takes up what `snapshot` gave; other keys are passed over. */
  restore(entries: ReadonlyMap<string, string>): void {
    for (const [key, text] of entries) {
      if (!key.startsWith(PREFIX)) continue;
      const [device = '', metric = ''] = key.slice(PREFIX.length).split('/');
      const baseline = RollingBaseline.restore(JSON.parse(text) as BaselineState);
      this.#add(decodeURIComponent(device), decodeURIComponent(metric), baseline);
    }
  }
}
