import { expect, test } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import { OfflineBound } from '../../../src/ingest/offline-bound.ts';

const LIMITS = { maxMessages: 10, maxBytes: 1_000, maxTotalBytes: 1_000 };

test('what is delivered makes room for other sessions', () => {
  const bound = new OfflineBound(LIMITS, silentLogger);
  expect([bound.take('a', 400), bound.take('a', 400)]).toEqual([true, true]);
  expect(bound.take('b', 400)).toBe(false);
  bound.release('a');
  expect(bound.take('b', 400)).toBe(true);
});

test('a session that ends gives back all its room', () => {
  const bound = new OfflineBound(LIMITS, silentLogger);
  for (let i = 0; i < 2; i++) {
    expect([bound.take('a', 400), bound.take('a', 500)]).toEqual([true, true]);
    bound.forget('a');
    expect([bound.take('b', 400), bound.take('b', 600)]).toEqual([true, true]);
    for (let left = 2; left > 0; left--) bound.release('b');
  }
});

test('each session has so many messages and bytes, but one may be of any size', () => {
  const bound = new OfflineBound(
    { maxMessages: 3, maxBytes: 100, maxTotalBytes: 1e6 },
    silentLogger,
  );
  expect([1, 2, 3, 4].map(() => bound.take('a', 1))).toEqual([true, true, true, false]);
  expect(bound.take('b', 500)).toBe(true);
  expect(bound.take('b', 1)).toBe(false);
  expect([bound.take('c', 60), bound.take('c', 41), bound.take('c', 40)]).toEqual([
    true,
    false,
    true,
  ]);
});
