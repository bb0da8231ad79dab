import { describe, expect, it } from 'vitest';
import { CorrectedTimes, placeBoots } from '../../../src/log/corrected-time.ts';

// Minutes of one boot, hours of another: what readers make of a clock that nobody may have set.

const MAY = Date.UTC(2026, 4, 4, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Notes moments as the log has them, and gives the corrected time of each. */
function timesOf(...moments: ReadonlyArray<readonly [boot: string, monoMs: number, wall: number]>) {
  const times = new CorrectedTimes();
  const readings = moments.map(([boot, monoMs, wallMs]) => ({ boot, monoMs, wallMs }));
  for (const reading of readings) times.note(reading);
  return readings.map((reading) => times.timeOf(reading));
}

describe('within a boot', () => {
  it('a boot in 1970 fits what comes after the clock was set', () => {
    const times = timesOf(
      ['a', 5_000, 5_000],
      ['a', 65_000, 65_000],
      ['a', 125_000, MAY],
      ['a', 185_000, MAY + MINUTE],
    );
    expect(times).toEqual([MAY - 2 * MINUTE, MAY - MINUTE, MAY, MAY + MINUTE]);
  });

  it('a step back by a day takes what came before along', () => {
    const times = timesOf(
      ['a', HOUR, MAY + DAY],
      ['a', 2 * HOUR, MAY + DAY + HOUR],
      ['a', 3 * HOUR, MAY + 2 * HOUR],
    );
    expect(times).toEqual([MAY, MAY + HOUR, MAY + 2 * HOUR]);
  });

  it('the last of several steps counts', () => {
    const times = timesOf(['a', 0, 0], ['a', 1_000, MAY - DAY], ['a', 2_000, MAY]);
    expect(times).toEqual([MAY - 2_000, MAY - 1_000, MAY]);
  });

  it('less than a second is no step: the wall clock stands', () => {
    expect(timesOf(['a', 1_000, MAY], ['a', 2_000, MAY + 1_999])).toEqual([MAY, MAY + 1_999]);
    expect(timesOf(['a', 1_000, MAY], ['a', 2_000, MAY + 2_000])).toEqual([
      MAY + 1_000,
      MAY + 2_000,
    ]);
  });

  it('what counts is the last moment, whichever others were looked at', () => {
    const moments = [0, 300, 600, 900].map((drift, hour): [string, number, number] => {
      return ['a', hour * HOUR, MAY + hour * HOUR + drift];
    });
    const unset = ['a', 0, 0] as const;
    const [all] = timesOf(unset, ...moments);
    const [few] = timesOf(unset, ...moments.slice(-1));
    expect(all).toBe(MAY + 900);
    expect(few).toBe(all);
  });

  it('a moment from before what is known changes nothing', () => {
    const times = new CorrectedTimes();
    times.note({ boot: 'a', monoMs: 10_000, wallMs: MAY });
    times.note({ boot: 'a', monoMs: 1_000, wallMs: 1_000 });
    expect(times.timeOf({ boot: 'a', monoMs: 1_000, wallMs: 1_000 })).toBe(MAY - 9_000);
  });
});

describe('boot after boot', () => {
  it('two that were set stand as they are', () => {
    const times = timesOf(
      ['a', 5_000, 5_000],
      ['a', 60_000, MAY],
      ['b', 5_000, 5_000],
      ['b', 60_000, MAY + DAY],
    );
    expect(times).toEqual([MAY - 55_000, MAY, MAY + DAY - 55_000, MAY + DAY]);
  });

  it('one that was never set begins where the one before it ended', () => {
    const times = timesOf(
      ['a', 1_000, MAY],
      ['a', HOUR, MAY + HOUR - 1_000],
      ['b', 9_000, 9_000],
      ['b', 69_000, 69_000],
      ['c', 3_000, MAY + DAY],
    );
    const end = MAY + HOUR - 1_000;
    expect(times.slice(2)).toEqual([end, end + MINUTE, MAY + DAY]);
  });

  it('a clock that went on from before the end of the last boot was not set', () => {
    const times = timesOf(
      ['a', 1_000, MAY],
      ['a', HOUR, MAY + HOUR],
      ['b', 9_000, MAY + MINUTE],
      ['b', 19_000, MAY + MINUTE + 10_000],
    );
    expect(times.slice(2)).toEqual([MAY + HOUR, MAY + HOUR + 10_000]);
  });

  it('boots at the beginning that were never set end where the first set one begins', () => {
    const times = timesOf(
      ['a', 2_000, 2_000],
      ['a', 62_000, 62_000],
      ['b', 2_000, 2_000],
      ['b', 32_000, 32_000],
      ['c', 7_000, MAY],
    );
    expect(times).toEqual([MAY - 90_000, MAY - 30_000, MAY - 30_000, MAY, MAY]);
  });

  it('a log whose clock was never set has times in order, from 1970 on', () => {
    const times = timesOf(
      ['a', 2_000, 2_000],
      ['a', 62_000, 62_000],
      ['b', 4_000, 4_000],
      ['b', 5_000, 5_000],
      ['c', 4_000, 4_000],
    );
    expect(times).toEqual([2_000, 62_000, 62_000, 63_000, 63_000]);
  });

  it('whatever the clocks did, no boot begins before the one before it ended', () => {
    const clocks = [0, MAY, MAY - DAY, MAY + 9 * DAY, 50_000, MAY + 10 * DAY];
    for (const a of clocks) {
      for (const b of clocks) {
        for (const c of clocks) {
          const spans = [a, b, c].map((leadMs, i) => ({
            boot: String(i),
            firstMonoMs: 1_000 * i,
            lastMonoMs: 1_000 * i + HOUR,
            leadMs,
          }));
          const leads = placeBoots(spans);
          for (const [i, { firstMonoMs }] of spans.entries()) {
            if (i === 0) continue;
            const before = (spans[i - 1]?.lastMonoMs ?? 0) + (leads[i - 1] ?? 0);
            expect(firstMonoMs + (leads[i] ?? 0), `${[a, b, c]}`).toBeGreaterThanOrEqual(before);
          }
        }
      }
    }
  });
});

describe('two logs of one gateway', () => {
  /** A log with the first and the last moment of some boots: name, begin and end, lead. */
  function logOf(...boots: ReadonlyArray<readonly [string, number, number, number]>) {
    const times = new CorrectedTimes();
    for (const [boot, firstMs, lastMs, leadMs] of boots) {
      for (const monoMs of [firstMs, lastMs]) times.note({ boot, monoMs, wallMs: monoMs + leadMs });
    }
    return times;
  }

  it('a step that only one of them saw counts in both', () => {
    const telemetry = logOf(['a', 0, 1_000, 0], ['b', 0, 1_000, 0], ['b', 2_000, 9_000, MAY]);
    const events = logOf(['b', 500, 1_000, 0]);
    const times = CorrectedTimes.merged([telemetry, events]);
    expect(times.timeOf({ boot: 'b', monoMs: 500, wallMs: 500 })).toBe(MAY + 500);
    expect(times.timeOf({ boot: 'a', monoMs: 0, wallMs: 0 })).toBe(MAY - 1_000);
    expect(times).toEqual(CorrectedTimes.merged([events, telemetry]));
  });

  it('a boot that was never set has one place, whichever log it is looked at in', () => {
    const telemetry = logOf(['a', 0, HOUR, MAY], ['b', 0, 2 * HOUR, 0], ['c', 0, HOUR, MAY + DAY]);
    const events = logOf(['a', 0, MINUTE, MAY], ['b', HOUR, 3 * HOUR, 0]);
    const times = CorrectedTimes.merged([telemetry, events]);
    expect(times.timeOf({ boot: 'b', monoMs: 0, wallMs: 0 })).toBe(MAY + HOUR);
    expect(times.timeOf({ boot: 'b', monoMs: 3 * HOUR, wallMs: 3 * HOUR })).toBe(MAY + 4 * HOUR);
  });

  it('boots that only one of them has stand where their clocks say, if they were set', () => {
    const telemetry = logOf(
      ['a', 0, 1, MAY],
      ['c', 0, 1, MAY + 2 * DAY],
      ['e', 0, 1, MAY + 9 * DAY],
    );
    const events = logOf(
      ['o', 0, 1, MAY - DAY],
      ['a', 0, 1, MAY],
      ['b', 0, 1, MAY + DAY],
      ['d', 0, 1, 0],
      ['e', 0, 1, MAY + 9 * DAY],
      ['f', 0, 1, 0],
    );
    const names = (...logs: CorrectedTimes[]) =>
      CorrectedTimes.merged(logs)
        .boots.map(({ boot }) => boot)
        .join('');
    expect(names(telemetry, events)).toBe('oabcdef');
    expect(names(telemetry)).toBe('ace');
    expect(names(events, telemetry)).toBe('oabdcef');
  });
});

it('a clock that was set a moment ago is believed before a block says so', () => {
  const times = new CorrectedTimes();
  times.note({ boot: 'a', monoMs: 1_000, wallMs: 1_000 });
  expect(times.nowMs({ boot: 'a', monoMs: 3_000, wallMs: MAY })).toBe(MAY);
  expect(times.timeOf({ boot: 'a', monoMs: 1_000, wallMs: 1_000 })).toBe(MAY - 2_000);
  expect(times.nowMs({ boot: 'other', monoMs: 3_000, wallMs: 7 })).toBe(7);
});
