import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fingerprint } from '../../../src/dedup/fingerprint.ts';
import { IdRing } from '../../../src/dedup/id-ring.ts';

const print = (n: number) => Fingerprint.of(`id-${n}`, undefined);

/** Fingerprints whose entries crowd in one part of the table, beside and over each other. */
const crowded = Array.from({ length: 200_000 }, (_, n) => print(n)).filter(
  ({ a }) => (a & 63) >= 56,
);

test('agrees with a plain list, whatever is pushed and dropped', () => {
  const step = fc.oneof(
    { arbitrary: fc.nat(400).map((n) => ({ push: n })), weight: 3 },
    { arbitrary: fc.nat(5).map((n) => ({ drop: n })), weight: 1 },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), fc.boolean(), (steps, isCrowded) => {
      const at = (n: number) => (isCrowded ? (crowded[n] ?? print(n)) : print(n));
      const ring = new IdRing();
      const list: number[] = [];
      let runMs = 0;
      for (const one of steps) {
        if ('push' in one) {
          if (list.includes(one.push)) continue;
          ring.push(at(one.push), runMs++);
          list.push(one.push);
        } else {
          for (let i = 0; i < one.drop; i++) ring.dropOldest();
          list.splice(0, one.drop);
        }
        expect(ring.size).toBe(list.length);
        expect(ring.newestRunMs).toBe(list.length === 0 ? undefined : runMs - 1);
      }
      for (let n = 0; n <= 400; n++) expect(ring.has(at(n)), String(n)).toBe(list.includes(n));
    }),
  );
});

test('half a million texts that differ little have fingerprints of their own', () => {
  const seen = new Set<string>();
  const topics = ['sensors/a/t', 'sensors/a/u'].map((topic) => Fingerprint.of(topic, undefined));
  for (let n = 0; n < 250_000; n++) {
    for (const topic of topics) {
      const { a, b, c, d } = Fingerprint.of(String(n), topic);
      // Two lanes at a time: each pair must do by itself.
      seen.add(`${a},${b}`);
      seen.add(`${c};${d}`);
    }
  }
  expect(seen.size).toBe(1_000_000);
});
