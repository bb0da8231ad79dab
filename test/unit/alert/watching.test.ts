import { describe, expect, it } from 'vitest';
import type { AlertEvent } from '../../../src/alert/alert-event.ts';
import { AlertStates } from '../../../src/alert/alert-state.ts';
import { seededRandom } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { Detector } from '../../../src/detect/detector.ts';
import { normal } from '../../../src/detect-score/perturbed.ts';
import { Records } from '../detect/records.ts';
import { ALERT_OPTIONS } from './verdicts.ts';

// Detection and alerts together, with the defaults: what a series of readings makes of itself.

class Watch {
  readonly records = new Records();
  readonly detector = new Detector({
    maxSeries: 10_000,
    logger: silentLogger,
  });
  readonly states = new AlertStates(ALERT_OPTIONS);

  /** Values, one a second; what they raise. */
  see(values: readonly number[]): AlertEvent[] {
    return values.flatMap((value) =>
      this.detector
        .observe(this.records.next({ value }))
        .flatMap((verdict) => this.states.observe(verdict)),
    );
  }
}

const SEED = 20_261_124;

/** Normal noise around a level. */
function noise(count: number, level: number, sigma: number, seed = SEED): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => level + sigma * normal(random));
}

const kinds = (events: readonly AlertEvent[]) => events.map(({ kind }) => kind);

describe('a series of readings', () => {
  it(`raises one alert for a spike, which ends (seed ${SEED})`, () => {
    const watch = new Watch();
    expect(watch.see(noise(500, 20, 0.3))).toEqual([]);
    const events = watch.see([80, ...noise(300, 20, 0.3, 2)]);
    expect(kinds(events)).toEqual(['begin', 'end']);
    expect(events[0]).toMatchObject({ value: 80, cause: { offset: 500 } });
    expect(events[1]?.cause.offset).toBe(505);
    expect(watch.states.active()).toEqual([]);
  });

  it(`raises none over 10,000 readings of steady noise (seeds ${SEED} and on)`, () => {
    for (const [level, sigma] of [
      [20, 0.3],
      [0, 1],
      [1013, 5],
      [-40, 1e-3],
    ] as const) {
      expect(new Watch().see(noise(10_000, level, sigma, SEED + level))).toEqual([]);
    }
  });

  it('raises none when a constant value begins to tremble a little', () => {
    const watch = new Watch();
    const values = Array.from({ length: 300 }, () => 21.5);
    expect(watch.see([...values, ...noise(1_000, 21.5, 0.02)])).toEqual([]);
  });

  it('raises none for a coarse sensor that goes up a notch and back', () => {
    const notches = Array.from({ length: 3_000 }, (_, i) => (i % 7 === 0 ? 20.5 : 20));
    expect(new Watch().see(notches)).toEqual([]);
  });

  it.each([
    ['a DHT11', 0, 1],
    ['a DHT11 on a warm day', 21, 22],
    ['half degrees', -0.5, 0],
    ['a DS18B20 near freezing', 0, 0.0625],
    ['a DS18B20', 4.1875, 4.25],
    ['tens of ppm', 410, 420],
    ['a tenth', 0.3, 0.4],
    ['a hundredth', 0.07, 0.08],
    ['a door', 0, 1],
  ])('raises none when %s moves a notch, once in a long while', (_, usual, notch) => {
    const values = Array.from({ length: 2_000 }, (_, i) => (i % 400 === 399 ? notch : usual));
    expect(new Watch().see(values)).toEqual([]);
  });

  it.each([
    ['many notches', 20, 40],
    ['what is on no grid', 1e-7, 1e-5],
    ['a round number', 400, 800],
    ['a standstill', 0, 3_000],
  ])('raises one alert when a constant value moves by %s', (_, usual, jump) => {
    const watch = new Watch();
    expect(watch.see(Array.from({ length: 500 }, () => usual))).toEqual([]);
    expect(kinds(watch.see([jump, ...Array.from({ length: 9 }, () => usual)]))).toEqual([
      'begin',
      'end',
    ]);
  });

  it('knows what has never moved better than what has', () => {
    const rests = (length: number) => Array.from({ length }, () => 20);
    const still = new Watch();
    expect(kinds(still.see([...rests(500), 40]))).toEqual(['begin']);
    // It has moved before, by little: 40 is no further away than that.
    const moved = new Watch();
    expect(moved.see([...rests(20), 21, ...rests(479), 40])).toEqual([]);
  });

  it('raises none for a value that swings between two', () => {
    const swing = Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? 0 : 1));
    expect(new Watch().see(swing)).toEqual([]);
  });

  it(`raises one alert for a level that shifts, until it is back (seed ${SEED})`, () => {
    const watch = new Watch();
    watch.see(noise(500, 20, 0.3));
    expect(kinds(watch.see(noise(1_000, 45, 0.3, 3)))).toEqual(['begin']);
    expect(kinds(watch.see(noise(20, 20, 0.3, 4)))).toEqual(['end']);
  });

  it('holds back a second spike within the cool-down, and tells of it with the third', () => {
    const watch = new Watch();
    watch.see(noise(200, 20, 0.3));
    expect(kinds(watch.see([80, ...noise(20, 20, 0.3, 4)]))).toEqual(['begin', 'end']);
    expect(watch.see([80, ...noise(100, 20, 0.3, 5)])).toEqual([]);
    expect(watch.see([80])).toMatchObject([{ kind: 'begin', suppressed: 1 }]);
  });

  it('raises the same alerts with the same ids when it is read again', () => {
    const values = noise(2_000, 20, 0.3).map((value, i) => (i % 400 === 399 ? value + 50 : value));
    const first = new Watch().see(values);
    expect(kinds(first).filter((kind) => kind === 'begin')).toHaveLength(5);
    expect(new Watch().see(values)).toEqual(first);
    expect(new Set(first.map(({ id }) => id)).size).toBe(first.length);
  });
});
