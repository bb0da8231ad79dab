import { describe, expect, test } from 'vitest';
import { isClean, Ledger, payloadOf } from '../../vm/ledger.ts';
import { numbersOf, runsOf } from '../../vm/number-runs.ts';

/** Three readings of one device: two acknowledged, at 10 and 20. */
function ledger(): Ledger {
  const all = new Ledger();
  for (let i = 0; i < 3; i++) all.send('a');
  all.acknowledge('a', 1, 10);
  all.acknowledge('a', 2, 20);
  return all;
}

const found = (...sequences: number[]) => new Map([['a', sequences]]);
const NONE = { missing: [], twice: [], unknown: [], disordered: [] };

describe('what a disk owes', () => {
  test('what was acknowledged at the cut or before it', () => {
    expect(ledger().owedAt(9).get('a')).toBeUndefined();
    expect(ledger().owedAt(10).get('a')).toEqual(new Set([1]));
    expect(ledger().owedAt(20).get('a')).toEqual(new Set([1, 2]));
  });

  test('more than that may be there', () => {
    expect(ledger().breachesAt(10, found(1, 2, 3))).toEqual(NONE);
    expect(ledger().breachesAt(0, new Map())).toEqual(NONE);
  });

  test.each([
    ['missing', found(1), ['a-2']],
    ['missing', new Map<string, number[]>(), ['a-1', 'a-2']],
    ['twice', found(1, 2, 2), ['a-2']],
    ['unknown', found(1, 2, 4), ['a-4']],
    ['unknown', found(1, 2, Number.NaN), ['a-NaN']],
    ['disordered', found(2, 1), ['a-1']],
  ])('%s', (what, there, ids) => {
    const breaches = ledger().breachesAt(20, there);
    expect(breaches).toEqual({ ...NONE, [what]: ids });
    expect(isClean(breaches)).toBe(false);
  });

  test('what was sent since counts too', () => {
    const since = found(3);
    expect(ledger().breachesAt(20, found(1, 2), since).missing).toEqual(['a-3']);
    expect(isClean(ledger().breachesAt(20, found(1, 2, 3), since))).toBe(true);
  });
});

test('a gateway that goes on from a cut owes what that disk owed, and counts anew', () => {
  const next = ledger().goOnFrom(15);
  expect(next.owedAt(0).get('a')).toEqual(new Set([1]));
  expect(next.unacknowledgedAt(0, 'a')).toEqual([2, 3]);
  expect(next.send('a')).toBe(4);
  next.acknowledge('a', 2, 5);
  expect(next.owedAt(4).get('a')).toEqual(new Set([1]));
  expect(next.owedAt(5).get('a')).toEqual(new Set([1, 2]));
});

test('a payload is the same each time, and no two are', () => {
  const all = Array.from({ length: 500 }, (_, i) => payloadOf('a', i + 1));
  expect(new Set(all).size).toBe(500);
  expect(payloadOf('a', 7)).toBe(all[6]);
  for (const text of all) expect(() => JSON.parse(text)).not.toThrow();
});

test.each([[[]], [[7]], [[1, 2, 3]], [[1, 2, 2, 3, 9, 8]], [[5, 4, 6, 7]]])(
  'runs of %j are read back',
  (numbers: number[]) => {
    expect(numbersOf(runsOf(numbers))).toEqual(numbers);
  },
);

test('runs are short', () => {
  expect(runsOf([1, 2, 3, 3, 4, 9])).toBe('1-3 3-4 9');
});
