import { MAX_METRICS_PER_DEVICE } from '../base/metric-name.ts';
import {
  decodeRows,
  encodeRows,
  entryOf,
  entryOfSeries,
  type IndexRow,
  indexKey,
  otherSlot,
  ROWS_PER_ENTRY,
  type Slot,
  stateKey,
  stateKeysOf,
} from './series-index.ts';
import type { Storable, StorableKind } from './storable.ts';

/** Names, and where what was learnt is: in use, packed in memory, or in the store. */
export interface Series<S> {
  readonly device: string;
  readonly metric: string;
  readonly number: number;
  /** In use. */
  state: S | undefined;
  /** Not in use, and not in the store as it is now. */
  packed: Uint8Array | undefined;
  /** Where the store has what the last checkpoint stored. */
  slot: Slot | undefined;
  /** About how large it is, bytes. */
  bytes: number;
}

export interface SeriesTableOptions<S extends Storable> {
  readonly kind: StorableKind<S>;
  /** Series there may be. */
  readonly maxSeries: number;
  /** States in use, at most; of the others there are only bytes. */
  readonly hotSeries: number;
  /** Something that was stored is not taken up. */
  readonly onForgotten: (key: string, why: string) => void;
}

/** States by their keys, as they are stored; undefined: not there, or not to be read. */
export type ReadStates = (keys: readonly string[]) => Promise<Array<Uint8Array | undefined>>;

/** What a state is thought to take before it was ever saved. */
const USUAL_BYTES = 2_200;
/** States that are in memory for one write. */
const STATES_PER_PART = 256;

/** Its bytes are stored, or on the way there. */
const GIVEN = Symbol('given');

type Shot<S> = Map<Series<S>, Uint8Array | typeof GIVEN | undefined>;

/**
 * All series of a stream. The states of those that sent last are in use; of the others, those that
 * are stored as they are need no memory, and the rest wait as bytes for the next checkpoint.
 */
export class SeriesTable<S extends Storable> {
  readonly #options: SeriesTableOptions<S>;
  /** By number; a number that no series has is undefined. */
  #rows: Array<Series<S> | undefined> = [];
  /** By device, then by metric. */
  readonly #devices = new Map<string, Map<string, Series<S>>>();
  /** Those in use, the one that was used longest ago first. */
  readonly #hot = new Set<Series<S>>();
  /** Changed since the last checkpoint began. */
  #changed = new Set<Series<S>>();
  #changedBytes = 0;
  /** Those of the checkpoint that is being stored, and their bytes as of its moment. */
  #shot: Shot<S> | undefined;
  /** Rows at that moment. */
  #shotRows = 0;
  /** Stored, and not to be any longer; kept until it is gone. */
  readonly #obsoleteStates = new Set<string>();
  /** Of the index: not as they are stored. */
  readonly #staleEntries = new Set<number>();
  #watched = 0;

  constructor(options: SeriesTableOptions<S>) {
    this.#options = options;
  }

  get size(): number {
    return this.#watched;
  }

  /** States in use, and states that wait as bytes. */
  get inMemory(): { hot: number; packed: number; packedBytes: number } {
    let packed = 0;
    let packedBytes = 0;
    for (const row of this.#rows) {
      if (row?.packed === undefined) continue;
      packed += 1;
      packedBytes += row.packed.length;
    }
    return { hot: this.#hot.size, packed, packedBytes };
  }

  /** States in use. */
  *inUse(): Generator<S> {
    for (const { state } of this.#hot) if (state !== undefined) yield state;
  }

  get(device: string, metric: string): Series<S> | undefined {
    return this.#devices.get(device)?.get(metric);
  }

  /** A new series; text: why there may be none. */
  add(device: string, metric: string): Series<S> | string {
    if (this.#watched >= this.#options.maxSeries) return 'detect.maxSeries is reached';
    if ((this.#devices.get(device)?.size ?? 0) >= MAX_METRICS_PER_DEVICE) {
      return 'its device has too many';
    }
    const state = this.#options.kind.fresh();
    const series = this.#put(device, metric, undefined);
    series.state = state;
    this.#hot.add(series);
    return series;
  }

  #put(device: string, metric: string, slot: Slot | undefined): Series<S> {
    const number = this.#rows.length;
    const bytes = USUAL_BYTES;
    const at = { device, metric, number };
    const series: Series<S> = { ...at, state: undefined, packed: undefined, slot, bytes };
    let metrics = this.#devices.get(device);
    if (metrics === undefined) {
      metrics = new Map();
      this.#devices.set(device, metrics);
    }
    metrics.set(metric, series);
    this.#rows.push(series);
    this.#watched += 1;
    return series;
  }

  /** Its state is in the store and nowhere else: to be fetched before it is used. */
  isEvicted(series: Series<S>): boolean {
    return series.state === undefined && series.packed === undefined;
  }

  /** Rejects if the store can't be read just now; nothing has changed then. */
  async fetch(series: readonly Series<S>[], read: ReadStates): Promise<void> {
    const wanted = series.filter((one) => this.isEvicted(one));
    const found = await read(wanted.map(({ number, slot }) => stateKey(number, slot ?? 0)));
    for (const [i, one] of wanted.entries()) this.#takeUp(one, found[i]);
  }

  #takeUp(series: Series<S>, bytes: Uint8Array | undefined): void {
    const { kind, onForgotten } = this.#options;
    series.state = bytes === undefined ? undefined : kind.restore(bytes);
    if (series.state === undefined) {
      const { number, slot = 0 } = series;
      onForgotten(stateKey(number, slot), 'its state is not readable');
      series.state = kind.fresh();
    }
    series.bytes = bytes?.length ?? USUAL_BYTES;
    series.packed = undefined;
    this.#hot.add(series);
  }

  /** The state of a series that is not evicted. It is about to change. */
  use(series: Series<S>): S {
    if (series.packed !== undefined) this.#takeUp(series, series.packed);
    const { state } = series;
    if (state === undefined) throw new Error(`series ${series.number} is evicted`);
    this.#hot.delete(series);
    this.#hot.add(series);
    if (this.#shot !== undefined && this.#shot.get(series) === undefined) {
      if (this.#shot.has(series)) this.#shot.set(series, this.#save(series, state));
    }
    if (!this.#changed.has(series)) {
      this.#changed.add(series);
      this.#changedBytes += series.bytes;
    }
    return state;
  }

  #save(series: Series<S>, state: S): Uint8Array {
    const bytes = state.save();
    series.bytes = bytes.length;
    return bytes;
  }

  /** Keeps to `hotSeries`: what was used longest ago is stored as it is, or waits as bytes. */
  trim(): void {
    for (const series of this.#hot) {
      if (this.#hot.size <= this.#options.hotSeries) return;
      const { state } = series;
      const isStored = !this.#changed.has(series) && this.#shot?.has(series) !== true;
      if (!isStored && state !== undefined) series.packed = this.#save(series, state);
      series.state = undefined;
      this.#hot.delete(series);
    }
  }

  /** About how much a checkpoint has to store. */
  get changedBytes(): number {
    return this.#changedBytes;
  }

  /** A checkpoint begins: of this moment, whatever changes until it is stored. */
  begin(): void {
    this.#shot = new Map([...this.#changed].map((series) => [series, undefined]));
    this.#shotRows = this.#rows.length;
    this.#changed = new Set();
    this.#changedBytes = 0;
  }

  /**
   * The states of that moment, some at a time, each under a key that no checkpoint refers to yet.
   */
  *parts(): Generator<Map<string, Uint8Array>> {
    const shot: Shot<S> = this.#shot ?? new Map();
    let part = new Map<string, Uint8Array>();
    for (const [series, kept] of shot) {
      const { state, packed, number, slot } = series;
      const bytes = kept ?? packed ?? (state === undefined ? undefined : this.#save(series, state));
      if (bytes === undefined || bytes === GIVEN) continue;
      part.set(stateKey(number, otherSlot(slot)), bytes);
      shot.set(series, GIVEN);
      if (part.size < STATES_PER_PART) continue;
      yield part;
      part = new Map();
    }
    if (part.size > 0) yield part;
  }

  /** Then: what makes them count, in one write with the position; undefined deletes. */
  ending(): {
    readonly index: Map<string, string | undefined>;
    readonly states: Map<string, undefined>;
  } {
    const states = new Map([...this.#obsoleteStates].map((key) => [key, undefined] as const));
    const index = new Map<string, string | undefined>();
    const entries = new Set(this.#staleEntries);
    for (const { number, slot } of this.#shot?.keys() ?? []) {
      entries.add(entryOfSeries(number));
      if (slot !== undefined) states.set(stateKey(number, slot), undefined);
    }
    for (const entry of entries) index.set(indexKey(entry), this.#encoded(entry));
    return { index, states };
  }

  #encoded(entry: number): string | undefined {
    const from = entry * ROWS_PER_ENTRY;
    const rows = this.#rows.slice(from, Math.min(from + ROWS_PER_ENTRY, this.#shotRows));
    if (rows.every((series) => series === undefined)) return undefined;
    return encodeRows(
      rows.map((series): IndexRow | undefined => {
        if (series === undefined) return undefined;
        const { device, metric, slot } = series;
        const isIn = this.#shot?.has(series) === true;
        return [device, metric, isIn ? otherSlot(slot) : (slot ?? 0)];
      }),
    );
  }

  /** The checkpoint is stored: what has not changed since needs no memory. */
  stored(): void {
    for (const series of this.#shot?.keys() ?? []) {
      series.slot = otherSlot(series.slot);
      if (!this.#changed.has(series)) series.packed = undefined;
    }
    this.#shot = undefined;
    this.#obsoleteStates.clear();
    this.#staleEntries.clear();
  }

  /** It could not be stored: the next one has all that was in it. */
  failed(): void {
    for (const series of this.#shot?.keys() ?? []) {
      if (this.#changed.has(series)) continue;
      this.#changed.add(series);
      this.#changedBytes += series.bytes;
    }
    this.#shot = undefined;
  }

  /** Takes up an index, in place of all that is there; other keys are passed over. */
  restore(entries: ReadonlyMap<string, string>): void {
    this.#clear();
    const found = [...entries.keys()].map(entryOf).filter((entry) => entry !== undefined);
    for (const entry of found.toSorted((a, b) => a - b)) {
      this.#leaveOut(entry * ROWS_PER_ENTRY);
      const rows = decodeRows(entries.get(indexKey(entry)) ?? '');
      if (rows !== undefined) {
        this.#restoreRows(entry, rows);
        continue;
      }
      this.#options.onForgotten(indexKey(entry), 'its state is not readable');
      this.#staleEntries.add(entry);
      for (const key of stateKeysOf(entry)) this.#obsoleteStates.add(key);
      this.#leaveOut((entry + 1) * ROWS_PER_ENTRY);
    }
  }

  /** No series has a number before this one that is not given out by now. */
  #leaveOut(number: number): void {
    while (this.#rows.length < number) this.#rows.push(undefined);
  }

  #restoreRows(entry: number, rows: ReadonlyArray<IndexRow | undefined>): void {
    for (const [i, row] of rows.entries()) {
      const [device, metric, slot] = row ?? ['', '', 0];
      const isRoom = this.#watched < this.#options.maxSeries;
      if (row !== undefined && isRoom && this.get(device, metric) === undefined) {
        this.#put(device, metric, slot);
        continue;
      }
      this.#rows.push(undefined);
      if (row === undefined) continue;
      this.#staleEntries.add(entry);
      const key = stateKey(entry * ROWS_PER_ENTRY + i, slot);
      this.#obsoleteStates.add(key);
      this.#options.onForgotten(key, 'detect.maxSeries is reached');
    }
  }

  #clear(): void {
    this.#rows = [];
    this.#devices.clear();
    this.#hot.clear();
    this.#changed.clear();
    this.#changedBytes = 0;
    this.#shot = undefined;
    this.#obsoleteStates.clear();
    this.#staleEntries.clear();
    this.#watched = 0;
  }
}
