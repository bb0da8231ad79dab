import type { Random } from './clock.ts';

/**
 * Waits between tries: decorrelated jitter, each wait drawn from [base, 3 × the last one], capped.
 * Spreads a fleet that lost the same link at the same moment.
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: Random;
  #lastMs: number;

  constructor(options: { baseMs: number; maxMs: number; random: Random }) {
    this.#baseMs = options.baseMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random;
    this.#lastMs = options.baseMs;
  }

  /** The next wait in ms. */
  nextMs(): number {
    const span = Math.max(0, this.#lastMs * 3 - this.#baseMs);
    this.#lastMs = Math.min(this.#maxMs, this.#baseMs + this.#random() * span);
    return this.#lastMs;
  }

  /** After a success the next wait is short again. */
  reset(): void {
    this.#lastMs = this.#baseMs;
  }
}
