import type { PageStore } from '../../src/os/page-store.ts';

type Entries = ReadonlyMap<string, Uint8Array | undefined>;

/** A page store in memory, which forgets what was not synced in a power cut, the latest first. */
export class MemoryPages implements PageStore {
  #stored = new Map<string, Uint8Array>();
  #durable = new Map<string, Uint8Array>();
  #unsynced: Entries[] = [];
  /** While it is set, every write fails with it. */
  fault: Error | undefined;
  /** Writes wait for it. */
  held: Promise<void> | undefined;
  writes = 0;
  writtenBytes = 0;

  get keys(): string[] {
    return [...this.#stored.keys()].sort();
  }

  getSync(key: string): Uint8Array | undefined {
    return this.#stored.get(key);
  }

  async write(entries: Entries, { sync } = { sync: false }): Promise<void> {
    await this.held;
    if (this.fault !== undefined) throw this.fault;
    this.writes += 1;
    for (const [key, value] of entries) this.writtenBytes += key.length + (value?.length ?? 0);
    apply(entries, this.#stored);
    this.#unsynced.push(new Map(entries));
    if (!sync) return;
    this.#durable = new Map(this.#stored);
    this.#unsynced = [];
  }

  async *entries(folder: string): AsyncGenerator<[key: string, value: Uint8Array]> {
    for (const key of this.keys) {
      const value = this.#stored.get(key);
      if (key.startsWith(`${folder}/`) && value !== undefined) yield [key, value];
    }
  }

  async clear(from: string, to: string): Promise<void> {
    const gone = this.keys.filter((key) => key >= from && key < to);
    if (gone.length > 0) await this.write(new Map(gone.map((key) => [key, undefined])));
  }

  /** Of the writes that were not synced the first so many have reached the flash. */
  powerCut(kept: number): void {
    for (const entries of this.#unsynced.slice(0, kept)) apply(entries, this.#durable);
    this.#unsynced = [];
    this.#stored = new Map(this.#durable);
  }

  get unsynced(): number {
    return this.#unsynced.length;
  }
}

function apply(entries: Entries, to: Map<string, Uint8Array>): void {
  for (const [key, value] of entries) {
    if (value === undefined) to.delete(key);
    else to.set(key, value);
  }
}
