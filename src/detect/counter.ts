import {
  at,
  COUNT,
  COUNTER_LAST,
  COUNTER_TIME,
  IS_COUNTER,
  newSeriesState,
  RISES,
  type SeriesState,
} from './series-state.ts';

/**
 * Meters and totals only grow, until they begin again. Of what has only grown for 100 readings the
 * rate is looked at, and a fall to less than half is the counter's reset and no anomaly. A series
 * that falls by less is no counter, and learnt afresh.
 */

const PROOF = 100;
/** Of these, so many rose: a level that rests is no counter. */
const LEAST_RISES = 60;
const RESET_SHARE = 0.5;

function begin(state: SeriesState, isCounter: boolean): void {
  state.set(newSeriesState());
  state[IS_COUNTER] = isCounter ? 1 : 0;
  // Decided once.
  state[RISES] = Number.NaN;
}

/**
 * What is to be judged of a reading: its value, or of a counter its rate, per second; undefined:
 * the counter was reset, or no time has passed.
 */
export function judged(state: SeriesState, value: number, timeS: number): number | undefined {
  const last = at(state, COUNTER_LAST);
  const isFirst = at(state, COUNT) === 0 && at(state, COUNTER_TIME) === 0;
  const sinceS = timeS - at(state, COUNTER_TIME);
  if (at(state, IS_COUNTER) === 1) return rateOf(state, value, timeS);
  state[COUNTER_LAST] = value;
  state[COUNTER_TIME] = timeS;
  const rises = at(state, RISES);
  if (isFirst || Number.isNaN(rises)) return value;
  if (value < last || sinceS < 0) state[RISES] = Number.NaN;
  else if (value > last) state[RISES] = rises + 1;
  if (at(state, COUNT) + 1 < PROOF) return value;
  const isCounter = at(state, RISES) >= LEAST_RISES;
  if (!isCounter) {
    state[RISES] = Number.NaN;
    return value;
  }
  begin(state, true);
  state[COUNTER_LAST] = value;
  state[COUNTER_TIME] = timeS;
  return undefined;
}

function rateOf(state: SeriesState, value: number, timeS: number): number | undefined {
  const last = at(state, COUNTER_LAST);
  const sinceS = timeS - at(state, COUNTER_TIME);
  const isReset = value < RESET_SHARE * last;
  if (value < last && !isReset && sinceS >= 0) {
    begin(state, false);
    state[COUNTER_LAST] = value;
    state[COUNTER_TIME] = timeS;
    return value;
  }
  if (sinceS <= 0) return undefined;
  state[COUNTER_LAST] = value;
  state[COUNTER_TIME] = timeS;
  const rate = (value - last) / sinceS;
  return isReset || !Number.isFinite(rate) ? undefined : rate;
}
