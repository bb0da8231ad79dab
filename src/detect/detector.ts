import type { Logger } from '../base/logger.ts';
import { wellFormed } from '../base/metric-name.ts';
import type { LogRecord, Sample } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';
import { type Decoder, MAX_SAMPLES, MEMORY_PREFIX } from '../decode/decoder.ts';
import { AUTO } from '../decode/json.ts';
import { SampleReader } from '../decode/sample-reader.ts';
import { type Judgement, SeriesDetector } from './series-detector.ts';
import { type ReadStates, type Series, SeriesTable } from './series-table.ts';

export interface DetectorOptions {
  /** Series watched, at most. */
  readonly maxSeries: number;
  /** States in use, at most: of the others there are bytes, in memory or in the store. */
  readonly hotSeries?: number;
  /** What the payloads are; JSON or plain numbers where it is left out. */
  readonly decoder?: Decoder;
  /** Gets the samples of each record before they are judged. */
  readonly onSamples?: ((record: LogRecord, samples: readonly Sample[]) => void) | undefined;
  readonly logger: Logger;
}

/** Names come from devices: no field may make the map of series large by itself. */
const MAX_METRIC_CHARS = 256;
/** The band of expected values stays finite: JSON knows no other numbers. */
const MAX_REACH = Number.MAX_VALUE / 2;
/** A record, and what it says: to be judged in the same order. */
export interface Measured {
  readonly record: LogRecord;
  readonly samples: readonly Sample[];
}

/** A series whose state is in the store alone. */
export type Evicted = Series<SeriesDetector>;

/** A checkpoint of detection: keys and what to store under them; undefined deletes. */
export interface DetectorSnapshot {
  /** In one write with the position; not given again if that fails. */
  readonly entries: ReadonlyMap<string, string | undefined>;
  /** Before all else, and of no effect by themselves: states of series, some at a time. */
  readonly parts: Generator<ReadonlyMap<string, Uint8Array>>;
  /** Once all parts are stored: in the same write. */
  ending(): {
    readonly index: ReadonlyMap<string, string | undefined>;
    readonly states: ReadonlyMap<string, undefined>;
  };
  /** How it ended; no other one begins before. */
  done(isStored: boolean): void;
}

/** When it was measured, as far as it says; else when it came. */
function measuredMs(record: LogRecord, { timeMs, fromArrivalMs }: Sample): number {
  if (timeMs !== undefined) return timeMs;
  if (fromArrivalMs !== undefined) return record.receivedAtMs + fromArrivalMs;
  return record.deviceTimeMs ?? record.receivedAtMs;
}

/** Bands stay finite: JSON knows no other numbers. */
function finite(value: number): number {
  return Math.min(MAX_REACH, Math.max(-MAX_REACH, value));
}

function verdictOf(record: LogRecord, series: Evicted, value: number, of: Judgement): Verdict {
  const { stream, partition, offset, runMs, receivedAtMs } = record;
  const { device, metric } = series;
  const isLearning = of.learned < 1 && !of.isAnomalous;
  const verdict = {
    device,
    metric,
    value,
    score: of.level,
    expectedLow: finite(of.low),
    expectedHigh: finite(of.high),
    state: isLearning ? 'learning' : of.isAnomalous ? 'anomalous' : 'normal',
    learned: of.learned,
    atRunMs: runMs,
    receivedAtMs,
    cause: { stream, partition, offset },
  } as const;
  // Nearly never: the spread costs what all of the rest does.
  if (!of.isAnomalous) return verdict;
  return {
    ...verdict,
    fault: of.fault,
    ...(of.oneIn === undefined ? {} : { oneIn: of.oneIn }),
    ...(of.lastedS > 0 ? { sinceRunMs: Math.max(0, runMs - 1_000 * of.lastedS) } : {}),
  };
}

/**
 * One detector per device and metric. What it says depends on the records alone, in their order:
 * read again from a checkpoint, they end in the same state and the same verdicts.
 */
export class Detector {
  readonly #options: DetectorOptions;
  readonly #series: SeriesTable<SeriesDetector>;
  /** Stored, and not to be any longer. */
  #obsolete: string[] = [];
  readonly #samples: SampleReader;
  #unwatched = 0;
  /** Why series are not watched: each reason is logged once. */
  readonly #refusals = new Set<string>();

  constructor(options: DetectorOptions) {
    this.#options = options;
    this.#samples = new SampleReader(options.decoder ?? AUTO);
    const { maxSeries, hotSeries = maxSeries, logger } = options;
    this.#series = new SeriesTable({
      kind: SeriesDetector,
      maxSeries,
      hotSeries,
      onForgotten: (key, why) =>
        logger.warn({ key, repeatKey: why }, `a series is forgotten: ${why}`),
    });
  }

  /** Series watched. */
  get watched(): number {
    return this.#series.size;
  }

  /** States in use, and states that wait as bytes for the next checkpoint. */
  get inMemory(): { hot: number; packed: number; packedBytes: number } {
    return this.#series.inMemory;
  }

  /** Share of its warm-up that is over; undefined: not watched, or its state is not in use. */
  learned(device: string, metric: string): number | undefined {
    return this.#series.get(device, metric)?.state?.learned;
  }

  /** Of the series in use: how many are still learnt, and how far the one is that has least. */
  get learning(): { readonly series: number; readonly least: number } {
    const shares = [...this.#series.inUse()].map(({ learned }) => learned);
    const least = shares.reduce((low, share) => Math.min(low, share), 1);
    return { series: shares.filter((share) => share < 1).length, least };
  }

  /** There is a place for this series. */
  watches(device: string, metric: string): boolean {
    return this.#series.get(device, metric) !== undefined;
  }

  /** Values that nobody watches: of series beyond `maxSeries`, or with too long a name. */
  get unwatched(): number {
    return this.#unwatched;
  }

  /** All of it at once, where no state is in the store alone. */
  observe(record: LogRecord): Verdict[] {
    return this.judge(this.measure(record));
  }

  /** Once for each record, in the order of the log. */
  measure(record: LogRecord): Measured {
    const samples = this.#samples.read(record);
    if (samples.length >= MAX_SAMPLES)
      this.#sayFull(record, 'a message has as many as are watched');
    if (this.#samples.memory?.takeFull()) this.#sayFull(record, 'there are too many births');
    return { record, samples };
  }

  /** Series whose states are in the store alone. */
  evicted({ record, samples }: Measured): Evicted[] {
    const evicted: Evicted[] = [];
    for (const { metric } of samples) {
      const series = this.#known(record.device, metric);
      if (series !== undefined && this.#series.isEvicted(series)) evicted.push(series);
    }
    return evicted;
  }

  /** Rejects if they can't be read just now; nothing has changed then. */
  async fetch(evicted: ReadonlySet<Evicted>, read: ReadStates): Promise<void> {
    await this.#series.fetch([...evicted], read);
  }

  /**
   * Then: about 2 µs for a JSON reading with one number, a third of it parsing (`npm run bench`,
   * row "detect", on a shared x86 server core).
   */
  judge({ record, samples }: Measured): Verdict[] {
    this.#options.onSamples?.(record, samples);
    const verdicts: Verdict[] = [];
    for (const sample of samples) {
      const verdict = this.#judge(record, sample);
      if (verdict !== undefined) verdicts.push(verdict);
    }
    return verdicts;
  }

  /** States beyond `hotSeries` leave, those first that were used longest ago. */
  trim(): void {
    this.#series.trim();
  }

  #sayFull({ device, topic }: LogRecord, why: string): void {
    const fields = { device, topic, repeatKey: why };
    this.#options.logger.warn(fields, `of some messages not all is looked at: ${why}`);
  }

  #judge(record: LogRecord, sample: Sample): Verdict | undefined {
    const { metric: name } = sample;
    const series = this.#find(record.device, name);
    if (series === undefined) return undefined;
    const learned = this.#series.use(series);
    const judgement = learned.observe(sample.value, measuredMs(record, sample) / 1_000);
    return verdictOf(record, series, sample.value, judgement);
  }

  #known(device: string, name: string): Series<SeriesDetector> | undefined {
    return this.#series.get(device, name) ?? this.#series.get(device, wellFormed(name));
  }

  /** The series, a new one if it may be watched. */
  #find(device: string, name: string): Series<SeriesDetector> | undefined {
    const found = this.#known(device, name);
    if (found !== undefined) return found;
    if (name.length > MAX_METRIC_CHARS) return this.#refuse(device, name, 'its name is too long');
    const metric = wellFormed(name);
    const added = this.#series.add(device, metric);
    return typeof added === 'string' ? this.#refuse(device, metric, added) : added;
  }

  #refuse(device: string, name: string, why: string): undefined {
    this.#unwatched += 1;
    if (this.#refusals.has(why)) return;
    this.#refusals.add(why);
    const fields = { device, metric: name.slice(0, MAX_METRIC_CHARS) };
    this.#options.logger.warn(fields, `a series is not watched: ${why}`);
  }

  /** About how much the next `snapshot` has to store. */
  get changedBytes(): number {
    return this.#series.changedBytes + (this.#samples.memory?.changedBytes ?? 0);
  }

  /**
   * What changed since the last one, as of this moment, whatever is observed while it is stored.
   * All or nothing, though its parts are stored before: a state is stored beside the one that the
   * last checkpoint refers to.
   */
  snapshot(): DetectorSnapshot {
    const table = this.#series;
    table.begin();
    const own = new Map<string, string | undefined>();
    for (const key of this.#obsolete) own.set(key, undefined);
    // With the series, and so with the position: what aliases mean goes with where we read.
    for (const [key, value] of this.#samples.memory?.snapshot() ?? []) own.set(key, value);
    return {
      entries: own,
      parts: table.parts(),
      ending: () => table.ending(),
      done: (isStored) => {
        if (isStored) {
          table.stored();
          this.#obsolete = [];
        } else table.failed();
      },
    };
  }

  /**
   * Takes up the entries that a snapshot gave, in place of all that is there; other keys are passed
   * over. A series whose state can't be read is learnt afresh: a cache must not keep the gateway
   * from starting.
   */
  restore(entries: ReadonlyMap<string, string>): void {
    this.#samples.restore(entries);
    this.#series.restore(entries);
    this.#obsolete = [];
    if (this.#samples.memory !== undefined) return;
    // Of a format that the stream has no longer.
    for (const key of entries.keys()) if (key.startsWith(MEMORY_PREFIX)) this.#obsolete.push(key);
  }
}
