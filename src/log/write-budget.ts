import { PAGE_BYTES } from './bytes.ts';

export interface WriteBudgetOptions {
  /** Above 0. */
  readonly bytesPerDay: number;
  /** Longest that a record waits for the budget's sake, ms. */
  readonly maxLingerMs: number;
  /** Bytes that may be written at once, as an earlier process left them. Default: a whole burst. */
  readonly allowanceBytes?: number | undefined;
}

export const DAY_MS = 86_400_000;
/** What a gateway saves up while it writes less: three hours of its allowance. */
export const BURST_DAYS = 1 / 8;
/** How fast the recent size of commits follows one that is smaller. */
const SHARE_OF_NEW = 1 / 8;

/**
 * Keeps writes within so many bytes a day by letting commits wait for company. A bucket: the day's
 * allowance flows in evenly, everything that is written is taken out, and it holds a burst at most.
 * A commit of the recent size goes out when there is enough in it, or when its oldest record has
 * waited as long as it may. So whatever is written in a stretch of time is at most the allowance of
 * that time, a burst, and one commit, unless the longest wait is too short for that. Pure; all
 * times are of the monotonic clock, in ms.
 */
export class WriteBudget {
  readonly bytesPerDay: number;
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  readonly #maxLingerMs: number;
  /** In the bucket at `#atMs`; below 0: more was written than the budget allows. */
  #bytes: number;
  #atMs: number;
  #commitBytes = PAGE_BYTES;
  /** What the last commit left the next one to wait for, ms. */
  #stretchMs = 0;

  constructor(options: WriteBudgetOptions, nowMs: number) {
    this.bytesPerDay = options.bytesPerDay;
    this.#bytesPerMs = options.bytesPerDay / DAY_MS;
    this.#burstBytes = options.bytesPerDay * BURST_DAYS;
    this.#maxLingerMs = options.maxLingerMs;
    const { allowanceBytes = this.#burstBytes } = options;
    this.#bytes = Math.min(this.#burstBytes, allowanceBytes);
    this.#atMs = nowMs;
  }

  /** In the bucket now; below 0: the budget is exceeded by so much. */
  allowanceBytes(nowMs: number): number {
    const flown = Math.max(0, nowMs - this.#atMs) * this.#bytesPerMs;
    return Math.min(this.#burstBytes, this.#bytes + flown);
  }

  /** Whatever was written, and for what. */
  wrote(bytes: number, nowMs: number): void {
    if (bytes <= 0) return;
    this.#bytes = this.allowanceBytes(nowMs) - bytes;
    this.#atMs = Math.max(this.#atMs, nowMs);
    this.#stretchMs = Math.max(0, (this.#commitBytes - this.#bytes) / this.#bytesPerMs);
  }

  /** How large a commit was; `wrote` counts it. Larger ones are believed at once. */
  committed(bytes: number): void {
    const grown = bytes - this.#commitBytes;
    this.#commitBytes += grown > 0 ? grown : grown * SHARE_OF_NEW;
  }

  /**
   * When a commit is due whose oldest record came at `firstMs`, and which would be due at `dueMs`
   * without a budget.
   */
  dueMs(dueMs: number, firstMs: number): number {
    const missing = this.#commitBytes - this.#bytes;
    const allowedMs = this.#atMs + missing / this.#bytesPerMs;
    return Math.max(dueMs, Math.min(allowedMs, firstMs + this.#maxLingerMs));
  }

  /** What the budget makes a record wait at present, ms; 0 while there is enough for all. */
  lingerMs(nowMs: number): number {
    if (this.allowanceBytes(nowMs) >= 2 * this.#commitBytes) return 0;
    return Math.min(this.#maxLingerMs, this.#stretchMs);
  }

  /** More was written than allowance and burst, by more than a commit: waiting does not suffice. */
  isExceeded(nowMs: number): boolean {
    return this.allowanceBytes(nowMs) < -this.#commitBytes;
  }
}
