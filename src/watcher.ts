import { setTimeout as wait } from 'node:timers/promises';
import type { AlertEvent, AlertStates } from './alert/alert-state.ts';
import type { Alerter } from './alert/alerter.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { LogRecord } from './base/reading.ts';
import type { Detector } from './detect/detector.ts';
import type { Consumer } from './log/consumer.ts';
import type { StateStore } from './os/state-store.ts';

export interface WatcherOptions {
  readonly consumer: Consumer;
  readonly detector: Detector;
  readonly states: AlertStates;
  readonly alerter: Alerter;
  readonly state: StateStore;
  readonly logger: Logger;
  readonly checkpointMs: number;
}

const RECORDS_PER_TURN = 256;
const MAX_PENDING_ALERTS = 64;
const RETRY_MS = 1_000;

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
  #loop: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #unsaved = true;
  /** Changes since the last write that succeeded. */
  readonly #changes = new Map<string, string | undefined>();
  /** An alert could not be stored before the stop: no checkpoint may pass it. */
  #unraised = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#prefix = `watch/${options.consumer.stream}/`;
  }

  /** Takes up the state of the last checkpoint and starts to read. */
  async start(): Promise<void> {
    const { state, detector, states, alerter, checkpointMs } = this.#options;
    const stored = new Map<string, string>();
    for (const [key, value] of await state.entries(this.#prefix)) {
      stored.set(key.slice(this.#prefix.length), value);
    }
    detector.restore(stored);
    states.restore(stored);
    await alerter.restoreActive(states.active());
    // A first checkpoint before the first reading: a crash before the next one then forgets
    // nothing.
    await this.#save();
    this.#loop = this.#run();
    this.#timer = setInterval(() => {
      this.#saving = this.#saving.then(() => this.#save());
    }, checkpointMs);
    this.#timer.unref();
  }

  /** Stops reading, waits until every alert raised is on flash, and checkpoints. */
  async stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#timer);
    await this.#loop;
    await this.#saving;
    await this.#save();
  }

  async #run(): Promise<void> {
    const { consumer, logger } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const records = await consumer.read(RECORDS_PER_TURN, signal);
        for (const record of records) this.#take(record);
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

  /** One record: state, alerts and position move on together, in one turn of the event loop. */
  #take(record: LogRecord): void {
    const { consumer, detector, states } = this.#options;
    for (const verdict of detector.observe(record)) {
      const event = states.observe(verdict);
      if (event !== undefined) this.#raise(event);
    }
    consumer.handled(record);
    this.#unsaved = true;
  }

  #raise(event: AlertEvent): void {
    const raised = this.#handle(event).finally(() => this.#pending.delete(raised));
    this.#pending.add(raised);
  }

  /**
   * Tries until the event is on flash or the daemon stops; it is then raised again after the
   * restart.
   */
  async #handle(event: AlertEvent): Promise<void> {
    const { alerter, logger } = this.#options;
    for (;;) {
      try {
        await alerter.handle(event);
        return;
      } catch (error) {
        const fields = { alert: event.id, code: codeOf(error), error: messageOf(error) };
        logger.error(fields, 'an alert could not be stored, trying again');
        if (this.#abort.signal.aborted) {
          this.#unraised = true;
          return;
        }
        await this.#pause();
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
    const { consumer, detector, states, state, logger } = this.#options;
    this.#unsaved = false;
    try {
      for (const changed of [detector.snapshot(), states.snapshot()]) {
        for (const [key, value] of changed) this.#changes.set(this.#prefix + key, value);
      }
      const entries = new Map([...this.#changes, ...consumer.checkpoint()]);
      await Promise.all(this.#pending);
      if (this.#unraised) return;
      await state.write(entries);
      this.#changes.clear();
    } catch (error) {
      this.#unsaved = true;
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'the state of detection could not be saved, trying again');
    }
  }
}
