import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANOMALOUS_SCORE } from '../../../src/base/verdict.ts';
import type { Judgement } from '../../../src/detect/series-detector.ts';
import {
  changed,
  faults,
  HOUR_S,
  MINUTES_5,
  normal,
  observe,
  onsets,
  type Reading,
  SIX_DAYS,
  START_S,
  sine,
} from './sines.ts';

describe('a load that jumps through all of its range', () => {
  /** Rough: no faults, only rarities. Spikes at `at`, of so much. */
  const load = (spikes: Readonly<Record<number, number>>) => {
    const noise = normal(21);
    return Array.from({ length: 12 * 288 }, (_, i): Reading => {
      const value = 50 + 10 * noise() + (spikes[i] ?? 0);
      return [value, START_S + i * MINUTES_5];
    });
  };

  it('is told again what is rare, but within 120 readings only what is worse', () => {
    const calm = onsets(observe(load({})));
    const twice = onsets(observe(load({ 3000: 200, 3060: 200 })));
    expect(twice.filter((i) => !calm.includes(i))).toEqual([3_000]);
    const worse = onsets(observe(load({ 3000: 200, 3060: 2_000 })));
    expect(worse.filter((i) => !calm.includes(i))).toEqual([3_000, 3_060]);
    const later = onsets(observe(load({ 3000: 200, 3200: 900 })));
    expect(later.filter((i) => !calm.includes(i))).toEqual([3_000, 3_200]);
  });

  it('gets used to what comes often', () => {
    const spikes = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [400 + i * 125, 200]));
    const told = onsets(observe(load(spikes))).filter((i) => spikes[i] !== undefined);
    expect(told.length).toBeGreaterThan(0);
    expect(told.filter((i) => i > 2_400)).toEqual([]);
  });
});

describe('a sensor with few values', () => {
  const resting = (from: number, change: (i: number) => number) =>
    Array.from({ length: 2_000 }, (_, i): Reading => {
      return [i < from ? 21 : change(i), START_S + i * MINUTES_5];
    });

  it.each([
    ['once', (i: number) => (i === 1_500 ? 22 : 21)],
    ['and back', (i: number) => (i % 300 < 20 ? 20 : 21)],
    ['for good', () => 22],
    ['by a sixteenth', (i: number) => (i % 300 === 7 ? 21.0625 : 21)],
  ])('raises nothing that goes by one notch, %s', (_, change) => {
    const judged = observe(resting(1_400, change));
    expect(judged.at(-1)?.learned).toBe(1);
    expect(onsets(judged)).toEqual([]);
  });

  it('raises what goes by many', () => {
    const judged = observe(resting(1_400, (i) => (i === 1_500 ? 80 : 21)));
    expect(onsets(judged)[0]).toBe(1_500);
  });
});

describe('a counter', () => {
  /** Grows by 5 to 7 in five minutes; begins again at each of `resets`. */
  function counter(resets: readonly number[], doubledFrom = Number.POSITIVE_INFINITY): Reading[] {
    const noise = normal(11);
    let total = 1_000;
    return Array.from({ length: SIX_DAYS }, (_, i): Reading => {
      const grown = 6 + Math.sin((2 * Math.PI * i) / 288) + 0.05 * noise();
      total = resets.includes(i) ? 0 : total + (i >= doubledFrom ? 2 : 1) * grown;
      return [total, START_S + i * MINUTES_5];
    });
  }

  it('may begin again', () => {
    expect(onsets(observe(counter([700, 1_000, 1_400])))).toEqual([]);
  });

  it('that grows twice as fast is an anomaly', () => {
    const judged = observe(counter([700], 1_252));
    expect(onsets(judged)[0]).toBe(1_252);
  });

  it('has a band of its own unit', () => {
    const readings = counter([]);
    const judged = observe(readings);
    const { low, high } = judged.at(-1) as Judgement;
    const [value] = readings.at(-1) as Reading;
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value - 3);
    expect(high - low).toBeLessThan(10);
  });

  it('of the largest numbers has a finite band', () => {
    const huge = Array.from({ length: 200 }, (_, i): Reading => [8e305 * (i + 1), i]);
    huge.push([1.7e308, 1e170], [1.75e308, 1.7e308]);
    const bands = observe(huge).flatMap(({ low, high }) => [low, high]);
    expect(bands.filter((one) => !Number.isFinite(one))).toEqual([]);
  });

  it('that falls by a little is none, and learnt afresh', () => {
    const falls = changed(counter([]), 800, (value) => value - 50);
    const judged = observe(falls)[800];
    expect(judged?.learned).toBeLessThan(0.01);
    expect([judged?.low, judged?.high]).toEqual([falls[800]?.[0], falls[800]?.[0]]);
  });
});

describe('the warm-up', () => {
  it('goes from 0 to 1, and never falls', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7_200 }), fc.integer(), (everyS, seed) => {
        // Down first: it is no counter, which begins again once it is known to be one.
        const shares = observe(sine(1_100, everyS, seed)).map(({ learned }) => learned);
        expect(shares[0]).toBe(0);
        expect(shares.at(-1)).toBe(1);
        expect(shares.every((share, i) => share >= (shares[i - 1] ?? 0))).toBe(true);
      }),
    );
  });

  it.each([
    [MINUTES_5, 577, 'two days'],
    [1, 1_001, '1,000 readings'],
    [HOUR_S, 101, '100 readings'],
  ])('of readings every %d s takes %d: %s', (everyS, count) => {
    const shares = observe(sine(1_100, everyS)).map(({ learned }) => learned);
    expect(shares.findIndex((share) => share >= 1) + 1).toBeCloseTo(count, -1);
  });
});

describe('paces', () => {
  it('once an hour', () => {
    const readings = changed(sine(60 * 24, HOUR_S), 1_100, (value, since) =>
      since === 0 ? value + 15 : value,
    );
    const judged = observe(readings);
    expect(judged[1_100]?.onset).toBeGreaterThan(ANOMALOUS_SCORE);
    // Less than one in ten days without a reason.
    expect(onsets(judged).length - 1).toBeLessThan(6);
  });

  it('once a second', () => {
    const noise = normal(3);
    const readings = Array.from({ length: 20_000 }, (_, i): Reading => {
      const value = 20 + 5 * Math.sin((2 * Math.PI * i) / HOUR_S) + 0.02 * noise();
      return [i === 15_000 ? value + 3 : value, START_S + i];
    });
    expect(onsets(observe(readings))).toEqual([15_000]);
  });
});

describe('what jumps', () => {
  const jumped = (back: number) => {
    const readings = changed(sine(2_600, MINUTES_5), 1_800, (value, since) =>
      since < back ? value + 8 : value,
    );
    return observe(readings).slice(1_800, 1_830);
  };

  it('is a spike, and a shift once it has stayed for five readings', () => {
    const after = jumped(Number.POSITIVE_INFINITY);
    expect(after[0]).toMatchObject({ isAnomalous: true, fault: 'spike' });
    // Until then its alert is kept from ending, and is not told again.
    for (const { level } of after.slice(1, 5)) expect(level).toBeGreaterThan(0.49);
    expect(after.slice(0, 5).map(({ fault }) => fault)).not.toContain('shift');
    expect(after[5]).toMatchObject({ isAnomalous: true, fault: 'shift' });
    expect(onsets(after)).toEqual([0]);
  });

  it.each([1, 2, 4])('and comes back after %d readings was a spike', (count) => {
    const after = jumped(count);
    expect(faults(after)).toEqual(new Set(['spike']));
    expect(after[count + 2]?.level).toBeLessThan(0.49);
  });
});
