/** How many readings may be on their way at a time. One caller waits for room, no more. */
export class Window {
  readonly #size: number;
  #used = 0;
  #freed: (() => void) | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  get used(): number {
    return this.#used;
  }

  take(): void {
    this.#used += 1;
  }

  give(): void {
    this.#used -= 1;
    this.#freed?.();
  }

  /** Resolves when one more may go, or when `signal` aborts. */
  room(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#used < this.#size, signal);
  }

  /** Resolves when none is on its way, or when `signal` aborts. */
  empty(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#used === 0, signal);
  }

  async #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          this.#freed = undefined;
          resolve();
        };
        this.#freed = wake;
        signal.addEventListener('abort', wake);
      });
    }
  }
}
