/** Tells a button that is held from the chatter of its contacts and from noise. Pure. */
export class Debounce {
  readonly #debounceMs: number;
  #raw = false;
  #held = false;
  #sinceMs = 0;

  constructor(debounceMs: number) {
    this.#debounceMs = debounceMs;
  }

  /** The level after an edge, and when that was. */
  edge(active: boolean, atMs: number): void {
    if (active === this.#raw) return;
    this.#raw = active;
    this.#sinceMs = atMs;
  }

  /** Nobody knows what the level was meanwhile: the next edge to active is a press. */
  forget(): void {
    this.#raw = false;
    this.#held = false;
  }

  /** When the level will have stood for long enough; undefined: it is what it was. */
  get dueMs(): number | undefined {
    return this.#raw === this.#held ? undefined : this.#sinceMs + this.#debounceMs;
  }

  /** True once for each time that the button is held for long enough. */
  isPressed(nowMs: number): boolean {
    const { dueMs } = this;
    if (dueMs === undefined || nowMs < dueMs) return false;
    this.#held = this.#raw;
    return this.#held;
  }
}
