import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BitSlab, WINDOW_BITS } from '../../../src/dedup/bit-slab.ts';
import { BootWindow } from '../../../src/dedup/boot-window.ts';
import { Claim } from '../../../src/dedup/claim.ts';
import { MAX_GAPS } from '../../../src/dedup/gap-list.ts';

class AnyClaim extends Claim {
  protected override ended(): void {}
}

const claim = new AnyClaim();
const opened = (first: number) => new BootWindow('b', first, new BitSlab());
const seen = (window: BootWindow, ...numbers: number[]) => {
  for (const number of numbers) window.mark(number);
  return window;
};
const ranges = (some: Iterable<{ from: number; to: number }>) =>
  [...some].map(({ from, to }) => [from, to]);

describe('the numbers of a boot', () => {
  it('knows what is missing, within the window and before it', () => {
    const window = seen(opened(10), 10, 11, 14, 15, 20);
    expect(ranges(window.missing())).toEqual([
      [12, 13],
      [16, 19],
    ]);
    seen(window, 5_000);
    const before = 5_000 - WINDOW_BITS;
    expect(ranges(window.missing())).toEqual([
      [12, 13],
      [16, 19],
      [21, before],
      [before + 1, 4_999],
    ]);
    expect([11, 12, 20, 21, 4_999, 5_000, 9].map((n) => window.knows(n))).toEqual([
      'seen',
      'missing',
      'seen',
      'missing',
      'missing',
      'seen',
      'unknown',
    ]);
  });

  it('takes a batch of a week ago: what was missing is new, all else is a repeat', () => {
    const window = opened(0);
    const kept = (n: number) => n % 500 !== 0;
    for (let n = 0; n < 10_000; n++) if (kept(n)) window.mark(n);
    const wrong = Array.from({ length: 10_000 }, (_, n) => n).filter(
      (n) => window.knows(n) !== (kept(n) ? 'seen' : 'missing'),
    );
    expect(wrong).toEqual([]);
    for (let n = 0; n < 10_000; n++) window.mark(n);
    expect(ranges(window.missing())).toEqual([]);
  });

  it('goes below its first number, and knows what is between', () => {
    const window = seen(opened(5_000), 5_000, 2_000, 4_990);
    expect([2_000, 1_999, 2_001, 4_990, 4_989].map((n) => window.knows(n))).toEqual([
      'seen',
      'unknown',
      'missing',
      'seen',
      'missing',
    ]);
  });

  it('forgets the oldest of too many gaps, so that its numbers are unknown and not seen', () => {
    const window = opened(0);
    const last = 2 * (MAX_GAPS + 5) + WINDOW_BITS;
    for (let n = 0; n <= last; n += n < 2 * (MAX_GAPS + 5) ? 2 : 1) window.mark(n);
    const missing = ranges(window.missing());
    expect(missing).toHaveLength(MAX_GAPS);
    const first = missing[0]?.[0] ?? 0;
    expect(window.knows(first - 2)).toBe('unknown');
    expect(window.knows(first)).toBe('missing');
    expect(window.knows(first + 1)).toBe('seen');
  });

  it('one absurd number ahead costs nothing that comes after it', () => {
    const window = seen(opened(0), 0, 1, 2, Number.MAX_SAFE_INTEGER - 1);
    for (let n = 3; n < 5_000; n++) {
      expect(window.knows(n)).toBe('missing');
      window.mark(n);
      expect(window.knows(n)).toBe('seen');
    }
  });

  it('does not call missing what is on its way, but stores it as such', () => {
    const window = seen(opened(0), 0);
    for (const number of [1, 2, 4, 2_000]) window.add(number, claim);
    expect(ranges(window.missing())).toEqual([
      [3, 3],
      [5, 2_000 - WINDOW_BITS],
      [2_000 - WINDOW_BITS + 1, 1_999],
    ]);
    expect(ranges(window.unseen())).toEqual([
      [1, 2_000 - WINDOW_BITS],
      [2_000 - WINDOW_BITS + 1, 2_000],
    ]);
  });

  it('stored and read again it knows the same, and no bit is another’s', () => {
    const number = fc.oneof(fc.nat(200), fc.nat(6_000), fc.integer({ min: 3_000, max: 4_500 }));
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 200 }), (numbers) => {
        const slab = new BitSlab();
        const other = new BootWindow('other', 0, slab);
        const window = new BootWindow('b', numbers[0] ?? 0, slab);
        const durable = new Set<number>();
        for (const n of numbers) {
          window.mark(n);
          durable.add(n);
        }
        const { boot, low, high } = window;
        const again = BootWindow.restore({ boot, low, high, unseen: [...window.unseen()] }, slab);
        const all = Array.from({ length: 6_002 }, (_, n) => n);
        expect(all.filter((n) => again.knows(n) !== window.knows(n))).toEqual([]);
        // Nothing new is ever taken for a repeat, and in the window every repeat for one.
        const known = all.filter((n) => window.knows(n) === 'seen');
        expect(known.filter((n) => !durable.has(n))).toEqual([]);
        const inWindow = [...durable].filter((n) => n > high - WINDOW_BITS);
        expect(inWindow.filter((n) => window.knows(n) !== 'seen')).toEqual([]);
        expect(ranges(again.missing())).toEqual(ranges(window.missing()));
        expect(other.knows(1)).toBe('missing');
        window.end();
        expect(new BootWindow('new', 7, slab).knows(7)).toBe('missing');
      }),
    );
  });
});
