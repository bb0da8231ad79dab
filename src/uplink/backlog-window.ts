/** What the backlog may add to the time that an acknowledgement takes. */
const TARGET_MS = 500;
const FIRST_BYTES = 16 * 1024;
const LEAST_BYTES = 2 * 1024;
const MINUTE_MS = 60_000;

/**
 * Bytes that may be on their way: as many as the link takes without making a fresh
 * record wait for much longer than it would on an empty one. What is on its way stands in buffers
 * of the network, and nothing overtakes it there. It grows by what is acknowledged while that comes
 * quickly, and is halved when it takes longer, once for all that was sent before. After the idea of
 * LEDBAT (RFC 6817), with the acknowledgements of the far side for clock. Of one link. Pure.
 */
export class BacklogWindow {
  readonly #maxBytes: number;
  #bytes: number;
  /**
   * The quickest answer of the last minute or two: what the link takes when it is empty. A route
   * may change (RFC 6817, 4.2).
   */
  #leastMs = Number.POSITIVE_INFINITY;
  #recentMs = Number.POSITIVE_INFINITY;
  #minuteMonoMs = Number.NEGATIVE_INFINITY;
  /** What was sent before says nothing of how it is since then. */
  #loweredMonoMs = Number.NEGATIVE_INFINITY;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = Math.min(maxBytes, FIRST_BYTES);
  }

  get bytes(): number {
    return this.#bytes;
  }

  answered(bytes: number, sentMonoMs: number, nowMonoMs: number): void {
    const delayMs = nowMonoMs - sentMonoMs;
    if (nowMonoMs - this.#minuteMonoMs >= MINUTE_MS) {
      this.#leastMs = this.#recentMs;
      this.#recentMs = Number.POSITIVE_INFINITY;
      this.#minuteMonoMs = nowMonoMs;
    }
    this.#recentMs = Math.min(this.#recentMs, delayMs);
    this.#leastMs = Math.min(this.#leastMs, delayMs);
    const queuedMs = delayMs - this.#leastMs;
    if (queuedMs < TARGET_MS / 2) this.#bytes = Math.min(this.#maxBytes, this.#bytes + bytes);
    else if (queuedMs > TARGET_MS && sentMonoMs >= this.#loweredMonoMs) this.#lower(nowMonoMs);
  }

  #lower(nowMonoMs: number): void {
    const least = Math.min(this.#maxBytes, LEAST_BYTES);
    // There is next to nothing on its way: it is the link that takes longer now.
    if (this.#bytes <= least) this.#leastMs = Number.POSITIVE_INFINITY;
    this.#bytes = Math.max(least, this.#bytes / 2);
    this.#loweredMonoMs = nowMonoMs;
  }
}
