import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from './base/clock.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { MEMORY_PREFIX } from './decode/decoder.ts';
import type { Journal } from './log/journal.ts';
import type { Files } from './os/files.ts';
import { pacedFiles, Turns } from './os/paced-files.ts';
import type { StateStore } from './os/state-store.ts';
import { type RecalledStream, recallStream } from './window-recall.ts';
import { LONGEST_MS } from './windows/series-windows.ts';
import { type StateJson, stateJson, stateTopic } from './windows/state-json.ts';
import { type IdleSeries, Windows } from './windows/windows.ts';

export interface WindowKeeperOptions {
  readonly journal: Journal;
  readonly files: Files;
  readonly clock: Clock;
  readonly state: StateStore;
  readonly maxSeries: number;
  /** Publishes a retained message; an empty one clears it. */
  readonly publish: (topic: string, payload: Uint8Array) => Promise<void>;
  /** From the end of one round of messages to the next, ms; undefined: none are published. */
  readonly publishMs: number | undefined;
  readonly logger: Logger;
}

const ROOT = 'windows/';
const SWEEP_MS = 60_000;
/**
 * What is read again at a start. Longer than a window by more than a sweep and what the state store
 * may lose in a power cut, so that a last value is stored or still in what is read.
 */
const RECALL_MS = LONGEST_MS + 15 * 60_000;
const STATES_PER_TURN = 50;

/** What `headgate status` says of the windows. */
export interface WindowsStatus {
  /** Series with windows. */
  readonly series: number;
  /** Series that have been silent for an hour: their last value is kept. */
  readonly idle: number;
  /** Values since the start that have no series: `windows.maxSeries`, or their names. */
  readonly unkept: number;
  /** Values since the start that were too old for every window. */
  readonly late: number;
  /** Memory of the windows. */
  readonly bytes: number;
}

function textOf({ last }: IdleSeries): string {
  return JSON.stringify([last.value, last.runMs, last.wallMs]);
}

/** What `textOf` gave, with the names from its key; undefined if this version can't read it. */
function parseIdle(names: string, text: string): IdleSeries | undefined {
  try {
    const [device, metric, ...more] = names.split('/').map(decodeURIComponent);
    const numbers: unknown = JSON.parse(text);
    if (device === undefined || metric === undefined || more.length > 0) return undefined;
    if (!Array.isArray(numbers) || numbers.length !== 3 || !numbers.every(Number.isFinite)) {
      return undefined;
    }
    const [value, runMs, wallMs] = numbers as [number, number, number];
    return { device, metric, last: { value, runMs, wallMs } };
  } catch {
    return undefined;
  }
}

/**
 * Keeps the windows over restarts, and publishes them. Nothing of a window is ever written: the
 * last hour of the log makes them again, beside what comes in. Only the last value of a series that
 * has been silent for an hour is stored, once.
 */
export class WindowKeeper {
  readonly windows: Windows;
  readonly #options: WindowKeeperOptions;
  readonly #prefix: string;
  readonly #abort = new AbortController();
  readonly #recalls = new Set<Promise<void>>();
  /** Reading at a pace of its own, all streams together. */
  readonly #files: Files;
  readonly #startRunMs: number;
  /** Not written yet; undefined deletes. */
  readonly #changes = new Map<string, string | undefined>();
  #sweeping: Promise<void> = Promise.resolve();
  #publishing: Promise<void> = Promise.resolve();
  #sweepTimer: NodeJS.Timeout | undefined;
  #publishTimer: NodeJS.Timeout | undefined;

  private constructor(options: WindowKeeperOptions) {
    this.#options = options;
    this.windows = new Windows(options);
    this.#prefix = `${ROOT}${options.journal.logId}/`;
    this.#files = pacedFiles(options.files, new Turns());
    this.#startRunMs = this.#nowRunMs();
  }

  /** With the last values that are stored. */
  static async open(options: WindowKeeperOptions): Promise<WindowKeeper> {
    const keeper = new WindowKeeper(options);
    for (const [key, text] of await options.state.entries(ROOT)) {
      const names = key.startsWith(keeper.#prefix) ? key.slice(keeper.#prefix.length) : undefined;
      const idle = names === undefined ? undefined : parseIdle(names, text);
      // Of another log, or of a version that is not this one.
      if (idle === undefined) keeper.#changes.set(key, undefined);
      else keeper.windows.restore(idle);
    }
    keeper.#begin();
    return keeper;
  }

  #begin(): void {
    this.#sweepTimer = setInterval(() => {
      this.#sweeping = this.#sweeping.then(() => this.sweep());
    }, SWEEP_MS);
    this.#sweepTimer.unref();
    this.#publishLater();
  }

  #nowRunMs(): number {
    return this.#options.journal.runMs(this.#options.clock.monoMs());
  }

  /** What came before the start is being read again: the windows are not whole yet. */
  get isRebuilding(): boolean {
    return this.#recalls.size > 0;
  }

  status(): WindowsStatus {
    const { size, idle, unkept, late, bytes } = this.windows;
    return { series: size, idle, unkept, late, bytes };
  }

  /** All series, those of a device, or one. */
  *states(device?: string, metric?: string): Generator<StateJson> {
    const nowRunMs = this.#nowRunMs();
    for (const state of this.windows.states(nowRunMs, device, metric)) {
      yield stateJson(state, nowRunMs);
    }
  }

  /** By the wall clock, ms since 1970. */
  nowMs(): number {
    return Math.round(this.#options.clock.wallMs());
  }

  /** Reads the last hour of a stream, up to where detection goes on; beside all else. */
  recall(stream: Omit<RecalledStream, 'memory'>): void {
    const recall = this.#recall(stream).finally(() => this.#recalls.delete(recall));
    this.#recalls.add(recall);
  }

  async #recall(recalled: Omit<RecalledStream, 'memory'>): Promise<void> {
    const { journal, state, logger } = this.#options;
    const { stream } = recalled;
    try {
      const prefix = `watch/${journal.logId}/${stream}/`;
      const entries = await state.entries(prefix + MEMORY_PREFIX);
      await recallStream({
        ...recalled,
        memory: new Map(entries.map(([key, text]) => [key.slice(prefix.length), text])),
        windows: this.windows,
        journal,
        files: this.#files,
        fromRunMs: this.#startRunMs - RECALL_MS,
        signal: this.#abort.signal,
      });
    } catch (error) {
      const fields = { stream, code: codeOf(error), error: messageOf(error) };
      const text = 'the windows miss what came before the start: the log could not be read';
      logger.warn(fields, text);
    }
  }

  /** Resolves when nothing of before the start is read any more. */
  async recalled(): Promise<void> {
    await Promise.all(this.#recalls);
  }

  /** Stores the last values of series that have fallen silent, and frees their windows. */
  async sweep(): Promise<void> {
    const { state, logger, publishMs } = this.#options;
    // While the log is read again a series may look silent that is not.
    const { idle, forgotten } = this.isRebuilding
      ? { idle: [], forgotten: [] }
      : this.windows.sweep(this.#nowRunMs());
    for (const one of idle) this.#changes.set(this.#keyOf(one), textOf(one));
    for (const one of forgotten) this.#changes.set(this.#keyOf(one), undefined);
    if (this.#changes.size === 0) return;
    const written = new Map(this.#changes);
    try {
      await state.write(written);
      for (const [key, text] of written) {
        if (this.#changes.get(key) === text) this.#changes.delete(key);
      }
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'last values could not be stored, trying again');
    }
    if (publishMs === undefined) return;
    for (const { device, metric } of forgotten) {
      await this.#publish(stateTopic(device, metric), new Uint8Array(0));
    }
  }

  #keyOf({ device, metric }: IdleSeries): string {
    return `${this.#prefix}${encodeURIComponent(device)}/${encodeURIComponent(metric)}`;
  }

  /** From the end of one round to the next: so no series has two messages in less than that. */
  #publishLater(): void {
    const { publishMs } = this.#options;
    if (publishMs === undefined || this.#abort.signal.aborted) return;
    this.#publishTimer = setTimeout(() => {
      this.#publishing = this.#publishChanged().finally(() => this.#publishLater());
    }, publishMs);
    this.#publishTimer.unref();
  }

  async #publishChanged(): Promise<void> {
    const nowRunMs = this.#nowRunMs();
    let made = 0;
    for (const state of this.windows.changed(nowRunMs)) {
      if (this.#abort.signal.aborted) return;
      const { device, metric } = state;
      const json = { asOf: this.nowMs(), ...stateJson(state, nowRunMs) };
      await this.#publish(stateTopic(device, metric), Buffer.from(JSON.stringify(json)));
      made += 1;
      if (made % STATES_PER_TURN === 0) await turn();
    }
  }

  async #publish(topic: string, payload: Uint8Array): Promise<void> {
    try {
      await this.#options.publish(topic, payload);
    } catch (error) {
      const fields = { topic, error: messageOf(error), repeatKey: 'state' };
      this.#options.logger.warn(fields, 'a state could not be published');
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#sweepTimer);
    clearTimeout(this.#publishTimer);
    await this.recalled();
    await this.#sweeping;
    await this.#publishing;
  }
}
