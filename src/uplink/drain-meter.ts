import type { Clock } from '../base/clock.ts';

const SLOTS = 30;
const SLOT_MS = 1_000;

/** How many records a second the cloud takes, over the last half minute. */
export class DrainMeter {
  readonly #clock: Clock;
  readonly #counts = new Array<number>(SLOTS).fill(0);
  readonly #startedMs: number;
  #slot: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monoMs();
    this.#slot = this.#slotNow();
  }

  #slotNow(): number {
    return Math.floor((this.#clock.monoMs() - this.#startedMs) / SLOT_MS);
  }

  add(records: number): void {
    this.#moveOn();
    const at = this.#slot % SLOTS;
    this.#counts[at] = (this.#counts[at] ?? 0) + records;
  }

  /** Of the whole slots before this one. */
  get recordsPerSecond(): number {
    this.#moveOn();
    const whole = Math.min(this.#slot, SLOTS - 1);
    if (whole === 0) return 0;
    const now = this.#counts[this.#slot % SLOTS] ?? 0;
    return (this.#counts.reduce((sum, one) => sum + one, 0) - now) / whole;
  }

  #moveOn(): void {
    const now = this.#slotNow();
    for (let slot = Math.max(this.#slot + 1, now - SLOTS + 1); slot <= now; slot++) {
      this.#counts[slot % SLOTS] = 0;
    }
    this.#slot = Math.max(this.#slot, now);
  }
}
