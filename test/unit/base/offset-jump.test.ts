import { expect, test } from 'vitest';
import { isJump, JUMP, jumpTarget } from '../../../src/base/offset-jump.ts';

const AT = Date.UTC(2026, 10, 25);
const YEAR_MS = 31_557_600_000;

test('a partition of two million records a second stays behind every later restore', () => {
  for (const restoredMs of [AT, AT + YEAR_MS, AT + 20 * YEAR_MS]) {
    const begun = jumpTarget(1000, restoredMs);
    for (const livedMs of [1000, 60_000, YEAR_MS]) {
      const reached = begun + (livedMs / 1000) * 2_000_000;
      expect(jumpTarget(1000, restoredMs + livedMs)).toBeGreaterThan(reached);
    }
  }
});

test('it goes beyond what is there, whatever the clock says, and is told from damage', () => {
  for (const next of [0, 1, 5_000, JUMP - 1, JUMP, 3 * JUMP + 7, jumpTarget(0, AT)]) {
    for (const wallMs of [0, AT, AT + 1000]) {
      const target = jumpTarget(next, wallMs);
      expect(Number.isSafeInteger(target)).toBe(true);
      expect(target).toBeGreaterThan(next + JUMP);
      expect(isJump(next, target)).toBe(true);
    }
  }
  expect(isJump(0, JUMP - 1)).toBe(false);
  expect(isJump(5, JUMP)).toBe(false);
  expect(isJump(0, 2 * JUMP + 1)).toBe(false);
  expect(Number.isSafeInteger(jumpTarget(0, Date.UTC(2093, 0, 1)))).toBe(true);
});
