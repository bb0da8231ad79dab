import type { Books } from './audit/books.ts';
import { Backoff } from './base/backoff.ts';
import type { Clock, Random } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { HandledOffsets } from './base/handled-offsets.ts';
import type { Logger } from './base/logger.ts';
import type { Checkpoints } from './checkpoints.ts';
import { type Downlink, sessionOf } from './downlink.ts';
import { checkpointKey } from './log/checkpoint.ts';
import type { Journal } from './log/journal.ts';
import { UPLINK } from './log/own-consumers.ts';
import type { DroppedOffsets } from './log/retention.ts';
import { type Source, SplitConsumer } from './log/split-consumer.ts';
import type { Config } from './ops/config.ts';
import type { NamedFiles } from './ops/named-files.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import { Parking } from './parking.ts';
import { ALERTS, AUDIT, DEAD_LETTER, type Stores } from './stores.ts';
import {
  ALERT_LANE,
  BACKLOG_LANE,
  Budget,
  FRESH_LANE,
  type LanePriority,
} from './uplink/budget.ts';
import type { OpenLink } from './uplink/cloud-link.ts';
import { DrainMeter, SAMPLE_MS } from './uplink/drain-meter.ts';
import { DEFAULT_TOPICS } from './uplink/envelope.ts';
import { Lane } from './uplink/lane.ts';
import type { TlsOptions } from './uplink/mqtt-link.ts';
import { openCloud } from './uplink/open-cloud.ts';
import { BatchShape, RawShape, type Shape } from './uplink/shape.ts';
import { Uplink, type UplinkStatus } from './uplink/uplink.ts';
import { booking } from './uplink-books.ts';
import { type DrainStatus, drainOf } from './uplink-drain.ts';

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
  /** Hears what the cloud sends. */
  readonly downlink?: Downlink | undefined;
}

export interface ForwardingStatus extends UplinkStatus, DrainStatus {
  /** The link costs money at this hour: the backlog waits, and maybe more. */
  readonly metered: boolean;
}

const NOTHING: ReadonlyMap<string, string> = new Map();
/**
 * Of what has waited, so many of a stream go first: some 20 KB or 4 KB, a second of a slow link.
 * They go in the order of their offsets, so more would make the very newest wait.
 */
const NEWEST = { raw: 64, batch: 256 } as const;
const CONNECT_TIMEOUT_MS = 10_000;
/** So long after a reading the next one may come any moment. */
const BUSY_MS = 100;
/** Of a batch, unless the configuration or the cloud says so: what most clouds take. */
const BATCH_BYTES = 131_072;
/**
 * Of a batch before it is compressed. Of 128 KiB the records are forgotten again before the memory
 * for them grows; 1 MiB takes a fifth less on the wire, and where bytes or publishes are counted
 * that matters more.
 */
const DOCUMENT_BYTES = 128 * 1024;
const BUDGETED_DOCUMENT_BYTES = 1024 * 1024;

interface Feed {
  readonly consumer: SplitConsumer;
  readonly journal: Journal;
}

/** The consumers "uplink", one per stream, and the uplink that they feed. */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #feeds: readonly Feed[];
  readonly #parking: Parking;
  readonly #budget: Budget;
  /** Of what the cloud acknowledges. */
  readonly #drained = new DrainMeter();
  /** Of what comes in. */
  readonly #arrived = new DrainMeter();
  #sampling: NodeJS.Timeout | undefined;
  /** When `isBusy` last saw that readings had come in. */
  #storedSeen = 0;
  #busyUntilMonoMs = 0;
  readonly #lanes: readonly Lane[];
  readonly #uplink: Uplink;
  #given = '';

  private constructor(
    options: ForwardingOptions,
    feeds: readonly Feed[],
    parking: Parking,
    open: OpenLink,
  ) {
    this.#options = options;
    this.#feeds = feeds;
    this.#parking = parking;
    const { config, clock, random, counters, logger } = options;
    const { uplink } = config;
    this.#budget = new Budget({
      clock,
      bytesPerSecond: (uplink.budget.kbitPerSecond * 1000) / 8,
      bytesPerDay: uplink.budget.mbPerDay * 1e6,
      ...uplink.budget,
    });
    this.#lanes = lanesOf(options, feeds, parking);
    const backoff = new Backoff({
      baseMs: uplink.reconnectMinMs,
      maxMs: uplink.reconnectMaxMs,
      random,
    });
    this.#uplink = new Uplink({
      open,
      lanes: this.#lanes,
      window: uplink.window,
      maxInFlightBytes: uplink.maxInFlightBytes,
      maxBytes: maxBytesOf(config),
      backlogShare: uplink.backlogShare,
      budget: this.#budget,
      isBusy: () => this.#isBusy(),
      backoff,
      counters,
      clock,
      logger,
      backlog: () => this.backlog(),
      onLink: (link) => {
        this.#split();
        options.downlink?.attach(link);
      },
    });
  }

  static async start(options: ForwardingOptions): Promise<Forwarding> {
    const { config, logger, checkpoints } = options;
    const { url, shape, topic } = config.uplink;
    const feeds = await openFeeds(options);
    const parking = await openParking(options, feeds);
    const forwarding = new Forwarding(options, feeds, parking, await farSide(options));
    const fields = { cloud: url, shape, topic: topic || DEFAULT_TOPICS[shape] };
    logger.info(fields, 'the uplink starts');
    // From the first moment there is a position: what retention drops is measured against it.
    checkpoints.add(() => forwarding.#progress());
    await checkpoints.save();
    forwarding.#uplink.start();
    forwarding.#sampling = setInterval(() => forwarding.#sample(), SAMPLE_MS);
    forwarding.#sampling.unref();
    return forwarding;
  }

  #sample(): void {
    const { counters, clock } = this.#options;
    const now = clock.monoMs();
    this.#drained.sample(counters.forwarded + counters.parked, now);
    this.#arrived.sample(counters.stored + counters.deadLettered + counters.alerts, now);
  }

  /** Readings have come in just now. Asked before each publish of the backlog. */
  #isBusy(): boolean {
    const { counters, clock } = this.#options;
    const now = clock.monoMs();
    if (counters.stored > this.#storedSeen) this.#busyUntilMonoMs = now + BUSY_MS;
    this.#storedSeen = counters.stored;
    return now < this.#busyUntilMonoMs;
  }

  /** What comes in from here on is fresh; alerts are few, and keep their order. */
  #split(): void {
    const { order } = this.#options.config.uplink;
    for (const { consumer } of this.#feeds) {
      consumer.split(consumer.stream === ALERTS ? 'strict' : order);
    }
  }

  status(): ForwardingStatus {
    const { clock, counters } = this.#options;
    const oldest = this.#lanes.flatMap(({ oldestMs }) => oldestMs ?? []);
    return {
      ...this.#uplink.status(),
      ...drainOf({
        backlog: this.backlog(),
        forwarded: counters.forwarded,
        sentBytes: this.#budget.sentBytes,
        recordsPerSecond: this.#drained.perSecond,
        storedPerSecond: this.#arrived.perSecond,
        oldestMs: Math.min(...oldest),
        wallMs: clock.wallMs(),
      }),
      metered: this.#budget.isMetered,
    };
  }

  backlog(): number {
    return this.#feeds.reduce((sum, { consumer }) => sum + consumer.backlog(), 0);
  }

  acked(stream: string): HandledOffsets | undefined {
    return this.#feeds.find(({ consumer }) => consumer.stream === stream)?.consumer.progress;
  }

  /** Of what retention is about to drop, what the cloud has not acknowledged. */
  unforwarded(dropped: readonly DroppedOffsets[]): DroppedOffsets[] {
    return dropped.flatMap((range) => {
      const { partition, offset: from, count } = range;
      const holes = this.acked(range.stream)?.holes(partition, { from, to: from + count }) ?? [];
      return holes.map((hole) => ({ ...range, offset: hole.from, count: hole.to - hole.from }));
    });
  }

  async stop(): Promise<void> {
    clearInterval(this.#sampling);
    await this.#uplink.stop();
    await this.#options.checkpoints.save();
    for (const { consumer } of this.#feeds) consumer.close();
  }

  /** Where it has come to, if that is news. A crash sends a little again, and skips nothing. */
  #progress(): ReadonlyMap<string, string> {
    const sources = [...this.#feeds.map(({ consumer }) => consumer), this.#parking];
    const entries = new Map(sources.flatMap((source) => [...source.checkpoint()]));
    const text = JSON.stringify([...entries]);
    if (text === this.#given) return NOTHING;
    this.#given = text;
    return entries;
  }
}

function maxBytesOf({ uplink }: Config): number {
  if (uplink.maxBytes > 0) return uplink.maxBytes;
  return uplink.shape === 'batch' ? BATCH_BYTES : Number.POSITIVE_INFINITY;
}

function farSide({ config, texts, gatewayId, clock }: ForwardingOptions): Promise<OpenLink> {
  const { uplink } = config;
  const { passwordFile: password, caFile: ca, certFile: cert, keyFile: key } = texts;
  const session = sessionOf(config);
  const named = (text: string) => text.replaceAll('{gateway}', gatewayId);
  return openCloud({
    url: uplink.url,
    clientId: named(uplink.clientId) || `headgate-${gatewayId}`,
    username: named(uplink.username),
    password: password?.split(/\r?\n/, 1)[0],
    protocolVersion: uplink.protocolVersion,
    saslMechanism: uplink.saslMechanism,
    keepaliveSeconds: uplink.keepaliveSeconds,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ackTimeoutMs: uplink.ackTimeoutMs,
    ...(session === undefined ? {} : { session }),
    clock,
    tls: { ca, cert, key, ...tlsNames(uplink) },
  });
}

/** What TLS asks for, where it is set. */
function tlsNames({ serverName, alpn }: Config['uplink']): TlsOptions {
  return { ...(serverName === '' ? {} : { serverName }), ...(alpn === '' ? {} : { alpn }) };
}

/** Of one stream: alerts have one lane, others one for what is fresh and one for the backlog. */
function lanesOf(options: ForwardingOptions, feeds: readonly Feed[], parking: Parking): Lane[] {
  const { config, random, clock, books } = options;
  const { reconnectMinMs: baseMs, reconnectMaxMs: maxMs } = config.uplink;
  return feeds.flatMap(({ consumer, journal }) => {
    const shape = shapeOf(options, journal);
    const book = booking(books, consumer.stream);
    const lane = (source: Source, priority: LanePriority) =>
      new Lane({
        source,
        shape,
        priority,
        backoff: new Backoff({ baseMs, maxMs, random }),
        clock,
        ...(book === undefined ? {} : { book }),
        park: (record, refusal) => parking.park(record, refusal),
      });
    const { fresh, behind, stream } = consumer;
    if (stream === ALERTS) return [lane(fresh, ALERT_LANE)];
    return [lane(fresh, FRESH_LANE), lane(behind, BACKLOG_LANE)];
  });
}

function shapeOf({ config, gatewayId }: ForwardingOptions, { logId }: Journal): Shape {
  const { shape, identity, lingerMs, compression, topic, budget } = config.uplink;
  const origin = { gateway: gatewayId, log: logId };
  const common = { origin, topic: topic || DEFAULT_TOPICS[shape] };
  if (shape === 'raw') return new RawShape({ ...common, identity });
  const { kbitPerSecond, mbPerDay, publishesPerSecond } = budget;
  const isBudgeted = kbitPerSecond > 0 || mbPerDay > 0 || publishesPerSecond > 0;
  const maxDocumentBytes = isBudgeted ? BUDGETED_DOCUMENT_BYTES : DOCUMENT_BYTES;
  return new BatchShape({ ...common, lingerMs, compression, maxDocumentBytes });
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

async function openFeeds({ config, stores, state, files }: ForwardingOptions): Promise<Feed[]> {
  const feeds: Feed[] = [];
  for (const { stream, journal } of forwardedStreams(config, stores)) {
    const stored = await state.get(checkpointKey(UPLINK, stream));
    const options = { name: UPLINK, stream, journal, files, stored };
    const newest = NEWEST[config.uplink.shape];
    const consumer = new SplitConsumer({ ...options, newest });
    feeds.push({ consumer, journal });
  }
  return feeds;
}

function openParking(options: ForwardingOptions, feeds: readonly Feed[]): Promise<Parking> {
  const { stores, state, files, clock, logger, counters, books } = options;
  const consumers = feeds.map(({ consumer }) => consumer);
  const ends = new Map(
    feeds.map(({ consumer: { stream }, journal }) => [stream, journal.nextOffsets(stream)]),
  );
  const about = { state, files, clock, logger, counters, books, consumers };
  return Parking.open({ events: stores.events, ...about }, ends);
}
