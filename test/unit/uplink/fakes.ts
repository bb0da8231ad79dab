import { Backoff } from '../../../src/base/backoff.ts';
import { type Random, seededRandom } from '../../../src/base/clock.ts';
import { newCounters } from '../../../src/base/counters.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import type { Consumer } from '../../../src/log/consumer.ts';
import type { CloudLink, CloudMessage, OpenLink } from '../../../src/uplink/cloud-link.ts';
import type { Envelope } from '../../../src/uplink/envelope.ts';
import { Lane } from '../../../src/uplink/lane.ts';
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

/** What a stream asks of the far side: has it acknowledged this record at all? */
interface Acknowledged {
  readonly acked: Pick<Set<string>, 'has'>;
}

/** A stream in memory. Throws at whatever a checkpoint must never do. */
export class FakeConsumer implements Consumer {
  readonly name = 'uplink';
  readonly stream: string;
  /** Records handled, from the first. */
  handledCount = 0;
  rewinds = 0;
  /** Most records read and not handled at any time: what the uplink holds of this stream. */
  mostHeld = 0;
  readonly #cloud: Acknowledged;
  readonly #random: Random;
  readonly #records: LogRecord[] = [];
  #next = 0;
  #wake: () => void = () => {};

  constructor(stream: string, cloud: Acknowledged, random: Random = seededRandom(1)) {
    this.stream = stream;
    this.#cloud = cloud;
    this.#random = random;
  }

  /** In commit order, over two partitions with offsets of their own. */
  append(count: number): void {
    for (let i = 0; i < count; i++) {
      const index = this.#records.length;
      this.#records.push({
        stream: this.stream,
        partition: index % 2,
        offset: Math.floor(index / 2),
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

  identities(): string[] {
    return this.#records.map((record) => this.#identity(record));
  }

  #identity({ stream, partition, offset }: LogRecord): string {
    return `${ORIGIN.gateway}/${ORIGIN.log}/${stream}/${partition}/${offset}`;
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
        const records = this.#records.slice(this.#next, this.#next + count);
        this.#next += count;
        this.mostHeld = Math.max(this.mostHeld, this.#next - this.handledCount);
        return records;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return [];
  }

  handled(record: LogRecord): void {
    const identity = this.#identity(record);
    const expected = this.#records[this.handledCount];
    if (record !== expected) throw new Error(`${identity} was handled out of turn`);
    if (!this.#cloud.acked.has(identity)) throw new Error(`${identity} was never acknowledged`);
    this.handledCount += 1;
  }

  rewind(): void {
    this.rewinds += 1;
    this.#next = this.handledCount;
  }

  checkpoint(): ReadonlyMap<string, string> {
    return new Map();
  }
}

/** An uplink over fakes. Waits between links are as short as timers allow. */
export function uplinkOver(
  cloud: { readonly open: OpenLink },
  consumers: readonly Consumer[],
  more: Partial<UplinkOptions> & { readonly laneBackoff?: () => Backoff } = {},
) {
  const counters = newCounters();
  const clock = new FakeClock();
  const topic = 'headgate/{gateway}/{stream}/{device}';
  const noWait = () => new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
  const { laneBackoff = noWait } = more;
  const lanes = consumers.map(
    (consumer) => new Lane({ consumer, origin: ORIGIN, topic, backoff: laneBackoff() }),
  );
  const backoff = noWait();
  /** Why each link was given up. */
  const reasons: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: ({ reason }) => reasons.push(reason) };
  const uplink = new Uplink({
    open: cloud.open,
    lanes,
    window: 8,
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

/** Acknowledges all that comes, until every consumer is done. */
export async function drain(cloud: FakeCloud, consumers: readonly FakeConsumer[]): Promise<void> {
  cloud.away = false;
  while (consumers.some((consumer) => consumer.backlog() > 0)) {
    ackAll(await cloud.link());
    await settle();
  }
}
