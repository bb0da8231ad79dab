interface Entry<T> {
  readonly device: string;
  readonly kept: T;
  /** Heard before this one, and after it. */
  before: Entry<T> | undefined;
  after: Entry<T> | undefined;
}

/**
 * What is kept of devices, by name, and in the order in which they were last heard: a chain, since
 * to take a name out of a map and put it in again costs as much as all the rest of dedup.
 */
export class BySilence<T> {
  readonly #entries = new Map<string, Entry<T>>();
  #first: Entry<T> | undefined;
  #last: Entry<T> | undefined;

  get size(): number {
    return this.#entries.size;
  }

  /** A look; the device is as silent as before. */
  get(device: string): T | undefined {
    return this.#entries.get(device)?.kept;
  }

  /** The device is heard now. */
  hear(device: string): T | undefined {
    const entry = this.#entries.get(device);
    if (entry === undefined) return undefined;
    if (entry !== this.#last) {
      this.#unchain(entry);
      this.#chain(entry);
    }
    return entry.kept;
  }

  /** A device that was not there is heard now. */
  add(device: string, kept: T): void {
    const entry: Entry<T> = { device, kept, before: undefined, after: undefined };
    this.#entries.set(device, entry);
    this.#chain(entry);
  }

  delete(device: string): void {
    const entry = this.#entries.get(device);
    if (entry === undefined) return;
    this.#entries.delete(device);
    this.#unchain(entry);
  }

  /** At most so many, the longest silent first; the one at hand may be deleted. */
  *silent(count: number): Generator<[device: string, kept: T]> {
    let entry = this.#first;
    for (let left = count; left > 0 && entry !== undefined; left--) {
      const { after } = entry;
      yield [entry.device, entry.kept];
      entry = after;
    }
  }

  #chain(entry: Entry<T>): void {
    entry.before = this.#last;
    entry.after = undefined;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.after = entry;
    this.#last = entry;
  }

  #unchain({ before, after }: Entry<T>): void {
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
  }
}
