import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANOMALOUS_SCORE, type Fault } from '../../../src/base/verdict.ts';
import { type Judgement, SeriesDetector } from '../../../src/detect/series-detector.ts';
import { LAYOUT, LAYOUT_VERSION } from '../../../src/detect/series-state.ts';
import {
  changed,
  DAY_S,
  faults,
  MINUTES_5,
  normal,
  observe,
  onsets,
  type Reading,
  SIX_DAYS,
  START_S,
  sine,
} from './sines.ts';

const wildValue = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 5e-324, -5e-324, 2.2e-308, 1e-300, 1e150, 1.7e308, -1.7e308),
  fc.integer({ min: -3, max: 3 }),
);
const wildTime = fc.oneof(
  fc.constantFrom(0, -1, 1e-9, 1, 300, 1e12, -1e12, 1.7e308, -1.7e308),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: 0, max: 1e5, noNaN: true }),
);

/** As runs: of one value, alternating, growing or of anything, at a pace or at any time. */
const wildReadings: fc.Arbitrary<Reading[]> = fc
  .array(
    fc.record({
      shape: fc.constantFrom('constant', 'alternating', 'growing', 'wild'),
      value: wildValue,
      other: wildValue,
      stepS: wildTime,
      count: fc.integer({ min: 1, max: 150 }),
      wild: fc.array(fc.tuple(wildValue, wildTime), { maxLength: 40 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((runs) => {
    let timeS = START_S;
    return runs.flatMap(({ shape, value, other, stepS, count, wild }) => {
      if (shape === 'wild') return wild;
      return Array.from({ length: count }, (_, i): Reading => {
        if (Number.isFinite(timeS + stepS)) timeS += stepS;
        const size = Math.min(Math.abs(value), 1e306);
        if (shape === 'growing') return [size * (i + 1), timeS];
        return [shape === 'alternating' && i % 2 === 1 ? other : value, timeS];
      });
    });
  });

function saidOf(judgement: Judgement): number[] {
  const { onset, level, low, high, learned, lastedS, oneIn } = judgement;
  return [onset, level, low, high, learned, lastedS, oneIn ?? 1];
}

describe('any numbers', () => {
  it('are judged by finite numbers, scores within 0 to 1', () => {
    fc.assert(
      fc.property(wildReadings, (readings) => {
        const odd = observe(readings).filter((judgement) => {
          const { onset, level, learned, low, high } = judgement;
          const areFinite = saidOf(judgement).every(Number.isFinite);
          const areShares = [onset, level, learned].every((one) => one >= 0 && one <= 1);
          return !(areFinite && areShares && low <= high);
        });
        expect(odd).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('leave a state of one size, 4 KiB at most', () => {
    const size = new SeriesDetector().save().byteLength;
    expect(size).toBeLessThanOrEqual(4_096);
    fc.assert(
      fc.property(wildReadings, (readings) => {
        const detector = new SeriesDetector();
        observe(readings, detector);
        expect(detector.save().byteLength).toBe(size);
      }),
    );
  });

  it('NaN and infinite values and times are passed over', () => {
    const readings = sine(900, MINUTES_5);
    const with_ = new SeriesDetector();
    const without = new SeriesDetector();
    for (const [i, [value, timeS]] of readings.entries()) {
      const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][i % 3] as number;
      const said = [with_.observe(odd, timeS), with_.observe(value, odd)];
      for (const one of said)
        expect([one.onset, one.level, one.isAnomalous]).toEqual([0, 0, false]);
      expect(with_.observe(value, timeS)).toEqual(without.observe(value, timeS));
    }
    expect(with_.save()).toEqual(without.save());
  });
});

describe('its state', () => {
  it('goes on to the bit, wherever it is saved', () => {
    fc.assert(
      fc.property(wildReadings, fc.nat(), (readings, place) => {
        const cut = place % (readings.length + 1);
        const whole = new SeriesDetector();
        const all = observe(readings, whole);
        const before = new SeriesDetector();
        observe(readings.slice(0, cut), before);
        const after = SeriesDetector.restore(before.save());
        expect(after).toBeDefined();
        expect(observe(readings.slice(cut), after)).toEqual(all.slice(cut));
        expect(after?.save()).toEqual(whole.save());
      }),
      { numRuns: 200 },
    );
  });

  it('goes on in the midst of faults', () => {
    const readings = changed(sine(SIX_DAYS, MINUTES_5), 1_440, (value, since) =>
      since % 90 < 20 ? value + 9 : since % 90 < 50 ? 20.123 : value,
    );
    const whole = new SeriesDetector();
    const all = observe(readings, whole);
    let saved = new SeriesDetector().save();
    const pieces = readings.map(([value, timeS]) => {
      const one = SeriesDetector.restore(saved) as SeriesDetector;
      const judgement = one.observe(value, timeS);
      saved = one.save();
      return judgement;
    });
    expect(onsets(all).length).toBeGreaterThan(3);
    expect(pieces).toEqual(all);
    expect(saved).toEqual(whole.save());
  });

  it('is a copy, both ways', () => {
    const detector = new SeriesDetector();
    observe(sine(200, MINUTES_5), detector);
    const saved = detector.save();
    const copy = Uint8Array.from(saved);
    const other = SeriesDetector.restore(saved);
    detector.observe(99, START_S + DAY_S);
    expect(saved).toEqual(copy);
    saved.fill(0);
    expect(other?.save()).toEqual(copy);
  });

  it('is not read if it is of another layout', () => {
    const saved = new SeriesDetector().save();
    const state = new Float64Array(saved.buffer);
    state[LAYOUT] = LAYOUT_VERSION + 1;
    expect(SeriesDetector.restore(saved)).toBeUndefined();
    expect(SeriesDetector.restore(new Uint8Array(saved.byteLength))).toBeUndefined();
  });

  it('is not read from bytes of another length', () => {
    const size = new SeriesDetector().save().byteLength;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2 * size }), (bytes) => {
        fc.pre(bytes.byteLength !== size);
        expect(SeriesDetector.restore(bytes)).toBeUndefined();
      }),
    );
    for (const length of [0, 8, size - 8, size - 1, size + 1, size + 8]) {
      expect(SeriesDetector.restore(new Uint8Array(length))).toBeUndefined();
    }
    // A piece of a larger buffer, at a place that is no multiple of eight.
    const large = new Uint8Array(size + 3);
    large.set(new SeriesDetector().save(), 3);
    expect(SeriesDetector.restore(large.subarray(3))?.save()).toEqual(new SeriesDetector().save());
  });
});

/** A day-long sine with each kind of fault in it, after the warm-up. */
function faulty(): Reading[] {
  const noise = normal(7);
  return sine(SIX_DAYS + 576, MINUTES_5, 3).map(([value, timeS], i) => {
    if (i === 700 || i === 701) return [value + 12, timeS];
    if (i > 850 && i < 900) return [value + 2 * noise(), timeS];
    if (i > 1_000 && i < 1_050) return [21.234567, timeS];
    if (i > 1_200 && i < 1_300) return [value - 9, timeS];
    if (i > 1_800 && i < 1_900) return [value - 0.2 * (i - 1_800), timeS];
    return [value, timeS];
  });
}

describe('the unit', () => {
  /** Levels themselves may differ in the sixth place: no grid of the sensor scales. */
  const alerts = (readings: readonly Reading[]) =>
    observe(readings).flatMap(({ onset, isAnomalous, fault }, i) =>
      isAnomalous ? [`${i} ${fault} ${onset >= ANOMALOUS_SCORE}`] : [],
    );

  it.each([1_024, 1 / 1_024, 2 ** 40])('times %d changes no alert', (factor) => {
    const scaled = faulty().map(([value, timeS]): Reading => [factor * value, timeS]);
    expect(alerts(faulty()).length).toBeGreaterThan(50);
    expect(alerts(scaled)).toEqual(alerts(faulty()));
  });

  it('as 40 - x it raises the same alerts of what has no direction', () => {
    // Rarities may differ: the drop below the readings before is one-sided.
    const mirrored = faulty().map(([value, timeS]): Reading => [40 - value, timeS]);
    const kept = (all: readonly string[]) => all.filter((one) => /stuck|noise|drift/.test(one));
    expect(kept(alerts(faulty())).length).toBeGreaterThan(20);
    expect(kept(alerts(mirrored))).toEqual(kept(alerts(faulty())));
  });
});

describe('a temperature of six days', () => {
  const plain = sine(SIX_DAYS, MINUTES_5);
  const from = 4 * 288 + 100;
  const noise = normal(99);

  it('raises nothing without a fault', () => {
    for (let seed = 1; seed <= 8; seed++) {
      expect(onsets(observe(sine(SIX_DAYS, MINUTES_5, seed)))).toEqual([]);
    }
  });

  it.each<[Fault, number, (value: number, since: number) => number]>([
    ['spike', 1, (value, since) => (since === 0 ? value + 6 : value)],
    ['shift', 10, (value) => value + 25],
    ['drift', 288, (value, since) => value + 0.1 * since],
    ['noise', 40, (value) => value + 1.2 * noise()],
    ['stuck', 60, () => 21.234567],
    ['range', 40, (value, since) => value + since],
  ])('%s is found and named', (fault, within, change) => {
    const judged = observe(changed(plain, from, change));
    expect(onsets(judged)[0]).toBeGreaterThanOrEqual(from);
    const during = judged.slice(from, from + within);
    expect(onsets(during)).not.toEqual([]);
    expect(faults(during)).toContain(fault);
  });

  it('a fault that comes back is told again', () => {
    const again = changed(plain, from, (value, since) => (since % 50 === 0 ? value + 8 : value));
    expect(onsets(observe(again)).length).toBe(Math.ceil((SIX_DAYS - from) / 50));
  });

  it('says for how long it was stuck', () => {
    const [held = 0] = plain[from] ?? [];
    const judged = observe(changed(plain, from, () => held));
    const [first = 0] = onsets(judged);
    expect(judged[first]?.fault).toBe('stuck');
    expect(judged[first]?.lastedS).toBeCloseTo((first - from) * MINUTES_5, 3);
  });

  it.each([1, 2, 5, 9])('raises nothing after a gap of %d h, whenever it comes', (hours) => {
    for (let at = 900; at < 1_600; at += 25) {
      const gap = plain.filter((_, i) => i < at || i >= at + hours * 12);
      expect(onsets(observe(gap))).toEqual([]);
    }
  });

  it('raises nothing of readings out of order', () => {
    const mixed = plain.map((_, i) => plain[i % 50 === 7 ? i - 5 : i] as Reading);
    expect(onsets(observe(mixed))).toEqual([]);
  });

  it('the band is that of the hour', () => {
    const judged = observe(plain).slice(4 * 288);
    const inside = plain
      .slice(4 * 288)
      .filter(([value], i) => value >= (judged[i]?.low ?? 0) && value <= (judged[i]?.high ?? 0));
    expect(inside.length).toBeGreaterThan(0.99 * judged.length);
    const widths = judged.map(({ low, high }) => high - low);
    expect(Math.max(...widths)).toBeLessThan(8);
    // By night and by day.
    const bands = [0.25, 0.75].map((day) => judged[day * 288]);
    expect(bands[0]?.low).toBeGreaterThan(bands[1]?.high ?? 0);
  });
});
