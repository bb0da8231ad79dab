import { expect, it } from 'vitest';
import { parseWhole } from '../../../src/base/whole-number.ts';

const MAX = Number.MAX_SAFE_INTEGER;

it.each([
  ['3', 3],
  ['9', 9],
  ['007', 7],
])('%j is one from 3 to 9', (text, value) => {
  expect(parseWhole(text, 3, 9)).toBe(value);
});

it.each(['2', '10', '', ' ', '4 ', '+4', '-4', '4.0', '4e0', '0x4', '٤', `${'0'.repeat(16)}4`])(
  '%j is none from 3 to 9',
  (text) => {
    expect(parseWhole(text, 3, 9)).toBeUndefined();
  },
);

it('none is rounded', () => {
  expect(parseWhole(String(MAX), 0, MAX)).toBe(MAX);
  for (const text of ['9007199254740992', '9007199254740993', '9'.repeat(400)]) {
    expect(parseWhole(text, 0, MAX)).toBeUndefined();
  }
});
