/**
 * Small state in classic-level: checkpoints, sessions, retained messages. Never the log. All of it
 * can be lost without losing a reading, so writes are not synced one by one, unless that is asked
 * for, and a damaged store is set aside.
 */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  /** All or nothing. `undefined` deletes the key. `sync`: resolves when it is on flash. */
  write(
    entries: ReadonlyMap<string, string | undefined>,
    options?: { readonly sync: boolean },
  ): Promise<void>;
  /** Entries whose key starts with `prefix`, in key order. */
  entries(prefix: string): Promise<Array<[key: string, value: string]>>;
}
