import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Deadlines } from '../../../src/detect/deadlines.ts';

it('gives what is due, the first first, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), fc.array(fc.nat(60)), (times, moments) => {
      const deadlines = new Deadlines<number>();
      for (const at of times) deadlines.add(at, at);
      let left = [...times].sort((a, b) => a - b);
      for (const now of [...moments].sort((a, b) => a - b)) {
        const got: number[] = [];
        for (let one = deadlines.pop(now); one; one = deadlines.pop(now)) got.push(one.item);
        expect(got).toEqual(left.filter((at) => at <= now));
        left = left.filter((at) => at > now);
        expect(deadlines.size).toBe(left.length);
      }
    }),
  );
});
