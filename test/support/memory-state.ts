import type { StateStore } from '../../src/os/state-store.ts';

/** A state store in memory, in key order as the real one. */
export interface MemoryState extends StateStore {
  readonly stored: Map<string, string>;
}

export function memoryState(entries: Iterable<readonly [string, string]> = []): MemoryState {
  const stored = new Map(entries);
  return {
    stored,
    get: async (key) => stored.get(key),
    write: async (changes) => {
      for (const [key, value] of changes) {
        if (value === undefined) stored.delete(key);
        else stored.set(key, value);
      }
    },
    entries: async (prefix) =>
      [...stored].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}
