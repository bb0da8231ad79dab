import type { PageStore } from '../os/page-store.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { IdEntry } from './id-ring.ts';
import {
  type BuiltRun,
  decodeRun,
  encodeRun,
  findInPage,
  type IdRun,
  pageOf,
  wordsOfPage,
} from './id-run.ts';

export interface StoredIdsOptions {
  readonly pages: PageStore;
  /** Of the stream's keys. */
  readonly folder: string;
  /** Ids stored, at most: 2 bytes of memory each. */
  readonly maxIds: number;
  /** Told of what can't be read. */
  readonly onFault: (error: unknown) => void;
}

/** Look-ups go through all of them. */
const MAX_RUNS = 400;
/** So many small ones of about one size are made one, or fewer where that is as large as can be. */
const MERGED_AT_ONCE = 16;
const LEAST_MERGED = 4;
const MAX_MERGED_IDS = 262_144;

/** More runs than are ever written in one life. */
const STEP_OVER = 1_000_000;

interface NamedRun extends IdRun {
  readonly name: number;
}

function runName(run: number): string {
  return String(run).padStart(12, '0');
}

function pageName(page: number): string {
  return String(page).padStart(8, '0');
}

function idsOf(runs: readonly IdRun[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0);
}

/** Runs of one level differ by eight times at most. */
function levelOf(count: number): number {
  return Math.floor(Math.log2(Math.max(1, count)) / 3);
}

/** Runs that become a part of another. */
export type Merged = readonly NamedRun[];

interface Change {
  readonly entries: Entries;
  readonly dropped: number;
  readonly apply: () => void;
}

type Entries = Map<string, Uint8Array | undefined>;

/**
 * The ids of a stream's window that are not in memory: runs, each of which is written once and goes
 * as a whole when the newest of its ids is out of the window. In memory there is a filter of each.
 */
export class StoredIds {
  readonly #options: StoredIdsOptions;
  /** The newest last. */
  #runs: readonly NamedRun[] = [];
  #lastName = 0;

  constructor(options: StoredIdsOptions) {
    this.#options = options;
  }

  /** Takes up what is stored. Pages of a run that has no header are of a write that was cut off. */
  async open(): Promise<void> {
    const { pages, folder } = this.#options;
    const runs: NamedRun[] = [];
    for await (const [key, bytes] of pages.entries(`${folder}/run`)) {
      const name = Number(key.slice(key.lastIndexOf('/') + 1));
      const run = decodeRun(bytes);
      if (run !== undefined && Number.isSafeInteger(name)) runs.push({ ...run, name });
      else this.#options.onFault(new Error(`the run of ids ${key} is not readable`));
    }
    this.#runs = runs;
    this.#lastName = runs.at(-1)?.name ?? 0;
    try {
      await this.#clearBetween(runs.map(({ name }) => name));
    } catch (error) {
      // On a full disk they stay until the next start, and no new run has their names.
      this.#lastName += STEP_OVER;
      this.#options.onFault(error);
    }
  }

  /** Pages of no run: of writes that were cut off or failed, or whose header is not readable. */
  async #clearBetween(names: readonly number[]): Promise<void> {
    const { pages, folder } = this.#options;
    let next = 0;
    for (const name of names) {
      if (name > next) await pages.clear(this.#pageKey(next, 0), this.#pageKey(name, 0));
      next = name + 1;
    }
    // A zero comes behind the slash.
    await pages.clear(this.#pageKey(next, 0), `${folder}/page0`);
  }

  /** What was written of the new run is nothing: the next one has another name. */
  failed(): void {
    this.#lastName += 1;
  }

  get size(): number {
    return idsOf(this.#runs);
  }

  /** The newest of what is known of it. */
  find(print: Fingerprint): IdEntry | undefined {
    for (let i = this.#runs.length - 1; i >= 0; i--) {
      const run = this.#runs[i];
      if (run === undefined || !run.filter.mayHave(print)) continue;
      const found = this.#look(run, print);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** A page that can't be read is one without ids: their readings are stored once more. */
  #look(run: NamedRun, print: Fingerprint): IdEntry | undefined {
    const { pages, onFault } = this.#options;
    try {
      const page = pages.getSync(this.#pageKey(run.name, pageOf(run, print.a)));
      return page === undefined ? undefined : findInPage(page, print);
    } catch (error) {
      onFault(error);
      return undefined;
    }
  }

  /**
   * The pages of a new run, some at a time: without its header, which is to be written with
   * whatever else must be true of it, they are nothing.
   */
  *pagesOf({ pages }: BuiltRun): Generator<Entries> {
    let some: Entries = new Map();
    let bytes = 0;
    for (const [i, page] of pages.entries()) {
      if (page.length === 0) continue;
      some.set(this.#pageKey(this.#lastName + 1, i), page);
      bytes += page.length;
      if (bytes < WRITE_BYTES) continue;
      yield some;
      some = new Map();
      bytes = 0;
    }
    if (some.size > 0) yield some;
  }

  /**
   * The newest runs, where they are many and small: they are to be a part of the next one. A log
   * that holds little makes such.
   */
  toMerge(): Merged {
    const level = levelOf(this.#runs.at(-1)?.count ?? 0);
    let first = this.#runs.length;
    let ids = 0;
    let least = MERGED_AT_ONCE;
    while (first > 0) {
      const { count } = this.#runs[first - 1] ?? { count: 0 };
      if (levelOf(count) > level) break;
      if (ids + count > MAX_MERGED_IDS) {
        least = LEAST_MERGED;
        break;
      }
      ids += count;
      first -= 1;
    }
    return this.#runs.length - first < least ? [] : this.#runs.slice(first);
  }

  /** The ids of runs, as they are copied, the oldest first; of what can't be read, none. */
  async wordsOf(runs: Merged): Promise<Int32Array[]> {
    const { folder, pages, onFault } = this.#options;
    const words: Int32Array[] = [];
    for (const { name } of runs) {
      try {
        for await (const [, page] of pages.entries(`${folder}/page/${runName(name)}`)) {
          words.push(wordsOfPage(page));
        }
      } catch (error) {
        onFault(error);
      }
    }
    return words;
  }

  /**
   * What makes the new run a part of these, and deletes those that are merged in it, out of the
   * window (`oldestTick`: of the oldest id that is not) or too many. `apply` is to be called once
   * it is written. `dropped`: ids that were in the window still.
   */
  change({ run }: BuiltRun, oldestTick: number, merged: Merged): Change {
    const named = { ...run, name: this.#lastName + 1 };
    const entries: Entries = new Map();
    if (run.count > 0) entries.set(this.#runKey(named.name), encodeRun(named));
    const inTime = [...this.#runs, ...(run.count > 0 ? [named] : [])].filter(
      (one) => one.newestTick >= oldestTick && !merged.includes(one),
    );
    const kept = this.#bounded(inTime);
    for (const { name, pageBits } of this.#runs.filter((one) => !kept.includes(one))) {
      entries.set(this.#runKey(name), undefined);
      for (let page = 0; page < 2 ** pageBits; page++) {
        entries.set(this.#pageKey(name, page), undefined);
      }
    }
    const apply = () => {
      this.#runs = kept;
      if (run.count > 0) this.#lastName = named.name;
    };
    return { entries, dropped: idsOf(inTime) - idsOf(kept), apply };
  }

  /** The newest of them, as many as there may be. */
  #bounded(runs: readonly NamedRun[]): readonly NamedRun[] {
    let ids = 0;
    let first = runs.length;
    while (first > 0 && runs.length - first < MAX_RUNS) {
      ids += runs[first - 1]?.count ?? 0;
      if (ids > this.#options.maxIds) break;
      first -= 1;
    }
    return runs.slice(first);
  }

  #runKey(name: number): string {
    return `${this.#options.folder}/run/${runName(name)}`;
  }

  #pageKey(run: number, page: number): string {
    return `${this.#options.folder}/page/${runName(run)}/${pageName(page)}`;
  }
}

/** Of pages, in one batch. */
const WRITE_BYTES = 64 * 1024;
