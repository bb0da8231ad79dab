import type { Arrival } from './arrival.ts';
import { at, PROFILE, type SeriesState } from './series-state.ts';

/** What is ordinary at each hour of the day: 24 levels, each slowly following what it sees. */

const GAIN = 0.07;
/** Where readings come often: the gain of one second. */
const GAIN_S = 1 / 4_200;

/** Takes the value in. Returns its distance from what its hour expected; 0 for the hour's first. */
export function residual(state: SeriesState, { value, sinceS, hour }: Arrival): number {
  const level = at(state, PROFILE + hour);
  if (Number.isNaN(level)) {
    state[PROFILE + hour] = value;
    return 0;
  }
  const distance = value - level;
  state[PROFILE + hour] = level + Math.min(GAIN, Math.max(1, sinceS) * GAIN_S) * distance;
  return distance;
}
