import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import { type ErrorCode, HeadgateError } from './base/errors.ts';
import type { Reading } from './base/reading.ts';
import type { Dedup } from './dedup/dedup.ts';
import type { InboundPublish } from './ingest/broker.ts';
import { parseReading } from './ingest/parse-reading.ts';
import type { TopicMap } from './ingest/topic-map.ts';
import type { Journal, Stream } from './log/journal.ts';
import { partitionOf } from './log/partition.ts';

export interface PipelineStream {
  readonly stream: Stream;
  readonly dedup: Dedup;
}

export interface PipelineOptions {
  readonly topics: TopicMap;
  readonly streams: ReadonlyMap<string, PipelineStream>;
  /** Takes readings. */
  readonly telemetry: Journal;
  /** Takes dead letters. */
  readonly events: Journal;
  readonly deadLetters: Stream;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly maxPayloadBytes: number;
}

const DEAD_LETTER_DEVICE = 'unknown';

/**
 * The journey of one reading, from the broker's hook to the flash. Everything up to the log's
 * append happens at once, in the order in which messages arrive; nothing is acknowledged before the
 * log says so.
 */
export class Pipeline {
  readonly #options: PipelineOptions;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the message may be acknowledged: its reading, or the one it repeats, is durable;
   * or it is durable as a dead letter. Rejects when it could not be made so: it must not be
   * acknowledged. undefined: the topic is no stream's.
   */
  accept(message: InboundPublish): Promise<void> | undefined {
    const { topics, counters, clock, maxPayloadBytes } = this.#options;
    const place = topics.find(message.topic);
    if (place === undefined) return undefined;
    // An empty retained message tells the broker to forget the retained one: no reading is meant.
    if (message.retain && message.payload.length === 0) return undefined;
    counters.received += 1;
    const { topic, payload } = message;
    const monoMs = clock.monoMs();
    const parsed = parseReading({ device: place.device, topic, payload, monoMs }, maxPayloadBytes);
    if (!parsed.ok)
      return this.#bury(parsed.code, { device: place.device, topic, payload, monoMs });
    const target = this.#options.streams.get(place.stream);
    if (target === undefined) return undefined;
    return this.#store(target, parsed.reading);
  }

  #store({ stream, dedup }: PipelineStream, reading: Reading): Promise<void> {
    const { telemetry, counters } = this.#options;
    const sighting = dedup.claim(reading, telemetry.runMs(reading.monoMs));
    if (sighting?.kind === 'known') {
      counters.duplicates += 1;
      return Promise.resolve();
    }
    if (sighting?.kind === 'in-flight') {
      return new Promise((resolve, reject) => {
        sighting.claim.wait((durable) => {
          if (durable) {
            counters.duplicates += 1;
            resolve();
          } else {
            counters.rejected += 1;
            reject(new HeadgateError('LOG_NOT_DURABLE', 'the first of these could not be stored'));
          }
        });
      });
    }
    return new Promise((resolve, reject) => {
      const partition = partitionOf(reading.device, stream.partitions);
      telemetry.append(stream, partition, reading, (error) => {
        if (error === undefined) {
          counters.stored += 1;
          sighting?.claim.settle();
          resolve();
        } else {
          counters.rejected += 1;
          sighting?.claim.release();
          reject(error);
        }
      });
    });
  }

  /**
   * A message that is no reading is kept as it came, with the reason, where it can be looked at.
   */
  #bury(code: ErrorCode, message: Reading): Promise<void> {
    const { events, deadLetters, counters } = this.#options;
    const device = code === 'DEVICE_INVALID' ? DEAD_LETTER_DEVICE : message.device;
    const letter: Reading = { ...message, device, reason: code };
    return new Promise((resolve, reject) => {
      events.append(deadLetters, 0, letter, (error) => {
        if (error === undefined) {
          counters.deadLettered += 1;
          resolve();
        } else {
          counters.rejected += 1;
          reject(error);
        }
      });
    });
  }
}
