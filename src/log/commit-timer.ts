import type { Clock } from '../base/clock.ts';

/** Calls once, at the earliest moment that was asked for. */
export class CommitTimer {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #dueMonoMs = Number.POSITIVE_INFINITY;
  #stop: (() => void) | undefined;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /**
   * At this moment of the monotonic clock, or at one asked for before, whichever is sooner; never
   * within this call.
   */
  wake(dueMonoMs: number): void {
    if (dueMonoMs >= this.#dueMonoMs) return;
    this.cancel();
    this.#dueMonoMs = dueMonoMs;
    const ms = dueMonoMs - this.#clock.monoMs();
    // A timer of 0 ms takes at least 1: what is due is written with what else came by now.
    if (ms > 0) {
      const timer = setTimeout(() => this.#fire(), ms);
      this.#stop = () => clearTimeout(timer);
    } else {
      const soon = setImmediate(() => this.#fire());
      this.#stop = () => clearImmediate(soon);
    }
  }

  #fire(): void {
    this.cancel();
    this.#onDue();
  }

  cancel(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#dueMonoMs = Number.POSITIVE_INFINITY;
  }
}
