import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Alarms } from './alarms.ts';
import type { AlertEvent } from './alert/alert-event.ts';
import type { Alerter } from './alert/alerter.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { LogRecord } from './base/reading.ts';
import type { Detector, DetectorSnapshot, Evicted, Measured } from './detect/detector.ts';
import { checkpointKey } from './log/checkpoint.ts';
import type { EarlyConsumer } from './log/consumer.ts';
import { SERIES_ROOT, type StateStore } from './os/state-store.ts';
import { RaisedEvents } from './raised-events.ts';
import { ROOT, storedOf } from './stored-detection.ts';

export interface WatcherOptions {
  /** Names the log that the consumer reads. */
  readonly log: string;
  readonly consumer: EarlyConsumer;
  readonly detector: Detector;
  readonly alarms: Alarms;
  readonly alerter: Alerter;
  readonly state: StateStore;
  readonly logger: Logger;
  readonly checkpointMs: number;
  /** Written to the log since the start. */
  readonly logBytes: () => number;
  /** The log's run clock, and the wall clock, ms. */
  readonly now: () => { readonly runMs: number; readonly wallMs: number };
}

const RECORDS_PER_TURN = 256;
const MAX_PENDING_ALERTS = 64;
const RETRY_MS = 1_000;
/** Series that are read back at one time. */
const MAX_FETCHED = 256;
/** How long a replay waits for its next record before it looks whether there is one. */
const MAX_PATIENCE_MS = 1_000;
/** How often silence is looked for. */
const TICK_MS = 1_000;
/**
 * Flash is for readings: a checkpoint is due when so many times its size has been written to the
 * log. A crash costs reading that much of the log again.
 */
const LOG_BYTES_PER_STATE_BYTE = 20;
/**
 * The consumer "detect": readings → detector → alert, as soon as they are appended. Live and replay
 * are one path: after a crash it goes on from its checkpoint with the state of that moment, and
 * raises the same alerts with the same ids, which the alerts stream already knows. If readings that
 * it has seen are withdrawn, since the log could not be written, it does the same.
 */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #prefix: string;
  /** Of the states of series. */
  readonly #seriesPrefix: string;
  readonly #abort = new AbortController();
  /** Alert events on their way to flash. A checkpoint waits for them. */
  readonly #raised: RaisedEvents;
  #loop: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  /** While some records are measured and not judged yet, there is no moment for a checkpoint. */
  #taking: Promise<void> | undefined;
  #isSaving = false;
  #unsaved = true;
  #savedAtLogBytes = 0;
  /** Changes since the last write that succeeded. */
  readonly #changes = new Map<string, string | undefined>();
  /** Records have been read and wait to be taken. */
  #isTaking = false;
  /** The records that were measured last were not judged before the stop. */
  #isUnjudged = false;
  /** Records of before the start that are still to be read again; undefined: none. */
  #toReplay: number | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
    const place = `${options.log}/${options.consumer.stream}/`;
    this.#prefix = `${ROOT}${place}`;
    this.#seriesPrefix = `${SERIES_ROOT}/${place}`;
    this.#raised = new RaisedEvents({ ...options, signal: this.#abort.signal });
  }

  /** Takes up the state of the last checkpoint and starts to read. */
  async start(): Promise<void> {
    const { consumer, alarms, checkpointMs } = this.#options;
    this.#restore(await this.#stored());
    // A first checkpoint before the first reading, synced: a crash or a power cut before the next
    // one then forgets nothing.
    await this.#save({ sync: true });
    this.#toReplay = consumer.backlog();
    this.#loop = this.#run();
    this.#timer = setInterval(() => {
      if (this.#isDue()) this.#saving = this.#saving.then(() => this.#save());
    }, checkpointMs);
    this.#timer.unref();
    if (!alarms.needsTime) return;
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#ticking.unref();
  }

  /**
   * Nothing is read that could say otherwise: who is silent now? While there is something to read,
   * the readings tell the time.
   */
  #tick(): void {
    const { alarms, consumer, now } = this.#options;
    const isBusy =
      this.#isSaving || this.#isTaking || consumer.isWithdrawn || consumer.backlog() > 0;
    if (isBusy || this.#toReplay !== undefined || this.#abort.signal.aborted) return;
    const { runMs, wallMs } = now();
    const events = alarms.advance(runMs, wallMs);
    if (events.length === 0) return;
    // No reading has it, so nothing would raise it again: the state is stored before the alert,
    // unless it can't be. A crash in between raises it from there.
    this.#unsaved = true;
    const saved = this.#save();
    this.#saving = this.#saving.then(() => saved);
    const isReady = saved.then(() => !consumer.isWithdrawn);
    for (const event of events) this.#raised.raise(event, isReady);
  }

  #saveNow(): void {
    this.#unsaved = true;
    this.#saving = this.#saving.then(() => this.#save());
  }

  /** Of this log: what is stored of another is about other readings, and is dropped. */
  async #stored(): Promise<ReadonlyMap<string, string>> {
    const { state, log, consumer } = this.#options;
    const { stored, foreign } = storedOf(await state.entries(ROOT), log, consumer.stream);
    for (const key of foreign) this.#changes.set(key, undefined);
    return stored;
  }

  #restore(stored: ReadonlyMap<string, string>): void {
    const { detector, alarms, logger } = this.#options;
    detector.restore(stored);
    const isLearned = (device: string, metric: string) => detector.watches(device, metric);
    for (const key of alarms.restore(stored, isLearned)) {
      this.#changes.set(this.#prefix + key, undefined);
      logger.warn({ key }, 'the state of an alert is not readable and is forgotten');
    }
  }

  #isDue(): boolean {
    const { detector, alarms, logBytes } = this.#options;
    const written = logBytes() - this.#savedAtLogBytes;
    return written >= LOG_BYTES_PER_STATE_BYTE * (detector.changedBytes + alarms.changedBytes);
  }

  /** Stops reading, waits until every alert raised is on flash, and checkpoints. */
  async stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#timer);
    clearInterval(this.#ticking);
    this.#options.consumer.hurry();
    await this.#loop;
    await this.#saving;
    await this.#save();
  }

  async #run(): Promise<void> {
    const { consumer, logger } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        if (consumer.isWithdrawn) await this.#goBack();
        await this.#settle();
        const records = await this.#read();
        this.#isTaking = records.length > 0;
        await this.#takeAll(records);
        this.#isTaking = false;
        if (this.#toReplay !== undefined) this.#toReplay -= records.length;
        // Records that are in memory come without one: acknowledgements are waiting.
        await turn();
        while (this.#isFull()) await this.#raised.oneKept();
      } catch (error) {
        // The log could not be read just now. Nothing was taken, so nothing is skipped.
        const fields = { code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'detection cannot read the log, trying again');
        consumer.rewind();
        await this.#pause();
      }
    }
  }

  #isFull(): boolean {
    return this.#raised.toStore > MAX_PENDING_ALERTS && !this.#options.consumer.isWithdrawn;
  }

  /**
   * Records that were seen are nowhere: as after a crash, it goes on from the checkpoint. What they
   * have raised is withdrawn first.
   */
  async #goBack(): Promise<void> {
    const { consumer, state, logger } = this.#options;
    this.#raised.withdraw();
    const back = this.#saving.then(async () => {
      this.#changes.clear();
      const stored = await this.#stored();
      const position = await state.get(checkpointKey(consumer.name, consumer.stream));
      this.#restore(stored);
      consumer.goBack(position);
      this.#toReplay = consumer.backlog();
    });
    // A checkpoint that is due meanwhile comes after it; whether it failed is said here.
    this.#saving = back.catch(() => {});
    await back;
    const { stream } = consumer;
    logger.warn({ stream }, 'readings could not be stored: detection goes back to its checkpoint');
  }

  /**
   * The next records. While the end of a replay is awaited, there may be none after a second.
   */
  async #read(): Promise<readonly LogRecord[]> {
    const { consumer } = this.#options;
    const { signal } = this.#abort;
    if (this.#toReplay === undefined) return consumer.read(RECORDS_PER_TURN, signal);
    if (signal.aborted) return [];
    const patience = new AbortController();
    const end = () => patience.abort();
    const timer = setTimeout(end, MAX_PATIENCE_MS);
    signal.addEventListener('abort', end, { once: true });
    try {
      return await consumer.read(RECORDS_PER_TURN, patience.signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
  }

  /**
   * Once, when all of before the start has been read again: the alerts that are active by the
   * stream and those that are by the state must be the same. They differ when the state was lost,
   * the settings changed, or nobody watched for a while.
   */
  async #settle(): Promise<void> {
    const { alerter, alarms, consumer, now } = this.#options;
    if (this.#toReplay === undefined) return;
    if (this.#toReplay > 0 && consumer.backlog() > 0) return;
    this.#toReplay = undefined;
    alarms.restarted(now().runMs);
    for (const event of alarms.active()) {
      if (alerter.isActive(event.id)) continue;
      if (alerter.hasEnded(event)) this.#drop(event);
      else this.#raise(event);
    }
    const known = new Set(alarms.active().map(({ id }) => id));
    await alerter.endOrphans(
      ({ alert, cause }) => cause.stream === consumer.stream && !known.has(alert),
    );
    if (alarms.needsTime) this.#saveNow();
  }

  /**
   * What the alert was about may go on: the next anomaly begins a new one. To be stored now: a
   * crash would read the readings from here on again under the alert that is over.
   */
  #drop(begun: AlertEvent): void {
    this.#options.alarms.forget(begun);
    this.#saveNow();
  }

  async #takeAll(records: readonly LogRecord[]): Promise<void> {
    const { detector, consumer } = this.#options;
    let from = 0;
    while (from < records.length && !consumer.isWithdrawn) {
      const measured: Measured[] = [];
      const evicted = new Set<Evicted>();
      while (from < records.length && evicted.size < MAX_FETCHED) {
        const record = records[from];
        from += 1;
        if (record === undefined) continue;
        const one = detector.measure(record);
        measured.push(one);
        for (const series of detector.evicted(one)) evicted.add(series);
      }
      if (evicted.size > 0) {
        const fetching = this.#fetch(evicted);
        this.#taking = fetching;
        await fetching;
        this.#taking = undefined;
      }
      if (this.#isUnjudged || consumer.isWithdrawn) return;
      for (const one of measured) this.#take(one);
      detector.trim();
    }
  }

  /** Tries until what was learnt of these series is there, or the daemon stops. */
  async #fetch(evicted: ReadonlySet<Evicted>): Promise<void> {
    const { detector, state, logger } = this.#options;
    const read = (keys: readonly string[]) =>
      state.getBytes(keys.map((key) => this.#seriesPrefix + key));
    for (;;) {
      try {
        return await detector.fetch(evicted, read);
      } catch (error) {
        const fields = { code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'detection cannot read what it has learnt, trying again');
        await this.#pause();
        this.#isUnjudged = this.#abort.signal.aborted;
        if (this.#isUnjudged) return;
      }
    }
  }

  /** One record: state, alerts and position move on together, in one turn of the event loop. */
  #take(measured: Measured): void {
    const { consumer, detector, alarms, logger } = this.#options;
    const { record } = measured;
    try {
      for (const event of alarms.observe(record, detector.judge(measured))) this.#raise(event);
    } catch (error) {
      // A fault of ours. Read again, the record would fail again, and hold up all that come after.
      const { stream, partition, offset, device } = record;
      const fields = { stream, partition, offset, device, error: messageOf(error) };
      logger.error(fields, 'detection cannot judge a record, and passes it over');
    }
    consumer.handled(record);
    this.#unsaved = true;
  }

  /** Told at once, and stored once the reading that caused it is. */
  #raise(event: AlertEvent): void {
    this.#raised.raise(event, this.#options.consumer.isDurable(event.cause));
  }

  async #pause(): Promise<void> {
    await wait(RETRY_MS, undefined, { signal: this.#abort.signal }).catch(() => {
      // Stopping: the caller looks at the signal.
    });
  }

  /**
   * Detector, alerts and position of one moment, all or nothing, so they always belong together;
   * once all that was seen by then is durable.
   */
  async #save(options = { sync: false }): Promise<void> {
    if (!this.#unsaved) return;
    const { consumer, detector, state, logger, logBytes } = this.#options;
    while (this.#taking !== undefined) await this.#taking;
    if (this.#isUnjudged) return;
    this.#unsaved = false;
    this.#isSaving = true;
    const atLogBytes = logBytes();
    let snapshot: DetectorSnapshot | undefined;
    let isStored = false;
    try {
      snapshot = detector.snapshot();
      this.#note(snapshot);
      const durable = consumer.handledIsDurable();
      await Promise.all([durable, this.#raised.allKept()]);
      if (!(await durable) || this.#raised.isUnstored) return;
      let last: ReadonlyMap<string, Uint8Array> = new Map();
      for (const part of snapshot.parts) {
        if (last.size > 0) await state.write(this.#named(last));
        last = part;
      }
      const { index, states } = snapshot.ending();
      for (const [key, value] of index) this.#changes.set(this.#prefix + key, value);
      const all = new Map<string, string | Uint8Array | undefined>(this.#changes);
      for (const [key, value] of [...this.#named(states), ...this.#named(last)]) {
        all.set(key, value);
      }
      await state.write(all, options);
      isStored = true;
      this.#changes.clear();
      this.#savedAtLogBytes = atLogBytes;
    } catch (error) {
      this.#unsaved = true;
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'the state of detection could not be saved, trying again');
    } finally {
      this.#isSaving = false;
      snapshot?.done(isStored);
    }
  }

  /** Adds to the changes what is to be stored of this moment. */
  #note({ entries }: DetectorSnapshot): void {
    const { consumer, alarms } = this.#options;
    for (const [key, value] of entries) this.#changes.set(this.#prefix + key, value);
    for (const [key, value] of alarms.snapshot()) this.#changes.set(this.#prefix + key, value);
    for (const [key, value] of consumer.checkpoint()) this.#changes.set(key, value);
  }

  #named<V>(states: ReadonlyMap<string, V>): Map<string, V> {
    return new Map([...states].map(([key, value]) => [this.#seriesPrefix + key, value]));
  }
}
