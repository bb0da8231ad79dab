import { ANOMALOUS_SCORE, type Fault } from '../base/verdict.ts';
import { type Arrival, ageDays, arrive, learned, learnInterval } from './arrival.ts';
import { judged } from './counter.ts';
import { type Gauge, gaugeFaults } from './faults.ts';
import { type AfterJump, followJump, noteJump, SHIFT_AFTER } from './jump.ts';
import { residual } from './profile.ts';
import { isTooYoung, type Rarity, rarityScore, rate } from './rarity.ts';
import { ordinaryUpTo } from './rarity-tail.ts';
import {
  at,
  COUNT,
  COUNTER_LAST,
  COUNTER_TIME,
  EQUAL_RUN,
  EVENT_FAULT,
  EVENT_SINCE,
  FAULT_CALM,
  FAULT_PEAK,
  HIGH,
  HOLD_UNTIL,
  INTERVAL,
  IS_COUNTER,
  JUMPED_AT,
  LAST,
  LAYOUT,
  LAYOUT_VERSION,
  LOW,
  newSeriesState,
  PROFILE,
  RARITY_PEAK,
  type SeriesState,
  STATE_LENGTH,
} from './series-state.ts';

/** What is said of one reading. */
export interface Judgement {
  /**
   * 0 to 1: that something begins here. Once for an event, with the reading that shows it; what
   * goes on, or comes back within a while no worse, is 0. This is what is scored.
   */
  onset: number;
  /** 0 to 1: how unusual the reading is by itself, or that it may be a jump that stays. */
  level: number;
  /** Something has begun and goes on. */
  isAnomalous: boolean;
  /** What it looks most like. */
  fault: Fault;
  /** For so long before the reading it was like that already, s; of what is stuck. */
  lastedS: number;
  /** About one reading in so many is as unusual; undefined where that is not known. */
  oneIn: number | undefined;
  /** What was to be expected at this hour, before the reading. */
  low: number;
  high: number;
  /** 0 to 1: of the warm-up. */
  learned: number;
}

/** Readings for which a rarity must exceed its peak by RISE to be told again. */
const HOLD = 120;
const RISE = 1.4;
/** Readings in band after which a fault is another one; one of twice the size is at once. */
const CALM = 2;
const WORSE = 2;
/** Below this an event is over. */
const CLEAR = 0.25;
const RECENT = 10;
const JUST_BELOW = 0.999 * ANOMALOUS_SCORE;
const MOST_ONE_IN = 1e9;

const FAULT_CODES = ['spike', 'shift', 'drift', 'noise', 'stuck', 'range'] as const;

/** A reading that is not judged: no number, or a counter's reset. */
function nothing(state: SeriesState, value: number): Judgement {
  const none = { onset: 0, level: 0, isAnomalous: false, fault: 'spike' as const, lastedS: 0 };
  return { ...none, oneIn: undefined, low: value, high: value, learned: learned(state) };
}

function finite(value: number): number {
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, value));
}

/** Judged values as ones that were measured: of a counter they are rates. */
interface Unit {
  readonly from: number;
  readonly unit: number;
}

const PLAIN: Unit = { from: 0, unit: 1 };

function rateUnit(state: SeriesState, timeS: number): Unit {
  if (at(state, IS_COUNTER) === 0) return PLAIN;
  return { from: at(state, COUNTER_LAST), unit: finite(timeS - at(state, COUNTER_TIME)) };
}

// One of each for all series: a reading is judged in one go.
const arrival: Arrival = { value: 0, sinceS: 0, epsilon: 0, notch: 0, step: 0, hour: 0 };
const gauge: Gauge = { ratio: 0, shape: 'jump' };
const rarity: Rarity = { floor: 0, total: 0, aspect: 'value', surprise: 0 };

interface Band {
  readonly low: number;
  readonly high: number;
}

/**
 * What is expected at this hour: as far from its level as all but the largest distances; before a
 * day has passed, the range so far.
 */
function bandOf(state: SeriesState, { hour }: Arrival): Band {
  const level = at(state, PROFILE + hour);
  const reach = ordinaryUpTo(state, 0);
  if (Number.isNaN(level) || reach === undefined || ageDays(state) < 1) {
    return { low: at(state, LOW), high: at(state, HIGH) };
  }
  return { low: level - reach, high: level + reach };
}

function rarityOnset(state: SeriesState, score: number): number {
  const count = at(state, COUNT);
  if (count > at(state, HOLD_UNTIL)) state[RARITY_PEAK] = 0;
  if (!(rarity.total > RISE * at(state, RARITY_PEAK))) return 0;
  state[RARITY_PEAK] = rarity.total;
  state[HOLD_UNTIL] = count + HOLD;
  return score;
}

function faultOnset(state: SeriesState, fault: number): number {
  const { ratio } = gauge;
  const calm = at(state, FAULT_CALM);
  if (ratio < 1) {
    state[FAULT_CALM] = calm + 1;
    if (calm + 1 >= CALM) state[FAULT_PEAK] = 0;
    return 0;
  }
  const peak = at(state, FAULT_PEAK);
  state[FAULT_PEAK] = Math.max(peak, ratio);
  state[FAULT_CALM] = 0;
  return calm >= CALM || ratio > WORSE * peak ? fault : 0;
}

/** The event that lasts, from its onset until a reading is ordinary. Is there one? */
function follow(state: SeriesState, onset: number, level: number, fault: Fault): boolean {
  const lasts = at(state, EVENT_FAULT) > 0;
  if (onset >= ANOMALOUS_SCORE) {
    if (!lasts) state[EVENT_SINCE] = at(state, COUNT);
    state[EVENT_FAULT] = 1 + FAULT_CODES.indexOf(fault as (typeof FAULT_CODES)[number]);
    return true;
  }
  if (lasts && level < CLEAR) state[EVENT_FAULT] = 0;
  return lasts && level >= ANOMALOUS_SCORE;
}

/** What jumped and has stayed is a shift. */
function eventFault(state: SeriesState, now: Fault): Fault {
  const begun = FAULT_CODES[at(state, EVENT_FAULT) - 1] ?? now;
  const isLong = at(state, COUNT) - at(state, EVENT_SINCE) > SHIFT_AFTER;
  return begun === 'spike' && isLong ? 'shift' : begun;
}

/** An alert lasts for as long as it is open whether what has jumped comes back. */
function shownLevel(level: number, isAnomalous: boolean, afterJump: AfterJump): number {
  if (isAnomalous) return Math.max(level, ANOMALOUS_SCORE);
  return afterJump === 'open' ? JUST_BELOW : Math.min(level, JUST_BELOW);
}

function hasJumped(state: SeriesState): boolean {
  return at(state, COUNT) - at(state, JUMPED_AT) <= RECENT;
}

function shapeOf(state: SeriesState): Fault {
  if (gauge.shape === 'jump') return 'spike';
  // What has left its range without a jump has crept out of it.
  if (gauge.shape === 'range') return hasJumped(state) ? 'range' : 'drift';
  return gauge.shape;
}

function aspectOf(state: SeriesState): Fault {
  const { aspect } = rarity;
  if (aspect === 'value' || aspect === 'drop') return 'spike';
  return aspect === 'many' && !hasJumped(state) ? 'drift' : 'shift';
}

/** Of the most unusual aspect: all readings so far, by how many as large were to be expected. */
function oneInOf(state: SeriesState, score: number): number | undefined {
  if (score < ANOMALOUS_SCORE || !(rarity.surprise > 0)) return undefined;
  return Math.round(Math.min(MOST_ONE_IN, at(state, COUNT) * Math.exp(rarity.surprise)));
}

/**
 * The detector of one series. It sees each reading once, as it comes, and knows nothing of the
 * unit. About 1 µs a reading, flat over a million (`npm run bench:detect`).
 *
 * Two judges: `rarity.ts`, for any series, gets used to what comes often; `faults.ts`, for smooth
 * ones, does not. docs/detection.md has what each part is worth.
 */
export class SeriesDetector {
  readonly #state: SeriesState;

  constructor(state: SeriesState = newSeriesState()) {
    this.#state = state;
  }

  /** `timeS`: when it was measured, in s since 1970 UTC. What is not finite is passed over. */
  observe(raw: number, timeS: number): Judgement {
    const state = this.#state;
    if (!Number.isFinite(raw) || !Number.isFinite(timeS)) return nothing(state, 0);
    const rates = rateUnit(state, timeS);
    const value = judged(state, raw, timeS);
    if (value === undefined) return nothing(state, raw);
    // It may just have turned out to be no counter.
    const grown = at(state, IS_COUNTER) === 1 ? rates : PLAIN;
    arrive(state, value, timeS, arrival);
    const share = learned(state);
    const isLearning = share < 1;
    const band = bandOf(state, arrival);
    const distance = residual(state, arrival);
    gauge.ratio = 0;
    gauge.shape = 'jump';
    if (at(state, COUNT) > 0) {
      learnInterval(state, arrival);
      gaugeFaults(state, arrival, distance, gauge);
    }
    rate(state, arrival, distance, rarity);
    const score = isLearning || isTooYoung(state) ? 0 : rarityScore(state, rarity.total);
    const fault = gauge.ratio / (1 + gauge.ratio);
    const onset = Math.max(rarityOnset(state, score), faultOnset(state, fault));
    const level = Math.max(score, fault);
    const kind = fault >= ANOMALOUS_SCORE || fault >= score ? shapeOf(state) : aspectOf(state);
    const afterJump = followJump(state, arrival.value);
    const isAnomalous = follow(state, onset, level, kind) || afterJump === 'stays';
    if (onset >= ANOMALOUS_SCORE && kind === 'spike' && afterJump === undefined) {
      noteJump(state, at(state, LAST), arrival.value);
    }
    state[LAST] = arrival.value;
    state[COUNT] = at(state, COUNT) + 1;
    const shown = shownLevel(level, isAnomalous, afterJump);
    // No spread: this is made for each reading.
    return {
      onset,
      level: Math.max(shown, onset),
      isAnomalous,
      fault: afterJump === 'stays' ? 'shift' : eventFault(state, kind),
      lastedS: kind === 'stuck' ? at(state, EQUAL_RUN) * at(state, INTERVAL) : 0,
      oneIn: oneInOf(state, score),
      low: finite(grown.from + grown.unit * band.low),
      high: finite(grown.from + grown.unit * band.high),
      learned: share,
    };
  }

  static fresh(): SeriesDetector {
    return new SeriesDetector();
  }

  /** As it is to be stored; `restore` goes on from there to the bit. */
  save(): Uint8Array {
    return new Uint8Array(this.#state.slice().buffer);
  }

  /** Undefined for anything that `save` of this version does not give. */
  static restore(bytes: Uint8Array): SeriesDetector | undefined {
    if (bytes.byteLength !== STATE_LENGTH * Float64Array.BYTES_PER_ELEMENT) return undefined;
    // Copied: a Buffer may be a piece of a larger one, at any place in it.
    const state = new Float64Array(Uint8Array.from(bytes).buffer);
    return at(state, LAYOUT) === LAYOUT_VERSION ? new SeriesDetector(state) : undefined;
  }

  get learned(): number {
    return learned(this.#state);
  }
}
