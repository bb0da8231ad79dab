import type { Logger } from '../base/logger.ts';
import type { LogRecord, Sample } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';
import { type Decoder, MAX_SAMPLES, MEMORY_PREFIX } from '../decode/decoder.ts';
import { AUTO } from '../decode/json.ts';
import { SampleReader } from '../decode/sample-reader.ts';
import { RollingBaseline } from './rolling-baseline.ts';

export interface DetectorOptions {
  /** Score from which a value is an anomaly. */
  readonly threshold: number;
  /** Values of a series that are learnt from before any verdict but `learning`. */
  readonly warmup: number;
  /** Series watched, at most. */
  readonly maxSeries: number;
  /** What the payloads are; JSON or plain numbers where it is left out. */
  readonly decoder?: Decoder;
  /** Gets the samples of each record before they are judged. */
  readonly onSamples?: ((record: LogRecord, samples: readonly Sample[]) => void) | undefined;
  readonly logger: Logger;
}

const PREFIX = 'detect/series/';

function storedKey(device: string, metric: string): string {
  return `${PREFIX}${encodeURIComponent(device)}/${encodeURIComponent(metric)}`;
}

/** Names come from devices: no field may make the map of series large by itself. */
const MAX_METRIC_CHARS = 256;
/** The band of expected values stays finite: JSON knows no other numbers. */
const MAX_REACH = Number.MAX_VALUE / 2;
/** One device that makes up names must not take the room of the others. */
const MAX_METRICS_PER_DEVICE = 256;
/** A stored series of 128 values of six digits. */
const USUAL_BYTES = 1_000;
/** JSON may name a field with half a character, which can be no part of a key or a topic. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

interface Series {
  readonly device: string;
  readonly metric: string;
  readonly baseline: RollingBaseline;
}

/** What was stored, or undefined if this version can't read it. */
function storedSeries(key: string, text: string): Series | undefined {
  try {
    const names = key.slice(PREFIX.length).split('/');
    const [device = '', metric = ''] = names.map(decodeURIComponent);
    const baseline = RollingBaseline.restore(JSON.parse(text));
    return baseline === undefined ? undefined : { device, metric, baseline };
  } catch {
    return undefined;
  }
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
  /** Stored, and not to be any longer. */
  #obsolete: string[] = [];
  readonly #samples: SampleReader;
  #watched = 0;
  #unwatched = 0;
  /** Why series are not watched: each reason is logged once. */
  readonly #refusals = new Set<string>();

  constructor(options: DetectorOptions) {
    this.#options = options;
    this.#samples = new SampleReader(options.decoder ?? AUTO);
  }

  /** Series watched. */
  get watched(): number {
    return this.#watched;
  }

  /** There is a baseline of this series. */
  watches(device: string, metric: string): boolean {
    return this.#devices.get(device)?.has(metric) === true;
  }

  /** Values that nobody watches: of series beyond `maxSeries`, or with too long a name. */
  get unwatched(): number {
    return this.#unwatched;
  }

  /**
   * About 2 µs for a JSON reading with one number, a third of it parsing (`npm run bench`, row
   * "detect", on a shared x86 server core).
   */
  observe(record: LogRecord): Verdict[] {
    const verdicts: Verdict[] = [];
    const samples = this.#samples.read(record);
    this.#options.onSamples?.(record, samples);
    for (const sample of samples) {
      const verdict = this.#judge(record, sample);
      if (verdict !== undefined) verdicts.push(verdict);
    }
    if (samples.length >= MAX_SAMPLES)
      this.#sayFull(record, 'a message has as many as are watched');
    if (this.#samples.memory?.takeFull()) this.#sayFull(record, 'there are too many births');
    return verdicts;
  }

  #sayFull({ device, topic }: LogRecord, why: string): void {
    const fields = { device, topic, repeatKey: why };
    this.#options.logger.warn(fields, `of some messages not all is looked at: ${why}`);
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
    const series = { device, metric, baseline: new RollingBaseline() };
    const why = this.#add(series);
    return why === undefined ? series : this.#refuse(device, metric, why);
  }

  #refuse(device: string, name: string, why: string): undefined {
    this.#unwatched += 1;
    if (this.#refusals.has(why)) return;
    this.#refusals.add(why);
    const fields = { device, metric: name.slice(0, MAX_METRIC_CHARS) };
    this.#options.logger.warn(fields, `a series is not watched: ${why}`);
  }

  /** Returns why not, if it may not be watched. */
  #add(series: Series): string | undefined {
    const { device, metric } = series;
    if (this.#watched >= this.#options.maxSeries) return 'detect.maxSeries is reached';
    let metrics = this.#devices.get(device);
    if (metrics === undefined) {
      metrics = new Map();
      this.#devices.set(device, metrics);
    }
    if (metrics.size >= MAX_METRICS_PER_DEVICE) return 'its device has too many';
    metrics.set(metric, series);
    this.#watched += 1;
    return undefined;
  }

  /** About how much the next `snapshot` has to store. */
  get changedBytes(): number {
    return this.#changed.size * USUAL_BYTES + (this.#samples.memory?.changedBytes ?? 0);
  }

  /**
   * What changed since the last call, as it is to be stored, one series at a time; undefined
   * deletes. To be taken in one go, with nothing observed meanwhile.
   */
  *snapshot(): Generator<[key: string, value: string | undefined]> {
    for (const key of this.#obsolete) yield [key, undefined];
    this.#obsolete = [];
    for (const { device, metric, baseline } of this.#changed) {
      yield [storedKey(device, metric), JSON.stringify(baseline.save())];
    }
    this.#changed.clear();
    // With the series, and so with the position: what aliases mean goes with where we read.
    if (this.#samples.memory !== undefined) yield* this.#samples.memory.snapshot();
  }

  /**
   * Takes up what `snapshot` gave; other keys are passed over. A series whose state can't be read
   * is learnt afresh: a cache must not keep the gateway from starting.
   */
  restore(entries: ReadonlyMap<string, string>): void {
    const { memory } = this.#samples;
    memory?.restore(entries);
    for (const [key, text] of entries) {
      // Of a format that the stream has no longer.
      if (memory === undefined && key.startsWith(MEMORY_PREFIX)) this.#obsolete.push(key);
      if (!key.startsWith(PREFIX)) continue;
      const series = storedSeries(key, text);
      const why = series === undefined ? 'its state is not readable' : this.#add(series);
      if (why === undefined) continue;
      this.#obsolete.push(key);
      this.#options.logger.warn({ key, repeatKey: why }, `a series is forgotten: ${why}`);
    }
  }
}
