import { expect, it } from 'vitest';
import { LEFT, NAMES, sweep } from '../../support/crash-sweep.ts';

// The corners of what a power cut can leave; `npm run test:long` has all of them, with more seeds.
const CORNERS = [
  ['nothing', 'none'],
  ['everything', 'all'],
  ['every other sector', 'some'],
  ['some sectors', 'some'],
] as const;

it.each(CORNERS)(
  'a power cut at any change, %s unsynced and %s of the names left, loses and doubles nothing',
  async (left, names) => {
    const keepsOf = LEFT.find(([name]) => name === left)?.[1];
    const namesOf = NAMES.find(([name]) => name === names)?.[1];
    if (keepsOf === undefined || namesOf === undefined) throw new Error('no such corner');
    expect(await sweep(keepsOf, namesOf)).toBeGreaterThan(150);
  },
  60_000,
);
