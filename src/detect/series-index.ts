/**
 * The names of series and where their states are stored, as text: a row for each series, so many
 * rows an entry. A start reads these, and no state.
 */
export const ROWS_PER_ENTRY = 64;

const PREFIX = 'detect/index/';

/** Of the two places of a state; the other one is for the next checkpoint. */
export type Slot = 0 | 1;

export type IndexRow = readonly [device: string, metric: string, slot: Slot];

export function indexKey(entry: number): string {
  return `${PREFIX}${entry}`;
}

/** The number of an entry, of a key that is one's. */
export function entryOf(key: string): number | undefined {
  const text = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : '';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

export function entryOfSeries(number: number): number {
  return Math.floor(number / ROWS_PER_ENTRY);
}

/** Where the state of a series is. */
export function stateKey(number: number, slot: Slot): string {
  return `${number}/${slot}`;
}

/** Wherever the states of an entry's series may be. */
export function stateKeysOf(entry: number): string[] {
  const numbers = Array.from({ length: ROWS_PER_ENTRY }, (_, i) => entry * ROWS_PER_ENTRY + i);
  return numbers.flatMap((number) => [stateKey(number, 0), stateKey(number, 1)]);
}

export function otherSlot(slot: Slot | undefined): Slot {
  return slot === 0 ? 1 : 0;
}

/** `undefined`: no series has the number. */
export function encodeRows(rows: ReadonlyArray<IndexRow | undefined>): string {
  return JSON.stringify(rows.map((row) => row ?? null));
}

function isRow(row: unknown): row is IndexRow {
  if (!Array.isArray(row) || row.length !== 3) return false;
  const [device, metric, slot] = row as unknown[];
  return typeof device === 'string' && typeof metric === 'string' && (slot === 0 || slot === 1);
}

/** The inverse; undefined for what is none. */
export function decodeRows(text: string): Array<IndexRow | undefined> | undefined {
  try {
    const rows: unknown = JSON.parse(text);
    if (!Array.isArray(rows) || rows.length > ROWS_PER_ENTRY) return undefined;
    if (!rows.every((row) => row === null || isRow(row))) return undefined;
    return rows.map((row) => row ?? undefined);
  } catch {
    return undefined;
  }
}
