import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import { type ErrorCode, HeadgateError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Reading } from './base/reading.ts';
import type { Claim } from './dedup/claim.ts';
import type { Dedup } from './dedup/dedup.ts';
import type { InboundPublish } from './ingest/broker.ts';
import { parseReading } from './ingest/parse-reading.ts';
import type { TopicMap } from './ingest/topic-map.ts';
import type { Journal } from './log/journal.ts';
import type { Stream } from './log/stream.ts';

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
  readonly logger: Logger;
}

/** Told once: may it be acknowledged? */
export type Done = (error: HeadgateError | undefined) => void;

const DEAD_LETTER_DEVICE = 'unknown';
const MAX_TOPICS_TOLD = 100;

/**
 * The journey of one reading, from the broker's hook to the flash. Everything up to the log's
 * append happens at once, in the order in which messages arrive; nothing is acknowledged before the
 * log says so.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  /** Topics of no stream that were told of. */
  readonly #passed = new Set<string>();

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /**
   * Calls `done` once: without an error when the message may be acknowledged (its reading, or the
   * one it repeats, is durable, or it is durable as a dead letter); with one when it must not be.
   * Returns false, and calls nothing, for a topic that is no stream's.
   */
  accept(message: InboundPublish, done: Done): boolean {
    const { topics, streams, counters, clock, maxPayloadBytes } = this.#options;
    const place = topics.find(message.topic);
    const target = place === undefined ? undefined : streams.get(place.stream);
    if (place === undefined || target === undefined) {
      this.#pass(message.topic);
      return false;
    }
    // An empty retained message tells the broker to forget the retained one: no reading is meant.
    if (message.retain && message.payload.length === 0) return false;
    counters.received += 1;
    const { device } = place;
    const { topic, payload } = message;
    const arrived = { device, topic, payload, monoMs: clock.monoMs() };
    if (!place.isUsable) {
      this.#bury('DEVICE_INVALID', arrived, done);
      return true;
    }
    const parsed = parseReading(arrived, maxPayloadBytes);
    if (parsed.ok) this.#store(target, place.partition, parsed.reading, done);
    else this.#bury(parsed.code, arrived, done);
    return true;
  }

  /** Ordinary MQTT; or a slip in a topic, which its sender would never hear of. */
  #pass(topic: string): void {
    const { counters, logger } = this.#options;
    counters.unrouted += 1;
    if (this.#passed.size >= MAX_TOPICS_TOLD || this.#passed.has(topic)) return;
    this.#passed.add(topic);
    const fields = { topic, repeatKey: topic };
    logger.info(fields, "a topic is no stream's: its messages are passed on and not kept");
  }

  #store(target: PipelineStream, partition: number, reading: Reading, done: Done): void {
    const { stream, dedup } = target;
    const { telemetry, counters } = this.#options;
    const sighting = dedup.claim(reading, telemetry.runMs(reading.monoMs));
    if (sighting?.kind === 'known') {
      counters.duplicates += 1;
      done(undefined);
      return;
    }
    if (sighting?.kind === 'in-flight') {
      this.#follow(sighting.claim, done);
      return;
    }
    telemetry.append(stream, partition, reading, (error) => {
      if (error === undefined) {
        counters.stored += 1;
        sighting?.claim.settle();
      } else {
        counters.rejected += 1;
        sighting?.claim.release();
      }
      done(error);
    });
  }

  /** A repeat of what is on its way ends as the first one does. */
  #follow(claim: Claim, done: Done): void {
    const { counters } = this.#options;
    claim.wait((durable) => {
      if (durable) counters.duplicates += 1;
      else counters.rejected += 1;
      const failed = 'the first of these could not be stored';
      done(durable ? undefined : new HeadgateError('LOG_NOT_DURABLE', failed));
    });
  }

  /**
   * A message that is no reading is kept as it came, with the reason, where it can be looked at.
   */
  #bury(code: ErrorCode, message: Reading, done: Done): void {
    const { events, deadLetters, counters, logger } = this.#options;
    const device = code === 'DEVICE_INVALID' ? DEAD_LETTER_DEVICE : message.device;
    logger.warn({ code, topic: message.topic }, 'a message is no reading and is kept aside');
    events.append(deadLetters, 0, { ...message, device, reason: code }, (error) => {
      if (error === undefined) counters.deadLettered += 1;
      else counters.rejected += 1;
      done(error);
    });
  }
}
