import { setImmediate as turn } from 'node:timers/promises';
import type { AuditEntry } from '../../src/audit/entry.ts';
import { parseEntry } from '../../src/audit/entry.ts';
import { type AuditReport, addBacklog, type Backlog, reportOf } from '../../src/audit/report.ts';
import { Backoff } from '../../src/base/backoff.ts';
import { seededRandom } from '../../src/base/clock.ts';
import { type Counters, newCounters } from '../../src/base/counters.ts';
import { HandledOffsets } from '../../src/base/handled-offsets.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { Bookkeeper } from '../../src/bookkeeper.ts';
import { Checkpoints } from '../../src/checkpoints.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import { forwardedStreams } from '../../src/forwarding.ts';
import { checkpointKey } from '../../src/log/checkpoint.ts';
import { Journal } from '../../src/log/journal.ts';
import { UPLINK } from '../../src/log/own-consumers.ts';
import { readRange } from '../../src/log/record-range.ts';
import { type Source, SplitConsumer } from '../../src/log/split-consumer.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { readLast } from '../../src/refill.ts';
import { topicsOf } from '../../src/topics.ts';
import {
  ALERT_LANE,
  BACKLOG_LANE,
  FRESH_LANE,
  type LanePriority,
} from '../../src/uplink/budget.ts';
import { CloudRefusal } from '../../src/uplink/cloud-link.ts';
import type { Cut, LaneLink } from '../../src/uplink/cut.ts';
import { Lane } from '../../src/uplink/lane.ts';
import { RawShape } from '../../src/uplink/shape.ts';
import { booking, bookParked } from '../../src/uplink-books.ts';
import { configOf } from './config-loading.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeFiles, type Life, NO_POWER } from './fake-files.ts';
import { readAll } from './journals.ts';
import { type MemoryState, memoryState } from './memory-state.ts';
import { autoRules } from './reading-rules.ts';

const ONE = {
  maxBytes: Number.POSITIVE_INFINITY,
  maxMessages: 1,
  maxDocumentBytes: Number.POSITIVE_INFINITY,
  maxAllBytes: Number.POSITIVE_INFINITY,
};

/**
 * A gateway in memory as far as the books are concerned: real logs, pipeline, lanes and bookkeeper,
 * on files that a kill leaves as they are, and a state store of which a power cut takes the end.
 */

export const LATE_MS = 120_000;
const SEGMENT_BYTES = 32 * 1024;
const LINK: LaneLink = {
  window: 8,
  maxBytes: Number.POSITIVE_INFINITY,
  sizeOf: ({ payload }) => payload.length,
  onMore: () => {},
  onCompleted: () => {},
};

export interface AuditedOptions {
  readonly uplink?: boolean;
  readonly bucketMs?: number;
  readonly maxBytes?: number;
  readonly logger?: Logger;
  /** Of what waits at a new link, what goes with the fresh. */
  readonly newest?: number;
}

interface InFlight {
  /** Stream, partition and offset. */
  readonly key: string;
  readonly cut: Cut;
}

interface Parts {
  readonly life: Life;
  readonly telemetry: Journal;
  readonly events: Journal;
  readonly checkpoints: Checkpoints;
  readonly keeper: Bookkeeper;
  readonly pipeline: Pipeline;
  readonly counters: Counters;
  readonly consumers: readonly SplitConsumer[];
  readonly lanes: readonly Lane[];
}

export class AuditedGateway {
  readonly files = new FakeFiles();
  readonly clock = new FakeClock();
  readonly state = memoryState();
  /** Identities that the cloud has acknowledged, and how often each record was put on the wire. */
  readonly acked = new Set<string>();
  readonly sent = new Map<string, number>();
  /** Records that went by the lane of what waited. */
  sentBehind = 0;
  /** Dead letters of what the cloud refused. */
  parkedLetters = 0;
  readonly #parking = new Set<Promise<unknown>>();
  /** As it was after each write. */
  readonly #history: Array<ReadonlyMap<string, string>> = [];
  #parts: Parts | undefined;
  #inFlight: InFlight[] = [];
  #options: AuditedOptions = {};

  get parts(): Parts {
    if (this.#parts === undefined) throw new Error('not running');
    return this.#parts;
  }

  async start(options: AuditedOptions = this.#options): Promise<void> {
    this.#options = options;
    const { uplink = true, bucketMs = 60_000, maxBytes = 1e9 } = options;
    const { logger = silentLogger, newest = 256 } = options;
    const life = this.files.live();
    const { files } = life;
    const origin = { gateway: 'g', log: 'l' };
    const config = configOf(`audit: { bucketMs: ${bucketMs}, lateMs: ${LATE_MS} }
streams: { readings: { topics: [s/<device>], partitions: 2 } }
uplink: { url: '${uplink ? 'mqtt://cloud' : ''}' }`);
    const common = { files, clock: this.clock, random: seededRandom(1), logger: silentLogger };
    const journal = {
      ...{ ...common, boot: new Uint8Array(8), lingerMs: 0, segmentBytes: SEGMENT_BYTES },
      // What is large stays so, and fills the log.
      compression: 'none' as const,
      ...{ maxPendingBytes: 1e6, retention: { maxBytes, maxAgeMs: 0 } },
    };
    const one = (name: string) => ({ name, partitions: 1 });
    const telemetry = await Journal.open({
      ...{ ...journal, folder: '/log/telemetry', streams: [{ name: 'readings', partitions: 2 }] },
    });
    const own = ['alerts', 'dead-letter', 'audit'].map(one);
    const events = await Journal.open({ ...journal, folder: '/log/events', streams: own });
    const stores = { telemetry, events };
    const state = this.#stateOf(life);
    const checkpoints = new Checkpoints({ state, logger });
    const topics = topicsOf(config, () => 2);
    const counters = newCounters();
    const keeper = await Bookkeeper.open({
      ...{ ...common, logger, config, stores, state, checkpoints, counters },
      streamOf: (topic) => topics.find(topic)?.stream,
    });
    const { books } = keeper;
    const ids = { windowMs: 1e12, windowIds: 10_000, maxIds: 100_000, maxDevices: 100 };
    const dedup = new Dedup({ mode: 'auto', ...ids });
    await readLast({ files, journal: telemetry, stream: 'readings' }, 100_000, (record) =>
      dedup.remember(record),
    );
    const rules = autoRules(100_000);
    const target = { journal: telemetry, stream: telemetry.stream('readings'), dedup, rules };
    const pipeline = new Pipeline({
      ...{ topics, events, counters, books, clock: this.clock, logger },
      streams: new Map([['readings', { ...target, ack: 'durable' as const }]]),
      deadLetters: events.stream('dead-letter'),
    });
    const consumers: SplitConsumer[] = [];
    for (const { stream, journal: of } of uplink ? forwardedStreams(config, stores) : []) {
      const stored = await state.get(checkpointKey(UPLINK, stream));
      const source = { files, journal: of, stream, stored, newest };
      consumers.push(new SplitConsumer({ name: UPLINK, ...source }));
    }
    const lanes = consumers.flatMap(({ fresh, behind, stream }) => {
      const book = booking(books, stream);
      const lane = (from: Source, priority: LanePriority) =>
        new Lane({
          source: from,
          shape: new RawShape({ origin, topic: 't', identity: 'wrapper' }),
          priority,
          backoff: new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) }),
          clock: this.clock,
          ...(book === undefined ? {} : { book }),
          park: (record) => this.#park(record),
        });
      if (stream === 'alerts') return [lane(fresh, ALERT_LANE)];
      return [lane(fresh, FRESH_LANE), lane(behind, BACKLOG_LANE)];
    });
    checkpoints.add(() => new Map(consumers.flatMap((one) => [...one.checkpoint()])));
    await checkpoints.save();
    keeper.begin({
      acked: (stream) => consumers.find((one) => one.stream === stream)?.progress,
    });
    await telemetry.startUpkeep();
    await events.startUpkeep();
    this.#inFlight = [];
    this.#parts = {
      ...{ life, telemetry, events, checkpoints, keeper, pipeline, counters, consumers, lanes },
    };
    this.#beginLink('fresh');
  }

  /** As a new link does. */
  #beginLink(order: 'fresh' | 'strict'): void {
    const { consumers, lanes } = this.parts;
    for (const one of consumers) one.split(one.stream === 'alerts' ? 'strict' : order);
    for (const lane of lanes) lane.begin(LINK);
  }

  /** A dead letter, and then the books: as the uplink does it. */
  #park(record: LogRecord): Promise<void> {
    const { events, keeper } = this.parts;
    const { stream, device, topic, payload, monoMs } = record;
    const letter = { device, topic, payload, monoMs, reason: 'CLOUD_TOO_LARGE' };
    const parked = new Promise<void>((resolve, reject) => {
      if (stream === 'dead-letter') resolve();
      else {
        events.append(events.stream('dead-letter'), 0, letter, (error) => {
          if (error !== undefined) reject(error);
          else {
            this.parkedLetters += 1;
            resolve();
          }
        });
      }
    }).then(() => bookParked(keeper.books, record));
    const settled = parked.catch(() => {}).finally(() => this.#parking.delete(settled));
    this.#parking.add(settled);
    return parked;
  }

  /** A process that is dead writes nothing any more. */
  #stateOf(life: Life): MemoryState {
    const write = async (entries: ReadonlyMap<string, string | undefined>) => {
      await life.files.list('/');
      await this.state.write(entries);
      this.#history.push(new Map(this.state.stored));
    };
    return { ...this.state, write };
  }

  /** Resolves with whether it was acknowledged. */
  publish(device: string, payload: string): Promise<boolean> {
    const bytes = Buffer.from(payload);
    const message = { topic: `s/${device}`, payload: bytes, retain: false, qos: 1 };
    return new Promise((resolve) => {
      this.parts.pipeline.accept(message as never, (error) => resolve(error === undefined));
    });
  }

  /** Puts up to `count` records of each lane on the wire. */
  async send(count: number): Promise<void> {
    for (const lane of this.parts.lanes) {
      const enough = new AbortController();
      await lane.rested(enough.signal);
      const filled = lane.fill(enough.signal);
      for (let i = 0; i < 20; i++) await turn();
      enough.abort();
      await filled;
      for (let i = 0; i < count; i++) {
        const cut = lane.take(ONE);
        if (cut === undefined) break;
        for (const { payload } of await cut.messages) {
          const { log: _, ...of } = JSON.parse(Buffer.from(payload).toString());
          const key = `${of.stream}/${of.partition}/${of.offset}`;
          this.sent.set(key, (this.sent.get(key) ?? 0) + 1);
          if (lane.priority === BACKLOG_LANE) this.sentBehind += 1;
          this.#inFlight.push({ key, cut });
        }
      }
    }
  }

  /** The cloud acknowledges some of what is on its way, in any order. */
  ack(picks: (index: number) => boolean): void {
    for (const { key, cut } of this.#take(picks)) {
      this.acked.add(key);
      cut.done();
    }
  }

  /** It refuses some; resolves when those that are set aside have been. */
  async refuse(kind: 'later' | 'too-large' | 'never', picks: (index: number) => boolean) {
    for (const { cut } of this.#take(picks)) cut.refused(new CloudRefusal(kind, 'no'));
    while (this.#parking.size > 0) await Promise.all(this.#parking);
    await turn();
  }

  #take(picks: (index: number) => boolean): readonly InFlight[] {
    const all = this.#inFlight;
    this.#inFlight = all.filter((_, i) => !picks(i));
    return all.filter((_, i) => picks(i));
  }

  /** The link ends: what is not acknowledged goes out again. */
  breakLink(order: 'fresh' | 'strict' = 'fresh'): void {
    this.#inFlight = [];
    for (const lane of this.parts.lanes) lane.end('gone');
    this.#beginLink(order);
  }

  /** Until the cloud has acknowledged all there is. */
  async drain(): Promise<void> {
    this.breakLink();
    for (let i = 0; i < 10_000; i++) {
      if (this.parts.consumers.every((one) => one.backlog() === 0)) return;
      await this.send(8);
      this.ack(() => true);
    }
    throw new Error('the backlog does not go');
  }

  /** Time goes on, and what is late and quiet is closed. */
  async close(): Promise<void> {
    this.clock.advance(2 * LATE_MS);
    for (let i = 0; i < 2; i++) {
      const looked = this.parts.keeper.look();
      // An entry waits for its commit, whose linger is over at once on a clock that stands still.
      await looked;
    }
  }

  async stop(): Promise<void> {
    const { telemetry, events, checkpoints, keeper, consumers } = this.parts;
    keeper.stop();
    for (const consumer of consumers) consumer.close();
    await telemetry.close();
    await events.close();
    await checkpoints.stop();
    this.#parts = undefined;
  }

  /** Nothing is said to anybody; the page cache stays. */
  async kill(): Promise<void> {
    const { telemetry, events, keeper, life } = this.parts;
    life.kill();
    keeper.stop();
    await telemetry.close().catch(() => {});
    await events.close().catch(() => {});
    this.#parts = undefined;
  }

  /** Besides, the state store is as it was some writes before. */
  async cutPower(writesLost: number): Promise<void> {
    this.files.fault = () => NO_POWER;
    await this.kill();
    this.files.powerCut(() => false, { keepsNames: () => false });
    this.files.fault = () => undefined;
    const at = Math.max(0, this.#history.length - 1 - writesLost);
    const before = this.#history[at] ?? new Map<string, string>();
    this.#history.length = at + 1;
    this.state.stored.clear();
    for (const [key, value] of before) this.state.stored.set(key, value);
  }

  records(stream: string): Promise<LogRecord[]> {
    const { telemetry, events } = this.parts;
    return readAll(this.files, stream === 'readings' ? telemetry : events, stream);
  }

  async entries(): Promise<AuditEntry[]> {
    const entries = (await this.records('audit')).map(({ payload }) => parseEntry(payload));
    return entries.filter((entry) => entry !== undefined);
  }

  /** What `headgate audit` says. */
  async report(): Promise<AuditReport> {
    const { telemetry, events, keeper } = this.parts;
    const snapshot = keeper.snapshot();
    const backlog: Backlog = new Map();
    for (const stream of snapshot.streams) {
      const { stream: name, from, end: until } = stream;
      const view = name === 'readings' ? telemetry : events;
      if (!stream.forwarded) continue;
      const range = { files: this.files, view, stream: name, from, until };
      const cloudHas = new HandledOffsets(from, stream.ahead);
      for await (const records of readRange(range)) {
        const owed = records.filter(({ partition, offset }) => !cloudHas.has(partition, offset));
        addBacklog(backlog, stream, owed);
      }
    }
    return reportOf({ snapshot, entries: await this.entries(), backlog });
  }
}
