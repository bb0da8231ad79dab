import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Clock } from './base/clock.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { Dedup, type DedupOptions } from './dedup/dedup.ts';
import { type DeviceState, storedRunMs } from './dedup/device-state.ts';
import { IdCopies } from './dedup/id-ring.ts';
import { type BuiltRun, buildRun } from './dedup/id-run.ts';
import { StoredIds } from './dedup/stored-ids.ts';
import { checkpointOffsets, encodeCheckpoint } from './log/checkpoint.ts';
import type { Journal } from './log/journal.ts';
import type { DroppedOffsets } from './log/retention.ts';
import type { WriteBudget } from './log/write-budget.ts';
import type { Files } from './os/files.ts';
import type { PageStore } from './os/page-store.ts';
import { readOn, startOfLastRecords } from './refill.ts';

export interface DedupKeeperOptions extends Omit<DedupOptions, 'load' | 'onFault' | 'stored'> {
  readonly stream: string;
  readonly journal: Journal;
  readonly files: Files;
  readonly pages: PageStore;
  /** Ids in the store, at most. */
  readonly maxStoredIds: number;
  readonly budget: WriteBudget | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Devices encoded, or looked at, in one turn of the event loop. */
const DEVICES_PER_TURN = 256;
/** Devices that wait for the store, of those that may be in memory. */
const LEAVING_SHARE = 1 / 2;
const PACE_MS = 1_000;
/** How often a write waits for the budget. */
const PACES = 30;
const RETRY_MS = 30_000;
const PRUNE_EVERY = 16;
/** Of running time, for which a device that says nothing is remembered. */
const DEVICE_KEPT_MS = 90 * 86_400_000;
const MAX_STORED_DEVICES = 200_000;

/**
 * The dedup windows of one stream, across restarts. What they know of records before the *horizon*,
 * an offset in each partition, stands in the store; what came after it is read from the log again
 * at the start. The horizon moves up to the end of the log, in one write with all that it makes
 * true, when half of what memory holds has come behind it, and before retention drops records that
 * are behind it: windows are as long as they are configured, whatever memory or log can hold. A
 * crash in between leaves the old horizon, with the old state.
 */
export class DedupKeeper {
  readonly dedup: Dedup;
  readonly #options: DedupKeeperOptions;
  readonly #stored: StoredIds;
  #horizon: readonly number[] = [];
  /** What a power cut can't take back. */
  #isSynced = false;
  #turn: Promise<void> = Promise.resolve();
  #isKeeping = false;
  /** Those who wait: retention, or a stop. */
  #urgent = 0;
  /** Asks who waits for the budget whether that may still be. */
  #hurry: () => void = () => {};
  /** After a failure: each try writes what the ones before it wrote. */
  #notBeforeMonoMs = Number.NEGATIVE_INFINITY;
  #keeps = 0;
  /** What is stored is of another log. */
  #isForeign = false;
  #stopListening: () => void = () => {};

  private constructor(options: DedupKeeperOptions) {
    this.#options = options;
    const { pages, stream, maxStoredIds: maxIds } = options;
    const onFault = (error: unknown) => this.#fault(error);
    this.#stored = new StoredIds({ pages, folder: stream, maxIds, onFault });
    const load = (device: string) => this.#load(device);
    this.dedup = new Dedup({ ...options, load, onFault, stored: this.#stored });
  }

  /** With windows as they were. */
  static async open(options: DedupKeeperOptions): Promise<DedupKeeper> {
    const keeper = new DedupKeeper(options);
    if (!keeper.dedup.isOff) await keeper.#open();
    return keeper;
  }

  /** Ids in the store. */
  get storedIds(): number {
    return this.#stored.size;
  }

  async #open(): Promise<void> {
    const { journal, stream, pages, files, maxIds, logger } = this.#options;
    const text = textOf(pages.getSync(this.#horizonKey));
    const horizon = checkpointOffsets(text, journal.logId);
    // What is known of another log is no reading of this one: its repeats are new here.
    if (horizon === undefined) await this.#forgetAll();
    if (!this.#isForeign) await this.#stored.open();
    const source = { files, journal, stream };
    const from = horizon ?? startOfLastRecords(source, maxIds);
    this.#horizon = this.#end.map((end, p) => Math.min(end, from[p] ?? 0));
    const records = await readOn(source, this.#horizon, async (some, position) => {
      for (const record of some) this.dedup.remember(record);
      const end = [...position];
      if (this.#mayTry && this.#isDue(end)) await this.#tryToKeep(end);
    });
    // A card that lied about a sync has less than was known: what comes now is not behind that.
    if (from.some((offset, p) => offset > (this.#end[p] ?? 0))) await this.#tryToKeep(this.#end);
    logger.debug({ stream, records, storedIds: this.storedIds }, 'dedup is refilled');
    this.#stopListening = journal.onCommit(() => this.#look());
    journal.beforeDrop((dropped) => this.#beforeDrop(dropped));
  }

  /** At the start: a failure is logged, and tried again later. */
  #tryToKeep(end: readonly number[]): Promise<void> {
    return this.#later(() => this.#keep(end, false), true).catch(() => {});
  }

  /** Where that can't be written, it is not looked at until it can. */
  async #forgetAll(): Promise<void> {
    const { pages, stream } = this.#options;
    this.#isForeign = true;
    try {
      await pages.clear(`${stream}/`, `${stream}0`);
      this.#isForeign = false;
    } catch (error) {
      this.#fault(error);
    }
  }

  async stop(): Promise<void> {
    this.#stopListening();
    this.#urgent += 1;
    this.#hurry();
    // One that ends may have called for another.
    for (let last: Promise<void> | undefined; last !== this.#turn; await last) last = this.#turn;
  }

  get #end(): readonly number[] {
    return this.#options.journal.nextOffsets(this.#options.stream);
  }

  #recordsBehind(offsets: readonly number[]): number {
    return offsets.reduce((sum, end, p) => sum + end - (this.#horizon[p] ?? 0), 0);
  }

  /** Half of what memory holds is behind the horizon, or would be forgotten with it. */
  #isDue(end: readonly number[]): boolean {
    const { maxIds, maxDevices } = this.#options;
    const { ids, devices } = this.dedup;
    const behind = Math.max(this.#recordsBehind(end), ids.pushed - ids.keptTo);
    return behind * 2 >= maxIds || devices.leaving > maxDevices * LEAVING_SHARE;
  }

  /** Not right after a failure. */
  get #mayTry(): boolean {
    return this.#options.clock.monoMs() >= this.#notBeforeMonoMs;
  }

  #look(): void {
    this.#hurry();
    if (this.#isKeeping || !this.#mayTry) return;
    if (!this.#isDue(this.#end)) return;
    this.#isKeeping = true;
    const kept = this.#later(() => this.#keep(this.#end, false));
    // It is logged, and tried again.
    void kept
      .catch(() => {})
      .finally(() => {
        this.#isKeeping = false;
      });
  }

  /** Rejects if it can't: those records are then known for as long as memory has them. */
  async #beforeDrop(dropped: readonly DroppedOffsets[]): Promise<void> {
    const { stream } = this.#options;
    const own = dropped.filter((range) => range.stream === stream);
    if (own.length === 0) return;
    // Where the horizon is by then: one that is on its way may be enough.
    await this.#later(async () => {
      const isBehind = own.some(
        ({ partition, offset, count }) => offset + count > (this.#horizon[partition] ?? 0),
      );
      if (isBehind) await this.#keep(this.#end, true);
      else if (!this.#isSynced) await this.#sync();
    }, true);
  }

  /** One after the other. Somebody waits for what is urgent, and so for all that is before it. */
  #later(task: () => Promise<void>, isUrgent = false): Promise<void> {
    if (isUrgent) {
      this.#urgent += 1;
      this.#hurry();
    }
    const done = this.#turn.then(task).finally(() => {
      if (isUrgent) this.#urgent -= 1;
    });
    this.#turn = done.catch((error: unknown) => {
      const { stream, logger, clock } = this.#options;
      this.#notBeforeMonoMs = clock.monoMs() + RETRY_MS;
      const fields = { stream, code: codeOf(error), error: messageOf(error), repeatKey: stream };
      logger.warn(fields, 'what dedup knows could not be stored, trying again');
    });
    return done;
  }

  /** Moves the horizon to `end`: all that is known at this moment is of records before it. */
  async #keep(end: readonly number[], sync: boolean): Promise<void> {
    if (this.#isForeign) await this.#forgetAll();
    if (this.#isForeign) throw new Error('what is stored of another log can not be removed');
    const { ids, devices } = this.dedup;
    const { journal, clock } = this.#options;
    const runMs = journal.runMs(clock.monoMs());
    const { pushed } = ids;
    const copy = ids.copy(Math.max(ids.keptTo, ids.first), pushed);
    const changed = devices.takeChanged().map((device) => ({ device, ids: device.ids }));
    try {
      const merged = copy.length === 0 ? [] : this.#stored.toMerge();
      const copies = IdCopies.of([...(await this.#stored.wordsOf(merged)), copy]);
      const kept = await inTurns(ids.kept(copies, runMs));
      const built = await inTurns(buildRun(copies, kept));
      await this.#writePages(built, pushed);
      const run = this.#stored.change(built, ids.oldestTick(runMs), merged);
      await this.#encodeInto(run.entries, changed, runMs);
      run.entries.set(this.#horizonKey, this.#horizonAt(end));
      await this.#options.pages.write(run.entries, { sync });
      run.apply();
      this.#tellDropped(run.dropped);
      devices.stored(true);
    } catch (error) {
      devices.stored(false);
      this.#stored.failed();
      throw error;
    }
    this.#horizon = end;
    ids.keptTo = pushed;
    this.#isSynced = sync;
    this.#keeps += 1;
    // In a turn of its own: if it fails, what was kept is kept.
    if (this.#keeps % PRUNE_EVERY === 1) void this.#later(() => this.#prune(runMs)).catch(() => {});
  }

  /** As the write budget allows, unless somebody waits or memory would forget what comes since. */
  async #writePages(built: BuiltRun, pushedBefore: number): Promise<void> {
    const { pages, budget, clock, maxIds } = this.#options;
    const { ids } = this.dedup;
    const mayWait = () => this.#urgent === 0 && (ids.pushed - pushedBefore) * 4 < maxIds;
    let paces = 0;
    for (const entries of this.#stored.pagesOf(built)) {
      while (budget?.isExceeded(clock.monoMs()) === true && mayWait() && paces < PACES) {
        paces += 1;
        await this.#pace(mayWait);
      }
      await pages.write(entries);
    }
  }

  /** A moment, or until it may wait no longer. */
  async #pace(mayWait: () => boolean): Promise<void> {
    const ended = new AbortController();
    this.#hurry = () => {
      if (!mayWait()) ended.abort();
    };
    await wait(PACE_MS, undefined, { signal: ended.signal }).catch(() => {
      // That is what it is for.
    });
    this.#hurry = () => {};
  }

  async #encodeInto(
    entries: Map<string, Uint8Array | undefined>,
    changed: ReadonlyArray<{ readonly device: DeviceState; readonly ids: number }>,
    runMs: number,
  ): Promise<void> {
    for (const [i, { device, ids }] of changed.entries()) {
      const text = this.dedup.devices.encode(device, ids, runMs);
      entries.set(this.#deviceKey(device.name), Buffer.from(text));
      if (i % DEVICES_PER_TURN === DEVICES_PER_TURN - 1) await turn();
    }
  }

  #horizonAt(offsets: readonly number[]): Uint8Array {
    return Buffer.from(encodeCheckpoint({ log: this.#options.journal.logId, offsets }));
  }

  /** What stands in the store as it is is to outlive a power cut. */
  async #sync(): Promise<void> {
    const entries = new Map([[this.#horizonKey, this.#horizonAt(this.#horizon)]]);
    await this.#options.pages.write(entries, { sync: true });
    this.#isSynced = true;
  }

  #tellDropped(ids: number): void {
    if (ids === 0) return;
    const { stream, logger } = this.#options;
    const fields = { stream, ids, repeatKey: stream };
    logger.warn(fields, 'dedup forgets ids of its window: there is no room for them in the store');
  }

  /** Devices that have said nothing for long, and beyond what may be stored the longest silent. */
  async #prune(runMs: number): Promise<void> {
    const { pages, stream } = this.#options;
    const heard: Array<readonly [hour: number, key: string]> = [];
    for await (const [key, bytes] of pages.entries(`${stream}/device`)) {
      heard.push([hourOf(storedRunMs(textOf(bytes) ?? '') ?? 0), key]);
    }
    const oldest = Math.max(
      hourOf(runMs - DEVICE_KEPT_MS),
      oldestKept(heard.map(([hour]) => hour)),
    );
    const gone = heard.filter(([hour]) => hour < oldest);
    if (gone.length > 0) await pages.write(new Map(gone.map(([, key]) => [key, undefined])));
  }

  /** One that can't be read is as one that was never heard: its repeats are stored once more. */
  #load(device: string): string | undefined {
    if (this.#isForeign) return undefined;
    try {
      return textOf(this.#options.pages.getSync(this.#deviceKey(device)));
    } catch (error) {
      this.#fault(error);
      return undefined;
    }
  }

  #fault(error: unknown): void {
    const { stream, logger } = this.#options;
    const fields = { stream, code: codeOf(error), error: messageOf(error), repeatKey: stream };
    logger.warn(fields, 'what dedup has stored can not be read: repeats may be stored again');
  }

  get #horizonKey(): string {
    return `${this.#options.stream}/horizon`;
  }

  #deviceKey(device: string): string {
    return `${this.#options.stream}/device/${device}`;
  }
}

function hourOf(runMs: number): number {
  return Math.floor(runMs / 3_600_000);
}

/** The hour from which on there are no more than may be stored. */
function oldestKept(hours: readonly number[]): number {
  const devices = new Map<number, number>();
  for (const hour of hours) devices.set(hour, (devices.get(hour) ?? 0) + 1);
  let left = MAX_STORED_DEVICES;
  for (const [hour, count] of [...devices].sort(([a], [b]) => b - a)) {
    left -= count;
    if (left < 0) return hour + 1;
  }
  return Number.NEGATIVE_INFINITY;
}

/** No commit waits for it. */
async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await turn();
  }
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
