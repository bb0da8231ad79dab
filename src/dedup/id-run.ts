import { viewOf } from '../log/bytes.ts';
import type { Fingerprint } from './fingerprint.ts';
import { IdFilter } from './id-filter.ts';
import { ENTRY_WORDS, type IdCopies, type IdEntry } from './id-ring.ts';

/** A run of ids as it is stored: docs/dedup.md, *What is stored*. Pure. */

const VERSION = 1;
const HEADER_BYTES = 24;
/** Four lanes, tick, ordinal. */
const ENTRY_BYTES = 24;
/** The number of none. */
const NO_DEVICE = -1;
/** Ids of a page at most, on the average: half a block of LevelDB, or all of it. */
const IDS_PER_PAGE = 128;

/** What is in memory of a run: all but its ids. */
export interface IdRun {
  readonly count: number;
  /** A page has the ids whose first lane begins with its number in so many bits. */
  readonly pageBits: number;
  /** Tick of the newest of its ids. */
  readonly newestTick: number;
  readonly filter: IdFilter;
}

/** The page that an id is in, if the run has it. */
export function pageOf({ pageBits }: Pick<IdRun, 'pageBits'>, lane: number): number {
  return pageBits === 0 ? 0 : lane >>> (32 - pageBits);
}

/** Which of the copies go into the run; of those of one id the first is found. */
export type Kept = readonly number[];

export interface BuiltRun {
  readonly run: IdRun;
  /** One after the other; some may be empty. */
  readonly pages: readonly Uint8Array[];
}

/** About 0.15 µs an id: a run of a hundred thousand is to be built in parts. */
export function* buildRun(ids: IdCopies, kept: Kept): Generator<void, BuiltRun> {
  const pageBits = Math.max(0, Math.ceil(Math.log2(kept.length / IDS_PER_PAGE)));
  const filter = IdFilter.empty(kept.length);
  const members: number[][] = Array.from({ length: 2 ** pageBits }, () => []);
  let newestTick = 0;
  for (const [i, n] of kept.entries()) {
    filter.add({
      a: ids.lane(n, 0),
      b: ids.lane(n, 1),
      c: ids.lane(n, 2),
      d: ids.lane(n, 3),
    });
    members[pageOf({ pageBits }, ids.lane(n, 0))]?.push(n);
    newestTick = Math.max(newestTick, ids.tick(n));
    if (i % 4096 === 4095) yield;
  }
  const pages: Uint8Array[] = [];
  for (const numbers of members) {
    pages.push(encodePage(ids, numbers));
    if (pages.length % 32 === 0) yield;
  }
  return { run: { count: kept.length, pageBits, newestTick, filter }, pages };
}

/** The ids of a page as they are copied, of no device that is known by its number. */
export function wordsOfPage(page: Uint8Array): Int32Array {
  const view = viewOf(page);
  const count = Math.floor(page.length / ENTRY_BYTES);
  const words = new Int32Array(count * ENTRY_WORDS);
  for (let n = 0; n < count; n++) {
    for (let word = 0; word < ENTRY_BYTES / 4; word++) {
      words[n * ENTRY_WORDS + word] = view.getInt32(n * ENTRY_BYTES + 4 * word, true);
    }
    words[n * ENTRY_WORDS + ENTRY_WORDS - 1] = NO_DEVICE;
  }
  return words;
}

function encodePage(ids: IdCopies, numbers: readonly number[]): Uint8Array {
  const page = Buffer.allocUnsafe(numbers.length * ENTRY_BYTES);
  let at = 0;
  for (const n of numbers) {
    for (const lane of [0, 1, 2, 3] as const) at = page.writeInt32LE(ids.lane(n, lane), at);
    at = page.writeUInt32LE(ids.tick(n), at);
    at = page.writeUInt32LE(ids.ordinal(n), at);
  }
  return page;
}

/** undefined: the page does not have it. */
export function findInPage(page: Uint8Array, { a, b, c, d }: Fingerprint): IdEntry | undefined {
  const view = viewOf(page);
  for (let at = 0; at + ENTRY_BYTES <= page.length; at += ENTRY_BYTES) {
    if (view.getInt32(at, true) !== a || view.getInt32(at + 4, true) !== b) continue;
    if (view.getInt32(at + 8, true) !== c || view.getInt32(at + 12, true) !== d) continue;
    return { tick: view.getUint32(at + 16, true), ordinal: view.getUint32(at + 20, true) };
  }
  return undefined;
}

export function encodeRun({ count, pageBits, newestTick, filter }: IdRun): Uint8Array {
  const { words } = filter;
  const bytes = new Uint8Array(HEADER_BYTES + 4 * words.length);
  const view = viewOf(bytes);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, count, true);
  view.setUint32(8, pageBits, true);
  view.setUint32(12, newestTick, true);
  view.setUint32(16, words.length, true);
  for (const [i, word] of words.entries()) view.setUint32(HEADER_BYTES + 4 * i, word, true);
  return bytes;
}

/** undefined: not readable, or of another version. */
export function decodeRun(bytes: Uint8Array): IdRun | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  const words = view.getUint32(16, true);
  const isWhole = words > 0 && words % 16 === 0 && bytes.length === HEADER_BYTES + 4 * words;
  const pageBits = view.getUint32(8, true);
  if (view.getUint32(0, true) !== VERSION || !isWhole || pageBits > 24) return undefined;
  const filter = new Uint32Array(words);
  for (let i = 0; i < words; i++) filter[i] = view.getUint32(HEADER_BYTES + 4 * i, true);
  return {
    count: view.getUint32(4, true),
    pageBits,
    newestTick: view.getUint32(12, true),
    filter: IdFilter.of(filter),
  };
}
