/** Where the ticks of an axis stand, and what they say. Pure. */
export interface Tick {
  readonly at: number;
  readonly label: string;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const TIME_STEPS_MS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR_MS),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000].map((count) => count * DAY_MS),
];
/** What a Date can hold. */
const MAX_TIME_MS = 8.64e15;

/** ISO 8601 in UTC, of any number. */
export function isoTime(timeMs: number): string {
  return new Date(Math.min(MAX_TIME_MS, Math.max(-MAX_TIME_MS, timeMs))).toISOString();
}

function timeLabel(timeMs: number, stepMs: number): string {
  const [day = '', time = ''] = isoTime(timeMs).replace('Z', '').split('T');
  // Midnight says which day it is.
  if (stepMs >= DAY_MS || time.startsWith('00:00:00.000')) return day;
  if (stepMs >= MINUTE_MS) return time.slice(0, 5);
  return stepMs >= SECOND_MS ? time.slice(0, 8) : time;
}

/** At whole seconds, minutes, hours or days of UTC; at most `most`. */
export function timeTicks(fromMs: number, toMs: number, most: number): Tick[] {
  const span = toMs - fromMs;
  const fits = (step: number) => span / step <= most - 1;
  // Beyond the table: a clock that stood in 1970, or worse.
  const longest = 2 ** Math.ceil(Math.log2(Math.max(1, span / (most - 1) / DAY_MS))) * DAY_MS;
  const stepMs = TIME_STEPS_MS.find(fits) ?? longest;
  const ticks: Tick[] = [];
  for (let n = Math.ceil(fromMs / stepMs); n * stepMs <= toMs; n++) {
    ticks.push({ at: n * stepMs, label: timeLabel(n * stepMs, stepMs) });
  }
  return ticks;
}

/** 0.1 + 0.2 is more than 0.3. */
const ROUNDING = 1e-6;
const MAX_LABEL_CHARS = 10;

function valueLabel(value: number): string {
  const text = String(Number(value.toPrecision(12)));
  return text.length <= MAX_LABEL_CHARS ? text : value.toPrecision(4);
}

/** At 1, 2 or 5 times a power of ten; at most `most`. `low` < `high`, both finite. */
export function valueTicks(low: number, high: number, most: number): Tick[] {
  // In halves: the distance between the largest numbers is not finite.
  const least = (high / 2 - low / 2) / ((most - 1) / 2);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((count) => count * power).find((one) => one >= least);
  if (step === undefined || !Number.isFinite(step) || step <= 0) return [];
  const ticks: Tick[] = [];
  const end = Math.min(high + ROUNDING * step, Number.MAX_VALUE);
  for (let n = Math.ceil(low / step - ROUNDING); n * step <= end && ticks.length < most; n++) {
    ticks.push({ at: n * step, label: valueLabel(n * step) });
  }
  return ticks;
}
