import { Backoff } from '../../../src/base/backoff.ts';
import { seededRandom } from '../../../src/base/clock.ts';
import { newCounters } from '../../../src/base/counters.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import {
  ALERT_LANE,
  BACKLOG_LANE,
  Budget,
  FRESH_LANE,
  type LanePriority,
} from '../../../src/uplink/budget.ts';
import type { CloudLink, CloudMessage } from '../../../src/uplink/cloud-link.ts';
import { decodeEnvelope } from '../../../src/uplink/decode-envelope.ts';
import { Lane } from '../../../src/uplink/lane.ts';
import { Publisher, type PublisherOptions } from '../../../src/uplink/publisher.ts';
import { BatchShape, RawShape, type Shape } from '../../../src/uplink/shape.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { identityOf } from '../../support/identity.ts';
import { FakeSource, ORIGIN, settle } from './fakes.ts';

/** A publish as the far side sees it. */
export interface Publish {
  readonly stream: string;
  readonly identities: readonly string[];
  readonly bytes: number;
  readonly ack: () => void;
  readonly refuse: (error: Error) => void;
}

type LinkBounds = Partial<Pick<CloudLink, 'receiveMaximum' | 'maximumSizeBytes'>>;

/** What a far side has had, over all links: `FakeSource` holds what is handled against it. */
export class ScriptedFar {
  readonly acked = new Set<string>();
  readonly doubted = new Map<string, number>();
  /** Every publish, in the order of arrival. */
  readonly publishes: Publish[] = [];
  sizeOf = ({ payload }: CloudMessage): number => payload.length;
  /** Called at each, before anything else. */
  onPublish: () => void = () => {};

  link(bounds: LinkBounds = {}): ScriptedLink {
    return new ScriptedLink(this, bounds);
  }

  get streams(): string[] {
    return this.publishes.map(({ stream }) => stream);
  }
}

export class ScriptedLink implements CloudLink {
  readonly receiveMaximum: number | undefined;
  readonly maximumSizeBytes: number | undefined;
  readonly ended: Promise<string>;
  /** Not answered yet. */
  readonly pending: Publish[] = [];
  mostPending = 0;
  readonly #far: ScriptedFar;
  #isOver = false;
  #end: (reason: string) => void = () => {};

  constructor(far: ScriptedFar, { receiveMaximum, maximumSizeBytes }: LinkBounds) {
    this.#far = far;
    this.receiveMaximum = receiveMaximum;
    this.maximumSizeBytes = maximumSizeBytes;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get pendingBytes(): number {
    return this.pending.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  sizeOf(message: CloudMessage): number {
    return this.#far.sizeOf(message);
  }

  publish(message: CloudMessage): Promise<void> {
    if (this.#isOver) return Promise.reject(new Error('published on a link that is gone'));
    this.#far.onPublish();
    const records = decodeEnvelope(message.payload, message.properties);
    return new Promise((resolve, reject) => {
      const publish: Publish = {
        stream: records[0]?.stream ?? '',
        identities: records.map(identityOf),
        bytes: this.sizeOf(message),
        ack: () => {
          this.pending.splice(this.pending.indexOf(publish), 1);
          for (const identity of publish.identities) this.#far.acked.add(identity);
          resolve();
        },
        refuse: (error) => {
          this.pending.splice(this.pending.indexOf(publish), 1);
          const { doubted } = this.#far;
          for (const one of publish.identities) doubted.set(one, (doubted.get(one) ?? 0) + 1);
          reject(error);
        },
      };
      this.pending.push(publish);
      this.mostPending = Math.max(this.mostPending, this.pending.length);
      this.#far.publishes.push(publish);
    });
  }

  async ackAll(): Promise<void> {
    for (const { ack } of [...this.pending]) ack();
    await settle();
  }

  end(reason = 'cut off'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { refuse } of [...this.pending]) refuse(new Error(reason));
    this.#end(reason);
  }

  async close(): Promise<void> {
    this.end();
  }
}

const TOPIC = 'to/{gateway}/{stream}';
export const rawShape = (): Shape =>
  new RawShape({ origin: ORIGIN, topic: TOPIC, identity: 'wrapper' });
/** Of documents that are not compressed: how large they get is known. */
export const batchShape = (maxDocumentBytes = 100_000): Shape =>
  new BatchShape({
    ...{ origin: ORIGIN, topic: TOPIC, lingerMs: 0, compression: 'none', maxDocumentBytes },
  });

export type Streams = 'alerts' | 'fresh' | 'backlog';
const PRIORITIES: Readonly<Record<Streams, LanePriority>> = {
  alerts: ALERT_LANE,
  fresh: FRESH_LANE,
  backlog: BACKLOG_LANE,
};

export interface Given extends Partial<PublisherOptions> {
  readonly shape?: () => Shape;
  readonly inBursts?: boolean;
  readonly laneBackoff?: () => Backoff;
  readonly beforePark?: (record: LogRecord) => Promise<void>;
}

/** A lane of each priority over a stream of its own, and a publisher for each link. */
export function publishing(far: ScriptedFar, given: Given = {}) {
  const { shape = rawShape, laneBackoff, beforePark, inBursts = false, ...more } = given;
  const noWait = () => new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
  const clock = new FakeClock();
  const counters = newCounters();
  const warnings: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: ({ reason }) => warnings.push(reason) };
  const sourceOf = (stream: string) => new FakeSource(stream, far, () => 0.999, 1);
  const sources = {
    alerts: sourceOf('alerts'),
    fresh: sourceOf('fresh'),
    backlog: sourceOf('backlog'),
  };
  const laneOf = (stream: Streams) =>
    new Lane({
      ...{ source: sources[stream], shape: shape(), priority: PRIORITIES[stream], clock },
      backoff: laneBackoff?.() ?? noWait(),
      park: async (record) => {
        await beforePark?.(record);
        sources[stream].park(record);
      },
    });
  const lanes = [laneOf('alerts'), laneOf('fresh'), laneOf('backlog')];
  const unlimited = { bytesPerSecond: 0, bytesPerDay: 0, publishesPerSecond: 0 };
  const options: PublisherOptions = {
    ...{ lanes, window: 8, maxInFlightBytes: Number.POSITIVE_INFINITY },
    ...{ maxBytes: Number.POSITIVE_INFINITY, backlogShare: 0.2, isBusy: () => false },
    // It counts, and never has to wait: records go one at a time.
    budget: new Budget({
      ...{ clock, ...unlimited, publishesPerSecond: inBursts ? 0 : 1e9 },
      ...{ meteredHours: [], meteredLanes: 'fresh' },
    }),
    ...{ backoff: noWait(), clock, counters, logger, ...more },
  };
  /** Serves a link as the uplink does; `over` ends it and leaves the lanes ready for the next. */
  const serve = async (link: ScriptedLink) => {
    const publisher = new Publisher(link, options);
    const ended = link.ended.then((why) => publisher.stop(why));
    const fed = lanes.map((lane) => publisher.feed(lane));
    await settle();
    const over = async (): Promise<string> => {
      link.end();
      const reason = await publisher.stopped;
      await Promise.all([ended, publisher.settled(), ...fed]);
      for (const lane of lanes) lane.end(reason);
      return reason;
    };
    return { publisher, over };
  };
  return { sources, lanes, clock, counters, warnings, serve };
}
