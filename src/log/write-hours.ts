import { DAY_MS } from './write-budget.ts';

/** What was written, and for how many bytes of payload. */
export interface Written {
  readonly writtenBytes: number;
  readonly payloadBytes: number;
}

/** Of the last day, to the hour. */
export interface WrittenToday extends Written {
  /** The running time in which it was, ms: less than a day while the count is young. */
  readonly coveredMs: number;
}

export const HOUR_MS = 3_600_000;
const HOURS = DAY_MS / HOUR_MS;

type Hour = [hour: number, writtenBytes: number, payloadBytes: number];

function isHour(value: unknown): value is Hour {
  return (
    Array.isArray(value) &&
    value.length === 3 &&
    value.every((part) => Number.isSafeInteger(part) && part >= 0)
  );
}

/**
 * What was written in each of the last 24 hours of running, by a clock that stands while the
 * gateway is off. Pure.
 */
export class WriteHours {
  #hours: readonly Hour[];

  private constructor(hours: readonly Hour[]) {
    this.#hours = hours;
  }

  static none(): WriteHours {
    return new WriteHours([]);
  }

  /** As `encoded` gave it; undefined if that is not what it is. */
  static decode(value: unknown): WriteHours | undefined {
    if (!Array.isArray(value) || value.length > HOURS || !value.every(isHour)) return undefined;
    return new WriteHours(value);
  }

  encoded(): unknown {
    return this.#hours;
  }

  add({ writtenBytes, payloadBytes }: Written, runMs: number): void {
    const hour = Math.floor(runMs / HOUR_MS);
    const own = this.#hours.find(([at]) => at === hour);
    const sum: Hour = [hour, (own?.[1] ?? 0) + writtenBytes, (own?.[2] ?? 0) + payloadBytes];
    this.#hours = [...this.#hours.filter(([at]) => at > hour - HOURS && at !== hour), sum];
  }

  /** This hour and the 23 before it. */
  today(runMs: number): WrittenToday {
    const oldest = Math.max(0, Math.floor(runMs / HOUR_MS) - HOURS + 1);
    const own = this.#hours.filter(([hour]) => hour >= oldest);
    return {
      writtenBytes: own.reduce((sum, [, bytes]) => sum + bytes, 0),
      payloadBytes: own.reduce((sum, [, , bytes]) => sum + bytes, 0),
      coveredMs: runMs - oldest * HOUR_MS,
    };
  }
}
