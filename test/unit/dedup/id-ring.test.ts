import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fingerprint } from '../../../src/dedup/fingerprint.ts';
import { IdCopies, IdRing } from '../../../src/dedup/id-ring.ts';

const print = (n: number) => Fingerprint.of(`id-${n}`, undefined);

/** Fingerprints whose entries crowd in one part of the table, beside and over each other. */
const crowded = Array.from({ length: 200_000 }, (_, n) => print(n)).filter(
  ({ a }) => a >>> 26 === 5 && (a & 63) >= 40,
);

test('agrees with a plain list, whatever is pushed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(400), { maxLength: 900 }),
      fc.integer({ min: 1, max: 300 }),
      fc.boolean(),
      (pushed, capacity, isCrowded) => {
        const at = (n: number) => (isCrowded ? (crowded[n] ?? print(n)) : print(n));
        const ring = new IdRing(capacity);
        for (const [i, n] of pushed.entries()) ring.push(at(n), { tick: i, ordinal: 2 * i }, 1);
        // The newest push of each, if it is among the last.
        const first = Math.max(0, pushed.length - capacity);
        const newest = new Map(pushed.map((n, i) => [n, i]));
        const kept = [...newest].filter(([, i]) => i >= first);
        expect([ring.size, ring.first, ring.pushed]).toEqual([kept.length, first, pushed.length]);
        for (let n = 0; n <= 400; n++) {
          const i = newest.get(n) ?? -1;
          const expected = i >= first ? { tick: i, ordinal: 2 * i } : undefined;
          expect(ring.find(at(n))).toEqual(expected);
        }
      },
    ),
  );
});

test('the crowded fingerprints are enough to crowd', () => {
  expect(crowded.length).toBeGreaterThan(401);
});

test('gives copies of what was pushed, over the ends of its parts', () => {
  const ring = new IdRing(10_000);
  const total = 25_000;
  for (let i = 0; i < total; i++) ring.push(print(i), { tick: i, ordinal: i + 1 }, i + 2);
  ring.push(print(20_000), { tick: total, ordinal: 7 }, 9);
  const copies = new IdCopies(ring.copy(ring.first, ring.pushed));
  expect(copies.count).toBe(10_000);
  for (let n = 0; n < copies.count - 1; n++) {
    const i = ring.first + n;
    const { a, b, c, d } = print(i);
    const lanes = ([0, 1, 2, 3] as const).map((lane) => copies.lane(n, lane));
    expect(lanes).toEqual([a, b, c, d]);
    expect([copies.tick(n), copies.ordinal(n)]).toEqual([i, i + 1]);
    // One that became durable once more is no more where it was.
    expect(copies.device(n)).toBe(i === 20_000 ? 0 : i + 2);
  }
  expect(copies.tick(copies.count - 1)).toBe(total);
});
