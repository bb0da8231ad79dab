import { partitionOf } from '../log/partition.ts';

/**
 * Which stream a topic belongs to, and which of its levels names the device. Pure.
 * Patterns are MQTT filters with exactly one `<device>` level: `sensors/<device>/#`.
 */
export interface TopicPlace {
  readonly stream: string;
  readonly device: string;
  /** 1 to 128 bytes without control characters: a name that can be a key. */
  readonly isUsable: boolean;
  /** The partition of the stream that the device is in. */
  readonly partition: number;
}

export interface TopicPattern {
  readonly stream: string;
  /** Partitions of the stream. */
  readonly partitions: number;
  readonly pattern: string;
}

const MAX_CACHED = 10_000;
/** Longer topics are looked up each time: ten thousand of them would be hundreds of megabytes. */
const MAX_CACHED_CHARS = 256;
const DEVICE = '<device>';

const MAX_DEVICE_BYTES = 128;

function isDevice(name: string): boolean {
  if (name === '' || Buffer.byteLength(name) > MAX_DEVICE_BYTES) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return !/[\u0000-\u001f\u007f]/.test(name);
}

/**
 * The device if the topic matches the pattern, else undefined. `a/#` matches `a` too
 * [MQTT-4.7.1-2].
 */
export function matchTopic(
  pattern: readonly string[],
  levels: readonly string[],
): string | undefined {
  let device: string | undefined;
  for (const [i, part] of pattern.entries()) {
    if (part === '#') return device;
    const level = levels[i];
    if (level === undefined) return undefined;
    if (part === DEVICE) device = level;
    else if (part !== '+' && part !== level) return undefined;
  }
  return levels.length === pattern.length ? device : undefined;
}

export class TopicMap {
  readonly #patterns: ReadonlyArray<TopicPattern & { levels: readonly string[] }>;
  /** A gateway sees the same topics again and again. Emptied when full, and without long ones. */
  readonly #cache = new Map<string, TopicPlace | null>();

  constructor(patterns: readonly TopicPattern[]) {
    this.#patterns = patterns.map((one) => ({ ...one, levels: one.pattern.split('/') }));
  }

  /** undefined: no stream's topic. The first pattern that matches wins. */
  find(topic: string): TopicPlace | undefined {
    const cached = this.#cache.get(topic);
    if (cached !== undefined) return cached ?? undefined;
    const place = this.#match(topic);
    if (topic.length > MAX_CACHED_CHARS) return place;
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(topic, place ?? null);
    return place;
  }

  #match(topic: string): TopicPlace | undefined {
    const levels = topic.split('/');
    for (const { stream, partitions, levels: pattern } of this.#patterns) {
      const found = matchTopic(pattern, levels);
      if (found === undefined) continue;
      // A copy: a part of a text keeps the whole of it in memory, and names are kept for long.
      const device = Buffer.from(found).toString();
      const partition = partitionOf(device, partitions);
      return { stream, device, isUsable: isDevice(device), partition };
    }
    return undefined;
  }
}
