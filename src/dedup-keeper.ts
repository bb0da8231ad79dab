import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Clock } from './base/clock.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { Dedup, type DedupOptions } from './dedup/dedup.ts';
import { type DeviceState, encodeDevice, storedRunMs } from './dedup/device-state.ts';
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

export interface DedupKeeperOptions extends Omit<DedupOptions, 'load' | 'stored'> {
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
const PRUNE_EVERY = 16;
const LOGGED = () => {
  // And tried again, at the next commit.
};
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
  /** Ids that became durable before the horizon. */
  #pushedBefore = 0;
  /** What a power cut can't take back. */
  #isSynced = false;
  #turn: Promise<void> = Promise.resolve();
  #isKeeping = false;
  #isHurried = false;
  #keeps = 0;
  #stopListening: () => void = () => {};

  private constructor(options: DedupKeeperOptions) {
    this.#options = options;
    const { pages, stream, maxStoredIds: maxIds } = options;
    const onFault = (error: unknown) => this.#fault(error);
    this.#stored = new StoredIds({ pages, folder: stream, maxIds, onFault });
    const load = (device: string) => this.#load(device);
    this.dedup = new Dedup({ ...options, load, stored: this.#stored });
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
    if (horizon === undefined) await pages.clear(`${stream}/`, `${stream}0`);
    await this.#stored.open();
    const source = { files, journal, stream };
    this.#horizon = horizon ?? startOfLastRecords(source, maxIds);
    const records = await readOn(source, this.#horizon, async (some, position) => {
      for (const record of some) this.dedup.remember(record);
      if (this.#isDue(position)) await this.#later([...position], false).catch(LOGGED);
    });
    logger.debug({ stream, records, storedIds: this.storedIds }, 'dedup is refilled');
    this.#stopListening = journal.onCommit(() => this.#look());
    journal.beforeDrop((dropped) => this.#beforeDrop(dropped));
  }

  async stop(): Promise<void> {
    this.#stopListening();
    this.#isHurried = true;
    await this.#turn;
  }

  get #end(): readonly number[] {
    return this.#options.journal.nextOffsets(this.#options.stream);
  }

  #recordsBehind(offsets: readonly number[]): number {
    return offsets.reduce((sum, end, p) => sum + end - (this.#horizon[p] ?? 0), 0);
  }

  #isDue(end: readonly number[]): boolean {
    const { maxIds, maxDevices } = this.#options;
    const isFull = this.#recordsBehind(end) * 2 >= maxIds;
    return isFull || this.dedup.devices.leaving > maxDevices * LEAVING_SHARE;
  }

  #look(): void {
    if (this.#isKeeping) return;
    const end = this.#end;
    if (this.#isDue(end)) void this.#later(undefined, false).catch(LOGGED);
  }

  /** Rejects if it can't: those records are then known for as long as memory has them. */
  async #beforeDrop(dropped: readonly DroppedOffsets[]): Promise<void> {
    const { stream } = this.#options;
    const own = dropped.filter((range) => range.stream === stream);
    if (own.length === 0) return;
    const isBehind = own.some(
      ({ partition, offset, count }) => offset + count > (this.#horizon[partition] ?? 0),
    );
    if (isBehind) await this.#later(undefined, true);
    else if (!this.#isSynced) await this.#sync();
  }

  /** One after the other. `end`: where the log is read; by default its end when the turn comes. */
  #later(end: readonly number[] | undefined, sync: boolean): Promise<void> {
    // Whoever waits for this one waits for the one before it as well.
    if (sync) this.#isHurried = true;
    this.#isKeeping = true;
    const kept = this.#turn.then(() => this.#keep(end ?? this.#end, sync));
    this.#turn = kept
      .catch((error: unknown) => {
        const { stream, logger } = this.#options;
        const fields = { stream, code: codeOf(error), error: messageOf(error), repeatKey: stream };
        logger.warn(fields, 'what dedup knows could not be stored, trying again');
      })
      .then(() => {
        this.#isKeeping = false;
        this.#isHurried = false;
      });
    return kept;
  }

  /** Moves the horizon to `end`: all that is known at this moment is of records before it. */
  async #keep(end: readonly number[], sync: boolean): Promise<void> {
    const { ids, devices } = this.dedup;
    const { journal, clock } = this.#options;
    const runMs = journal.runMs(clock.monoMs());
    const { pushed } = ids;
    const copy = ids.copy(Math.max(this.#pushedBefore, ids.first), pushed);
    const changed = devices.takeChanged().map((device) => ({ device, ids: device.ids }));
    try {
      const merged = copy.length === 0 ? [] : this.#stored.toMerge();
      const copies = IdCopies.of([...(await this.#stored.wordsOf(merged)), copy]);
      const built = await this.#inTurns(buildRun(copies, ids.kept(copies, runMs)));
      await this.#writePages(built);
      const run = this.#stored.change(built, ids.oldestTick(runMs), merged);
      await this.#encodeInto(run.entries, changed, runMs);
      run.entries.set(this.#horizonKey, this.#horizonAt(end));
      await this.#options.pages.write(run.entries, { sync });
      run.apply();
      this.#tellDropped(run.dropped);
      devices.stored(true);
    } catch (error) {
      devices.stored(false);
      throw error;
    }
    this.#horizon = end;
    this.#pushedBefore = pushed;
    this.#isSynced = sync;
    this.#keeps += 1;
    if (this.#keeps % PRUNE_EVERY === 1) await this.#prune(runMs);
  }

  /** No commit waits for it. */
  async #inTurns(building: Generator<void, BuiltRun>): Promise<BuiltRun> {
    for (;;) {
      const step = building.next();
      if (step.done === true) return step.value;
      await turn();
    }
  }

  /** As the write budget allows, unless somebody waits. */
  async #writePages(built: BuiltRun): Promise<void> {
    const { pages, budget, clock } = this.#options;
    let paces = 0;
    for (const entries of this.#stored.pagesOf(built)) {
      while (budget?.isExceeded(clock.monoMs()) === true && !this.#isHurried && paces < PACES) {
        paces += 1;
        await wait(PACE_MS);
      }
      await pages.write(entries);
    }
  }

  async #encodeInto(
    entries: Map<string, Uint8Array | undefined>,
    changed: ReadonlyArray<{ readonly device: DeviceState; readonly ids: number }>,
    runMs: number,
  ): Promise<void> {
    for (const [i, { device, ids }] of changed.entries()) {
      entries.set(this.#deviceKey(device.name), Buffer.from(encodeDevice(device, ids, runMs)));
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
    const heard: Array<readonly [runMs: number, key: string]> = [];
    for await (const [key, bytes] of pages.entries(`${stream}/device`)) {
      heard.push([storedRunMs(textOf(bytes) ?? '') ?? 0, key]);
    }
    const oldest = runMs - DEVICE_KEPT_MS;
    const byTime = heard.sort(([a], [b]) => a - b);
    const tooMany = Math.max(0, byTime.length - MAX_STORED_DEVICES);
    const gone = byTime.filter(([at], i) => i < tooMany || at < oldest);
    if (gone.length > 0) await pages.write(new Map(gone.map(([, key]) => [key, undefined])));
  }

  /** One that can't be read is as one that was never heard: its repeats are stored once more. */
  #load(device: string): string | undefined {
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

function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
