/** Tells one who waits of commits; a ring that nobody waited for is told to the next who does. */
export class CommitBell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    if (this.#wake === undefined) this.#hasRung = true;
    else this.#wake();
  }

  /** Forgets that it has rung: whoever looks from now on sees what it rang for. */
  hush(): void {
    this.#hasRung = false;
  }

  /** Resolves at the next ring that nobody was told of, or when the signal aborts. */
  async rings(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    if (this.#hasRung) {
      this.hush();
      return;
    }
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
