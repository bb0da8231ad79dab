import { Backoff } from './base/backoff.ts';
import type { Clock, Random } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { checkpointKey } from './log/checkpoint.ts';
import type { Journal } from './log/journal.ts';
import { UPLINK } from './log/own-consumers.ts';
import type { DroppedOffsets } from './log/retention.ts';
import { StreamConsumer } from './log/stream-consumer.ts';
import type { Config } from './ops/config.ts';
import type { NamedFiles } from './ops/named-files.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import { ALERTS, DEAD_LETTER, type Stores } from './stores.ts';
import { mqttCloud } from './uplink/cloud-client.ts';
import { Lane } from './uplink/lane.ts';
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
}

const CONNECT_TIMEOUT_MS = 10_000;

/** The consumers "uplink", one per stream, and the uplink that they feed. */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #consumers: readonly StreamConsumer[];
  readonly #uplink: Uplink;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #saved = '';

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
    const lanes = consumers.map(({ consumer, journal }) => {
      const origin = { gateway: gatewayId, log: journal.logId };
      const backoff = new Backoff({ baseMs, maxMs, random });
      return new Lane({ consumer, origin, topic: uplink.topic, backoff });
    });
    const open = mqttCloud({
      url: uplink.url,
      clientId: uplink.clientId || `headgate-${gatewayId}`,
      username: uplink.username,
      password: password?.split(/\r?\n/, 1)[0],
      protocolVersion: uplink.protocolVersion,
      keepaliveSeconds: uplink.keepaliveSeconds,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      ackTimeoutMs: uplink.ackTimeoutMs,
      clock,
      tls: { ca, cert, key },
    });
    const backoff = new Backoff({ baseMs, maxMs, random });
    logger.info({ cloud: uplink.url, topic: uplink.topic }, 'the uplink starts');
    const running = new Uplink({ open, lanes, window, backoff, counters, clock, logger });
    const own = consumers.map(({ consumer }) => consumer);
    const forwarding = new Forwarding(options, own, running);
    // From the first moment there is a position: what retention drops is measured against it.
    await forwarding.#save();
    forwarding.#begin();
    return forwarding;
  }

  #begin(): void {
    this.#uplink.start();
    this.#timer = setInterval(() => {
      this.#saving = this.#saving.then(() => this.#save());
    }, this.#options.config.uplink.checkpointMs);
    this.#timer.unref();
  }

  status(): UplinkStatus {
    return this.#uplink.status();
  }

  backlog(): number {
    return this.#consumers.reduce((sum, consumer) => sum + consumer.backlog(), 0);
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
    clearInterval(this.#timer);
    await this.#uplink.stop();
    await this.#saving;
    await this.#save();
    for (const consumer of this.#consumers) await consumer.close();
  }

  /** Unsynced: a crash sends a little again, under the same identities. */
  async #save(): Promise<void> {
    const entries = new Map(this.#consumers.flatMap((consumer) => [...consumer.checkpoint()]));
    const text = JSON.stringify([...entries]);
    if (text === this.#saved) return;
    try {
      await this.#options.state.write(entries);
      this.#saved = text;
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) };
      this.#options.logger.warn(fields, 'the progress of the uplink could not be saved');
    }
  }
}

/** Alerts first, then readings, then dead letters. */
async function openConsumers({ config, stores, state, files }: ForwardingOptions) {
  const { telemetry, events } = stores;
  const lanes: Array<[stream: string, journal: Journal]> = [
    [ALERTS, events],
    // Those too that the configuration names no more: what they hold was acknowledged.
    ...telemetry.streamNames.map((name): [string, Journal] => [name, telemetry]),
    [DEAD_LETTER, events],
  ];
  const wanted = config.uplink.streams;
  const chosen = lanes.filter(([stream]) => wanted.length === 0 || wanted.includes(stream));
  const opened: Array<{ consumer: StreamConsumer; journal: Journal }> = [];
  for (const [stream, journal] of chosen) {
    const stored = await state.get(checkpointKey(UPLINK, stream));
    const start = 'earliest' as const;
    const consumer = new StreamConsumer({ name: UPLINK, stream, journal, files, stored, start });
    opened.push({ consumer, journal });
  }
  return opened;
}
