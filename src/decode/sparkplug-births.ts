import type { PayloadValue } from '../base/reading.ts';
import { type DecoderMemory, MEMORY_PREFIX } from './decoder.ts';
import type { Metric, SparkplugPayload } from './sparkplug-payload.ts';
import { type SparkplugTopic, sparkplugTopic } from './sparkplug-topic.ts';
import { CLOCK_IS_SET_FROM_MS, isNumeric } from './sparkplug-types.ts';

const PREFIX = `${MEMORY_PREFIX}sparkplug/`;
/** Metrics of all births together: some 3 MB. */
export const MAX_BORN_METRICS = 20_000;
/** Detection watches none with a longer name. */
const MAX_NAME_CHARS = 256;
/** As stored: the name, the alias and the datatype. */
const USUAL_METRIC_BYTES = 48;

interface Born {
  readonly name: string;
  readonly alias: string | undefined;
  readonly datatype: number;
}

/** The metrics of one birth: of a node or a device. */
class Birth {
  readonly metrics: readonly Born[];
  /** When it was published, in ms since 1970, if its clock was set. */
  readonly timeMs: number | undefined;
  readonly #byAlias = new Map<string, Born>();
  readonly #byName = new Map<string, Born>();

  constructor(metrics: readonly Born[], timeMs: number | undefined) {
    this.metrics = metrics;
    this.timeMs = timeMs;
    for (const born of metrics) {
      this.#byName.set(born.name, born);
      if (born.alias !== undefined) this.#byAlias.set(born.alias, born);
    }
  }

  find({ name, alias }: Metric): Born | undefined {
    if (name !== undefined) return this.#byName.get(name);
    return alias === undefined ? undefined : this.#byAlias.get(alias);
  }
}

function bornOf({ name, alias, datatype }: Metric): Born[] {
  const isKept = name !== undefined && name !== '' && name.length <= MAX_NAME_CHARS;
  return isKept && datatype !== undefined && isNumeric(datatype) ? [{ name, alias, datatype }] : [];
}

function clockTime({ timestamp }: SparkplugPayload): number | undefined {
  return timestamp === undefined || timestamp < CLOCK_IS_SET_FROM_MS ? undefined : timestamp;
}

type StoredMetrics = ReadonlyArray<readonly [name: unknown, alias: unknown, datatype: unknown]>;

function storedMetrics(rows: StoredMetrics): Born[] {
  return rows.map(([name, alias, datatype]): Born => {
    if (typeof name !== 'string' || typeof datatype !== 'number') throw new TypeError('no metric');
    if (alias !== null && typeof alias !== 'string') throw new TypeError('no alias');
    return { name, alias: alias ?? undefined, datatype };
  });
}

/** What was stored, or undefined if this version can't read it. */
function storedBirth(text: string): Birth | undefined {
  try {
    const stored = JSON.parse(text) as StoredMetrics | { timeMs?: unknown; metrics: StoredMetrics };
    // As it was stored before there was a time with it.
    if (!('metrics' in stored)) return new Birth(storedMetrics(stored), undefined);
    const { timeMs, metrics } = stored;
    if (timeMs !== undefined && typeof timeMs !== 'number') throw new TypeError('no time');
    return new Birth(storedMetrics(metrics), timeMs);
  } catch {
    return undefined;
  }
}

const keyOf = ({ group, node, device }: Omit<SparkplugTopic, 'type'>) =>
  PREFIX + [group, node, device].map(encodeURIComponent).join('/');

/**
 * What the births of edge nodes and devices say of the messages after them: the names that their
 * aliases stand for, and the datatypes. Of a node whose birth was before the first record that is
 * seen, an alias has no name.
 */
export class SparkplugBirths implements DecoderMemory {
  /** By key. A node's own has the shortest key, of which those of its devices are longer ones. */
  readonly #births = new Map<string, Birth>();
  readonly #changed = new Set<string>();
  #metrics = 0;
  #isFull = false;

  see(value: PayloadValue, topic: string): PayloadValue {
    const about = sparkplugTopic(topic);
    if (about === undefined) return value;
    const payload = value as SparkplugPayload;
    if (about.type.endsWith('BIRTH')) this.#born(payload, about);
    // A death says nothing of aliases: the will of an old connection may come after a new birth.
    return about.type.endsWith('DATA') ? this.#named(payload, about) : value;
  }

  #named(payload: SparkplugPayload, about: SparkplugTopic): SparkplugPayload {
    const birth = this.#births.get(keyOf(about));
    if (birth === undefined) return payload;
    const metrics = payload.metrics.map((metric) => {
      const born = birth.find(metric);
      if (born === undefined) return metric;
      return { ...metric, name: born.name, datatype: metric.datatype ?? born.datatype };
    });
    return { ...payload, metrics };
  }

  /** One that comes late, as a redriven dead letter does, says nothing of what is sent now. */
  #born(payload: SparkplugPayload, about: SparkplugTopic): void {
    const key = keyOf(about);
    const timeMs = clockTime(payload);
    const knownMs = this.#births.get(key)?.timeMs;
    if (timeMs !== undefined && knownMs !== undefined && timeMs < knownMs) return;
    if (about.type === 'NBIRTH') this.#forgetNode(about);
    this.#forget(key);
    const metrics = payload.metrics.flatMap(bornOf);
    if (metrics.length === 0) return;
    if (this.#metrics + metrics.length > MAX_BORN_METRICS) {
      this.#isFull = true;
      return;
    }
    this.#births.set(key, new Birth(metrics, timeMs));
    this.#metrics += metrics.length;
    this.#changed.add(key);
  }

  /** Births of its devices come after the node's own, and those from before it count no more. */
  #forgetNode(about: SparkplugTopic): void {
    const start = keyOf({ ...about, device: '' });
    for (const key of [...this.#births.keys()]) if (key.startsWith(start)) this.#forget(key);
  }

  #forget(key: string): void {
    const birth = this.#births.get(key);
    if (birth === undefined) return;
    this.#births.delete(key);
    this.#metrics -= birth.metrics.length;
    this.#changed.add(key);
  }

  takeFull(): boolean {
    const isFull = this.#isFull;
    this.#isFull = false;
    return isFull;
  }

  get changedBytes(): number {
    let metrics = 0;
    for (const key of this.#changed) metrics += this.#births.get(key)?.metrics.length ?? 0;
    return metrics * USUAL_METRIC_BYTES;
  }

  *snapshot(): Generator<[key: string, value: string | undefined]> {
    for (const key of this.#changed) {
      const birth = this.#births.get(key);
      const metrics = birth?.metrics.map(({ name, alias, datatype }) => [
        name,
        alias ?? null,
        datatype,
      ]);
      yield [key, birth && JSON.stringify({ timeMs: birth.timeMs, metrics })];
    }
    this.#changed.clear();
  }

  restore(entries: ReadonlyMap<string, string>): void {
    for (const [key, text] of entries) {
      if (!key.startsWith(PREFIX)) continue;
      const birth = storedBirth(text);
      if (birth === undefined || this.#metrics + birth.metrics.length > MAX_BORN_METRICS) {
        this.#changed.add(key);
        continue;
      }
      this.#births.set(key, birth);
      this.#metrics += birth.metrics.length;
    }
  }
}
