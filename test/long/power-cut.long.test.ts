import { describe, expect, it } from 'vitest';
import { LEFT, NAMES, sweep } from '../support/crash-sweep.ts';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6));

describe.each(LEFT)(
  'a power cut at any change, %s of what was not synced is left',
  (_, keepsOf) => {
    it.each(NAMES)(
      `names: %s, seeds from ${SEED}: loses and doubles nothing`,
      async (_, namesOf) => {
        for (let seed = SEED; seed < SEED + 3; seed++) {
          expect(await sweep(keepsOf, namesOf, seed * 1_000)).toBeGreaterThan(150);
        }
      },
    );
  },
);
