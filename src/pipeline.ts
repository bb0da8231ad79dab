import { appendOnce, type OnceStream } from './append-once.ts';
import type { Books } from './audit/books.ts';
import type { Unstored } from './audit/stream-books.ts';
import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { ErrorCode, HeadgateError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Reading } from './base/reading.ts';
import type { InboundPublish } from './ingest/broker.ts';
import { parseReading } from './ingest/parse-reading.ts';
import type { TopicMap } from './ingest/topic-map.ts';
import type { Journal } from './log/journal.ts';
import type { Stream } from './log/stream.ts';

export interface PipelineOptions {
  readonly topics: TopicMap;
  readonly streams: ReadonlyMap<string, OnceStream>;
  /** Takes dead letters. */
  readonly events: Journal;
  readonly deadLetters: Stream;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Told of what is not stored; what is, they see committed. */
  readonly books: Books;
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
 * log says so, but for streams whose owner chose otherwise.
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
   * one it repeats, is durable, or it is durable as a dead letter; for a stream with `ack:
   * received`, its reading is in memory); with one when it must not be.
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
      this.#bury('DEVICE_INVALID', target.stream.name, arrived, done);
      return true;
    }
    const parsed = parseReading(arrived, maxPayloadBytes);
    if (parsed.ok) this.#store(target, place.partition, parsed.reading, done);
    else this.#bury(parsed.code, target.stream.name, arrived, done);
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

  #store(target: OnceStream, partition: number, reading: Reading, done: Done): void {
    const { counters } = this.#options;
    let isAnswered = false;
    const answer = (error?: HeadgateError) => {
      if (!isAnswered) done(error);
      isAnswered = true;
    };
    const isAcknowledged = appendOnce(target, partition, reading, (outcome) => {
      const { name } = target.stream;
      if (outcome === 'stored') counters.stored += 1;
      else if (outcome === 'repeat') {
        counters.duplicates += 1;
        this.#book(name, 'duplicates', reading);
      } else if (isAnswered) this.#lose(target, reading, outcome);
      else {
        counters.rejected += 1;
        this.#book(name, 'refused', reading);
      }
      answer(typeof outcome === 'string' ? undefined : outcome);
    });
    if (isAcknowledged) answer();
  }

  /** The arrival's own wall clock: what is not stored has no other. */
  #book(stream: string, what: Unstored, { deviceTimeMs }: Reading): void {
    const { books, clock } = this.#options;
    books.unstored(stream, what, { deviceTimeMs, wallMs: clock.wallMs() });
  }

  /** Its sender has it no more: that is what `ack: received` may cost, and it is said. */
  #lose({ stream }: OnceStream, reading: Reading, error: HeadgateError): void {
    const { counters, logger } = this.#options;
    const { device, topic, messageId } = reading;
    counters.lostAfterAck += 1;
    this.#book(stream.name, 'lostAfterAck', reading);
    const { code, detail } = error;
    const named = { stream: stream.name, device, topic, id: messageId?.text };
    const repeatKey = `${stream.name}/${device}`;
    const fields = { code, ...named, error: detail, repeatKey };
    logger.error(fields, 'a reading that was acknowledged could not be stored and is lost');
  }

  /**
   * A message that is no reading is kept as it came, with the reason, where it can be looked at.
   */
  #bury(code: ErrorCode, stream: string, message: Reading, done: Done): void {
    const { events, deadLetters, counters, logger } = this.#options;
    const device = code === 'DEVICE_INVALID' ? DEAD_LETTER_DEVICE : message.device;
    logger.warn({ code, topic: message.topic }, 'a message is no reading and is kept aside');
    events.append(deadLetters, 0, { ...message, device, reason: code }, (error) => {
      if (error === undefined) counters.deadLettered += 1;
      else {
        counters.rejected += 1;
        this.#book(stream, 'refused', message);
      }
      done(error);
    });
  }
}
