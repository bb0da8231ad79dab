import { type Arrival, isTwoDaysOld, learned, stepsIn } from './arrival.ts';
import {
  at,
  BEND_RATIO,
  BEND_SQUARE,
  COUNT,
  EQUAL_RUN,
  EQUAL_SHARE,
  EVENT_FAULT,
  GROSS_SHARE,
  HIGH,
  JUMP_1,
  JUMP_2,
  JUMP_3,
  JUMPED_AT,
  LAST_STEP,
  LOW,
  type SeriesState,
  STEP_SQUARE,
} from './series-state.ts';
import { isSmooth, learnSmoothness } from './smoothness.ts';

/**
 * What goes wrong with sensors, told by the shape of a smooth series: it jumps, leaves its range,
 * gets noisy, or sticks. Each is a ratio to what is usual, and 1 is an alert. It does not get used
 * to faults: what they bring is winsorised before it is learnt from.
 */

export type Shape = 'jump' | 'range' | 'noise' | 'stuck';

/** The greatest ratio and whose it is; one object, used again for each reading. */
export interface Gauge {
  ratio: number;
  shape: Shape;
}

/** A step of so many times the usual (root mean square) is a jump. */
const JUMP = 9.5;
/** And of so many times the third largest of the warm-up: some series jump by nature. */
const JUMP_OF_WARM_UP = 4;
/** So many widths of the range beyond it. */
const BEYOND = 0.5;
/** At an hour at which much is usual, less is beyond. */
const RESIDUAL_SHARE = 0.5;
/** Bends (second differences) so many times as large as usual. */
const NOISE = 3.45;
const NOISE_GAIN = 0.2;
/** −ln of the chance of so many equal readings in a row. */
const STUCK = 15;
/** A range of nothing is taken for so many notches, or for such a share of the value. */
const LEAST_NOTCHES = 16;
const LEAST_SHARE = 0.016;
/** Of any series, and while it is learnt: so many widths beyond, after so many readings. */
const GROSS = 4;
const GROSS_FROM = 30;
const GROSS_GAIN = 0.001;
const GROSS_RARE = 0.004;
const GROSS_FIRST = 4;
const WINSOR = 4;
const FIRST = 20;
/** What is usual follows within three days and a half, ... */
const USUAL_GAIN_S = 1 / 300_000;
const MAX_USUAL_GAIN = 0.01;
/** ... and the range, 1st to 99th of 100, within half a day for what is outside of it. */
const RANGE_GAIN_S = 1 / 43_200;
const MAX_RANGE_GAIN = 0.05;
const RANGE_SHARE = 0.98;

function usualGain(state: SeriesState, sinceS: number): number {
  return Math.max(Math.min(MAX_USUAL_GAIN, sinceS * USUAL_GAIN_S), 1 / at(state, COUNT));
}

/** Ratio to the root of the mean square at `place`. */
function toUsual(state: SeriesState, place: number, size: number, epsilon: number): number {
  const usual = Math.sqrt(at(state, place));
  return usual > 0 ? size / (usual + epsilon) : 0;
}

/** Takes `size` in there. */
function learnUsual(state: SeriesState, place: number, size: number, gain: number): void {
  const usual = Math.sqrt(at(state, place));
  const learnt = usual > 0 ? Math.min(size, WINSOR * usual) : size;
  state[place] = at(state, place) + gain * (learnt * learnt - at(state, place));
}

function noiseOf(state: SeriesState, size: number, epsilon: number): number {
  const isKnown = at(state, BEND_SQUARE) > 0;
  const ratio = Math.min(WINSOR, toUsual(state, BEND_SQUARE, size, epsilon));
  const square = isKnown ? ratio * ratio : 1;
  const mean = at(state, BEND_RATIO) + NOISE_GAIN * (square - at(state, BEND_RATIO));
  state[BEND_RATIO] = mean;
  return Math.sqrt(mean);
}

/** How far beyond the range, in widths of it. To be called before `stuckness`. */
function beyond(state: SeriesState, arrival: Arrival, residual: number): number {
  const { value, epsilon, notch, sinceS } = arrival;
  const low = at(state, LOW);
  const high = at(state, HIGH);
  const count = at(state, COUNT);
  // What has never moved is known well.
  const isConstant = at(state, EQUAL_RUN) >= count - 1;
  const isFlat = high - low <= epsilon;
  const least = Math.max(LEAST_NOTCHES * notch, isFlat ? LEAST_SHARE * Math.abs(low) : 0);
  const width = Math.max(high - low, least + epsilon);
  // A range of a few values would shrink to one of them.
  if (count * (1 - at(state, EQUAL_SHARE)) < FIRST) {
    if (value > high) state[HIGH] = value;
    if (value < low) state[LOW] = value;
  } else {
    const gain = Math.max(Math.min(MAX_RANGE_GAIN, sinceS * RANGE_GAIN_S), 1 / count);
    const pace = 0.5 * (high - low) * gain;
    state[HIGH] = high + pace * (value > high ? RANGE_SHARE : RANGE_SHARE - 1);
    state[LOW] = low - pace * (value < low ? RANGE_SHARE : RANGE_SHARE - 1);
  }
  const outside = Math.max(value - high, low - value);
  const far = Math.min(RESIDUAL_SHARE * Math.abs(residual), outside) - notch;
  if (far <= 0) return 0;
  return (far / width) * (isConstant ? GROSS / BEYOND : 1);
}

function stuckness(state: SeriesState, step: number, gain: number): number {
  const run = step === 0 ? at(state, EQUAL_RUN) + 1 : 0;
  state[EQUAL_RUN] = run;
  const share = at(state, EQUAL_SHARE) + gain * ((run > 0 ? 1 : 0) - at(state, EQUAL_SHARE));
  state[EQUAL_SHARE] = share;
  return run > 0 ? -run * Math.log(Math.min(1, 1.2 * share + 0.01)) : 0;
}

/** Whoever is gross now and then is not wrong: what has begun is another matter. */
function isRarelyGross(state: SeriesState, range: number): boolean {
  const count = at(state, COUNT);
  const share = at(state, GROSS_SHARE);
  const isEvent = at(state, EVENT_FAULT) > 0;
  const gain = Math.max(GROSS_GAIN, 1 / (count + 1));
  state[GROSS_SHARE] = share + gain * ((range >= GROSS && !isEvent ? 1 : 0) - share);
  const isRare = share < Math.max(GROSS_RARE, GROSS_FIRST / (count + 1));
  return count >= GROSS_FROM && (isRare || isEvent);
}

function rememberJump(state: SeriesState, jump: number): void {
  if (jump > at(state, JUMP_1)) {
    state[JUMP_3] = at(state, JUMP_2);
    state[JUMP_2] = at(state, JUMP_1);
    state[JUMP_1] = jump;
  } else if (jump > at(state, JUMP_2)) {
    state[JUMP_3] = at(state, JUMP_2);
    state[JUMP_2] = jump;
  } else if (jump > at(state, JUMP_3)) state[JUMP_3] = jump;
}

function take(gauge: Gauge, shape: Shape, ratio: number): void {
  if (ratio <= gauge.ratio) return;
  gauge.ratio = ratio;
  gauge.shape = shape;
}

/** Takes a reading in that is not the first. `residual`: what the profile says of it. */
export function gaugeFaults(
  state: SeriesState,
  arrival: Arrival,
  residual: number,
  gauge: Gauge,
): void {
  const { step, epsilon, notch, sinceS } = arrival;
  const gain = usualGain(state, sinceS);
  const steps = stepsIn(state, arrival);
  const size = Math.max(0, Math.abs(step) - notch) / steps;
  const jump = toUsual(state, STEP_SQUARE, size, epsilon);
  learnUsual(state, STEP_SQUARE, size, gain);
  const bend = Math.max(0, Math.abs(step - at(state, LAST_STEP)) - 2 * notch) / steps;
  state[LAST_STEP] = step;
  const noise = noiseOf(state, bend, epsilon);
  learnUsual(state, BEND_SQUARE, bend, gain);
  const range = beyond(state, arrival, residual);
  const stuck = stuckness(state, step, gain);
  learnSmoothness(state, arrival, Math.abs(step) / steps);
  gauge.ratio = 0;
  if (isRarelyGross(state, range)) take(gauge, 'range', range / GROSS);
  const isLearning = learned(state) < 1;
  const jumpRatio = jumpOf(state, jump, size);
  if (jump >= 0.5 * JUMP) state[JUMPED_AT] = at(state, COUNT);
  if (isLearning) {
    rememberJump(state, size);
    return;
  }
  if (!isSmooth(state)) return;
  take(gauge, 'jump', jumpRatio);
  if (isTwoDaysOld(state)) take(gauge, 'range', range / BEYOND);
  take(gauge, 'noise', noise / NOISE);
  take(gauge, 'stuck', stuck / STUCK);
}

/** Beside what is usual, and what the warm-up has seen: a switch jumps each time. */
function jumpOf(state: SeriesState, jump: number, size: number): number {
  const third = at(state, JUMP_3);
  const beside = third > 0 ? size / (JUMP_OF_WARM_UP * third) : Number.POSITIVE_INFINITY;
  return Math.min(jump / JUMP, beside);
}
