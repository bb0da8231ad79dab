import { Backoff } from '../../../src/base/backoff.ts';
import { type Random, seededRandom } from '../../../src/base/clock.ts';
import { newCounters } from '../../../src/base/counters.ts';
import type { Span } from '../../../src/base/handled-offsets.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import { ALERT_LANE, Budget, FRESH_LANE } from '../../../src/uplink/budget.ts';
import type {
  CloudLink,
  CloudMessage,
  CloudRefusal,
  OpenLink,
} from '../../../src/uplink/cloud-link.ts';
import type { LaneSource } from '../../../src/uplink/cut.ts';
import type { Envelope } from '../../../src/uplink/envelope.ts';
import { Lane } from '../../../src/uplink/lane.ts';
import { RawShape } from '../../../src/uplink/shape.ts';
import { Uplink, type UplinkOptions } from '../../../src/uplink/uplink.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { identityOf } from '../../support/identity.ts';

export const ORIGIN = { gateway: 'gw', log: 'a1b2' };

/** Everything that is ready to run has run, reads and acknowledgements included. */
export async function settle(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A record on its way, as the cloud sees it. */
export interface Arrival {
  readonly identity: string;
  readonly stream: string;
  readonly topic: string;
  readonly ack: () => void;
  readonly refuse: (error: Error) => void;
}

/** One connection. The test acknowledges, refuses and ends. */
export class FakeLink implements CloudLink {
  readonly receiveMaximum: number | undefined;
  readonly maximumSizeBytes = undefined;
  readonly ended: Promise<string>;
  /** Not acknowledged, in the order of arrival. */
  readonly pending: Arrival[] = [];
  closed = false;
  mostPending = 0;
  readonly #cloud: FakeCloud;
  #end: (reason: string) => void = () => {};

  constructor(cloud: FakeCloud, receiveMaximum: number | undefined) {
    this.#cloud = cloud;
    this.receiveMaximum = receiveMaximum;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  sizeOf({ payload }: CloudMessage): number {
    return payload.length;
  }

  publish({ topic, payload }: CloudMessage): Promise<void> {
    if (this.closed) return Promise.reject(new Error('published on a link that is gone'));
    const envelope = JSON.parse(Buffer.from(payload).toString()) as Envelope;
    const identity = identityOf(envelope);
    return new Promise((resolve, reject) => {
      const leave = () => this.pending.splice(this.pending.indexOf(arrival), 1);
      const arrival: Arrival = {
        identity,
        stream: envelope.stream,
        topic,
        ack: () => {
          leave();
          this.#cloud.acked.add(identity);
          resolve();
        },
        refuse: (error) => {
          leave();
          const { doubted } = this.#cloud;
          doubted.set(identity, (doubted.get(identity) ?? 0) + 1);
          reject(error);
        },
      };
      this.pending.push(arrival);
      this.#cloud.arrived.push(arrival);
      this.mostPending = Math.max(this.mostPending, this.pending.length);
    });
  }

  /** Cut off: what is not acknowledged never will be. */
  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    for (const { refuse } of [...this.pending]) refuse(new Error(reason));
    this.#end(reason);
  }

  async close(): Promise<void> {
    this.end('closed by the gateway');
  }
}

/** The far side: `open` is the uplink's door to it. */
export class FakeCloud {
  /** Every publish, over all links. */
  readonly arrived: Arrival[] = [];
  readonly acked = new Set<string>();
  /** How often one was refused, or on its way when a link ended. */
  readonly doubted = new Map<string, number>();
  readonly links: FakeLink[] = [];
  readonly receiveMaximum: number | undefined;
  tries = 0;
  /** Refuses connections while true. */
  away = false;
  #waiters: Array<() => void> = [];

  constructor(receiveMaximum?: number) {
    this.receiveMaximum = receiveMaximum;
  }

  readonly open = async (): Promise<CloudLink> => {
    this.tries += 1;
    for (const wake of this.#waiters.splice(0)) wake();
    if (this.away) throw new Error('no route');
    const link = new FakeLink(this, this.receiveMaximum);
    this.links.push(link);
    return link;
  };

  /** The link that is up; waits for the next try when there is none. */
  async link(): Promise<FakeLink> {
    for (;;) {
      const last = this.links.at(-1);
      if (last !== undefined && !last.closed) return last;
      await this.nextTry();
    }
  }

  /** Resolves after the uplink has tried to connect once more. */
  async nextTry(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
    await settle();
  }
}

/** What a stream asks of the far side. */
interface Acknowledged {
  /** Has it acknowledged this record at all? */
  readonly acked: Pick<Set<string>, 'has'>;
  /** Has it refused it once, or did a link end on it? Only over such ones may others go on. */
  readonly doubted: Pick<Set<string>, 'has'>;
}

/** A stream in memory. Throws at whatever a checkpoint must never do. */
export class FakeSource implements LaneSource {
  readonly stream: string;
  rewinds = 0;
  /** Most records read and not handled at any time: what the uplink holds of this stream. */
  mostHeld = 0;
  /** Records that were made dead letters. */
  readonly parked = new Set<string>();
  readonly #cloud: Acknowledged;
  readonly #random: Random;
  readonly #partitions: number;
  readonly #records: LogRecord[] = [];
  readonly #handled = new Set<string>();
  readonly #held = new Set<string>();
  #next = 0;
  #wake: () => void = () => {};

  /** Where records go together, all of one partition are handled before those of another. */
  constructor(
    stream: string,
    cloud: Acknowledged,
    random: Random = seededRandom(1),
    partitions = 2,
  ) {
    this.#partitions = partitions;
    this.stream = stream;
    this.#cloud = cloud;
    this.#random = random;
  }

  /** In commit order, over partitions with offsets of their own. */
  append(count: number): void {
    for (let i = 0; i < count; i++) {
      const index = this.#records.length;
      this.#records.push({
        stream: this.stream,
        partition: index % this.#partitions,
        offset: Math.floor(index / this.#partitions),
        device: `d${index % 3}`,
        topic: `sensors/d${index % 3}/t`,
        payload: Buffer.from(String(index)),
        monoMs: 0,
        receivedAtMs: 0,
        boot: '00',
        runMs: 0,
      });
    }
    this.#wake();
  }

  get length(): number {
    return this.#records.length;
  }

  /** Records handled. */
  get handledCount(): number {
    return this.#handled.size;
  }

  identities(): string[] {
    return this.#records.map((record) => this.#identity(record));
  }

  #identity({ partition, offset }: Pick<LogRecord, 'partition' | 'offset'>): string {
    return `${ORIGIN.gateway}/${ORIGIN.log}/${this.stream}/${partition}/${offset}`;
  }

  backlog(): number {
    return this.#records.length - this.handledCount;
  }

  /** As many as it likes, as a log does at the end of a block. */
  async read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]> {
    while (!signal.aborted) {
      const left = this.#records.length - this.#next;
      if (left > 0) {
        const count = 1 + Math.floor(this.#random() * Math.min(left, maxRecords));
        const given = this.#records.slice(this.#next, this.#next + count);
        this.#next += count;
        const records = given.filter((record) => !this.#handled.has(this.#identity(record)));
        for (const record of records) this.#held.add(this.#identity(record));
        this.mostHeld = Math.max(this.mostHeld, this.#held.size);
        if (records.length > 0) return records;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return [];
  }

  handled(partition: number, { from, to }: Span): void {
    for (let offset = from; offset < to; offset++)
      this.#handle(this.#identity({ partition, offset }), partition);
  }

  /** Records that were sent together are handled together, one partition after the other. */
  #handle(identity: string, partition: number): void {
    if (this.#handled.has(identity)) return;
    const isParked = this.parked.has(identity);
    if (!isParked && !this.#cloud.acked.has(identity)) {
      throw new Error(`${identity} was never acknowledged`);
    }
    for (const record of this.#records) {
      const before = this.#identity(record);
      if (before === identity || isParked) break;
      if (record.partition !== partition) continue;
      if (!this.#handled.has(before) && !this.#cloud.doubted.has(before)) {
        throw new Error(`${identity} was handled out of turn`);
      }
    }
    this.#handled.add(identity);
    this.#held.delete(identity);
  }

  /** A dead letter says what became of it. */
  park(record: LogRecord): void {
    this.parked.add(this.#identity(record));
  }

  isHistorical(): boolean {
    return false;
  }

  owns(record: LogRecord): boolean {
    return !this.#handled.has(this.#identity(record));
  }

  rewind(): void {
    this.rewinds += 1;
    this.#held.clear();
    const first = this.#records.findIndex((one) => !this.#handled.has(this.#identity(one)));
    this.#next = first < 0 ? this.#records.length : first;
  }
}

interface More extends Partial<UplinkOptions> {
  readonly laneBackoff?: () => Backoff;
  /** Records go many at a time, as they do where nothing is counted. */
  readonly inBursts?: boolean;
  /** Before a record is parked. */
  readonly beforePark?: (record: LogRecord, refusal: CloudRefusal) => Promise<void>;
}

/** An uplink over fakes, one lane a stream. Waits between links are as short as timers allow. */
export function uplinkOver(
  cloud: { readonly open: OpenLink },
  sources: readonly FakeSource[],
  { laneBackoff, beforePark, inBursts = false, ...more }: More = {},
) {
  const counters = newCounters();
  const clock = new FakeClock();
  const topic = 'headgate/{gateway}/{stream}/{device}';
  const noWait = () => new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
  const lanes = sources.map(
    (source) =>
      new Lane({
        source,
        shape: new RawShape({ origin: ORIGIN, topic, identity: 'wrapper' }),
        priority: source.stream === 'alerts' ? ALERT_LANE : FRESH_LANE,
        backoff: laneBackoff?.() ?? noWait(),
        clock,
        park: async (record, refusal) => {
          await beforePark?.(record, refusal);
          source.park(record);
        },
      }),
  );
  const backoff = noWait();
  /** Why each link was given up. */
  const reasons: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: ({ reason }) => reasons.push(reason) };
  const unlimited = { bytesPerSecond: 0, bytesPerDay: 0, publishesPerSecond: 0 };
  const uplink = new Uplink({
    open: cloud.open,
    lanes,
    window: 8,
    maxInFlightBytes: Number.POSITIVE_INFINITY,
    maxBytes: Number.POSITIVE_INFINITY,
    backlogShare: 0.5,
    isBusy: () => false,
    budget: new Budget({
      ...{ clock, ...unlimited, meteredHours: [], meteredLanes: 'fresh' },
      // It counts, and never has to wait.
      ...(inBursts ? {} : { publishesPerSecond: 1e9 }),
    }),
    backlog: () => sources.reduce((sum, source) => sum + source.backlog(), 0),
    backoff,
    counters,
    clock,
    logger,
    graceMs: 0,
    ...more,
  });
  return { uplink, counters, clock, reasons };
}

export function ackAll(link: FakeLink): void {
  for (const { ack } of [...link.pending]) ack();
}

/** Acknowledges all that comes, until every stream is done. */
export async function drain(cloud: FakeCloud, sources: readonly FakeSource[]): Promise<void> {
  cloud.away = false;
  while (sources.some((source) => source.backlog() > 0)) {
    ackAll(await cloud.link());
    await settle();
  }
}
