import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Alarms } from './alarms.ts';
import type { AlertEvent } from './alert/alert-event.ts';
import type { Alerter } from './alert/alerter.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { LogRecord } from './base/reading.ts';
import type { Detector } from './detect/detector.ts';
import type { Consumer } from './log/consumer.ts';
import type { StateStore } from './os/state-store.ts';

export interface WatcherOptions {
  /** Names the log that the consumer reads. */
  readonly log: string;
  readonly consumer: Consumer;
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
/** How long a replay waits for its next record before it looks whether there is one. */
const MAX_PATIENCE_MS = 1_000;
/** How often silence is looked for. */
const TICK_MS = 1_000;
const ROOT = 'watch/';
/**
 * Flash is for readings: a checkpoint is due when so many times its size has been written to the
 * log. A crash costs reading that much of the log again.
 */
const LOG_BYTES_PER_STATE_BYTE = 20;
/** Entries made between two turns of the event loop: about 2 ms on a board. */
const ENTRIES_PER_TURN = 50;

/**
 * The consumer "detect": readings from the log → detector → alert. Live and replay are one path:
 * after a crash it goes on from its checkpoint with the state of that moment, and raises the same
 * alerts with the same ids, which the alerts stream already knows.
 */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #prefix: string;
  readonly #abort = new AbortController();
  /** Alert events on their way to flash. A checkpoint waits for them. */
  readonly #pending = new Set<Promise<void>>();
  /** The last of them, by series. */
  readonly #last = new Map<string, Promise<void>>();
  #loop: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isSaving = false;
  /** While the state is being copied no record is taken. */
  #copying: Promise<void> | undefined;
  #unsaved = true;
  #savedAtLogBytes = 0;
  /** Changes since the last write that succeeded. */
  readonly #changes = new Map<string, string | undefined>();
  /** Records have been read and wait to be taken. */
  #taking = false;
  /** An alert could not be stored before the stop: no checkpoint may pass it. */
  #unraised = false;
  /** Records of before the start that are still to be read again; undefined: none. */
  #toReplay: number | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#prefix = `${ROOT}${options.log}/${options.consumer.stream}/`;
  }

  /** Takes up the state of the last checkpoint and starts to read. */
  async start(): Promise<void> {
    const { consumer, detector, alarms, checkpointMs } = this.#options;
    const stored = await this.#stored();
    detector.restore(stored);
    const isLearned = (device: string, metric: string) => detector.watches(device, metric);
    for (const key of alarms.restore(stored, isLearned)) {
      this.#changes.set(this.#prefix + key, undefined);
      this.#options.logger.warn({ key }, 'the state of an alert is not readable and is forgotten');
    }
    // A first checkpoint before the first reading: a crash before the next one then forgets
    // nothing.
    await this.#save();
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
    const isBusy = this.#isSaving || this.#taking || consumer.backlog() > 0;
    if (isBusy || this.#toReplay !== undefined || this.#abort.signal.aborted) return;
    const { runMs, wallMs } = now();
    const events = alarms.advance(runMs, wallMs);
    if (events.length === 0) return;
    // No reading has it, so nothing would raise it again: the state is stored before the alert. A
    // crash in between raises it from there.
    this.#unsaved = true;
    const saved = this.#save();
    this.#saving = this.#saving.then(() => saved);
    for (const event of events) this.#raise(event, saved);
  }

  #saveNow(): void {
    this.#unsaved = true;
    this.#saving = this.#saving.then(() => this.#save());
  }

  /** Of this log: what is stored of another is about other readings, and is dropped. */
  async #stored(): Promise<Map<string, string>> {
    const { state, log } = this.#options;
    const stored = new Map<string, string>();
    for (const [key, value] of await state.entries(ROOT)) {
      if (key.startsWith(this.#prefix)) stored.set(key.slice(this.#prefix.length), value);
      else if (!key.startsWith(`${ROOT}${log}/`)) this.#changes.set(key, undefined);
    }
    return stored;
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
    await this.#loop;
    await this.#saving;
    await this.#save();
  }

  async #run(): Promise<void> {
    const { consumer, logger } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#settle();
        const records = await this.#read();
        this.#taking = records.length > 0;
        while (this.#copying !== undefined) await this.#copying;
        for (const record of records) this.#take(record);
        this.#taking = false;
        if (this.#toReplay !== undefined) this.#toReplay -= records.length;
        // Records that are in memory come without one: acknowledgements are waiting.
        await turn();
        while (this.#pending.size > MAX_PENDING_ALERTS) await Promise.race(this.#pending);
      } catch (error) {
        // The log could not be read just now. Nothing was taken, so nothing is skipped.
        const fields = { code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'detection cannot read the log, trying again');
        consumer.rewind();
        await this.#pause();
      }
    }
  }

  /**
   * The next records. While the end of a replay is awaited, there may be none after a second: the
   * rest of it may be lost, which no record tells.
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

  /** One record: state, alerts and position move on together, in one turn of the event loop. */
  #take(record: LogRecord): void {
    const { consumer, detector, alarms } = this.#options;
    for (const event of alarms.observe(record, detector.observe(record))) this.#raise(event);
    consumer.handled(record);
    this.#unsaved = true;
  }

  /** Events of one series reach the flash one after the other, and none before `ready`. */
  #raise(event: AlertEvent, ready: Promise<void> = Promise.resolve()): void {
    if (!this.#options.alerter.see(event)) return;
    const series = JSON.stringify([event.device, event.metric]);
    const before = this.#last.get(series) ?? Promise.resolve();
    const raised = before
      .then(() => ready)
      .then(() => this.#keep(event))
      .finally(() => {
        this.#pending.delete(raised);
        if (this.#last.get(series) === raised) this.#last.delete(series);
      });
    this.#pending.add(raised);
    this.#last.set(series, raised);
  }

  /**
   * Tries until the event is on flash or the daemon stops; it is then raised again after the
   * restart, with all that came after it.
   */
  async #keep(event: AlertEvent): Promise<void> {
    const { alerter, logger } = this.#options;
    while (!this.#unraised) {
      try {
        await alerter.keep(event);
        return;
      } catch (error) {
        const fields = { alert: event.id, code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'an alert could not be stored, trying again');
        if (this.#abort.signal.aborted) this.#unraised = true;
        else await this.#pause();
      }
    }
  }

  async #pause(): Promise<void> {
    await wait(RETRY_MS, undefined, { signal: this.#abort.signal }).catch(() => {
      // Stopping: the caller looks at the signal.
    });
  }

  /** Detector, alerts and position in one write: all or nothing, so they always belong together. */
  async #save(): Promise<void> {
    if (!this.#unsaved) return;
    const { state, logger, logBytes } = this.#options;
    this.#unsaved = false;
    this.#isSaving = true;
    const atLogBytes = logBytes();
    // All that the state of this moment has raised: nothing is taken while it is being copied.
    const pending = [...this.#pending];
    try {
      const copying = this.#copy();
      this.#copying = copying;
      await copying.finally(() => {
        this.#copying = undefined;
      });
      await Promise.all(pending);
      if (this.#unraised) return;
      await state.write(this.#changes);
      this.#changes.clear();
      this.#savedAtLogBytes = atLogBytes;
    } catch (error) {
      this.#unsaved = true;
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'the state of detection could not be saved, trying again');
    } finally {
      this.#isSaving = false;
    }
  }

  /** Adds to the changes what is to be stored of this moment. */
  async #copy(): Promise<void> {
    const { consumer, detector, alarms } = this.#options;
    let made = 0;
    for (const part of [detector, alarms]) {
      for (const [key, value] of part.snapshot()) {
        this.#changes.set(this.#prefix + key, value);
        made += 1;
        if (made % ENTRIES_PER_TURN === 0) await turn();
      }
    }
    for (const [key, value] of consumer.checkpoint()) this.#changes.set(key, value);
  }
}
