import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { labelWindows } from '../../../src/detect-score/label-windows.ts';
import { PERTURBATIONS } from '../../../src/detect-score/perturbed.ts';

const SEED = 4711;

describe('windows of labels', () => {
  const labels = (count: number, ...faulty: number[]) =>
    Float64Array.from({ length: count }, (_, i) => (faulty.includes(i) ? 4 : 0));

  it('are widened around their centre to a tenth of the rows', () => {
    expect(labelWindows(labels(100, 50))).toEqual([{ from: 45, to: 54 }]);
    expect(labelWindows(labels(100, 50, 51))).toEqual([{ from: 46, to: 55 }]);
  });

  it('share the tenth, and stay inside of the series', () => {
    expect(labelWindows(labels(100, 0, 99))).toEqual([
      { from: 0, to: 2 },
      { from: 97, to: 99 },
    ]);
  });

  it('are one where they overlap, and two where they only touch', () => {
    expect(labelWindows(labels(100, 50, 54))).toEqual([{ from: 48, to: 56 }]);
    expect(labelWindows(labels(100, 50, 55))).toEqual([
      { from: 48, to: 52 },
      { from: 53, to: 57 },
    ]);
  });

  it('are what they are where they are wider', () => {
    const faulty = [...Array(30).keys()].map((i) => i + 20);
    expect(labelWindows(labels(100, ...faulty))).toEqual([{ from: 20, to: 49 }]);
    expect(labelWindows(labels(100))).toEqual([]);
    expect(labelWindows(labels(10, 9))).toEqual([{ from: 9, to: 9 }]);
  });
});

describe(`perturbations (seed ${SEED})`, () => {
  const values = Float64Array.from({ length: 2_000 }, (_, i) => 10 + 2 * Math.sin(i / 7));
  const seconds = values.map((_, i) => 300 * i);
  const series = { name: 's', seconds, values, windows: [{ from: 500, to: 699 }] };
  const deviation = Math.SQRT2;
  const perturbed = (name: string, seed = SEED) => {
    const perturb = PERTURBATIONS[name];
    if (perturb === undefined) throw new Error(name);
    return perturb(series, seededRandom(seed));
  };
  const difference = (name: string) =>
    perturbed(name).values.map((value, i) => value - (values[i] ?? 0));

  it('there are seven, and none changes what it is given', () => {
    const names = ['mirrored', 'clock', 'lost', 'noise', 'offset', 'scale', 'quantised'];
    expect(Object.keys(PERTURBATIONS)).toEqual(names);
    const before = [...values];
    for (const name of names) expect(perturbed(name).name).toBe('s');
    expect([...values]).toEqual(before);
  });

  it('mirror, scale, shift and move', () => {
    expect(perturbed('mirrored').values[3]).toBe(-(values[3] ?? 0));
    expect(perturbed('scale').values[3]).toBe(1_000 * (values[3] ?? 0));
    for (const moved of difference('offset')) expect(moved / deviation).toBeCloseTo(100, 0);
    const { seconds: shifted, values: same } = perturbed('clock');
    expect([shifted[0], shifted[9]]).toEqual([7.3 * 3_600, 7.3 * 3_600 + 2_700]);
    expect(same).toEqual(values);
  });

  it('add noise of a twentieth of the deviation, and round to a twentieth', () => {
    const noise = difference('noise');
    const size = Math.sqrt(noise.reduce((sum, one) => sum + one * one, 0) / noise.length);
    expect(size / deviation).toBeGreaterThan(0.045);
    expect(size / deviation).toBeLessThan(0.055);
    const rounding = Math.max(...difference('quantised').map(Math.abs));
    expect(rounding / deviation).toBeGreaterThan(0.02);
    expect(rounding / deviation).toBeLessThan(0.026);
    expect(new Set(perturbed('quantised').values).size).toBeLessThan(60);
  });

  it('lose a tenth of the rows, and windows keep to theirs', () => {
    const { values: left, seconds: times, windows } = perturbed('lost');
    expect(left.length).toBeGreaterThan(1_740);
    expect(left.length).toBeLessThan(1_860);
    expect(times.length).toBe(left.length);
    const [window] = windows;
    if (window === undefined) throw new Error('no window');
    const inside = seconds.filter((one) => times.includes(one) && one >= 150_000 && one <= 209_700);
    expect(times[window.from]).toBe(inside[0]);
    expect(times[window.to]).toBe(inside.at(-1));
    for (const [row, time] of times.entries()) expect(left[row]).toBe(values[time / 300]);
  });

  it('are the same with the same seed, and not with another', () => {
    expect(perturbed('noise').values).toEqual(perturbed('noise').values);
    expect(perturbed('noise', SEED + 1).values).not.toEqual(perturbed('noise').values);
  });

  it('leave a series of one value with numbers', () => {
    const flat = { ...series, values: values.map(() => 5) };
    for (const [name, perturb] of Object.entries(PERTURBATIONS)) {
      const { values: changed } = perturb(flat, seededRandom(SEED));
      expect([...changed].every(Number.isFinite), name).toBe(true);
    }
  });
});
