import type { Books } from './audit/books.ts';
import { Backoff } from './base/backoff.ts';
import type { Clock, Random } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { Logger } from './base/logger.ts';
import type { LogRecord } from './base/reading.ts';
import type { Checkpoints } from './checkpoints.ts';
import { checkpointKey } from './log/checkpoint.ts';
import type { Journal } from './log/journal.ts';
import { UPLINK } from './log/own-consumers.ts';
import type { DroppedOffsets } from './log/retention.ts';
import { StreamConsumer } from './log/stream-consumer.ts';
import type { Config } from './ops/config.ts';
import type { NamedFiles } from './ops/named-files.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import { ALERTS, AUDIT, DEAD_LETTER, type Stores } from './stores.ts';
import { DEFAULT_TOPICS } from './uplink/envelope.ts';
import { Lane, type LaneOptions } from './uplink/lane.ts';
import { openCloud } from './uplink/open-cloud.ts';
import { Uplink, type UplinkStatus } from './uplink/uplink.ts';

export interface ForwardingOptions {
  readonly config: Config;
  /** Of the files that the configuration names. */
  readonly texts: NamedFiles['texts'];
  readonly gatewayId: string;
  readonly stores: Stores;
  readonly state: StateStore;
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: Counters;
  /** Told of what goes out and of what the cloud acknowledges. */
  readonly books: Books;
  /** Save the progress, together with the books. */
  readonly checkpoints: Checkpoints;
}

const NOTHING: ReadonlyMap<string, string> = new Map();
const CONNECT_TIMEOUT_MS = 10_000;

/** The consumers "uplink", one per stream, and the uplink that they feed. */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #consumers: readonly StreamConsumer[];
  readonly #uplink: Uplink;
  #given = '';

  private constructor(
    options: ForwardingOptions,
    consumers: readonly StreamConsumer[],
    uplink: Uplink,
  ) {
    this.#options = options;
    this.#consumers = consumers;
    this.#uplink = uplink;
  }

  static async start(options: ForwardingOptions): Promise<Forwarding> {
    const { config, gatewayId, random, counters, clock, logger } = options;
    const consumers = await openConsumers(options);
    const { uplink } = config;
    const { reconnectMinMs: baseMs, reconnectMaxMs: maxMs, window } = uplink;
    const { passwordFile: password, caFile: ca, certFile: cert, keyFile: key } = options.texts;
    const topic = uplink.topic || DEFAULT_TOPICS[uplink.shape];
    const lanes = consumers.map(({ consumer, journal }) => {
      const origin = { gateway: gatewayId, log: journal.logId };
      const backoff = new Backoff({ baseMs, maxMs, random });
      const booked = booking(options.books, consumer.stream);
      return new Lane({ consumer, origin, topic, backoff, ...booked });
    });
    const open = await openCloud({
      url: uplink.url,
      clientId: uplink.clientId || `headgate-${gatewayId}`,
      username: uplink.username,
      password: password?.split(/\r?\n/, 1)[0],
      protocolVersion: uplink.protocolVersion,
      saslMechanism: uplink.saslMechanism,
      keepaliveSeconds: uplink.keepaliveSeconds,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      ackTimeoutMs: uplink.ackTimeoutMs,
      clock,
      tls: { ca, cert, key },
    });
    const backoff = new Backoff({ baseMs, maxMs, random });
    logger.info({ cloud: uplink.url, topic }, 'the uplink starts');
    const running = new Uplink({ open, lanes, window, backoff, counters, clock, logger });
    const own = consumers.map(({ consumer }) => consumer);
    const forwarding = new Forwarding(options, own, running);
    // From the first moment there is a position: what retention drops is measured against it.
    options.checkpoints.add(() => forwarding.#progress());
    await options.checkpoints.save();
    running.start();
    return forwarding;
  }

  status(): UplinkStatus {
    return this.#uplink.status();
  }

  backlog(): number {
    return this.#consumers.reduce((sum, consumer) => sum + consumer.backlog(), 0);
  }

  position(stream: string, partition: number): number | undefined {
    return this.#consumers.find((consumer) => consumer.stream === stream)?.position(partition);
  }

  /** Of what retention is about to drop, what the cloud has not acknowledged. */
  unforwarded(dropped: readonly DroppedOffsets[]): DroppedOffsets[] {
    return dropped.flatMap((range) => {
      const consumer = this.#consumers.find(({ stream }) => stream === range.stream);
      if (consumer === undefined) return [];
      const offset = Math.max(range.offset, consumer.position(range.partition));
      const count = range.offset + range.count - offset;
      return count > 0 ? [{ ...range, offset, count }] : [];
    });
  }

  async stop(): Promise<void> {
    await this.#uplink.stop();
    await this.#options.checkpoints.save();
    for (const consumer of this.#consumers) await consumer.close();
  }

  /** Where it has come to, if that is news. A crash sends a little again, and skips nothing. */
  #progress(): ReadonlyMap<string, string> {
    const entries = new Map(this.#consumers.flatMap((consumer) => [...consumer.checkpoint()]));
    const text = JSON.stringify([...entries]);
    if (text === this.#given) return NOTHING;
    this.#given = text;
    return entries;
  }
}

/** In the turn in which the position moves on, so that the two are saved of one moment. */
export function booking(books: Books, stream: string): Pick<LaneOptions, 'onSent' | 'onAcked'> {
  const own = books.of(stream);
  if (own === undefined) return {};
  return {
    onSent: ({ deviceTimeMs, receivedAtMs }: LogRecord) => {
      own.bucketAt(deviceTimeMs, receivedAtMs).counts.forwarded += 1;
    },
    onAcked: ({ partition, offset, deviceTimeMs, receivedAtMs }: LogRecord) => {
      // Before that retention has dropped it, and it was counted as expired.
      if (offset < (own.expiredTo[partition] ?? 0)) return;
      own.bucketAt(deviceTimeMs, receivedAtMs).counts.cloudAcked += 1;
    },
  };
}

/** A stream that the uplink sends, and where it is. */
interface ForwardedStream {
  readonly stream: string;
  readonly journal: Journal;
}

/** Alerts first, then readings, then the books, then dead letters. */
export function forwardedStreams(
  { uplink }: Pick<Config, 'uplink'>,
  { telemetry, events }: Stores,
): ForwardedStream[] {
  const lanes = [
    { stream: ALERTS, journal: events },
    // Those too that the configuration names no more: what they hold was acknowledged.
    ...telemetry.streamNames.map((stream) => ({ stream, journal: telemetry })),
    { stream: AUDIT, journal: events },
    { stream: DEAD_LETTER, journal: events },
  ];
  const wanted = uplink.streams;
  return lanes.filter(({ stream }) => wanted.length === 0 || wanted.includes(stream));
}

async function openConsumers({ config, stores, state, files }: ForwardingOptions) {
  const opened: Array<{ consumer: StreamConsumer; journal: Journal }> = [];
  for (const { stream, journal } of forwardedStreams(config, stores)) {
    const stored = await state.get(checkpointKey(UPLINK, stream));
    const start = 'earliest' as const;
    const consumer = new StreamConsumer({ name: UPLINK, stream, journal, files, stored, start });
    opened.push({ consumer, journal });
  }
  return opened;
}
