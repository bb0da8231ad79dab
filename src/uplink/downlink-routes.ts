import { fillFilter, matchFilter } from '../base/topic-filter.ts';
import { topicLevel } from '../base/topic-level.ts';
import type { CloudCommand } from './cloud-link.ts';

/** Where what the cloud sends goes on the gateway: docs/downlink.md. Pure. */

export interface DownlinkRoute {
  /** A filter in the cloud, with `{gateway}` in it. */
  readonly from: string;
  /** The local topic, with the same wildcards in the same order. */
  readonly to: string;
  /** Kept for those who subscribe later. */
  readonly retain: boolean;
}

export interface DownlinkRoutesOptions {
  readonly routes: Readonly<Record<string, DownlinkRoute>>;
  /** Filters of the local topics that may be published to. */
  readonly allow: readonly string[];
  readonly gateway: string;
  readonly maxPayloadBytes: number;
  readonly maxTopicLevels: number;
  /** A reading would be made of what is published there. */
  isStreamTopic(topic: string): boolean;
}

/** A message for local subscribers. */
export interface LocalMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

export type Routed = LocalMessage | { readonly refusal: string };

interface Split {
  readonly filter: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly retain: boolean;
}

/** As MQTT writes the length of a topic. */
const MAX_TOPIC_BYTES = 65_535;

export class DownlinkRoutes {
  readonly #options: DownlinkRoutesOptions;
  readonly #routes: readonly Split[];
  readonly #allow: ReadonlyArray<readonly string[]>;

  constructor(options: DownlinkRoutesOptions) {
    this.#options = options;
    const gateway = topicLevel(options.gateway);
    this.#routes = Object.values(options.routes).map(({ from, to, retain }) => {
      const filter = from.replaceAll('{gateway}', gateway);
      return { filter, from: filter.split('/'), to: to.split('/'), retain };
    });
    this.#allow = options.allow.map((filter) => filter.split('/'));
  }

  /** What to subscribe to in the cloud. */
  get filters(): string[] {
    return this.#routes.map(({ filter }) => filter);
  }

  /** The message as it is to be published here, or why it must not be. */
  find({ topic, payload }: CloudCommand): Routed {
    const levels = topic.split('/');
    for (const { from, to, retain } of this.#routes) {
      const names = matchFilter(from, levels);
      if (names === undefined) continue;
      const local = fillFilter(to, names);
      const refusal = this.#refusal(local, payload);
      return refusal === undefined ? { topic: local, payload, retain } : { refusal };
    }
    // Of a route that was taken out of the configuration: the session in the cloud keeps it.
    return { refusal: 'no route takes its topic' };
  }

  #refusal(topic: string, payload: Uint8Array): string | undefined {
    const { maxPayloadBytes, maxTopicLevels, isStreamTopic } = this.#options;
    if (payload.length > maxPayloadBytes) {
      return `its payload is larger than mqtt.maxPayloadBytes, ${maxPayloadBytes}`;
    }
    const levels = topic.split('/');
    if (topic === '' || Buffer.byteLength(topic) > MAX_TOPIC_BYTES) {
      return 'its local topic would be empty or too long';
    }
    if (levels.length > maxTopicLevels) {
      return `its local topic has more levels than mqtt.maxTopicLevels, ${maxTopicLevels}`;
    }
    if (topic.startsWith('$') || levels[0] === 'headgate') {
      return "its local topic is one of the broker's own";
    }
    if (isStreamTopic(topic)) return 'its local topic is one for readings';
    if (!this.#allow.some((filter) => matchFilter(filter, levels) !== undefined)) {
      return 'downlink.allow does not have its local topic';
    }
    return undefined;
  }
}
