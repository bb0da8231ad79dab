/**
 * All that a series' detector remembers, as one row of doubles: 2,064 bytes, which is its stored
 * form too. Each part below keeps its numbers in places of its own; nothing else is kept anywhere,
 * so what is restored goes on to the bit.
 */
export type SeriesState = Float64Array;

/** Readings so far. */
export const COUNT = 0;
/**
 * Seconds of its own life. A gap counts for at most MAX_STEP_S, so a device whose clock was set
 * does not age by half a century.
 */
export const AGE = 1;
/** Time of the newest reading, s. */
export const TIME = 2;
/** The reading before this one. */
export const LAST = 3;
/** The usual time between readings, s. */
export const INTERVAL = 4;
/** COUNT of the first reading since the last long gap. */
export const GAP_AT = 5;

// smoothness.ts
export const STEP_90 = 6;
export const LOW_10 = 7;
export const HIGH_90 = 8;
export const GATE = 9;

// faults.ts
export const STEP_SQUARE = 10;
export const BEND_SQUARE = 11;
export const BEND_RATIO = 12;
export const LAST_STEP = 13;
export const LOW = 14;
export const HIGH = 15;
export const EQUAL_SHARE = 16;
export const EQUAL_RUN = 17;
/** The three largest jumps of the warm-up. */
export const JUMP_1 = 18;
export const JUMP_2 = 19;
export const JUMP_3 = 20;
export const FAULT_PEAK = 21;
/** Readings in band since the last fault. */
export const FAULT_CALM = 22;
/** COUNT of the last reading that jumped. */
export const JUMPED_AT = 23;

// rarity.ts
export const MEAN = 24;
export const VARIANCE = 25;
export const LEVEL_MEAN = 26;
export const LEVEL_VARIANCE = 27;
export const RARITY_PEAK = 28;
/** COUNT until which a rarity must exceed the peak. */
export const HOLD_UNTIL = 29;
export const RING_NEXT = 30;

// series-detector.ts: the event that lasts
export const EVENT_FAULT = 31;
export const EVENT_SINCE = 32;

// counter.ts
export const RISES = 33;
/** Which layout these places are of: states of another one are learnt afresh. */
export const LAYOUT = 34;
export const LAYOUT_VERSION = 2;
export const IS_COUNTER = 35;
export const COUNTER_LAST = 36;
export const COUNTER_TIME = 37;

// grid.ts
export const GRID = 38;

/** faults.ts: share of readings that were far beyond any range. */
export const GROSS_SHARE = 39;

// jump.ts: the jump that may come back, from which value to which, and its COUNT; 0: none
export const JUMP_FROM = 40;
export const JUMP_TO = 41;
export const JUMP_SINCE = 42;

const SCALARS = 43;

export const HOURS = 24;
/** By hour of the day. */
export const PROFILE = SCALARS;

export const RESIDUAL_COUNT = 32;
export const RESIDUALS = PROFILE + HOURS;

export const VALUE_COUNT = 24;
export const VALUES = RESIDUALS + RESIDUAL_COUNT;

/** The last of these, by size. */
export const SORTED_COUNT = 11;
export const SORTED = VALUES + VALUE_COUNT;

/** Statistics that have a tail, and how many of its largest values each keeps. */
export const TAILS = 5;
export const TAIL_SIZE = 12;
export const TAIL_VALUES = SORTED + SORTED_COUNT;
/** AGE at which each came. */
export const TAIL_AGES = TAIL_VALUES + TAILS * TAIL_SIZE;
export const TAIL_COUNT = TAIL_AGES + TAILS * TAIL_SIZE;
/** Place of the least. */
export const TAIL_LEAST = TAIL_COUNT + TAILS;
/** AGE of the oldest. */
export const TAIL_OLDEST = TAIL_LEAST + TAILS;

export const STATE_LENGTH = TAIL_OLDEST + TAILS;

export function newSeriesState(): SeriesState {
  const state = new Float64Array(STATE_LENGTH);
  state.fill(Number.NaN, PROFILE, PROFILE + HOURS);
  state[LAYOUT] = LAYOUT_VERSION;
  state[HOLD_UNTIL] = -1;
  state[FAULT_CALM] = 99;
  state[JUMPED_AT] = -99;
  return state;
}

/** A place of the state: each is there. */
export function at(state: SeriesState, place: number): number {
  return state[place] as number;
}
