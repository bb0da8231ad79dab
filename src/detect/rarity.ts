import { type Arrival, ageDays } from './arrival.ts';
import { rarityOf } from './rarity-tail.ts';
import {
  at,
  COUNT,
  GAP_AT,
  INTERVAL,
  LEVEL_MEAN,
  LEVEL_VARIANCE,
  MEAN,
  RESIDUAL_COUNT,
  RESIDUALS,
  RING_NEXT,
  type SeriesState,
  SORTED,
  SORTED_COUNT,
  VALUE_COUNT,
  VALUES,
  VARIANCE,
} from './series-state.ts';
import { isRough, isSmooth } from './smoothness.ts';

/**
 * How unusual is a reading for this series, in five ways: its distance from its hour's level, the
 * means of the last four and 32 of these, the level of the last 24 readings beside the levels so
 * far, and a drop below the readings just before. Each in its own tail; together the root of the
 * sum of squares of what is above the threshold of attention.
 */

export type Aspect = 'value' | 'few' | 'many' | 'level' | 'drop';

const VALUE = 0;
const FEW = 1;
const MANY = 2;
const LEVEL = 3;
const DROP = 4;
const ASPECTS: readonly Aspect[] = ['value', 'few', 'many', 'level', 'drop'];

/** What a reading comes to; one object, used again for each. */
export interface Rarity {
  /** Keeps the scale of a tail above rounding. */
  floor: number;
  /** 0 and more. */
  total: number;
  aspect: Aspect;
  /** −ln of how many readings as unusual were to be expected so far, by that aspect. */
  surprise: number;
}

/** A rarity of e^-3 of what was to be expected so far is none yet; the rest adds up. */
const ATTENTION = 3;
const MOST = 100;
const FEW_COUNT = 4;
/** Readings before which levels are not compared. */
const LEVELS_FROM = 50;
const LEVEL_FLOOR = 0.02;
/** Total at which an alert is as likely as none. */
const HALF = 2.65;
/** A smooth series has seen little of what it does until it is some weeks old; others sooner. */
const YOUNG_DAYS = 6;
const YOUNG_ROUGH_DAYS = 0.5;
/** A profile that has not come round once says nothing. */
const PROFILE_DAYS = 1;
/** Of a series that may be smooth, less than three days are too few to call anything rare. */
const LEAST_DAYS = 3;

/** How far the value is below the median of the (at most 11) readings before it, or 0. */
function dropOf(state: SeriesState, value: number): number {
  const count = Math.min(at(state, COUNT), SORTED_COUNT);
  return count === 0 ? 0 : Math.max(0, at(state, SORTED + (count >> 1)) - value);
}

/** A level of hours ago is not the one that a reading dropped from. */
function isAfterGap(state: SeriesState, { sinceS }: Arrival): boolean {
  const count = at(state, COUNT);
  if (sinceS > SORTED_COUNT * at(state, INTERVAL)) state[GAP_AT] = count;
  return at(state, GAP_AT) > 0 && count - at(state, GAP_AT) < SORTED_COUNT;
}

/** Takes the value in among the last ones by size: in the place of the oldest of them. */
function sortIn(state: SeriesState, value: number): void {
  const count = at(state, COUNT);
  let place = SORTED + Math.min(count, SORTED_COUNT - 1);
  const end = place;
  if (count >= SORTED_COUNT) {
    const next = at(state, RING_NEXT);
    const oldest = at(state, VALUES + ((next + VALUE_COUNT - SORTED_COUNT) % VALUE_COUNT));
    while (place > SORTED && at(state, place) !== oldest) place -= 1;
    for (; place < end && at(state, place + 1) < value; place++) {
      state[place] = at(state, place + 1);
    }
  }
  for (; place > SORTED && at(state, place - 1) > value; place--) {
    state[place] = at(state, place - 1);
  }
  state[place] = value;
}

/** Exponentially weighted mean and variance; from the first readings on the plain ones. The
 * variance stands beside the mean. */
function follow(state: SeriesState, mean: number, value: number, gain: number): void {
  const variance = mean + 1;
  const share = Math.max(gain, 1 / (at(state, COUNT) + 1));
  const distance = value - at(state, mean);
  state[mean] = at(state, mean) + share * distance;
  state[variance] = (1 - share) * (at(state, variance) + share * distance * distance);
}

function beyond(distance: number, notch: number): number {
  const size = Math.abs(distance);
  return size > notch ? size : 0;
}

function sumOf(state: SeriesState, from: number, count: number): number {
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += at(state, i);
  return sum;
}

/** Mean of the last residuals, of which this is the newest. */
function meanOfFew(state: SeriesState): number {
  const count = at(state, COUNT);
  let sum = 0;
  for (let i = 0; i < FEW_COUNT; i++) {
    sum += at(state, RESIDUALS + ((count - i) & (RESIDUAL_COUNT - 1)));
  }
  return sum / Math.min(count + 1, FEW_COUNT);
}

/** How far the level of the last readings is from the levels so far, in their spreads. */
function levelDistance(state: SeriesState, { notch, epsilon }: Arrival, floor: number): number {
  const count = at(state, COUNT);
  const level =
    sumOf(state, VALUES, Math.min(count + 1, VALUE_COUNT)) / Math.min(count + 1, VALUE_COUNT);
  const spread = Math.sqrt(at(state, LEVEL_VARIANCE)) + 0.05 * floor + epsilon;
  const distance = count <= LEVELS_FROM ? 0 : beyond(level - at(state, LEVEL_MEAN), notch) / spread;
  follow(state, LEVEL_MEAN, level, 0.01);
  return distance;
}

/** `size` 0 is ordinary: what keeps the tail's scale above rounding says nothing by itself. */
function add(state: SeriesState, tail: number, size: number, rarity: Rarity): number {
  const surprise = rarityOf(state, tail, size + rarity.floor);
  const attention = surprise + ATTENTION;
  if (size === 0 || !(attention > 0)) return 0;
  if (surprise > rarity.surprise) {
    rarity.surprise = surprise;
    rarity.aspect = ASPECTS[tail] ?? 'value';
  }
  return Math.min(attention, MOST) ** 2;
}

/** Takes a reading in. `residual`: what the profile says of it. */
export function rate(state: SeriesState, arrival: Arrival, residual: number, rarity: Rarity): void {
  const { value, epsilon, notch } = arrival;
  const count = at(state, COUNT);
  const floor = 0.02 * Math.sqrt(at(state, VARIANCE)) + epsilon;
  follow(state, MEAN, value, 0.001);
  const drop = beyond(dropOf(state, value), notch);
  state[RESIDUALS + (count & (RESIDUAL_COUNT - 1))] = residual;
  sortIn(state, value);
  const next = at(state, RING_NEXT);
  state[VALUES + next] = value;
  state[RING_NEXT] = next + 1 === VALUE_COUNT ? 0 : next + 1;
  const few = meanOfFew(state);
  const many = sumOf(state, RESIDUALS, RESIDUAL_COUNT) / Math.min(count + 1, RESIDUAL_COUNT);
  rarity.surprise = Number.NEGATIVE_INFINITY;
  rarity.aspect = 'value';
  rarity.floor = floor;
  let sum = add(state, VALUE, beyond(residual, notch), rarity);
  sum += add(state, FEW, beyond(few, notch), rarity);
  sum += add(state, MANY, beyond(many, notch), rarity);
  if (ageDays(state) < PROFILE_DAYS) {
    sum = 0;
    rarity.surprise = Number.NEGATIVE_INFINITY;
  }
  if (isAfterGap(state, arrival)) rarityOf(state, DROP, drop + floor);
  else sum += add(state, DROP, drop, rarity);
  const distance = levelDistance(state, arrival, floor);
  rarity.floor = LEVEL_FLOOR;
  sum += add(state, LEVEL, distance, rarity);
  rarity.total = Math.sqrt(sum);
}

/** 0 to 1, ½ an alert. */
export function rarityScore(state: SeriesState, total: number): number {
  const young = isSmooth(state) ? YOUNG_DAYS : YOUNG_ROUGH_DAYS;
  const youth = (young / Math.max(ageDays(state), 1e-5)) ** 2;
  return total / (total + HALF * (1 + youth));
}

/** Too little was seen to call anything rare. */
export function isTooYoung(state: SeriesState): boolean {
  return !isRough(state) && ageDays(state) < LEAST_DAYS;
}
