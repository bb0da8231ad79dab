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
  /** 0 and more. */
  total: number;
  aspect: Aspect;
  /** −ln of how many readings as unusual were to be expected so far, by that aspect. */
  surprise: number;
  /** Added to each size so that rounding has no scale; of a series at rest it says nothing. */
  floor: number;
}

/** A rarity of e^-3 of what was to be expected so far is none yet; the rest adds up. */
const ATTENTION = 3;
const MOST = 100;
const MEDIAN_OF = 11;
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

const sorted = new Float64Array(MEDIAN_OF);

/**
 * Of the last 11 readings before this one, or as many as there were since the last gap: a level of
 * hours ago is not the one that this reading dropped from.
 */
function medianBefore(state: SeriesState, { value, sinceS }: Arrival): number {
  if (sinceS > MEDIAN_OF * at(state, INTERVAL)) state[GAP_AT] = at(state, COUNT);
  const count = Math.min(at(state, COUNT) - at(state, GAP_AT), MEDIAN_OF);
  if (count === 0) return value;
  let from = at(state, RING_NEXT);
  for (let i = 0; i < count; i++) {
    from = from === 0 ? VALUE_COUNT - 1 : from - 1;
    const one = at(state, VALUES + from);
    let place = i;
    for (; place > 0 && (sorted[place - 1] as number) > one; place--) {
      sorted[place] = sorted[place - 1] as number;
    }
    sorted[place] = one;
  }
  return sorted[count >> 1] as number;
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
  const median = medianBefore(state, arrival);
  state[RESIDUALS + (count & (RESIDUAL_COUNT - 1))] = residual;
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
  sum += add(state, DROP, beyond(Math.max(0, median - value), notch), rarity);
  rarity.floor = LEVEL_FLOOR;
  sum += add(state, LEVEL, levelDistance(state, arrival, floor), rarity);
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
