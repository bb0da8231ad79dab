import { expect, it } from 'vitest';
import { NO_GAPS, silentAfterMs, withGap } from '../../../src/detect/usual-gap.ts';

const RULES = { factor: 3, minMs: 300_000 };
const MIN = 60_000;

function after(gaps: readonly number[], silences: readonly number[] = []): number | undefined {
  const usual = gaps.reduce((sum, gap) => withGap(sum, gap, false), NO_GAPS);
  const all = silences.reduce((sum, gap) => withGap(sum, gap, true), usual);
  return silentAfterMs(all, RULES);
}

const times = (count: number, ...gaps: number[]) =>
  Array.from({ length: count }, () => gaps).flat();

it.each([
  ['nothing is said before sixteen gaps', times(15, MIN), undefined],
  ['a device that sends each second has five minutes', times(16, 1_000), 300_000],
  ['one that sends each ten minutes has half an hour', times(16, 10 * MIN), 30 * MIN],
  ['the longest gap counts', [...times(15, 10 * MIN), 12 * MIN], 36 * MIN],
  ['of the last 32', [20 * MIN, ...times(39, 10 * MIN)], 30 * MIN],
  ['who sends when it likes is not waited for', [...times(15, MIN), 60 * MIN], undefined],
  ['unless that is within the least in any case', [...times(15, 1_000), 50_000], 300_000],
])('%s', (_, gaps, expected) => {
  expect(after(gaps)).toBe(expected);
});

it('a silence is no usual gap, but two are a habit', () => {
  const usual = times(16, MIN);
  expect(after(usual, [480 * MIN])).toBe(300_000);
  expect(after(usual, [480 * MIN, 400 * MIN])).toBe(500 * MIN);
  expect(after(usual, [480 * MIN, 400 * MIN, 10 * MIN])).toBe(12.5 * MIN);
});
