import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf } from '../../../src/audit/bucket.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, openTestJournal, readAll, reading } from '../../support/journals.ts';

const SEED = Number(process.env['SEED'] ?? 20261125);
const NOON = Date.UTC(2026, 4, 4, 12);
const CUT = { bucketMs: 60_000, mergedBeforeMs: 0 };
const DAY_MS = 86_400_000;

describe('the bucket of a record', () => {
  it.each([
    ['without a device time', undefined, NOON],
    ['with one', NOON - 61_000, NOON - 120_000],
    ['on the minute', NOON - 60_000, NOON - 60_000],
    ['30 days late', NOON - 30 * DAY_MS, NOON - 30 * DAY_MS],
    ['later than that', NOON - 30 * DAY_MS - 1, NOON],
    ['an hour ahead', NOON + 3_600_000, NOON + 3_600_000],
    ['further ahead', NOON + 3_600_001, NOON],
    ['from 1970', 0, NOON],
  ])('%s', (_, deviceTimeMs, expected) => {
    expect(bucketOf({ deviceTimeMs, receivedAtMs: NOON }, CUT)).toBe(expected);
  });

  it('is the merged one for what lies before its end, and only for that', () => {
    const cut = { bucketMs: 60_000, mergedBeforeMs: NOON };
    expect(bucketOf({ receivedAtMs: NOON - 1 }, cut)).toBe(0);
    expect(bucketOf({ receivedAtMs: NOON }, cut)).toBe(NOON);
  });

  it(`is the same at the commit and for every reader of the log, seed ${SEED}`, async () => {
    const time = fc.option(fc.integer({ min: -40 * DAY_MS, max: 2 * 3_600_000 }), {
      nil: undefined,
    });
    const check = async (offsets: ReadonlyArray<number | undefined>) => {
      const files = new FakeFiles();
      const journal = await openTestJournal(files);
      const visited: number[] = [];
      journal.onCommit((commit) =>
        commit.visit((_, { deviceTimeMs }, receivedAtMs) => {
          visited.push(bucketOf({ deviceTimeMs, receivedAtMs }, { ...CUT, bucketMs: 1 }));
        }),
      );
      const nowMs = systemClock.wallMs();
      await Promise.all(
        offsets.map((ms) => {
          const deviceTimeMs = ms === undefined ? undefined : nowMs + ms;
          return append(journal, 0, reading('d', '1', { deviceTimeMs }));
        }),
      );
      const read = (await readAll(files, journal)).map((r) => bucketOf(r, { ...CUT, bucketMs: 1 }));
      expect(visited).toEqual(read);
      expect(read).toHaveLength(offsets.length);
      await journal.close();
    };
    const times = fc.array(time, { minLength: 1, maxLength: 20 });
    await fc.assert(fc.asyncProperty(times, check), { seed: SEED, numRuns: 40 });
  });
});
