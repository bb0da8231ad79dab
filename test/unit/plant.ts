import { setImmediate as turn } from 'node:timers/promises';
import { Alarms } from '../../src/alarms.ts';
import { AlertStates } from '../../src/alert/alert-state.ts';
import { Alerter } from '../../src/alert/alerter.ts';
import { newCounters } from '../../src/base/counters.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import type { LogRecord, RecordPosition } from '../../src/base/reading.ts';
import { Detector } from '../../src/detect/detector.ts';
import { type Limit, Limits } from '../../src/detect/limits.ts';
import { Silence } from '../../src/detect/silence.ts';
import type { EarlyConsumer } from '../../src/log/consumer.ts';
import { Watcher } from '../../src/watcher.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type MemoryState, memoryState } from '../support/memory-state.ts';
import { ALERT_OPTIONS } from './alert/verdicts.ts';
import { Records } from './detect/records.ts';

export const LOG = 'a1b2';
export const CURSOR = 'cursor/detect/readings';
export const INDEX = `watch/${LOG}/readings/detect/index/0`;

/** A stream in memory that outlives its consumers. */
class Stream {
  readonly #records = new Records();
  readonly all: LogRecord[] = [];
  wake: () => void = () => {};
  /** Records after the last one that count as waiting until a reader finds them gone. */
  lost = 0;
  /** Records that are on flash; the rest is on the way. */
  durable = Number.POSITIVE_INFINITY;
  isWithdrawn = false;
  isHurried = false;
  #waiting: Array<{ end: number; tell: (isDurable: boolean) => void }> = [];

  durableTo(end: number): Promise<boolean> {
    if (this.isWithdrawn) return Promise.resolve(false);
    if (end <= this.durable) return Promise.resolve(true);
    return new Promise((tell) => this.#waiting.push({ end, tell }));
  }

  /** So many are on flash from now on. */
  commit(count: number): void {
    this.durable = count;
    for (const { end, tell } of this.#waiting) if (end <= count) tell(true);
    this.#waiting = this.#waiting.filter(({ end }) => end > count);
  }

  /** The rest never will be. */
  withdraw(): void {
    this.isWithdrawn = true;
    this.all.length = this.durable;
    this.#records.goBack(this.durable);
    for (const { tell } of this.#waiting.splice(0)) tell(false);
    this.wake();
  }

  add(...values: number[]): void {
    this.addOf('d1', ...values);
  }

  addOf(device: string, ...values: number[]): void {
    for (const value of values) this.all.push(this.#records.next({ value }, device));
    this.wake();
  }
}

class MemoryConsumer implements EarlyConsumer {
  readonly name = 'detect';
  readonly stream = 'readings';
  rewinds = 0;
  handledCount: number;
  readonly #of: Stream;
  #next: number;

  constructor(of: Stream, from: number) {
    this.#of = of;
    this.handledCount = from;
    this.#next = from;
  }

  backlog(): number {
    return this.#of.all.length + this.#of.lost - this.handledCount;
  }

  async read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]> {
    while (!signal.aborted && !this.isWithdrawn) {
      const records = this.#of.all.slice(this.#next, this.#next + maxRecords);
      this.#next += records.length;
      if (records.length > 0) return records;
      this.#of.lost = 0;
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#of.wake = wake;
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    return [];
  }

  handled({ offset }: LogRecord): void {
    this.handledCount = offset + 1;
  }

  rewind(): void {
    this.rewinds += 1;
    this.#next = this.handledCount;
  }

  get isWithdrawn(): boolean {
    return this.#of.isWithdrawn;
  }

  isDurable({ offset }: RecordPosition): Promise<boolean> {
    return this.#of.durableTo(offset + 1);
  }

  handledIsDurable(): Promise<boolean> {
    return this.#of.durableTo(this.handledCount);
  }

  hurry(): void {
    this.#of.isHurried = true;
  }

  goBack(stored: string | undefined): void {
    this.#of.isWithdrawn = false;
    this.handledCount = Number(stored);
    this.#next = this.handledCount;
  }

  checkpoint(): ReadonlyMap<string, string> {
    return new Map([[CURSOR, String(this.handledCount)]]);
  }
}

interface PlantOptions {
  readonly coolDownMs?: number;
  readonly maxSeries?: number;
  readonly hotSeries?: number;
  readonly limits?: Readonly<Record<string, Limit>>;
}

/** What outlives a gateway: the stream, the state, the alerts stream. */
export class Plant {
  readonly stream = new Stream();
  readonly state: MemoryState = memoryState();
  /** Ids of events in the alerts stream, in order. */
  readonly alerts: string[] = [];
  readonly messages: Parameters<Alerter['remember']>[0][] = [];
  logBytes = 0;
  /** The run clock. */
  runMs = 0;
  lineActive = false;
  readonly logged: string[] = [];
  append: (id: string) => Promise<void> = async () => {};
  #watchers: Watcher[] = [];

  async #openAlerter() {
    const say = (_: unknown, message: string) => this.logged.push(message);
    const logger: Logger = { ...silentLogger, info: say, warn: say, error: say };
    const counters = newCounters();
    const alerter = new Alerter({
      isStored: ({ alert }) => this.alerts.includes(alert),
      append: async (alert) => {
        await this.append(alert.alert);
        if (this.alerts.includes(alert.alert)) return false;
        this.alerts.push(alert.alert);
        this.messages.push(alert);
        return true;
      },
      publish: async () => {},
      untilSeen: false,
      latch: false,
      lineSeverity: 'info',
      signal: {
        name: 'l',
        show: (severity) => (this.lineActive = severity !== undefined),
        close() {},
      },
      counters,
      clock: new FakeClock(),
      logger,
    });
    for (const message of this.messages) alerter.remember(message);
    await alerter.start();
    return { alerter, counters, logger };
  }

  /** With detection switched off. */
  async startUnwatched(): Promise<void> {
    const { alerter } = await this.#openAlerter();
    await alerter.endOrphans(() => true);
  }

  async start(options: PlantOptions = {}) {
    const { alerter, counters, logger } = await this.#openAlerter();
    const consumer = new MemoryConsumer(
      this.stream,
      Number(this.state.stored.get(CURSOR) ?? this.stream.all.length),
    );
    const { coolDownMs = 0, maxSeries = 10, hotSeries = 10, limits = {} } = options;
    const detector = new Detector({ maxSeries, hotSeries, logger });
    const timing = { learned: false, factor: 3, minMs: 300_000, graceMs: 0, maxDevices: 10 };
    const alarms = new Alarms(() => ({
      states: new AlertStates({ ...ALERT_OPTIONS, clearCount: 2, coolDownMs }),
      limits: new Limits(limits),
      silence: new Silence({ ...timing, limits }),
    }));
    const watcher = new Watcher({
      log: LOG,
      consumer,
      detector,
      alarms,
      alerter,
      state: this.state,
      logger,
      checkpointMs: 10_000,
      logBytes: () => this.logBytes,
      now: () => ({ runMs: this.runMs, wallMs: 1_795_000_000_000 + this.runMs }),
    });
    await watcher.start();
    this.#watchers.push(watcher);
    await settle();
    return { alerter, consumer, counters, detector, watcher };
  }

  /** All that was added is taken, and its alerts are on flash. */
  async see(...values: number[]): Promise<void> {
    this.stream.add(...values);
    await settle();
  }

  async stop(): Promise<void> {
    for (const watcher of this.#watchers.splice(0)) await watcher.stop();
  }
}

export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

export const calm = (count: number) => Array.from({ length: count }, (_, i) => 20 + (i % 10) / 10);
export const kinds = (ids: readonly string[]) => ids.map((id) => id.slice(0, id.indexOf(':')));
