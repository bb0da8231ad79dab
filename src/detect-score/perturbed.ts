import type { Random } from '../base/clock.ts';
import type { LabelledSeries, RowWindow } from './scorer.ts';

/**
 * The same series as another sensor might have told it: a detector that depends on more than what
 * happened scores differently. Pure; chance is passed in.
 */
export type Perturbation = (series: LabelledSeries, random: Random) => LabelledSeries;

const HOUR_SECONDS = 3_600;
const SHIFT_HOURS = 7.3;
const LOST_SHARE = 0.1;
const NOISE_SHARE = 0.05;
const OFFSET_DEVIATIONS = 100;
const SCALE = 1_000;
const STEPS_PER_DEVIATION = 20;

/** 1 where all values are the same, so that what is measured in it is something. */
function deviationOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / values.length) || 1;
}

/** Of a normal distribution with a deviation of 1 (Box and Muller). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function eachValue(series: LabelledSeries, change: (value: number) => number): LabelledSeries {
  return { ...series, values: series.values.map(change) };
}

/** Where the windows are when only these rows are left; a window without any is none. */
function windowsOfKept(windows: readonly RowWindow[], kept: readonly number[]): RowWindow[] {
  return windows.flatMap(({ from, to }) => {
    const first = kept.findIndex((row) => row >= from);
    const last = kept.findLastIndex((row) => row <= to);
    return first < 0 || last < first ? [] : [{ from: first, to: last }];
  });
}

function lost({ name, seconds, values, windows }: LabelledSeries, random: Random): LabelledSeries {
  const kept = [...values.keys()].filter(() => random() >= LOST_SHARE);
  const of = (column: Float64Array) => Float64Array.from(kept, (row) => column[row] ?? 0);
  return { name, seconds: of(seconds), values: of(values), windows: windowsOfKept(windows, kept) };
}

export const PERTURBATIONS: Readonly<Record<string, Perturbation>> = {
  mirrored: (series) => eachValue(series, (value) => -value),
  clock: (series) => ({
    ...series,
    seconds: series.seconds.map((seconds) => seconds + SHIFT_HOURS * HOUR_SECONDS),
  }),
  lost,
  noise: (series, random) => {
    const noise = NOISE_SHARE * deviationOf(series.values);
    return eachValue(series, (value) => value + noise * normal(random));
  },
  offset: (series) => {
    const offset = OFFSET_DEVIATIONS * deviationOf(series.values);
    return eachValue(series, (value) => value + offset);
  },
  scale: (series) => eachValue(series, (value) => value * SCALE),
  quantised: (series) => {
    const step = deviationOf(series.values) / STEPS_PER_DEVIATION;
    return eachValue(series, (value) => Math.round(value / step) * step);
  },
};
