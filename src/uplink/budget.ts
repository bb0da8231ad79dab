import type { Clock } from '../base/clock.ts';

/** What a lane carries: the smaller, the sooner. */
export const ALERT_LANE = 0;
export const FRESH_LANE = 1;
export const BACKLOG_LANE = 2;
export type LanePriority = typeof ALERT_LANE | typeof FRESH_LANE | typeof BACKLOG_LANE;

export interface BudgetOptions {
  readonly clock: Clock;
  /** Each 0: no limit. */
  readonly bytesPerSecond: number;
  readonly bytesPerDay: number;
  readonly publishesPerSecond: number;
  /** Parts of the day, UTC, `06:00-22:00`. */
  readonly meteredHours: readonly string[];
  readonly meteredLanes: 'fresh' | 'alerts';
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Before it, the clock has not been set: 2024. */
const CLOCK_IS_SET_MS = 1_704_067_200_000;
/** A day's share may be saved up for so long. */
const SAVED_MS = HOUR_MS;
/** Of it, at the start: one that is killed again and again must not spend it again and again. */
const FIRST_MS = 10 * MINUTE_MS;
/** TCP, IP and TLS around a publish and its acknowledgement: what a meter counts besides. */
const AROUND_BYTES = 120;

/** A bucket that fills at a rate. It may be emptied beyond its bottom, and then waits. */
class Bucket {
  readonly #perMs: number;
  readonly #capacity: number;
  #level: number;
  #atMs: number;

  constructor(perMs: number, capacity: number, level: number, nowMs: number) {
    this.#perMs = perMs;
    this.#capacity = capacity;
    this.#level = level;
    this.#atMs = nowMs;
  }

  waitMs(nowMs: number): number {
    const level = this.#level + (nowMs - this.#atMs) * this.#perMs;
    this.#level = Math.min(this.#capacity, level);
    this.#atMs = nowMs;
    return this.#level > 0 ? 0 : Math.ceil(-this.#level / this.#perMs) + 1;
  }

  spend(amount: number): void {
    this.#level -= amount;
  }
}

/**
 * What the uplink may spend. Bytes are counted when they are sent, so one publish may overdraw, and
 * the next one waits for as long as that takes: meanwhile batches grow. Rates go by the monotonic
 * clock; only metered hours need to know what time it is, and all are while nobody does.
 */
export class Budget {
  readonly #options: BudgetOptions;
  readonly #bytes: Bucket[] = [];
  readonly #publishes: Bucket | undefined;
  readonly #isFree: boolean;
  #sentBytes = 0;

  constructor(options: BudgetOptions) {
    this.#options = options;
    const { bytesPerSecond, bytesPerDay, publishesPerSecond, clock } = options;
    const now = clock.monoMs();
    if (bytesPerSecond > 0) {
      this.#bytes.push(new Bucket(bytesPerSecond / 1000, bytesPerSecond, bytesPerSecond, now));
    }
    if (bytesPerDay > 0) {
      const perMs = bytesPerDay / DAY_MS;
      this.#bytes.push(new Bucket(perMs, perMs * SAVED_MS, perMs * FIRST_MS, now));
    }
    if (publishesPerSecond > 0) {
      const most = Math.max(1, publishesPerSecond);
      this.#publishes = new Bucket(publishesPerSecond / 1000, most, most, now);
    }
    const isCounted = this.#bytes.length > 0 || this.#publishes !== undefined;
    this.#isFree = !isCounted && options.meteredHours.length === 0;
  }

  /** Nothing is counted: many may be sent without a look at it. */
  get isFree(): boolean {
    return this.#isFree;
  }

  /** Bytes that were sent since the start, with what the network adds. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Largest publish that lets a fresh one pass within a second or so. */
  get backlogBytes(): number {
    const { bytesPerSecond } = this.#options;
    return bytesPerSecond > 0 ? Math.max(2048, bytesPerSecond) : Number.POSITIVE_INFINITY;
  }

  /** How long a publish of this lane has to wait, in ms; 0: it may go. */
  waitMs(priority: LanePriority): number {
    if (this.#isFree) return 0;
    const now = this.#options.clock.monoMs();
    const rate = this.#publishes?.waitMs(now) ?? 0;
    // Also where only alerts are asked for: what they spend is taken from no more than was saved.
    const bytes = this.#bytes.map((bucket) => bucket.waitMs(now));
    // Nobody wants to learn tomorrow that the cold store has been warm today.
    if (priority === ALERT_LANE) return rate;
    return Math.max(rate, ...bytes, this.#meteredMs(priority));
  }

  spend(bytes: number): void {
    const all = bytes + AROUND_BYTES;
    this.#sentBytes += all;
    for (const bucket of this.#bytes) bucket.spend(all);
    this.#publishes?.spend(1);
  }

  get isMetered(): boolean {
    const { meteredHours, clock } = this.#options;
    if (meteredHours.length === 0) return false;
    const wallMs = clock.wallMs();
    if (wallMs < CLOCK_IS_SET_MS) return true;
    const minute = Math.floor((wallMs % DAY_MS) / MINUTE_MS);
    return meteredHours.some((hours) => isWithin(minute, hours));
  }

  /** The clock may be set at any time, so it is looked at again soon. */
  #meteredMs(priority: LanePriority): number {
    const waits = priority === BACKLOG_LANE || this.#options.meteredLanes === 'alerts';
    return waits && this.isMetered ? MINUTE_MS / 4 : 0;
  }
}

function minuteOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return hours * 60 + minutes;
}

/** `22:00-06:00` goes over midnight; `06:00-06:00` is the whole day. */
function isWithin(minute: number, hours: string): boolean {
  const [from = 0, to = 0] = hours.split('-').map(minuteOf);
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}
