import { at, COUNT, JUMP_FROM, JUMP_SINCE, JUMP_TO, type SeriesState } from './series-state.ts';

/**
 * Whether what has jumped comes back, a spike, or stays, a shift: known some readings later, when
 * what is usual may have followed already.
 */

/** After so many readings what jumped and stays is a shift. */
export const SHIFT_AFTER = 5;

/** undefined: nothing has jumped. */
export type AfterJump = 'open' | 'stays' | 'back' | undefined;

/** A jump has been told. */
export function noteJump(state: SeriesState, from: number, to: number): void {
  state[JUMP_FROM] = from;
  state[JUMP_TO] = to;
  state[JUMP_SINCE] = at(state, COUNT) + 1;
}

/** Takes in a reading after it: nearer to where it jumped to, or back? */
export function followJump(state: SeriesState, value: number): AfterJump {
  const since = at(state, JUMP_SINCE);
  if (since === 0) return undefined;
  // Halved: the distance of two finite numbers need not be one.
  const back = Math.abs(value / 2 - at(state, JUMP_FROM) / 2);
  const stays = back > Math.abs(value / 2 - at(state, JUMP_TO) / 2);
  const isKnown = at(state, COUNT) + 1 - since >= SHIFT_AFTER;
  if (!stays || isKnown) state[JUMP_SINCE] = 0;
  if (!stays) return 'back';
  return isKnown ? 'stays' : 'open';
}
