import { setTimeout as wait } from 'node:timers/promises';
import { Backoff } from './base/backoff.ts';
import type { Random } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import { messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Broker } from './ingest/broker.ts';
import type { TopicMap } from './ingest/topic-map.ts';
import type { Config } from './ops/config.ts';
import type { StateStore } from './os/state-store.ts';
import type { CloudCommand, CloudLink } from './uplink/cloud-link.ts';
import { DownlinkRoutes, type LocalMessage } from './uplink/downlink-routes.ts';
import type { SessionOptions } from './uplink/mqtt-link.ts';

export interface DownlinkOptions {
  readonly routes: DownlinkRoutes;
  /** Resolves when it is with live subscribers, and stored for sessions that are away. */
  readonly publish: (message: LocalMessage) => Promise<void>;
  /** Resolves when what was stored of it is on flash. */
  readonly keep: () => Promise<void>;
  /** Between tries of a message that can not be published here. */
  readonly backoff: Backoff;
  readonly counters: Counters;
  readonly logger: Logger;
}

interface Attempt {
  readonly topic: string;
  readonly signal: AbortSignal;
}

/** Brings what the cloud sends to local subscribers: at least once, in order. */
export class Downlink {
  readonly #options: DownlinkOptions;

  constructor(options: DownlinkOptions) {
    this.#options = options;
  }

  /** A link is up: listens on it until it ends. */
  attach(link: CloudLink): void {
    const over = new AbortController();
    void link.ended.then(() => over.abort());
    void this.#listen(link, over.signal);
  }

  async #listen(link: CloudLink, signal: AbortSignal): Promise<void> {
    const { routes, logger } = this.#options;
    try {
      const onCommand = (command: CloudCommand) => this.#take(command, signal);
      for (const { filter, reason } of (await link.listen?.(routes.filters, onCommand)) ?? []) {
        const fields = { filter, reason, repeatKey: filter };
        logger.warn(
          fields,
          'the cloud does not grant a subscription; it is asked again on the next link',
        );
      }
    } catch {
      // The link has ended before the answers: it is subscribed to on the next one.
    }
  }

  /**
   * Resolves when the message may be acknowledged: it is published, or it never will be. Tried for
   * as long as the link lasts, so that those behind it do not overtake it.
   */
  async #take(command: CloudCommand, signal: AbortSignal): Promise<void> {
    const { routes, publish, keep, counters, logger } = this.#options;
    const routed = routes.find(command);
    if ('refusal' in routed) {
      counters.downlinkRefused += 1;
      const { refusal: reason } = routed;
      const fields = { topic: command.topic, reason, repeatKey: reason };
      logger.warn(fields, 'a message of the cloud was refused, and is dropped');
      return;
    }
    const { topic } = routed;
    await this.#tried({ topic, signal }, () => publish(routed));
    // A power cut until here: the cloud has no acknowledgement, and sends it once more. By itself,
    // so that a full disk does not publish the same again and again.
    await this.#tried({ topic, signal }, keep);
    counters.downlinked += 1;
  }

  async #tried({ topic, signal }: Attempt, step: () => Promise<void>): Promise<void> {
    const { backoff, logger } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      try {
        await step();
        backoff.reset();
        return;
      } catch (error) {
        const fields = { topic, error: messageOf(error), repeatKey: topic };
        logger.error(fields, 'a message of the cloud is not taken yet; it is tried again');
        await wait(backoff.nextMs(), undefined, { signal });
      }
    }
  }
}

export interface DownlinkParts {
  readonly config: Config;
  readonly gatewayId: string;
  readonly topics: TopicMap;
  readonly broker: Broker;
  /** In the store in which the broker keeps what sessions have not had. */
  readonly state: StateStore;
  readonly counters: Counters;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * A synced write takes all that were written before it along: they stand in one log file, but for
 * the moment in which LevelDB begins a new one.
 */
const KEPT: ReadonlyMap<string, string> = new Map([['downlink', '']]);
const RETRY = { baseMs: 500, maxMs: 60_000 };

/** undefined: none is configured. Without one the cloud is not asked for anything. */
export function downlinkOf(parts: DownlinkParts): Downlink | undefined {
  const { config, gatewayId: gateway, topics, broker, state, counters, random, logger } = parts;
  const { routes, allow } = config.downlink;
  if (Object.keys(routes).length === 0) return undefined;
  const { maxPayloadBytes, maxTopicLevels } = config.mqtt;
  const isStreamTopic = (topic: string) => topics.find(topic) !== undefined;
  const limits = { maxPayloadBytes, maxTopicLevels, isStreamTopic };
  return new Downlink({
    routes: new DownlinkRoutes({ routes, allow, gateway, ...limits }),
    publish: ({ topic, payload, retain }) => broker.publish(topic, payload, { retain, qos: 1 }),
    keep: () => state.write(KEPT, { sync: true }),
    backoff: new Backoff({ ...RETRY, random }),
    counters,
    logger,
  });
}

/** What the link asks the cloud for, if there is a downlink. */
export function sessionOf({ downlink, mqtt }: Config): SessionOptions | undefined {
  if (Object.keys(downlink.routes).length === 0) return undefined;
  const { sessionExpirySeconds: expirySeconds } = downlink;
  return { expirySeconds, maxPacketBytes: mqtt.maxPacketBytes };
}
