import type { Clock } from '../base/clock.ts';

/**
 * The publishes of one link that lack their acknowledgement. A link on which these stop coming is
 * dead, whatever TCP believes. Those of a full window may take far longer than one: each has its
 * own time from when it is the oldest.
 */
export class AckWatch {
  readonly #clock: Clock;
  readonly #ackTimeoutMs: number;
  readonly #timer: NodeJS.Timeout;
  /** How each is told that it will never be known. In the order of publishing. */
  readonly #pending = new Map<object, (error: Error) => void>();
  #oldestSinceMonoMs = 0;

  /** `onDead` is called once, with the reason. */
  constructor(clock: Clock, ackTimeoutMs: number, onDead: (reason: string) => void) {
    this.#clock = clock;
    this.#ackTimeoutMs = ackTimeoutMs;
    this.#timer = setInterval(() => {
      if (!this.#isDead()) return;
      clearInterval(this.#timer);
      onDead(`no acknowledgement within ${ackTimeoutMs} ms`);
    }, ackTimeoutMs / 4);
    this.#timer.unref();
  }

  #isDead(): boolean {
    if (this.#pending.size === 0) return false;
    return this.#clock.monoMs() - this.#oldestSinceMonoMs >= this.#ackTimeoutMs;
  }

  add(message: object, reject: (error: Error) => void): void {
    if (this.#pending.size === 0) this.#oldestSinceMonoMs = this.#clock.monoMs();
    this.#pending.set(message, reject);
  }

  /** It has its answer. */
  delete(message: object): void {
    const [oldest] = this.#pending.keys();
    if (oldest === message) this.#oldestSinceMonoMs = this.#clock.monoMs();
    this.#pending.delete(message);
  }

  /** The link is gone, for this reason. */
  end(reason: string): void {
    clearInterval(this.#timer);
    for (const reject of this.#pending.values()) reject(new Error(reason));
    this.#pending.clear();
  }
}
