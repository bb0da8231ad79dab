/**
 * Bytes by name, in classic-level, for what is looked up one by one and at once. As with all of the
 * state, no reading is in here.
 */
export interface PageStore {
  /** Blocks for as long as the look-up takes: microseconds from memory, a read from the flash. */
  getSync(key: string): Uint8Array | undefined;
  /** All or nothing. `undefined` deletes the key. Default: not synced. */
  write(
    entries: ReadonlyMap<string, Uint8Array | undefined>,
    options?: { readonly sync: boolean },
  ): Promise<void>;
  /** Those whose key is `folder`, a slash and something more, in key order. */
  entries(folder: string): AsyncIterable<[key: string, value: Uint8Array]>;
  /** Deletes those whose key is from `from` on and before `to`. */
  clear(from: string, to: string): Promise<void>;
}
