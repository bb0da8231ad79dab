import type { StateStore } from '../../src/os/state-store.ts';

/** A state store in memory, in key order as the real one. */
export interface MemoryState extends StateStore {
  readonly stored: Map<string, string>;
  readonly bytes: Map<string, Uint8Array>;
  /** Leaves what was there at the last synced write. */
  cutPower(): void;
}

export function memoryState(entries: Iterable<readonly [string, string]> = []): MemoryState {
  const stored = new Map(entries);
  const bytes = new Map<string, Uint8Array>();
  let synced = { stored: new Map(stored), bytes: new Map(bytes) };
  return {
    stored,
    bytes,
    cutPower() {
      stored.clear();
      bytes.clear();
      for (const [key, value] of synced.stored) stored.set(key, value);
      for (const [key, value] of synced.bytes) bytes.set(key, value);
    },
    get: async (key) => stored.get(key),
    getBytes: async (keys) => keys.map((key) => bytes.get(key)),
    write: async (changes, { sync } = { sync: false }) => {
      for (const [key, value] of changes) {
        stored.delete(key);
        bytes.delete(key);
        if (typeof value === 'string') stored.set(key, value);
        else if (value !== undefined) bytes.set(key, value);
      }
      if (sync) synced = { stored: new Map(stored), bytes: new Map(bytes) };
    },
    entries: async (prefix) =>
      [...stored].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}
