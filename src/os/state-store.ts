/** The folder of what may be many and is read one by one: see `getBytes`. */
export const SERIES_ROOT = 'series';

/**
 * Small state in classic-level: checkpoints, sessions, retained messages. Never the log. All of it
 * can be lost without losing a reading, so writes are not synced one by one, unless that is asked
 * for, and a damaged store is set aside.
 */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  /**
   * Bytes by their keys; undefined for a key that is not there, or whose value is damaged. Rejects
   * if the store can't be read just now.
   */
  getBytes(keys: readonly string[]): Promise<Array<Uint8Array | undefined>>;
  /**
   * All or nothing. `undefined` deletes the key. `sync`: resolves when it is on flash. Bytes have
   * prefixes of their own: `entries` would take them for text.
   */
  write(
    entries: ReadonlyMap<string, string | Uint8Array | undefined>,
    options?: { readonly sync: boolean },
  ): Promise<void>;
  /** Entries whose key starts with `prefix`, in key order. */
  entries(prefix: string): Promise<Array<[key: string, value: string]>>;
}
