import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { Buckets, emptySummary } from '../../../src/windows/buckets.ts';
import { keyOf, relativeErrorAt, valueOfKey } from '../../../src/windows/value-key.ts';
import { windowStatistics } from '../../../src/windows/window-statistics.ts';

/** The statistics of values in one bucket, in the order given. */
function statisticsOf(...values: number[]) {
  const buckets = new Buckets();
  const [first = 0, ...others] = values;
  let bucket = buckets.create(first);
  for (const value of others) bucket = buckets.add(bucket, value);
  expect(buckets.used).toBe(1);
  const summary = emptySummary();
  buckets.addTo(summary, bucket);
  const found = windowStatistics(summary, 0);
  if (!('min' in found)) throw new Error('empty');
  return found;
}

function exact(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * values.length) - 1] ?? Number.NaN;
}

const NORMAL = 2.3e-308;
const anyValue = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .filter((value) => value === 0 || Math.abs(value) > NORMAL);
const nearValue = fc.double({ min: -50, max: 50, noNaN: true }).map((value) => value + 0.001);
const notch = fc.integer({ min: 180, max: 240 }).map((tenths) => tenths / 10);

describe('a bucket', () => {
  it('has each quantile within its stated error, whatever the values', () => {
    const lists = fc.oneof(
      fc.array(anyValue, { minLength: 1, maxLength: 200, size: 'max' }),
      fc.array(nearValue, { minLength: 1, maxLength: 400, size: 'max' }),
      fc.array(notch, { minLength: 1, maxLength: 400, size: 'max' }),
    );
    fc.assert(
      fc.property(lists, (values) => {
        const found = statisticsOf(...values);
        expect(found.count).toBe(values.length);
        expect(found.min).toBe(Math.min(...values) + 0);
        expect(found.max).toBe(Math.max(...values) + 0);
        for (const [share, quantile] of [
          [0.5, found.p50],
          [0.9, found.p90],
          [0.99, found.p99],
        ] as const) {
          const wanted = exact(values, share);
          // Halved: the difference of two large numbers may be none.
          const error = Math.abs(quantile / 2 - wanted / 2);
          expect(error).toBeLessThanOrEqual((found.relativeError * Math.abs(wanted)) / 2);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('does not depend on the order of its values', () => {
    const lists = fc.array(fc.oneof(anyValue, nearValue), {
      minLength: 1,
      maxLength: 100,
      size: 'max',
    });
    fc.assert(
      fc.property(lists, fc.integer(), (values, seed) => {
        const random = seededRandom(seed);
        const other = values
          .map((value) => ({ value, at: random() }))
          .sort((a, b) => a.at - b.at)
          .map(({ value }) => value);
        const { mean: _, ...one } = statisticsOf(...values);
        expect(statisticsOf(...other)).toMatchObject(one);
      }),
    );
  });

  it('keeps 32 different values to a millionth, and gives decimal notches as they are', () => {
    const tenths = Array.from({ length: 32 }, (_, i) => (205 + i) / 10);
    const found = statisticsOf(...tenths, ...tenths);
    expect(found.relativeError).toBe(2 ** -20);
    expect([found.p50, found.p90, found.p99]).toEqual([22, 23.3, 23.6]);
  });

  it('keeps a percent of sensor noise, and an outlier spoils nothing', () => {
    const random = seededRandom(5);
    const values = Array.from({ length: 300 }, () => 20 + 4 * random());
    const found = statisticsOf(1e9, ...values);
    expect(found.relativeError).toBeLessThanOrEqual(2 ** -6);
    expect(Math.abs(found.p50 - exact([1e9, ...values], 0.5))).toBeLessThan(0.2);
    expect(found.max).toBe(1e9);
  });

  it('has a finite mean of the largest numbers', () => {
    expect(statisticsOf(Number.MAX_VALUE, Number.MAX_VALUE).mean).toBe(Number.MAX_VALUE);
  });
});

it('sorts keys as numbers are, and names a number of the bin', () => {
  fc.assert(
    fc.property(anyValue, anyValue, fc.integer({ min: 0, max: 20 }), (a, b, shift) => {
      if (a < b) expect(keyOf(a)).toBeLessThanOrEqual(keyOf(b));
      const named = valueOfKey(keyOf(a) >> shift, shift);
      if (Number.isFinite(named)) {
        const most = relativeErrorAt(shift) * Math.abs(a);
        expect(Math.abs(named / 2 - a / 2)).toBeLessThanOrEqual(most / 2);
      }
    }),
    { numRuns: 1_000 },
  );
});

it('gives its memory back', () => {
  const buckets = new Buckets();
  const fill = () =>
    Array.from({ length: 1_000 }, (_, i) => {
      let bucket = buckets.create(i);
      for (let v = 0; v < i % 50; v++) bucket = buckets.add(bucket, v * 1.37);
      return bucket;
    });
  for (const bucket of fill()) buckets.free(bucket);
  const { bytes } = buckets;
  expect(buckets.used).toBe(0);
  for (const bucket of fill()) buckets.free(bucket);
  expect(buckets.bytes).toBe(bytes);
});
