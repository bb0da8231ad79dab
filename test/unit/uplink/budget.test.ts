import { describe, expect, it, test } from 'vitest';
import {
  ALERT_LANE,
  BACKLOG_LANE,
  Budget,
  type BudgetOptions,
  FRESH_LANE,
  type LanePriority,
} from '../../../src/uplink/budget.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const LANES = [ALERT_LANE, FRESH_LANE, BACKLOG_LANE] as const;
/** TCP, IP and TLS around each publish. */
const AROUND = 120;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function budgetOf(more: Partial<BudgetOptions> = {}) {
  const clock = new FakeClock();
  const unlimited = { bytesPerSecond: 0, bytesPerDay: 0, publishesPerSecond: 0 };
  const budget = new Budget({
    ...{ clock, ...unlimited, meteredHours: [], meteredLanes: 'fresh' },
    ...more,
  });
  const waits = () => LANES.map((lane) => budget.waitMs(lane));
  /** Publishes of a size as soon as each may go, for so long; returns how many went. */
  const publishFor = (ms: number, bytes: number, lane: LanePriority = FRESH_LANE) => {
    const endMs = clock.monoMs() + ms;
    let count = 0;
    // Far more than any rate of these tests lets pass.
    while (count < 100_000) {
      const waitMs = budget.waitMs(lane);
      if (clock.monoMs() + waitMs > endMs) break;
      clock.advance(waitMs);
      if (waitMs > 0) continue;
      budget.spend(bytes - AROUND);
      count += 1;
    }
    clock.advance(endMs - clock.monoMs());
    return count;
  };
  return { budget, clock, waits, publishFor };
}

describe('bytes a second', () => {
  it('one publish may overdraw; the next waits for as long as that takes', () => {
    const { budget, clock, waits } = budgetOf({ bytesPerSecond: 1000 });
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(5000 - AROUND);
    // A second's bytes were there, and 4,000 are missing.
    expect(waits()).toEqual([0, 4001, 4001]);
    clock.advance(4000);
    expect(waits()).toEqual([0, 1, 1]);
    clock.advance(1);
    expect(waits()).toEqual([0, 0, 0]);
  });

  it('come to the rate in the long run, with what the network adds', () => {
    const { budget, publishFor } = budgetOf({ bytesPerSecond: 1000 });
    const count = publishFor(100_000, 500);
    // One second's bytes were saved, and the last may overdraw.
    expect(count).toBeGreaterThanOrEqual(200);
    expect(count).toBeLessThanOrEqual(203);
    expect(budget.sentBytes).toBe(count * 500);
  });

  it('an idle hour saves up one second of it', () => {
    const { budget, clock, waits } = budgetOf({ bytesPerSecond: 1000 });
    clock.advance(HOUR_MS);
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(999 - AROUND);
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(1001 - AROUND);
    expect(waits()).toEqual([0, 1001, 1001]);
  });

  it('bound a publish of the backlog, so that a fresh one passes within a second or so', () => {
    expect(budgetOf().budget.backlogBytes).toBe(Number.POSITIVE_INFINITY);
    expect(budgetOf({ bytesPerDay: 1000 }).budget.backlogBytes).toBe(Number.POSITIVE_INFINITY);
    expect(budgetOf({ bytesPerSecond: 30_000 }).budget.backlogBytes).toBe(30_000);
    expect(budgetOf({ bytesPerSecond: 100 }).budget.backlogBytes).toBe(2048);
  });
});

describe('bytes a day', () => {
  const RATE = { bytesPerDay: 24 * 60_000 };

  it('begin with ten minutes of it, and save up an hour', () => {
    const { budget, clock, waits } = budgetOf(RATE);
    // 60,000 an hour: 1,000 a minute.
    budget.spend(10_000 - AROUND - 1);
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(1 + 5000 - AROUND);
    expect(waits()[FRESH_LANE]).toBeGreaterThan(299_000 + AROUND);
    clock.advance(HOUR_MS * 10);
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(60_000 - AROUND - 1);
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(1001 - AROUND);
    expect(waits()[FRESH_LANE]).toBe(60_001);
  });

  it('are not exceeded in any day by more than what was saved and one publish', () => {
    const { budget, publishFor } = budgetOf(RATE);
    publishFor(DAY_MS, 700);
    expect(budget.sentBytes).toBeGreaterThan(24 * 60_000);
    expect(budget.sentBytes).toBeLessThanOrEqual(24 * 60_000 + 10_000 + 700);
    const before = budget.sentBytes;
    publishFor(DAY_MS, 700);
    expect(budget.sentBytes - before).toBeLessThanOrEqual(24 * 60_000 + 700);
  });

  it('the tighter of two rates counts', () => {
    const { budget, waits } = budgetOf({ ...RATE, bytesPerSecond: 10_000 });
    budget.spend(12_000 - AROUND);
    // 2,000 beyond ten minutes' share are two minutes; beyond a second's they are 0.2 s.
    expect(waits()).toEqual([0, 120_001, 120_001]);
  });

  it('what alerts spend is missing to the others', () => {
    const { budget, waits } = budgetOf(RATE);
    for (let i = 0; i < 100; i++) {
      expect(budget.waitMs(ALERT_LANE)).toBe(0);
      budget.spend(1000 - AROUND);
    }
    expect(waits()).toEqual([0, 90 * 60_000 + 1, 90 * 60_000 + 1]);
  });

  it('while only alerts go, no more than an hour is saved up either', () => {
    const { budget, clock, waits } = budgetOf(RATE);
    clock.advance(HOUR_MS * 10);
    expect(budget.waitMs(ALERT_LANE)).toBe(0);
    budget.spend(70_000 - AROUND);
    expect(waits()).toEqual([0, 10 * 60_000 + 1, 10 * 60_000 + 1]);
  });
});

describe('publishes a second', () => {
  test.each(LANES)('bind lane %i, alerts as well', (lane) => {
    const { publishFor } = budgetOf({ publishesPerSecond: 5 });
    const count = publishFor(60_000, 1_000_000, lane);
    expect(count).toBeGreaterThanOrEqual(300);
    expect(count).toBeLessThanOrEqual(306);
  });

  it('less than one a second lets the first go at once', () => {
    const { budget, clock, waits } = budgetOf({ publishesPerSecond: 0.1 });
    expect(waits()).toEqual([0, 0, 0]);
    budget.spend(0);
    // What is spent may be more than there is, so a second one follows.
    expect(waits()).toEqual([1, 1, 1]);
    clock.advance(1);
    budget.spend(0);
    expect(waits()).toEqual([10_000, 10_000, 10_000]);
    clock.advance(10_000);
    expect(waits()).toEqual([0, 0, 0]);
  });
});

describe('metered hours', () => {
  const at = (text: string) => Date.parse(`2026-03-04T${text}:00Z`);
  const isMeteredAt = (text: string, ...meteredHours: string[]) => {
    const { budget, clock } = budgetOf({ meteredHours });
    clock.wall = at(text);
    return budget.isMetered;
  };

  test.each([
    ['06:00-22:00', '05:59', false],
    ['06:00-22:00', '06:00', true],
    ['06:00-22:00', '21:59', true],
    ['06:00-22:00', '22:00', false],
    ['22:30-06:15', '22:29', false],
    ['22:30-06:15', '22:30', true],
    ['22:30-06:15', '00:00', true],
    ['22:30-06:15', '06:14', true],
    ['22:30-06:15', '06:15', false],
    ['06:00-06:00', '05:59', true],
    ['06:00-06:00', '06:00', true],
    ['00:00-00:00', '12:00', true],
  ])('%s at %s: %s', (hours, text, expected) => {
    expect(isMeteredAt(text, hours)).toBe(expected);
    // Any of several.
    expect(isMeteredAt(text, '01:00-01:01', hours)).toBe(expected);
  });

  it('the backlog waits, and looks again soon', () => {
    const { clock, waits } = budgetOf({ meteredHours: ['06:00-22:00'] });
    clock.wall = at('21:59');
    expect(waits()).toEqual([0, 0, 15_000]);
    clock.wall = at('22:00');
    expect(waits()).toEqual([0, 0, 0]);
  });

  it('fresh readings wait too where only alerts may go', () => {
    const { clock, waits } = budgetOf({ meteredHours: ['06:00-22:00'], meteredLanes: 'alerts' });
    clock.wall = at('12:00');
    expect(waits()).toEqual([0, 15_000, 15_000]);
    clock.wall = at('23:00');
    expect(waits()).toEqual([0, 0, 0]);
  });

  it('every hour is metered while nobody knows what time it is', () => {
    const { budget, clock, waits } = budgetOf({ meteredHours: ['06:00-22:00'] });
    for (const year of [1970, 2000, 2023]) {
      clock.wall = Date.UTC(year, 5, 1, 23);
      expect(budget.isMetered).toBe(true);
    }
    expect(waits()).toEqual([0, 0, 15_000]);
    clock.wall = at('23:00');
    expect(budget.isMetered).toBe(false);
    const none = budgetOf();
    none.clock.wall = 0;
    expect([none.budget.isMetered, none.waits()]).toEqual([false, [0, 0, 0]]);
  });

  it('a clock that is set changes nothing about the rates', () => {
    const { budget, clock, waits } = budgetOf({ bytesPerSecond: 1000 });
    budget.spend(5000 - AROUND);
    for (const wall of [0, at('12:00'), Date.UTC(2090, 0, 1)]) {
      clock.wall = wall;
      expect(waits()).toEqual([0, 4001, 4001]);
    }
  });

  it('the longer of both waits counts', () => {
    const { budget, clock, waits } = budgetOf({
      ...{ bytesPerSecond: 1000, publishesPerSecond: 1, meteredHours: ['00:00-00:00'] },
    });
    budget.spend(31_000 - AROUND);
    expect(waits()).toEqual([1, 30_001, 30_001]);
    clock.advance(20_001);
    expect(waits()).toEqual([0, 10_000, 15_000]);
  });
});
