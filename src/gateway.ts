import { hostname } from 'node:os';
import { startButton } from './ack-by-button.ts';
import type { Alarms } from './alarms.ts';
import type { Alerter } from './alert/alerter.ts';
import { AlertList } from './alert-list.ts';
import type { Clock, Random } from './base/clock.ts';
import { type Counters, newCounters } from './base/counters.ts';
import { messageOf } from './base/errors.ts';
import type { Gaps } from './base/gap.ts';
import type { Logger } from './base/logger.ts';
import { Bookkeeper } from './bookkeeper.ts';
import { buildPipeline } from './build-pipeline.ts';
import { Checkpoints } from './checkpoints.ts';
import type { DedupKeeper } from './dedup-keeper.ts';
import { Detector } from './detect/detector.ts';
import { downlinkOf } from './downlink.ts';
import { Forwarding, type ForwardingOptions } from './forwarding.ts';
import { gatewayId } from './gateway-id.ts';
import { type Broker, openBroker } from './ingest/broker.ts';
import { openLocalSocket } from './local-socket.ts';
import { checkpointKey } from './log/checkpoint.ts';
import { JournalEarlyConsumer } from './log/early-consumer.ts';
import type { Journal } from './log/journal.ts';
import { DETECT } from './log/own-consumers.ts';
import type { DroppedOffsets } from './log/retention.ts';
import { openAlarms } from './open-alarms.ts';
import { openAlerter } from './open-alerter.ts';
import type { Config } from './ops/config.ts';
import type { DataFolder } from './ops/data-folder.ts';
import { adoptDataFolder } from './ops/data-version.ts';
import { textsOfNamedFiles } from './ops/named-files.ts';
import { readBootId } from './os/boot-id.ts';
import type { Files } from './os/files.ts';
import { type LevelStore, openLevelStore } from './os/level-store.ts';
import type { Pipeline } from './pipeline.ts';
import { type Status, statusOf } from './status.ts';
import { openStores, type Stores } from './stores.ts';
import { type StreamDecoding, streamDecodings } from './stream-decoding.ts';
import { topicsOf } from './topics.ts';
import { Watcher } from './watcher.ts';
import { Wear, type WrittenTotals } from './wear.ts';
import { WindowKeeper } from './window-keeper.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

function writtenBy({ telemetry, events }: Stores, level: LevelStore): WrittenTotals {
  const stateBytes = level.bytesWritten();
  const stores = [telemetry.status(), events.status()];
  const sum = (total: number, one: number) => total + one;
  return {
    writtenBytes: stores.map(({ bytesWritten }) => bytesWritten).reduce(sum, stateBytes),
    payloadBytes: stores.map(({ payloadBytes }) => payloadBytes).reduce(sum, 0),
    stateBytes,
  };
}

/** What detection joins. */
interface DetectionParts {
  readonly stores: Stores;
  readonly level: LevelStore;
  readonly alerter: Alerter;
  readonly decodings: ReadonlyMap<string, StreamDecoding>;
}

/** What is asked for the status. */
interface StatusSources {
  readonly stores: Stores;
  readonly broker: Broker;
  readonly alerter: Alerter;
  readonly level: LevelStore;
  readonly wear: Wear;
  readonly bookkeeper: Bookkeeper;
}

const RETAIN_EVERY_MS = 60_000;
/** Without an uplink: a kill forgets what was repeated or refused in that time. */
const SAVE_EVERY_MS = 1_000;

/**
 * Builds every part and joins them. Parts start in the order in which data flows, so that each
 * finds what it needs running, and the listener comes last: nobody is acknowledged before all is
 * there. They stop in reverse.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  #id = '';
  readonly #counters: Counters = newCounters();
  readonly #startedMonoMs: number;
  /** How to stop what has been started, in the order of starting. */
  readonly #stops: Array<{ readonly part: string; readonly stop: () => unknown }> = [];
  readonly #keepers: DedupKeeper[] = [];
  /** Of sequence numbers, by stream. */
  readonly #gaps = new Map<string, Gaps>();
  readonly #detectors: Detector[] = [];
  readonly #alarms: Alarms[] = [];
  #expired = 0;
  #forwarding: Forwarding | undefined;
  #windows: WindowKeeper | undefined;
  #status: (() => Status) | undefined;

  private constructor(options: GatewayOptions) {
    this.#options = options;
    this.#startedMonoMs = options.clock.monoMs();
  }

  /** Starts everything, or nothing: on an error what was started is stopped again. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    try {
      await gateway.#start();
      return gateway;
    } catch (error) {
      await gateway.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { data, files, logger, config } = this.#options;
    // A start that fails for a file that is not there leaves nothing behind.
    const texts = await textsOfNamedFiles(files, config);
    const decodings = await streamDecodings(config);
    await adoptDataFolder(files, data);
    const level = await openLevelStore({ folder: data.state, files, logger });
    this.#onStop('state', () => level.close());
    const { state } = level;
    const configured = config.gateway.id;
    this.#id = await gatewayId({ configured, hostName: hostname(), state, logger });
    const wear = await Wear.open({ ...this.#options, state });
    this.#onStop('wear', () => wear.stop());
    const checkpoints = new Checkpoints({ state, logger });
    // Once the logs are closed: what they committed last is in the books then.
    this.#onStop('checkpoints', () => checkpoints.stop());
    const { budget } = wear;
    const onDrop = (dropped: readonly DroppedOffsets[]) => this.#dropped(dropped);
    // Once: where the kernel has none, each reading is another one, and times would not compare.
    const boot = await readBootId(files);
    const stores = await openStores({ ...this.#options, boot, state, budget, onDrop });
    wear.start(() => writtenBy(stores, level));
    this.#onStop('events', () => stores.events.close());
    this.#onStop('telemetry', () => stores.telemetry.close());
    const topics = topicsOf(config, (name) => stores.telemetry.stream(name).partitions);
    const bookkeeper = await Bookkeeper.open({
      ...{ ...this.#options, stores, state, checkpoints, counters: this.#counters },
      streamOf: (topic) => topics.find(topic)?.stream,
      gaps: this.#gaps,
    });
    const { books } = bookkeeper;
    const { pages } = level;
    const more = { counters: this.#counters, stores, topics, books, decodings, pages, budget };
    const pipeline = await buildPipeline({ ...this.#options, ...more }, (stream, keeper) => {
      this.#keepers.push(keeper);
      this.#gaps.set(stream, () => keeper.dedup.gaps());
      this.#onStop('dedup', () => keeper.stop());
    });
    const broker = await this.#openBroker(pipeline, level);
    this.#onStop('broker', () => broker.close());
    const alerter = await this.#openAlerter(stores, broker);
    this.#windows = await this.#openWindows(stores, level, broker);
    await this.#startDetection({ stores, level, alerter, decodings });
    const own = { gatewayId: this.#id, counters: this.#counters, state };
    const downlink = downlinkOf({ ...this.#options, ...own, topics, broker });
    const joined = { books, checkpoints, downlink };
    if (config.uplink.url !== '') await this.#startForwarding(stores, level, { texts, ...joined });
    bookkeeper.begin(this.#forwarding);
    this.#onStop('audit', () => bookkeeper.stop());
    checkpoints.begin(config.uplink.url === '' ? SAVE_EVERY_MS : config.uplink.checkpointMs);
    this.#status = () => this.#statusOf({ stores, broker, alerter, level, wear, bookkeeper });
    await this.#startUpkeep(stores);
    const status = () => this.status();
    const alerts = new AlertList(alerter, this.#alarms);
    this.#onStop('button', await startButton(this.#options, alerts));
    const socket = await openLocalSocket({
      ...this.#options,
      boot,
      stores,
      level,
      pipeline,
      status,
      windows: this.#windows,
      learnedOf: (device, metric) =>
        this.#detectors.map((one) => one.learned(device, metric)).find((one) => one !== undefined),
      audit: () => bookkeeper.snapshot(),
      alerts,
    });
    this.#onStop('control', () => socket.close());
    await broker.listen();
    this.#onStop('listener', () => broker.hangUp());
    logger.info({ host: config.mqtt.host, port: broker.port, data: data.root }, 'ready');
  }

  /** What retention drops is known by now to all who must keep something of it. */
  async #startUpkeep({ telemetry, events }: Stores): Promise<void> {
    await telemetry.startUpkeep();
    await events.startUpkeep();
    let turn = Promise.resolve();
    const timer = setInterval(() => {
      turn = turn.then(() => telemetry.retain()).then(() => events.retain());
    }, RETAIN_EVERY_MS);
    timer.unref();
    this.#onStop('retention', async () => {
      clearInterval(timer);
      await turn;
    });
  }

  #onStop(part: string, stop: () => unknown): void {
    this.#stops.push({ part, stop });
  }

  #openBroker(pipeline: Pipeline, level: LevelStore): Promise<Broker> {
    const { config, logger } = this.#options;
    return openBroker({
      id: this.#id,
      ...config.mqtt,
      sessions: level.sessions,
      logger,
      accept: (message, settle) => pipeline.accept(message, settle),
    });
  }

  #openAlerter(stores: Stores, broker: Broker): Promise<Alerter> {
    const onStop = (part: string, stop: () => unknown) => this.#onStop(part, stop);
    return openAlerter({
      ...this.#options,
      ...{ stores, broker, counters: this.#counters, onStop },
    });
  }

  async #startDetection({ stores, level, alerter, decodings }: DetectionParts): Promise<void> {
    const { config, files, clock, logger } = this.#options;
    const { enabled, checkpointMs } = config.detect;
    const watched = enabled ? decodings : new Map<string, StreamDecoding>();
    await alerter.endOrphans(({ cause }) => !watched.has(cause.stream));
    for (const [stream, { rules }] of watched) {
      const stored = await level.state.get(checkpointKey(DETECT, stream));
      const journal: Journal = stores.telemetry;
      const consumer = new JournalEarlyConsumer({
        name: DETECT,
        stream,
        journal,
        files,
        stored,
        start: 'latest',
      });
      this.#onStop('consumer', () => consumer.close());
      const windows = this.#windows;
      const to = journal.nextOffsets(stream).map((_, p) => consumer.position(p));
      windows?.recall({ stream, decoder: rules.decoder, to });
      const detector = new Detector({
        ...{ ...config.detect, decoder: rules.decoder, logger },
        onSamples: windows && ((record, samples) => windows.windows.take(record, samples)),
      });
      const log = journal.logId;
      const alarms = openAlarms(config, { log, stream });
      const watcher = new Watcher({
        log,
        consumer,
        detector,
        alarms,
        alerter,
        state: level.state,
        logger,
        checkpointMs,
        logBytes: () => journal.status().bytesWritten,
        now: () => ({ runMs: journal.runMs(clock.monoMs()), wallMs: clock.wallMs() }),
      });
      this.#detectors.push(detector);
      this.#alarms.push(alarms);
      await watcher.start();
      this.#onStop('detection', () => watcher.stop());
    }
  }

  /** Undefined: there are none, or nobody hands them samples. */
  async #openWindows(
    { telemetry }: Stores,
    { state }: LevelStore,
    broker: Broker,
  ): Promise<WindowKeeper | undefined> {
    const { config } = this.#options;
    const { enabled, maxSeries, publish, publishMs } = config.windows;
    if (!enabled || !config.detect.enabled) return undefined;
    const keeper = await WindowKeeper.open({
      ...{ ...this.#options, journal: telemetry, state, maxSeries },
      publish: (topic, payload) => broker.publish(topic, payload, { retain: true, qos: 0 }),
      publishMs: publish ? publishMs : undefined,
    });
    this.#onStop('windows', () => keeper.stop());
    return keeper;
  }

  async #startForwarding(
    stores: Stores,
    level: LevelStore,
    more: Pick<ForwardingOptions, 'texts' | 'books' | 'checkpoints' | 'downlink'>,
  ): Promise<void> {
    const forwarding = await Forwarding.start({
      ...this.#options,
      ...more,
      gatewayId: this.#id,
      stores,
      state: level.state,
      counters: this.#counters,
    });
    this.#forwarding = forwarding;
    this.#onStop('uplink', () => forwarding.stop());
  }

  /** Retention drops what it must; what the cloud has not had is named and counted. */
  #dropped(dropped: readonly DroppedOffsets[]): void {
    for (const { stream, partition, offset, count } of this.#forwarding?.unforwarded(dropped) ??
      []) {
      this.#expired += count;
      const range = { stream, partition, from: offset, to: offset + count - 1 };
      const fields = { ...range, repeatKey: `${stream}/${partition}/${offset}` };
      this.#options.logger.error(fields, 'retention drops readings that the cloud never had');
    }
  }

  #statusOf({ stores, broker, alerter, level, wear, bookkeeper }: StatusSources): Status {
    return statusOf({
      gateway: this.#id,
      startedMonoMs: this.#startedMonoMs,
      nowMonoMs: this.#options.clock.monoMs(),
      counters: this.#counters,
      stores,
      broker,
      host: this.#options.config.mqtt.host,
      forwarding: this.#forwarding,
      expired: this.#expired,
      alertLine: alerter.lineName,
      activeAlerts: alerter.active,
      unheard: this.#alarms.reduce((all, { unheard }) => all + unheard, 0),
      keepers: this.#keepers,
      detectors: this.#detectors,
      windows: this.#windows,
      stateBytesWritten: level.bytesWritten(),
      flash: wear.status(),
      audit: bookkeeper.status(),
    });
  }

  status(): Status {
    if (this.#status === undefined) throw new Error('not started');
    return this.#status();
  }

  /**
   * Stops what runs, in reverse. A part that can't be stopped is logged and does not keep the rest
   * from it.
   */
  async stop(): Promise<void> {
    for (let next = this.#stops.pop(); next !== undefined; next = this.#stops.pop()) {
      try {
        await next.stop();
      } catch (error) {
        const fields = { part: next.part, error: messageOf(error) };
        this.#options.logger.error(fields, 'a part did not stop as it should');
      }
    }
  }
}
