import { notchOf } from './grid.ts';
import {
  AGE,
  at,
  COUNT,
  HIGH,
  HIGH_90,
  INTERVAL,
  LAST,
  LOW,
  LOW_10,
  type SeriesState,
  TIME,
} from './series-state.ts';

/** What the other parts need to know of one reading; one object, used again for each. */
export interface Arrival {
  value: number;
  /** Seconds since the newest reading before it; 0 if it is older than that one. */
  sinceS: number;
  /** What is below it is rounding, in the value's unit. */
  epsilon: number;
  /** One notch of the sensor's grid: a move that says nothing. 0: it has none. */
  notch: number;
  /** From the reading before, in the value's unit. */
  step: number;
  /** Of the day, 0 to 23, by whatever clock the times are of. */
  hour: number;
}

const DAY_S = 86_400;
const HOUR_S = 3_600;
/** Age goes on by so much at most from one reading to the next. */
const MAX_STEP_S = DAY_S / 4;
const LARGEST = 1e150;
const TINY = 1e-300;
/** A gap of more than so many usual intervals says nothing about the usual one. */
const GAP = 4;
/** Two days show what is ordinary at each hour, twice. */
const WARM_UP_S = 2 * DAY_S;
const WARM_UP_MOST = 1_000;
const WARM_UP_LEAST = 100;

/** Squares of larger ones would not be finite. */
function bounded(value: number): number {
  return Math.min(LARGEST, Math.max(-LARGEST, value)) + 0;
}

/** Takes a reading's times in. `timeS`: seconds of any clock that is right about the hour. */
export function arrive(state: SeriesState, raw: number, timeS: number, arrival: Arrival): void {
  const value = bounded(raw);
  const count = at(state, COUNT);
  if (count === 0) {
    state[TIME] = timeS;
    for (const place of [LAST, LOW, HIGH, LOW_10, HIGH_90]) state[place] = value;
  }
  const sinceS = Math.max(0, timeS - at(state, TIME));
  if (sinceS > 0) state[TIME] = timeS;
  state[AGE] = at(state, AGE) + Math.min(sinceS, MAX_STEP_S);
  arrival.value = value;
  arrival.sinceS = sinceS;
  arrival.notch = notchOf(state, value);
  arrival.epsilon = 1e-12 * Math.abs(value) + TINY;
  arrival.step = value - at(state, LAST);
  const hour = Math.floor(timeS / HOUR_S) % 24;
  arrival.hour = hour < 0 ? hour + 24 : hour;
}

/** The usual time between readings, without gaps. */
export function learnInterval(state: SeriesState, { sinceS }: Arrival): void {
  const count = at(state, COUNT);
  const interval = at(state, INTERVAL);
  if (count < 3 || sinceS < GAP * interval) {
    state[INTERVAL] = interval + Math.max(0.02, 1 / count) * (sinceS - interval);
  } else state[INTERVAL] = 1.02 * interval;
}

/** After a gap of n usual intervals a value may have gone as far as a random walk of n steps. */
export function stepsIn(state: SeriesState, { sinceS }: Arrival): number {
  const interval = at(state, INTERVAL);
  return sinceS > interval && interval > 0 ? Math.sqrt(sinceS / interval) : 1;
}

/** 0 to 1: how much of the warm-up is over. Long by time, but not by count, and never short. */
export function learned(state: SeriesState): number {
  const count = at(state, COUNT);
  const most = Math.max(at(state, AGE) / WARM_UP_S, count / WARM_UP_MOST);
  return Math.min(1, most, count / WARM_UP_LEAST);
}

/** In days. */
export function ageDays(state: SeriesState): number {
  return at(state, AGE) / DAY_S;
}

/** The ranges of values are known: two days of them were seen, however many there were. */
export function isTwoDaysOld(state: SeriesState): boolean {
  return at(state, AGE) >= WARM_UP_S;
}
