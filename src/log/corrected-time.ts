import type { LogRecord } from '../base/reading.ts';

/**
 * Times that fit together although the wall clock was set, or never was: docs/log-format.md,
 * *Corrected time*. Pure: what is known is noted, in the order of the log.
 */

/** The two clocks that tell a boot's lead, at one moment. */
export interface ClockReading {
  /** In hex. */
  readonly boot: string;
  readonly monoMs: number;
  readonly wallMs: number;
}

/** What is known of one boot. */
export interface BootSpan {
  readonly boot: string;
  /** The first and the last moment in the log. */
  readonly firstMonoMs: number;
  readonly lastMonoMs: number;
  /** Wall less monotonic clock, as last known. */
  readonly leadMs: number;
}

/** Smaller differences are no step of the clock, and are left as they stand. */
export const STEP_MS = 1_000;
/** No gateway with this program ran before: a wall clock that says so was never set. */
const CLOCK_SET_MS = Date.UTC(2024, 0, 1);

/** Boots from `first` on, each right after the one before unless its own clock says more. */
function placeOnward(boots: readonly BootSpan[], startMs: number): number[] {
  let endMs = startMs;
  return boots.map(({ firstMonoMs, lastMonoMs, leadMs }) => {
    const isSet = lastMonoMs + leadMs >= CLOCK_SET_MS && firstMonoMs + leadMs >= endMs;
    const lead = isSet ? leadMs : endMs - firstMonoMs;
    endMs = lastMonoMs + lead;
    return lead;
  });
}

/** The leads that make the times of boots follow each other; in the order of the log. */
export function placeBoots(boots: readonly BootSpan[]): number[] {
  const firstSet = boots.findIndex(isClockSet);
  const [oldest, ...others] = boots;
  if (oldest === undefined) return [];
  if (firstSet <= 0) {
    return [oldest.leadMs, ...placeOnward(others, oldest.lastMonoMs + oldest.leadMs)];
  }
  const onward = placeOnward(boots.slice(firstSet), Number.NEGATIVE_INFINITY);
  let startMs = (boots[firstSet]?.firstMonoMs ?? 0) + (onward[0] ?? 0);
  const before: number[] = [];
  for (const { firstMonoMs, lastMonoMs } of boots.slice(0, firstSet).toReversed()) {
    before.unshift(startMs - lastMonoMs);
    startMs = firstMonoMs + startMs - lastMonoMs;
  }
  return [...before, ...onward];
}

function isClockSet({ lastMonoMs, leadMs }: BootSpan): boolean {
  return lastMonoMs + leadMs >= CLOCK_SET_MS;
}

function bothOf(one: BootSpan, other: BootSpan): BootSpan {
  const { lastMonoMs, leadMs } = other.lastMonoMs > one.lastMonoMs ? other : one;
  const firstMonoMs = Math.min(one.firstMonoMs, other.firstMonoMs);
  return { boot: one.boot, firstMonoMs, lastMonoMs, leadMs };
}

/**
 * Two rows of boots as one. Those that both have are where they meet. Elsewhere
 * their clocks tell which was earlier; if one was never set, that of `row` comes first.
 */
function mergedBoots(row: readonly BootSpan[], others: readonly BootSpan[]): BootSpan[] {
  const merged = [...row];
  const common = new Set(others.map(({ boot }) => boot));
  let at = 0;
  for (const other of others) {
    const same = merged.findIndex(({ boot }) => boot === other.boot);
    const own = merged[same];
    if (own !== undefined) {
      merged[same] = bothOf(own, other);
      at = Math.max(at, same + 1);
      continue;
    }
    const isLater = (one: BootSpan) =>
      isClockSet(one) &&
      isClockSet(other) &&
      one.firstMonoMs + one.leadMs > other.firstMonoMs + other.leadMs;
    const next = merged.findIndex((one, i) => i >= at && (common.has(one.boot) || isLater(one)));
    const place = next < 0 ? merged.length : next;
    merged.splice(place, 0, other);
    at = place + 1;
  }
  return merged;
}

/** The boots of a log, and the time of anything in it. */
export class CorrectedTimes {
  readonly #spans = new Map<string, BootSpan>();
  #leads: ReadonlyMap<string, number> | undefined;

  /**
   * A moment that is in the log. Boots are noted in their order; of one boot, a moment that is
   * older than what is known changes nothing.
   */
  note({ boot, monoMs, wallMs }: ClockReading): void {
    const leadMs = wallMs - monoMs;
    const span = this.#spans.get(boot);
    if (span === undefined) {
      this.#spans.set(boot, { boot, firstMonoMs: monoMs, lastMonoMs: monoMs, leadMs });
      this.#leads = undefined;
    } else if (monoMs >= span.lastMonoMs) {
      // Always the latest, however little it differs: what else was looked at must not count.
      this.#spans.set(boot, { ...span, lastMonoMs: monoMs, leadMs });
      if (leadMs !== span.leadMs) this.#leads = undefined;
    }
  }

  knows(boot: string): boolean {
    return this.#spans.has(boot);
  }

  /** In the order of the log. */
  get boots(): BootSpan[] {
    return [...this.#spans.values()];
  }

  /**
   * What the logs of one gateway know together. Each has the boots that it had something to store
   * in, in their order; so their times fit each other only if they are placed as one row.
   */
  static merged([first, ...others]: readonly CorrectedTimes[]): CorrectedTimes {
    let boots = first?.boots ?? [];
    for (const other of others) boots = mergedBoots(boots, other.boots);
    const times = new CorrectedTimes();
    for (const span of boots) times.#spans.set(span.boot, span);
    return times;
  }

  /** The corrected time of a moment, ms since 1970. */
  timeOf({ boot, monoMs, wallMs }: ClockReading): number {
    this.#leads ??= this.#place();
    const timeMs = monoMs + (this.#leads.get(boot) ?? wallMs - monoMs);
    return Math.abs(timeMs - wallMs) < STEP_MS ? wallMs : timeMs;
  }

  /** The corrected time of a record, which may itself be the newest that is known of its boot. */
  timeOfRecord({ boot, monoMs, receivedAtMs }: LogRecord): number {
    const reading = { boot, monoMs, wallMs: receivedAtMs };
    return this.knows(boot) ? this.nowMs(reading) : receivedAtMs;
  }

  #place(): ReadonlyMap<string, number> {
    const { boots } = this;
    const leads = placeBoots(boots);
    return new Map(boots.map(({ boot }, i) => [boot, leads[i] ?? 0]));
  }

  /** The time at this moment: right as soon as the clock is, even before a block says so. */
  nowMs(reading: ClockReading): number {
    if (this.knows(reading.boot)) this.note(reading);
    return this.timeOf(reading);
  }
}
