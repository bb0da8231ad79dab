import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BASELINE_VALUES, RollingBaseline } from '../../../src/detect/rolling-baseline.ts';

function take(baseline: RollingBaseline, values: readonly number[]): void {
  for (const value of values) baseline.add(value, baseline.compare(value).scale);
}

function baselineOf(values: readonly number[]): RollingBaseline {
  const baseline = new RollingBaseline();
  take(baseline, values);
  return baseline;
}

function stored(baseline: RollingBaseline): unknown {
  return JSON.parse(JSON.stringify(baseline.save()));
}

/** The plain way: sort everything. The spread is the lower median of the distances. */
function plain(values: readonly number[]): { median: number; deviation: number } {
  const last = values.slice(-BASELINE_VALUES).sort((a, b) => a - b);
  const at = (row: readonly number[], index: number) => row[index] ?? Number.NaN;
  const median = at(last, (last.length - 1) >>> 1) / 2 + at(last, last.length >>> 1) / 2;
  const distances = last.map((value) => Math.abs(value - median)).sort((a, b) => a - b);
  return { median, deviation: at(distances, (last.length - 1) >>> 1) };
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const wild = fc.oneof(
  finite,
  fc.constantFrom(0, -0, 5e-324, -5e-324, 1e-300, Number.MAX_VALUE, -Number.MAX_VALUE, 1, -1),
  fc.integer({ min: -3, max: 3 }),
);
const rows = fc.oneof(
  fc.array(wild, { minLength: 1, maxLength: 300 }),
  fc
    .tuple(wild, wild, fc.nat(300))
    .map(([a, b, n]) => Array.from({ length: n }, (_, i) => (i % 2 ? a : b))),
);

describe('a rolling baseline', () => {
  it('knows the median and the spread of the last 128 values, as sorting them all would', () => {
    const usual = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
      minLength: 1,
      maxLength: 300,
    });
    fc.assert(
      fc.property(usual, (values) => {
        const { median, deviation } = plain(values);
        const seen = baselineOf(values).compare(0);
        expect(seen.median + 0).toBe(median + 0);
        expect(seen.scale).toBeGreaterThanOrEqual(1.4826 * deviation);
        expect(seen.scale).toBeGreaterThanOrEqual(0.001 * Math.abs(median));
      }),
      { numRuns: 200 },
    );
  });

  it('takes its scale from the spread where steps are small', () => {
    const wave = Array.from({ length: 500 }, (_, i) => Math.abs((i % 200) - 100) / 10);
    expect(baselineOf(wave).compare(0).scale).toBe(1.4826 * plain(wave).deviation);
  });

  it('takes its scale from the usual step where a coarse sensor hides the spread', () => {
    // Mostly 20, now and then the next notch: more than half of all values lie on the median.
    const notches = Array.from({ length: 400 }, (_, i) => (i % 5 === 0 ? 20.5 : 20));
    const seen = baselineOf(notches).compare(20.5);
    expect(plain(notches).deviation).toBe(0);
    expect(seen.score).toBeLessThan(4);
  });

  it('gives finite numbers, whatever finite values it takes', () => {
    fc.assert(
      fc.property(rows, wild, (values, probe) => {
        const baseline = new RollingBaseline();
        for (const value of [...values, probe]) {
          const seen = baseline.compare(value);
          for (const number of Object.values(seen)) expect(number).toSatisfy(Number.isFinite);
          expect(seen.score).toBeGreaterThanOrEqual(0);
          expect(seen.scale).toBeGreaterThanOrEqual(1e-9);
          baseline.add(value, seen.scale);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is the same after it was saved and restored, at any point', () => {
    fc.assert(
      fc.property(rows, fc.array(wild, { maxLength: 200 }), (before, after) => {
        const kept = baselineOf(before);
        const restored = RollingBaseline.restore(stored(kept));
        if (restored === undefined) throw new Error('not restored');
        for (const value of after) {
          const seen = kept.compare(value);
          expect(restored.compare(value)).toEqual(seen);
          kept.add(value, seen.scale);
          restored.add(value, seen.scale);
        }
        expect(restored.save()).toEqual(kept.save());
      }),
      { numRuns: 200 },
    );
  });

  it('takes up what was stored before there was a grid', () => {
    const values = Array.from({ length: 40 }, (_, i) => 20 + (i % 3) / 2);
    const kept = baselineOf(values);
    const { grid, ...old } = kept.save();
    expect(grid).toBe(0.5);
    expect(RollingBaseline.restore(old)?.compare(21.5)).toEqual(kept.compare(21.5));
  });

  it('is at most 4 KiB when it is stored', () => {
    const long = Array.from({ length: 300 }, (_, i) => -1e-300 / (i + 3));
    expect(JSON.stringify(baselineOf(long).save()).length).toBeLessThanOrEqual(4096);
    expect(baselineOf(long).save().values).toHaveLength(BASELINE_VALUES);
  });

  it('is not moved by a few wild values', () => {
    const calm = Array.from({ length: 128 }, (_, i) => 20 + (i % 10) / 10);
    const baseline = baselineOf(calm);
    const before = baseline.compare(25);
    take(baseline, [1e6, -1e6, 1e6, 1e6]);
    const after = baseline.compare(25);
    expect(Math.abs(after.median - before.median)).toBeLessThan(0.2);
    expect(after.score).toBeGreaterThan(before.score / 2);
  });

  it('forgets what lies further back than its window', () => {
    const baseline = baselineOf(Array.from({ length: 200 }, () => 500));
    take(
      baseline,
      Array.from({ length: BASELINE_VALUES }, () => 3),
    );
    expect(baseline.save().values.every((value) => value === 3)).toBe(true);
    expect(baseline.compare(3)).toMatchObject({ median: 3, score: 0 });
  });

  it.each([
    ['nothing', undefined],
    ['text', 'x'],
    ['another shape', { version: 2, mean: 3 }],
    ['a value that is no number', { values: [1, null], next: 0, seen: 2, step: 0 }],
    ['too many values', { values: Array(129).fill(1), next: 0, seen: 129, step: 0 }],
    ['a place outside the ring', { values: Array(128).fill(1), next: 128, seen: 200, step: 0 }],
    ['a place in a ring that is not full', { values: [1, 2], next: 1, seen: 2, step: 0 }],
    ['fewer seen than kept', { values: [1, 2], next: 0, seen: 1, step: 0 }],
    ['a step below 0', { values: [1], next: 0, seen: 1, step: -1 }],
    ['a grid below 0', { values: [1], next: 0, seen: 1, step: 0, grid: -1 }],
  ])('does not restore %s', (_, state) => {
    expect(RollingBaseline.restore(state)).toBeUndefined();
  });
});
