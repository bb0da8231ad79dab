import { setImmediate as turn } from 'node:timers/promises';
import type { AuditEntry } from '../../src/audit/entry.ts';
import { parseEntry } from '../../src/audit/entry.ts';
import { type AuditReport, addBacklog, type Backlog, reportOf } from '../../src/audit/report.ts';
import { Backoff } from '../../src/base/backoff.ts';
import { seededRandom } from '../../src/base/clock.ts';
import { type Counters, newCounters } from '../../src/base/counters.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { Bookkeeper } from '../../src/bookkeeper.ts';
import { Checkpoints } from '../../src/checkpoints.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import { booking, forwardedStreams } from '../../src/forwarding.ts';
import { checkpointKey } from '../../src/log/checkpoint.ts';
import { Journal } from '../../src/log/journal.ts';
import { UPLINK } from '../../src/log/own-consumers.ts';
import { readRange } from '../../src/log/record-range.ts';
import { StreamConsumer } from '../../src/log/stream-consumer.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { readLast } from '../../src/refill.ts';
import { topicsOf } from '../../src/topics.ts';
import { Lane, type Sendable } from '../../src/uplink/lane.ts';
import { configOf } from './config-loading.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeFiles, type Life, NO_POWER } from './fake-files.ts';
import { readAll } from './journals.ts';
import { type MemoryState, memoryState } from './memory-state.ts';
import { autoRules } from './reading-rules.ts';

/**
 * A gateway in memory as far as the books are concerned: real logs, pipeline, lanes and bookkeeper,
 * on files that a kill leaves as they are, and a state store of which a power cut takes the end.
 */

export const LATE_MS = 120_000;
const SEGMENT_BYTES = 32 * 1024;

export interface AuditedOptions {
  readonly uplink?: boolean;
  readonly bucketMs?: number;
  readonly maxBytes?: number;
  readonly logger?: Logger;
}

interface InFlight {
  /** Stream, partition and offset. */
  readonly key: string;
  readonly sendable: Sendable;
}

interface Parts {
  readonly life: Life;
  readonly telemetry: Journal;
  readonly events: Journal;
  readonly checkpoints: Checkpoints;
  readonly keeper: Bookkeeper;
  readonly pipeline: Pipeline;
  readonly counters: Counters;
  readonly consumers: readonly StreamConsumer[];
  readonly lanes: readonly Lane[];
}

export class AuditedGateway {
  readonly files = new FakeFiles();
  readonly clock = new FakeClock();
  readonly state = memoryState();
  /** Identities that the cloud has acknowledged, and how often each record was put on the wire. */
  readonly acked = new Set<string>();
  readonly sent = new Map<string, number>();
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
    const { uplink = true, bucketMs = 60_000, maxBytes = 1e9, logger = silentLogger } = options;
    const life = this.files.live();
    const { files } = life;
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
    const consumers: StreamConsumer[] = [];
    for (const { stream, journal: of } of uplink ? forwardedStreams(config, stores) : []) {
      const stored = await state.get(checkpointKey(UPLINK, stream));
      const source = { files, journal: of, stream, stored, start: 'earliest' as const };
      consumers.push(new StreamConsumer({ name: UPLINK, ...source }));
    }
    const lanes = consumers.map((consumer) => {
      const backoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
      const origin = { gateway: 'g', log: 'l' };
      const booked = booking(books, consumer.stream);
      const lane = new Lane({ consumer, origin, topic: 't', backoff, ...booked });
      lane.begin(8);
      return lane;
    });
    checkpoints.add(() => new Map(consumers.flatMap((one) => [...one.checkpoint()])));
    await checkpoints.save();
    keeper.begin({
      position: (stream, p) => consumers.find((one) => one.stream === stream)?.position(p),
    });
    await telemetry.startUpkeep();
    await events.startUpkeep();
    this.#inFlight = [];
    this.#parts = {
      ...{ life, telemetry, events, checkpoints, keeper, pipeline, counters, consumers, lanes },
    };
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

  /** Puts up to `count` records on the wire. */
  async send(count: number): Promise<void> {
    for (const lane of this.parts.lanes) {
      const enough = new AbortController();
      const filled = lane.fill(enough.signal);
      for (let i = 0; i < 20; i++) await turn();
      enough.abort();
      await filled;
      for (let i = 0; i < count; i++) {
        const sendable = lane.take();
        if (sendable === undefined) break;
        const { log: _, ...of } = JSON.parse(Buffer.from(sendable.message.payload).toString());
        const key = `${of.stream}/${of.partition}/${of.offset}`;
        this.sent.set(key, (this.sent.get(key) ?? 0) + 1);
        this.#inFlight.push({ key, sendable });
      }
    }
  }

  /** The cloud acknowledges some of what is on its way, in any order. */
  ack(picks: (index: number) => boolean): void {
    const rest: InFlight[] = [];
    for (const [i, one] of this.#inFlight.entries()) {
      if (!picks(i)) rest.push(one);
      else {
        this.acked.add(one.key);
        one.sendable.done();
      }
    }
    this.#inFlight = rest;
  }

  /** The link ends: what is not acknowledged goes out again. */
  breakLink(): void {
    this.#inFlight = [];
    for (const lane of this.parts.lanes) {
      lane.end('gone');
      lane.begin(8);
    }
  }

  /** Until the cloud has acknowledged all there is. */
  async drain(): Promise<void> {
    this.breakLink();
    for (let i = 0; i < 10_000; i++) {
      if (this.parts.lanes.every((lane) => lane.backlog() === 0)) return;
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
    for (const consumer of consumers) await consumer.close();
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
      for await (const records of readRange(range)) addBacklog(backlog, stream, records);
    }
    return reportOf({ snapshot, entries: await this.entries(), backlog });
  }
}
