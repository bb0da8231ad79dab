import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { BURST_DAYS, DAY_MS, WriteBudget } from '../../../src/log/write-budget.ts';

const PAGE = 4096;
const HEADER = 64;
const LINGER_MS = 5;

interface Day {
  readonly bytesPerDay: number;
  readonly maxLingerMs: number;
  /** Between two records: from half of it to one and a half. */
  readonly gapMs: number;
  readonly recordBytes: number;
  readonly seed: number;
  /** Nothing comes before. */
  readonly startMs?: number;
  /** Written after so many commits, at once, besides them. */
  readonly upkeep?: { readonly every: number; readonly bytes: number };
}

interface Commit {
  readonly firstMs: number;
  readonly atMs: number;
}

/** A day of records, each in a batch that goes out when the budget says so. */
function simulate(day: Day) {
  const random = seededRandom(day.seed);
  const budget = new WriteBudget(day, 0);
  const commits: Commit[] = [];
  let written = 0;
  let largest = PAGE;
  // Of any stretch of time: what was written in it beyond its allowance and a burst.
  let worst = Number.NEGATIVE_INFINITY;
  let least = 0;
  const write = (bytes: number, atMs: number) => {
    budget.wrote(bytes, atMs);
    const allowed = (atMs / DAY_MS) * day.bytesPerDay;
    least = Math.min(least, written - allowed);
    written += bytes;
    worst = Math.max(worst, written - allowed - least - BURST_DAYS * day.bytesPerDay);
  };
  let batch: { firstMs: number; bytes: number } | undefined;
  const commit = ({ firstMs, bytes }: { firstMs: number; bytes: number }, atMs: number) => {
    const size = Math.ceil((HEADER + bytes) / PAGE) * PAGE;
    largest = Math.max(largest, size);
    budget.committed(size);
    write(size, atMs);
    commits.push({ firstMs, atMs });
    const { every, bytes: besides } = day.upkeep ?? { every: Number.POSITIVE_INFINITY, bytes: 0 };
    if (commits.length % every === 0) write(besides, atMs);
  };
  const { startMs = 0 } = day;
  for (let nowMs = startMs; nowMs < DAY_MS; nowMs += day.gapMs * (0.5 + random())) {
    if (batch !== undefined) {
      const dueMs = budget.dueMs(batch.firstMs + LINGER_MS, batch.firstMs);
      if (dueMs <= nowMs) {
        commit(batch, dueMs);
        batch = undefined;
      }
    }
    batch = { firstMs: batch?.firstMs ?? nowMs, bytes: (batch?.bytes ?? 0) + day.recordBytes };
  }
  return { budget, commits, written, largest, worst };
}

const longest = (commits: readonly Commit[]) =>
  commits.reduce((most, { firstMs, atMs }) => Math.max(most, atMs - firstMs), 0);

const budgets = fc.integer({ min: 40, max: 500 }).map((megabytes) => megabytes * 1e6);
const seeds = fc.integer();

describe('a simulated day', () => {
  it('stays within budget, burst and one commit where the longest wait allows', () => {
    const days = fc.record({
      bytesPerDay: budgets,
      gapMs: fc.integer({ min: 1_000, max: 10_000 }),
      /** Of the budget, in bytes of records. */
      share: fc.double({ min: 0.05, max: 0.5, noNaN: true }),
      startMs: fc.integer({ min: 0, max: DAY_MS / 2 }),
      seed: seeds,
    });
    fc.assert(
      fc.property(days, ({ share, ...day }) => {
        const recordBytes = Math.ceil((day.bytesPerDay / DAY_MS) * day.gapMs * share);
        const run = simulate({ ...day, recordBytes, maxLingerMs: 60_000 });
        expect(run.worst).toBeLessThanOrEqual(run.largest);
        expect(longest(run.commits)).toBeLessThan(60_000);
      }),
      { numRuns: 30 },
    );
  });

  it('pays for the upkeep, too', () => {
    const days = fc.record({ bytesPerDay: budgets, seed: seeds });
    fc.assert(
      fc.property(days, (day) => {
        const gapMs = 500;
        const recordBytes = Math.ceil((day.bytesPerDay / DAY_MS) * gapMs * 0.2);
        const upkeep = { every: 100, bytes: 200_000 };
        const run = simulate({ ...day, gapMs, recordBytes, maxLingerMs: 3_600_000, upkeep });
        expect(run.worst).toBeLessThanOrEqual(run.largest + upkeep.bytes);
        expect(longest(run.commits)).toBeGreaterThan(LINGER_MS + 1);
      }),
      { numRuns: 8 },
    );
  });

  it('leaves the linger as it is while commits of one page each are within the budget', () => {
    const days = fc.record({
      gapMs: fc.integer({ min: 1_000, max: 10_000 }),
      /** Of the budget, in pages of one record each. */
      share: fc.double({ min: 0.05, max: 0.9, noNaN: true }),
      seed: seeds,
    });
    fc.assert(
      fc.property(days, ({ share, ...day }) => {
        const bytesPerDay = ((PAGE / day.gapMs) * DAY_MS) / share;
        const run = simulate({ ...day, bytesPerDay, recordBytes: 200, maxLingerMs: 60_000 });
        expect(longest(run.commits)).toBeCloseTo(LINGER_MS, 3);
        expect(run.budget.lingerMs(DAY_MS)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  it('never lets a record wait longer than it may, whatever comes', () => {
    const days = fc.record({
      bytesPerDay: fc.integer({ min: 1, max: 1e9 }),
      maxLingerMs: fc.integer({ min: 0, max: 60_000 }),
      gapMs: fc.integer({ min: 2_000, max: 100_000 }),
      recordBytes: fc.integer({ min: 1, max: 1_000_000 }),
      seed: seeds,
    });
    fc.assert(
      fc.property(days, (day) => {
        const allowedMs = Math.max(day.maxLingerMs, LINGER_MS);
        const { commits, budget } = simulate(day);
        expect(longest(commits)).toBeLessThanOrEqual(allowedMs + 1e-3);
        expect(budget.lingerMs(DAY_MS)).toBeLessThanOrEqual(day.maxLingerMs);
      }),
      { numRuns: 20 },
    );
  });

  it('that the longest wait cannot bring within the budget exceeds it, and says so', () => {
    const day = { bytesPerDay: 10e6, maxLingerMs: 1_000, gapMs: 100, recordBytes: 100, seed: 1 };
    const { budget, commits, written, worst } = simulate(day);
    // One page a second.
    expect(written).toBeGreaterThan(300e6);
    expect(worst).toBeGreaterThan(280e6);
    expect(budget.isExceeded(DAY_MS)).toBe(true);
    expect(budget.lingerMs(DAY_MS)).toBe(1_000);
    expect(longest(commits)).toBeCloseTo(1_000);
  });
});

describe('a budget', () => {
  /** A page a second. */
  const bytesPerDay = (PAGE * DAY_MS) / 1_000;

  it('stretches to what makes commits of the recent size fit the rate', () => {
    const budget = new WriteBudget({ bytesPerDay, maxLingerMs: 60_000, allowanceBytes: 0 }, 0);
    expect(budget.dueMs(5, 0)).toBeCloseTo(1_000);
    budget.committed(4 * PAGE);
    budget.wrote(4 * PAGE, 1_000);
    // One page was there, four are gone, four are needed for the next.
    expect(budget.dueMs(1_005, 1_000)).toBeCloseTo(8_000);
    expect(budget.lingerMs(1_000)).toBeCloseTo(7_000);
    // A small one is not believed at once.
    budget.committed(PAGE);
    expect(budget.dueMs(1_005, 1_000)).toBeCloseTo(7_625);
  });

  it('saves up three hours of allowance, and no more', () => {
    const budget = new WriteBudget({ bytesPerDay, maxLingerMs: 60_000, allowanceBytes: 0 }, 0);
    expect(budget.allowanceBytes(10_000)).toBeCloseTo(10 * PAGE);
    expect(budget.allowanceBytes(30 * DAY_MS)).toBeCloseTo(3 * 3_600 * PAGE);
    expect(budget.isExceeded(0)).toBe(false);
  });

  it('goes on from what an earlier process left of it', () => {
    const first = new WriteBudget({ bytesPerDay, maxLingerMs: 1_000 }, 0);
    first.wrote(bytesPerDay, 0);
    expect(first.isExceeded(0)).toBe(true);
    const allowanceBytes = first.allowanceBytes(0);
    const next = new WriteBudget({ bytesPerDay, maxLingerMs: 1_000, allowanceBytes }, 77);
    expect(next.isExceeded(77)).toBe(true);
    expect(next.dueMs(80, 78)).toBe(1_078);
  });
});
