import {
  AGE,
  at,
  COUNT,
  INTERVAL,
  type SeriesState,
  TAIL_AGES,
  TAIL_COUNT,
  TAIL_LEAST,
  TAIL_OLDEST,
  TAIL_SIZE,
  TAIL_VALUES,
} from './series-state.ts';

/**
 * How rare is it that a statistic is so large? Of each its largest values are kept, and what is
 * larger than the least of them is judged by Hill's estimate of the tail's index (Hill 1975): a
 * tail of any weight gets its own scale. It gets used to what comes often.
 */

/** Values are kept for six weeks, or for as many usual intervals, whichever is longer. */
const MEMORY_S = 3.6e6;
const MEMORY_INTERVALS = 12_000;
/** Readings before which nothing is rare. */
const LEAST_COUNT = 100;
const LOG_SIZE = Math.log(TAIL_SIZE);

/** Finds the least of what is kept, and the oldest. */
function index(state: SeriesState, tail: number): void {
  const from = tail * TAIL_SIZE;
  const end = from + at(state, TAIL_COUNT + tail);
  let least = from;
  let oldest = at(state, AGE);
  for (let i = from; i < end; i++) {
    if (at(state, TAIL_VALUES + i) < at(state, TAIL_VALUES + least)) least = i;
    if (at(state, TAIL_AGES + i) < oldest) oldest = at(state, TAIL_AGES + i);
  }
  state[TAIL_LEAST + tail] = least;
  state[TAIL_OLDEST + tail] = oldest;
}

function put(state: SeriesState, tail: number, place: number, value: number): void {
  state[TAIL_VALUES + place] = value;
  state[TAIL_AGES + place] = at(state, AGE);
  index(state, tail);
}

/** Seldom: something has become too old. */
function forget(state: SeriesState, tail: number, memoryS: number): void {
  const from = tail * TAIL_SIZE;
  let count = at(state, TAIL_COUNT + tail);
  for (let i = 0; i < count; ) {
    if (at(state, AGE) - at(state, TAIL_AGES + from + i) <= memoryS) i += 1;
    else {
      count -= 1;
      state[TAIL_VALUES + from + i] = at(state, TAIL_VALUES + from + count);
      state[TAIL_AGES + from + i] = at(state, TAIL_AGES + from + count);
    }
  }
  state[TAIL_COUNT + tail] = count;
  index(state, tail);
}

/**
 * Takes `value`, above 0, in. Returns −ln of how many values as large were to be expected so far;
 * −Infinity where nothing can be said.
 */
export function rarityOf(state: SeriesState, tail: number, value: number): number {
  const memoryS = Math.max(MEMORY_S, MEMORY_INTERVALS * at(state, INTERVAL));
  if (at(state, AGE) - at(state, TAIL_OLDEST + tail) > memoryS) forget(state, tail, memoryS);
  const from = tail * TAIL_SIZE;
  const count = at(state, TAIL_COUNT + tail);
  if (count < TAIL_SIZE) {
    state[TAIL_COUNT + tail] = count + 1;
    put(state, tail, from + count, value);
    return Number.NEGATIVE_INFINITY;
  }
  const place = at(state, TAIL_LEAST + tail);
  const least = at(state, TAIL_VALUES + place);
  // Nearly always.
  if (!(value > least)) return Number.NEGATIVE_INFINITY;
  let rarity = Number.NEGATIVE_INFINITY;
  if (at(state, COUNT) >= LEAST_COUNT) {
    let sum = 0;
    for (let i = from; i < from + TAIL_SIZE; i++) {
      sum += Math.log(at(state, TAIL_VALUES + i) / least);
    }
    rarity = Math.log(value / least) / (sum / (TAIL_SIZE - 1) + 0.01) - LOG_SIZE;
  }
  put(state, tail, place, value);
  return rarity;
}

/** The least of the largest: what is below it is ordinary. Undefined while there are too few. */
export function ordinaryUpTo(state: SeriesState, tail: number): number | undefined {
  if (at(state, TAIL_COUNT + tail) < TAIL_SIZE) return undefined;
  return at(state, TAIL_VALUES + at(state, TAIL_LEAST + tail));
}
