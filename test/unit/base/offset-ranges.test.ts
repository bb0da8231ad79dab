import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hasOffset,
  type OffsetRanges,
  parseRanges,
  rangesFrom,
  rangesWith,
} from '../../../src/base/offset-ranges.ts';

const offsets = fc.array(fc.nat(60), { maxLength: 40 });

function listed(ranges: OffsetRanges): number[] {
  return Array.from({ length: 70 }, (_, n) => n).filter((n) => hasOffset(ranges, n));
}

describe('ranges of offsets', () => {
  it('have what a set has, however it came together, in as few runs as there are', () => {
    fc.assert(
      fc.property(fc.array(offsets, { maxLength: 5 }), (steps) => {
        const ranges = steps.reduce<OffsetRanges>((all, some) => rangesWith(all, some), []);
        const expected = [...new Set(steps.flat())].sort((a, b) => a - b);
        expect(listed(ranges)).toEqual(expected);
        expect(ranges).toHaveLength(expected.filter((n) => !expected.includes(n - 1)).length);
      }),
    );
  });

  it('lose what is below an offset, and a run that it cuts its beginning', () => {
    const ranges = rangesWith([], [1, 2, 5, 6, 7, 9]);
    expect(ranges).toEqual([
      [1, 2],
      [5, 7],
      [9, 9],
    ]);
    expect(rangesFrom(ranges, 6)).toEqual([
      [6, 7],
      [9, 9],
    ]);
    expect(rangesFrom(ranges, 10)).toEqual([]);
  });

  it.each([undefined, '', 'x', '{}', '[1]', '[[1]]', '[["1",2]]', '[[1,2,3]]'])(
    'are none in a text that is not sound: %s',
    (text) => {
      expect(parseRanges(text)).toEqual([]);
    },
  );
});
