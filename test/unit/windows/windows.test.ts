import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleTime } from '../../../src/windows/sample-time.ts';
import { WINDOWS } from '../../../src/windows/series-windows.ts';
import { Windows } from '../../../src/windows/windows.ts';
import { Records } from '../detect/records.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const T0 = 1_000 * HOUR_MS;

function at(runMs: number, arrivedRunMs = runMs) {
  return { runMs, arrivedRunMs, wallMs: Date.UTC(2026, 0, 1) + runMs };
}

function only(windows: Windows, nowRunMs: number, device = 'd', metric = 'm') {
  const [one] = windows.states(nowRunMs, device, metric);
  if (one === undefined) throw new Error('no such series');
  return one;
}

function counts(windows: Windows, nowRunMs: number) {
  const { windows: found } = only(windows, nowRunMs);
  return found === undefined ? [] : WINDOWS.map(({ name }) => found[name].count);
}

describe('a window', () => {
  it('slides by its buckets, though nothing comes', () => {
    const windows = new Windows({ maxSeries: 10 });
    windows.observe('d', 'm', 1, at(T0));
    windows.observe('d', 'm', 3, at(T0 + 59_999));
    expect(counts(windows, T0 + 59_999)).toEqual([2, 2, 2]);
    expect(counts(windows, T0 + 60_000)).toEqual([1, 2, 2]);
    expect(counts(windows, T0 + 110_000)).toEqual([0, 2, 2]);
    expect(counts(windows, T0 + 15 * MINUTE_MS)).toEqual([0, 0, 2]);
    expect(counts(windows, T0 + HOUR_MS - 1)).toEqual([0, 0, 2]);
    expect(counts(windows, T0 + HOUR_MS)).toEqual([0, 0, 0]);
    expect(only(windows, T0 + HOUR_MS).last.value).toBe(3);
  });

  it('has each record once, though detection reads it again', () => {
    const windows = new Windows({ maxSeries: 10 });
    const records = new Records();
    const [first, second] = [records.next('1', 'd'), records.next('2', 'd')];
    for (const record of [first, second, first, second, records.next('3', 'd')]) {
      windows.take(record, [{ metric: 'm', value: Number(Buffer.from(record.payload)) }]);
    }
    // Of another partition: an offset of its own.
    windows.take({ ...first, partition: 1 }, [{ metric: 'm', value: 4 }]);
    expect(counts(windows, 2_000)).toEqual([4, 4, 4]);
  });

  it('says what it reaches back', () => {
    const windows = new Windows({ maxSeries: 10 });
    windows.observe('d', 'm', 1, at(T0));
    const covered = WINDOWS.map(({ name }) => only(windows, T0 + 3_000).windows?.[name].coveredMs);
    expect(covered).toEqual([53_000, 14 * MINUTE_MS + 3_000, 55 * MINUTE_MS + 3_000]);
  });

  it('takes what comes late where it belongs, and counts what is too old', () => {
    const windows = new Windows({ maxSeries: 10 });
    windows.observe('d', 'm', 5, at(T0));
    windows.observe('d', 'm', 4, at(T0 - 2 * MINUTE_MS, T0));
    windows.observe('d', 'm', 3, at(T0 - HOUR_MS, T0));
    expect(counts(windows, T0)).toEqual([1, 2, 2]);
    const { last, late } = only(windows, T0);
    expect([last.value, late, windows.late]).toEqual([5, 1, 1]);
  });

  it('agrees with a model that keeps every value', () => {
    const step = fc.record({
      afterMs: fc.oneof(fc.constant(0), fc.nat(5_000), fc.nat(10 * MINUTE_MS)),
      ageMs: fc.oneof(fc.constant(0), fc.nat(2 * MINUTE_MS), fc.nat(2 * HOUR_MS)),
      value: fc.double({ min: -100, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 150, size: 'max' }),
        fc.nat(HOUR_MS),
        agrees,
      ),
      { numRuns: 300 },
    );
  });
});

interface Step {
  readonly afterMs: number;
  readonly ageMs: number;
  readonly value: number;
}

function agrees(steps: readonly Step[], quietMs: number): void {
  const windows = new Windows({ maxSeries: 1 });
  const kept: Array<{ runMs: number; value: number }> = [];
  let nowMs = T0;
  let late = 0;
  for (const { afterMs, ageMs, value } of steps) {
    nowMs += afterMs;
    const runMs = nowMs - ageMs;
    kept.push({ runMs, value });
    windows.observe('d', 'm', value, at(runMs, nowMs));
    if (Math.floor(runMs / 300_000) <= Math.floor(nowMs / 300_000) - 12) late += 1;
  }
  nowMs += quietMs;
  const state = only(windows, nowMs);
  expect(state.late).toBe(late);
  const newest = kept.reduce((a, b) => (b.runMs >= a.runMs ? b : a));
  expect(state.last.value).toBe(newest.value);
  for (const { name, bucketMs, buckets } of WINDOWS) {
    const found = state.windows?.[name];
    const least = Math.floor(nowMs / bucketMs) - buckets;
    const values = kept
      .filter(({ runMs }) => Math.floor(runMs / bucketMs) > least)
      .map(({ value }) => value)
      .sort((a, b) => a - b);
    expect(found?.count).toBe(values.length);
    if (found === undefined || !('min' in found)) continue;
    expect([found.min, found.max]).toEqual([(values[0] ?? 0) + 0, (values.at(-1) ?? 0) + 0]);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(found.mean).toBeCloseTo(mean, 9);
    for (const [share, quantile] of [[0.5, found.p50] as const, [0.99, found.p99] as const]) {
      const exact = values[Math.ceil(share * values.length) - 1] ?? 0;
      if (exact !== 0 && Math.abs(exact) < 1e-300) continue;
      expect(Math.abs(quantile - exact)).toBeLessThanOrEqual(found.relativeError * Math.abs(exact));
    }
  }
}

it('takes the log of before the start beside what comes in, in any order', () => {
  const windows = new Windows({ maxSeries: 10 });
  const record = { device: 'd', topic: 'sensors/d/m', payload: new Uint8Array(0), monoMs: 0 };
  const position = { stream: 'readings', partition: 0, offset: 0, boot: '00' };
  const times = { runMs: T0, receivedAtMs: Date.UTC(2026, 0, 1) };
  const recall = (...values: number[]) => {
    const samples = values.map((value) => ({ metric: 'm', value }));
    windows.recall({ ...record, ...position, ...times }, samples);
  };
  recall(1, 2);
  expect(only(windows, T0).last.value).toBe(2);
  windows.observe('d', 'm', 3, at(T0));
  recall(1, 2);
  expect(only(windows, T0).last.value).toBe(3);
  expect(counts(windows, T0)).toEqual([5, 5, 5]);
});

describe('many series', () => {
  it('are bounded, and a silent one gives its place up', () => {
    const windows = new Windows({ maxSeries: 2 });
    windows.observe('a', 'm', 1, at(T0));
    windows.observe('b', 'm', 2, at(T0 + MINUTE_MS));
    windows.observe('c', 'm', 3, at(T0 + MINUTE_MS));
    expect([windows.size, windows.unkept]).toEqual([2, 1]);
    const { idle, forgotten } = windows.sweep(T0 + HOUR_MS + 1);
    expect(idle.map(({ device, last }) => [device, last.value])).toEqual([['a', 1]]);
    expect(forgotten).toEqual([]);
    windows.observe('c', 'm', 3, at(T0 + HOUR_MS + 1));
    expect([windows.size, windows.idle]).toEqual([2, 1]);
    expect(only(windows, T0 + HOUR_MS + 1, 'a').windows).toBeUndefined();
    windows.observe('d', 'm', 4, at(T0 + HOUR_MS + 1));
    expect(windows.unkept).toBe(2);
  });

  it('take their last value up again, and forget the longest silent one', () => {
    const windows = new Windows({ maxSeries: 1 });
    windows.observe('a', 'm', 1, at(T0));
    windows.sweep(T0 + 2 * HOUR_MS);
    windows.observe('a', 'm', 9, at(T0 - MINUTE_MS, T0 + 2 * HOUR_MS));
    expect(only(windows, T0 + 2 * HOUR_MS, 'a').last.value).toBe(1);
    expect([windows.size, windows.idle, windows.late]).toEqual([1, 0, 1]);
    windows.sweep(T0 + 4 * HOUR_MS);
    windows.observe('b', 'm', 2, at(T0 + 4 * HOUR_MS));
    const { idle, forgotten } = windows.sweep(T0 + 6 * HOUR_MS);
    expect([idle, forgotten].map(([one]) => one?.device)).toEqual(['b', 'a']);
    expect([...windows.states(T0 + 6 * HOUR_MS)].map(({ device }) => device)).toEqual(['b']);
  });

  it('cannot be made many by one device, nor large by their names', () => {
    const windows = new Windows({ maxSeries: 1_000 });
    for (let i = 0; i < 300; i++) windows.observe('d', `m${i}`, 1, at(T0));
    windows.observe('e', 'x'.repeat(257), 1, at(T0));
    windows.observe('e', 'half \ud800', 1, at(T0));
    windows.observe('e', 'half \ud800', 2, at(T0));
    expect([windows.size, windows.unkept]).toEqual([257, 45]);
    expect(only(windows, T0, 'e', 'half \ufffd').windows?.['1m'].count).toBe(2);
  });

  it('are told once each after they have changed', () => {
    const windows = new Windows({ maxSeries: 10 });
    windows.observe('a', 'm', 1, at(T0));
    const changed = () => [...windows.changed(T0)].map(({ device }) => device);
    expect(changed()).toEqual(['a']);
    expect(changed()).toEqual([]);
    windows.observe('b', 'm', 1, at(T0));
    windows.observe('b', 'm', 2, at(T0));
    expect(changed()).toEqual(['b']);
  });
});

describe('the time of a sample', () => {
  const wallMs = Date.UTC(2026, 5, 1);
  const record = { runMs: 5_000, receivedAtMs: wallMs };
  const sample = { metric: 'm', value: 1 };
  const runMsOf = (more: object, its: object = {}) =>
    sampleTime({ ...record, ...more }, { ...sample, ...its }).runMs;

  it('is its own, else that of its message, else the arrival', () => {
    expect(runMsOf({})).toBe(5_000);
    expect(runMsOf({ deviceTimeMs: wallMs - 700 })).toBe(4_300);
    expect(runMsOf({ deviceTimeMs: wallMs - 700 }, { timeMs: wallMs - 50 })).toBe(4_950);
    expect(runMsOf({ deviceTimeMs: wallMs - 700 }, { fromArrivalMs: -20 })).toBe(4_980);
  });

  it('is the arrival where a clock stands in the future or was never set', () => {
    expect(runMsOf({ deviceTimeMs: wallMs + 60_000 })).toBe(5_000);
    expect(runMsOf({ deviceTimeMs: 1_000 })).toBe(5_000);
    expect(runMsOf({ receivedAtMs: 7_000, deviceTimeMs: wallMs })).toBe(5_000);
    expect(runMsOf({}, { fromArrivalMs: 50 })).toBe(5_000);
  });
});
