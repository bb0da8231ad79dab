import { describe, expect, it } from 'vitest';
import { bestTally, NAB_PROFILES, probationRows, tallyAt } from '../../../src/detect-score/nab.ts';
import type { RowWindow } from '../../../src/detect-score/scorer.ts';

// 20 rows, of which 3 are probation, and a window of rows 10 to 13.

const STANDARD = NAB_PROFILES['standard'] ?? { tp: 0, fn: 0, fp: 0 };
const LOW_FN = NAB_PROFILES['reward_low_FN_rate'] ?? { tp: 0, fn: 0, fp: 0 };

function scoredRows(
  rows: Readonly<Record<number, number>>,
  windows: RowWindow[] = [{ from: 10, to: 13 }],
  count = 20,
) {
  const scores = new Float64Array(count);
  for (const [row, score] of Object.entries(rows)) scores[Number(row)] = score;
  const column = new Float64Array(count);
  return { series: { name: 's', seconds: column, values: column, windows }, scores };
}

describe('what a detection is worth', () => {
  it('earns most at the first row of a window, and nearly nothing at its last', () => {
    // σ(y) = 2/(1+e^5y) - 1: σ(-1) = 0.986614, σ(-1/4) = 0.554600.
    expect(tallyAt([scoredRows({ 10: 0.9 })], STANDARD, 0.5).sum).toBeCloseTo(1, 12);
    expect(tallyAt([scoredRows({ 13: 0.9 })], STANDARD, 0.5).sum).toBeCloseTo(0.5546 / 0.986614, 6);
  });

  it('counts the best of a window once, and each elsewhere', () => {
    // Row 11 of the window: σ(-3/4) = 0.954045, over σ(-1). Before any window a row costs 0.11.
    // Row 16 is (16-13)/(13-10) = 1 behind it: 0.11·σ(1) = -0.108528.
    const rows = { 1: 0.9, 5: 0.9, 11: 0.6, 12: 0.9, 16: 0.9, 17: 0.4 };
    const tally = tallyAt([scoredRows(rows)], STANDARD, 0.5);
    const sum = 0.954045 / 0.986614 - 0.11 - 0.108528;
    expect(tally.sum).toBeCloseTo(sum, 5);
    expect(tally).toMatchObject({ windows: 1, found: 1, falsePositives: 2, threshold: 0.5 });
    // From -1, for nothing found, to 1: (0.748461 + 1) / 2.
    expect(tally.score).toBeCloseTo(100 * ((sum + 1) / 2), 3);
    expect(tally.score).toBeCloseTo(87.423, 2);
  });

  it('costs as much as can be, more than three widths behind a window', () => {
    const two = [
      { from: 20, to: 23 },
      { from: 60, to: 61 },
    ];
    const at = (row: number) => tallyAt([scoredRows({ [row]: 1 }, two, 100)], STANDARD, 0.5).sum;
    expect(at(33)).toBe(-2.11);
    // Just behind: σ(1/3) = -0.682262.
    expect(at(24) + 2).toBeCloseTo(0.11 * -0.682262, 6);
    // Of the last one that was passed.
    expect(at(62) + 2).toBeCloseTo(0.11 * -0.986614, 6);
  });

  it('costs as much as can be behind a window of a single row', () => {
    const one = [{ from: 10, to: 10 }];
    expect(tallyAt([scoredRows({ 11: 1 }, one)], STANDARD, 0.5).sum).toBe(-1.11);
  });
});

describe('the score of a corpus', () => {
  it('is 0 for nothing, in every profile, and 100 for all there is at once', () => {
    for (const costs of Object.values(NAB_PROFILES)) {
      expect(tallyAt([scoredRows({})], costs, 0.5).score).toBe(0);
      expect(tallyAt([scoredRows({ 10: 1 })], costs, 0.5).score).toBe(100);
    }
    // A window missed weighs twice: one of two found is -2 + 1 = -1 between -4 and 2.
    const half = [scoredRows({ 10: 1 }), scoredRows({})];
    expect(tallyAt(half, LOW_FN, 0.5)).toMatchObject({ score: 50, sum: -1, windows: 2, found: 1 });
  });

  it('takes series without a window in: what is found there costs', () => {
    const all = [scoredRows({ 10: 1 }), scoredRows({ 8: 1, 2: 1 }, [])];
    expect(tallyAt(all, STANDARD, 0.5)).toMatchObject({ sum: 0.89, falsePositives: 1 });
    expect(tallyAt([scoredRows({ 8: 1 }, [])], STANDARD, 0.5).score).toBeNaN();
  });

  it('begins to count behind the probation: 15 %, at most 750 rows', () => {
    expect([0, 6, 7, 20, 4_999, 5_000, 22_695].map(probationRows)).toEqual([
      ...[0, 0, 1, 3, 749, 750, 750],
    ]);
    expect(tallyAt([scoredRows({ 2: 1 })], STANDARD, 0.5).falsePositives).toBe(0);
    expect(tallyAt([scoredRows({ 3: 1 })], STANDARD, 0.5).falsePositives).toBe(1);
  });
});

describe('the best threshold', () => {
  it('is the one at which the sum is greatest, over all series together', () => {
    const first = scoredRows({ 5: 0.3, 11: 0.6, 16: 0.8 });
    const second = scoredRows({ 4: 0.5, 10: 0.4 });
    const best = bestTally([first, second], STANDARD);
    // 0.8 finds nothing, 0.6 the first window, 0.4 both for one row elsewhere more.
    expect(best).toMatchObject({ threshold: 0.4, found: 2, falsePositives: 2 });
    for (const threshold of [0.3, 0.4, 0.5, 0.6, 0.8, 1]) {
      const here = tallyAt([first, second], STANDARD, threshold);
      expect(here.sum).toBeLessThanOrEqual(best.sum + 1e-12);
      if (threshold === best.threshold) expect(here.sum).toBeCloseTo(best.sum, 12);
    }
  });

  it('lies above every score where nothing that is found is worth it', () => {
    const best = bestTally([scoredRows({ 5: 0.3, 6: 0.3 })], STANDARD);
    expect(best).toMatchObject({ score: 0, falsePositives: 0 });
    expect(best.threshold).toBeGreaterThan(1);
  });

  it('takes rows of the same score together', () => {
    // By itself the first row of the window would be worth it, but no threshold has it by itself.
    const rows = Object.fromEntries([...Array(16).keys()].map((row) => [row + 3, 0.5]));
    const early = scoredRows(rows, [{ from: 3, to: 6 }]);
    const best = bestTally([early], { tp: 1, fn: 1, fp: 1 });
    expect(best.score).toBe(0);
  });
});
