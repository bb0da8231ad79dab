import { appendOnce, type OnceStream } from './append-once.ts';
import type { Books } from './audit/books.ts';
import type { Unstored } from './audit/stream-books.ts';
import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { ErrorCode, HeadgateError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { isParked } from './base/parked.ts';
import type { MessageId, Reading } from './base/reading.ts';
import type { Heard, SparkplugOrder } from './decode/sparkplug-order.ts';
import type { InboundPublish } from './ingest/broker.ts';
import {
  type ParsedMessage,
  type ParsedReading,
  parseReading,
  type ReadingRules,
  type StreamMessage,
} from './ingest/parse-reading.ts';
import type { TopicMap, TopicPlace } from './ingest/topic-map.ts';
import type { Journal } from './log/journal.ts';
import type { Stream } from './log/stream.ts';
import type { Redriven } from './ops/dead-letter-routes.ts';

/** A stream, and how its messages are read. */
export interface PipelineStream extends OnceStream {
  readonly rules: ReadingRules;
  /** Of a stream of Sparkplug: which messages never came. */
  readonly order?: SparkplugOrder | undefined;
}

export interface PipelineOptions {
  readonly topics: TopicMap;
  readonly streams: ReadonlyMap<string, PipelineStream>;
  /** Takes dead letters. */
  readonly events: Journal;
  readonly deadLetters: Stream;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Told of what is not stored; what is, they see committed. */
  readonly books: Books;
  readonly logger: Logger;
}

/** Told once: may it be acknowledged? */
export type Done = (error: HeadgateError | undefined) => void;

/** As `Done`, and whether it was a repeat; an acknowledgement ahead of the flash can't tell. */
type Stored = (error: HeadgateError | undefined, outcome?: 'stored' | 'repeat') => void;

/** A message on a stream's topic that is a reading, and where it goes. */
interface Routed {
  readonly target: PipelineStream;
  readonly partition: number;
  readonly parsed: ParsedReading;
}

/** The stream that a topic is one of, and where in it. */
interface Found {
  readonly target: PipelineStream;
  readonly place: TopicPlace;
}

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
    const { counters, clock } = this.#options;
    const found = this.#find(message.topic);
    if (found === undefined) {
      this.#pass(message.topic);
      return false;
    }
    // An empty retained message tells the broker to forget the retained one: no reading is meant.
    if (message.retain && message.payload.length === 0) return false;
    counters.received += 1;
    const { target, place } = found;
    const { topic, payload, userProperties } = message;
    const monoMs = clock.monoMs();
    const arrived = { device: place.device, topic, payload, monoMs, userProperties };
    const parsed = this.#parse(found, arrived);
    if (parsed.ok) this.#store(target, place.partition, parsed, done);
    else this.#bury(parsed.code, target.stream.name, arrived, done);
    return true;
  }

  /**
   * Sends a dead letter through again, as if it came now; `id` is for one that has no sound one.
   * Calls `done` once. Counted as received if it is a reading by now; if it still is none, nothing
   * is counted, and it is not buried a second time.
   */
  redrive(letter: Reading, id: MessageId, done: (outcome: Redriven) => void): void {
    const routed = this.#route(letter, id);
    if ('outcome' in routed) {
      done(routed);
      return;
    }
    const { target, partition, parsed } = routed;
    this.#options.counters.received += 1;
    // Whatever its owner chose: what is told here is noted for good, so it must be on flash. And an
    // old message has no place among what its node sends now: messages that came would be missing.
    const once: PipelineStream = { ...target, ack: 'durable', order: undefined };
    this.#store(once, partition, parsed, (error, outcome) => {
      if (error === undefined) done({ outcome: outcome === 'repeat' ? 'duplicate' : 'stored' });
      else done({ outcome: 'refused', reason: error.code, detail: error.detail });
    });
  }

  /** What `redrive` would come to if the flash takes it. Changes nothing. */
  foresee(letter: Reading, id: MessageId): Redriven {
    const routed = this.#route(letter, id);
    if ('outcome' in routed) return routed;
    const { target, parsed } = routed;
    const { reading } = parsed;
    const isKnown = target.dedup.knows(reading, target.journal.runMs(reading.monoMs));
    return { outcome: isKnown ? 'duplicate' : 'stored' };
  }

  #route(letter: Reading, id: MessageId): Routed | Redriven {
    const { topic, payload } = letter;
    const found = this.#find(topic);
    if (found === undefined) return { outcome: 'no-stream' };
    const { target, place } = found;
    const monoMs = this.#options.clock.monoMs();
    const parsed = this.#parse(found, { device: place.device, topic, payload, monoMs });
    if (!parsed.ok) return { outcome: 'no-reading', reason: parsed.code };
    const { messageId: own = id } = parsed.reading;
    // A dead letter has lost the boot: the same number in two boots would pass for one reading. And
    // one that the uplink set aside is a reading that is known: it would pass for its own repeat.
    const isLost = target.rules.bootIsProperty && own.kind !== 'id';
    const messageId = isLost || isParked(letter.reason) ? id : own;
    const named = { ...parsed, reading: { ...parsed.reading, messageId } };
    return { target, partition: place.partition, parsed: named };
  }

  #find(topic: string): Found | undefined {
    const place = this.#options.topics.find(topic);
    const target = place === undefined ? undefined : this.#options.streams.get(place.stream);
    return place === undefined || target === undefined ? undefined : { target, place };
  }

  #parse({ target, place }: Found, arrived: StreamMessage): ParsedMessage {
    if (!place.isUsable) return { ok: false, code: 'DEVICE_INVALID' };
    return parseReading(arrived, target.rules);
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

  #store(target: PipelineStream, partition: number, parsed: ParsedReading, done: Stored): void {
    const { counters } = this.#options;
    const { reading } = parsed;
    const heard = target.order?.heard(reading.topic, parsed.value);
    let isAnswered = false;
    const answer: Stored = (error, outcome) => {
      if (!isAnswered) done(error, outcome);
      isAnswered = true;
    };
    const isAcknowledged = appendOnce(target, partition, reading, (outcome) => {
      const { name } = target.stream;
      if (outcome === 'stored') {
        counters.stored += 1;
        if (heard !== undefined) this.#follow(target, heard);
      } else if (outcome === 'repeat') {
        counters.duplicates += 1;
        this.#book(name, 'duplicates', reading);
      } else if (isAnswered) this.#lose(target, reading, outcome);
      else {
        counters.rejected += 1;
        this.#book(name, 'refused', reading);
      }
      if (typeof outcome === 'string') answer(undefined, outcome);
      else answer(outcome);
    });
    if (isAcknowledged) answer(undefined);
  }

  /** Told of what is stored, and so of no repeat: a message that was not stored is missing too. */
  #follow({ order, stream }: PipelineStream, heard: Heard): void {
    const gap = order?.stored(heard);
    if (gap === undefined) return;
    const { counters, logger } = this.#options;
    counters.sparkplugGaps += gap.missing;
    const repeatKey = `${stream.name}/${gap.group}/${gap.node}`;
    const fields = { stream: stream.name, ...gap, repeatKey };
    logger.warn(fields, 'messages of a Sparkplug edge node are missing');
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
