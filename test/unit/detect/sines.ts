import { ANOMALOUS_SCORE, type Fault } from '../../../src/base/verdict.ts';
import { type Judgement, SeriesDetector } from '../../../src/detect/series-detector.ts';

/** Series for the tests of the detector: temperatures of a day's sine, and what is said of them. */

export type Reading = readonly [value: number, timeS: number];

export const HOUR_S = 3_600;
export const DAY_S = 86_400;
export const MINUTES_5 = 300;
/** A Monday, midnight. */
export const START_S = Date.UTC(2026, 0, 5) / 1_000;
export const SIX_DAYS = (6 * DAY_S) / MINUTES_5;

/** Of a normal distribution, the same in each run. */
export function normal(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A temperature: a sine of a day, 15 to 25, with noise. Off any grid. */
export function sine(count: number, everyS: number, seed = 1): Reading[] {
  const noise = normal(seed);
  return Array.from({ length: count }, (_, i) => {
    const value = 20 + 5 * Math.sin((2 * Math.PI * i * everyS) / DAY_S) + 0.1 * noise();
    return [value, START_S + i * everyS] as const;
  });
}

export function observe(
  readings: readonly Reading[],
  detector = new SeriesDetector(),
): Judgement[] {
  return readings.map(([value, timeS]) => detector.observe(value, timeS));
}

/** From reading `from` on, another value. */
export function changed(
  readings: readonly Reading[],
  from: number,
  change: (value: number, since: number) => number,
): Reading[] {
  return readings.map(([value, timeS], i) => [i < from ? value : change(value, i - from), timeS]);
}

export function onsets(judgements: readonly Judgement[]): number[] {
  return judgements.flatMap(({ onset }, i) => (onset >= ANOMALOUS_SCORE ? [i] : []));
}

/** What is said from the first anomaly on. */
export function faults(judgements: readonly Judgement[]): Set<Fault> {
  return new Set(judgements.filter((one) => one.isAnomalous).map(({ fault }) => fault));
}
