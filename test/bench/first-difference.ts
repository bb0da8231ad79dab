import type { Scorer } from '../../src/detect-score/scorer.ts';

const FORGETTING = 0.005;
const WARMUP_ROWS = 20;
const HOLD_ROWS = 100;
const LEAST = 1e-9;

/**
 * What a detector has to be better than: how many of its usual deviations a value lies from the one
 * before it. After a detection it says nothing for a hundred values.
 */
export class FirstDifference implements Scorer {
  readonly #threshold: number;
  #last: number | undefined;
  #rows = 0;
  #mean = 0;
  #variance = 0;
  #quietUntil = -1;

  /** `threshold`: deviations. */
  constructor(threshold: number) {
    this.#threshold = threshold;
  }

  /** 1 for a detection, else 0. */
  score(value: number): number {
    const row = this.#rows;
    this.#rows += 1;
    const step = value - (this.#last ?? value);
    this.#last = value;
    const distance = Math.abs(step - this.#mean) / (Math.sqrt(this.#variance) + LEAST);
    const share = Math.max(FORGETTING, 1 / (row + 1));
    const off = step - this.#mean;
    this.#mean += share * off;
    this.#variance = (1 - share) * (this.#variance + share * off * off);
    if (row <= WARMUP_ROWS || row <= this.#quietUntil || distance < this.#threshold) return 0;
    this.#quietUntil = row + HOLD_ROWS;
    return 1;
  }
}
