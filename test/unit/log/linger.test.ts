import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CommitTimer } from '../../../src/log/commit-timer.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { DAY_MS, WriteBudget } from '../../../src/log/write-budget.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { openTestJournal, reading } from '../../support/journals.ts';

// When a commit is due: by the linger of each stream, by the budget, and what must not wait for it.

let clock: FakeClock;
let files: FakeFiles;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
  clock = new FakeClock();
  files = new FakeFiles();
});

afterEach(() => {
  vi.useRealTimers();
});

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await vi.advanceTimersByTimeAsync(ms);
  // A commit in memory takes many turns, and no time.
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

const STREAMS = [
  { name: 'fast', partitions: 1, lingerMs: 10 },
  { name: 'slow', partitions: 1, lingerMs: 1_000 },
  { name: 'plain', partitions: 1 },
  { name: 'alarm', partitions: 1, isUrgent: true },
];

function open(budget?: WriteBudget): Promise<Journal> {
  return openTestJournal(files, { streams: STREAMS, clock, lingerMs: 100, budget });
}

/** Names of streams whose records are durable. */
function appender(journal: Journal): { durable: string[]; append: (stream: string) => boolean } {
  const durable: string[] = [];
  const append = (stream: string) => {
    const record = reading('a', '1', { monoMs: clock.monoMs() });
    return journal.append(journal.stream(stream), 0, record, (error) => {
      if (error === undefined) durable.push(stream);
    });
  };
  return { durable, append };
}

describe('a commit', () => {
  it.each([
    ['fast', 10],
    ['plain', 100],
    ['slow', 1_000],
  ] as const)('of %s is due after %d ms', async (stream, ms) => {
    const { durable, append } = appender(await open());
    append(stream);
    await pass(ms - 1);
    expect(durable).toEqual([]);
    await pass(1);
    expect(durable).toEqual([stream]);
  });

  it('is due with the first of those that wait, and takes them all', async () => {
    const journal = await open();
    const { durable, append } = appender(journal);
    append('slow');
    await pass(500);
    append('fast');
    append('plain');
    await pass(9);
    expect(durable).toEqual([]);
    await pass(1);
    expect(durable).toEqual(['slow', 'fast', 'plain']);
    expect(journal.status()).toMatchObject({ commits: 1, payloadBytes: 3 });
  });

  it('is due when the slow one is, though a fast stream is busy', async () => {
    const journal = await open();
    const { durable, append } = appender(journal);
    append('slow');
    await pass(995);
    append('fast');
    await pass(5);
    expect(durable).toEqual(['slow', 'fast']);
    expect(journal.status().commits).toBe(1);
  });
});

describe('with a budget', () => {
  /** A page every 3 s. */
  const bytesPerDay = (4096 * DAY_MS) / 3_000;
  const spent = (maxLingerMs: number) =>
    new WriteBudget({ bytesPerDay, maxLingerMs, allowanceBytes: -1e9 }, clock.monoMs());

  it('that is not spent, nothing waits for it', async () => {
    const budget = new WriteBudget({ bytesPerDay, maxLingerMs: 9_000 }, clock.monoMs());
    const { durable, append } = appender(await open(budget));
    append('plain');
    await pass(100);
    expect(durable).toEqual(['plain']);
  });

  it('that is spent, a commit waits as long as it may, and takes all that came', async () => {
    const { durable, append } = appender(await open(spent(2_000)));
    append('fast');
    await pass(1_900);
    append('plain');
    await pass(99);
    expect(durable).toEqual([]);
    await pass(1);
    expect(durable).toEqual(['fast', 'plain']);
  });

  it('what is urgent goes after its own linger, with what waits', async () => {
    const { durable, append } = appender(await open(spent(2_000)));
    append('fast');
    await pass(50);
    append('alarm');
    await pass(99);
    expect(durable).toEqual([]);
    await pass(1);
    expect(durable).toEqual(['fast', 'alarm']);
  });

  it('every byte counts, of files that are made ready too', async () => {
    const allowanceBytes = 1e6;
    const large = { bytesPerDay: 1e9, maxLingerMs: 2_000, allowanceBytes };
    const budget = new WriteBudget(large, clock.monoMs());
    const journal = await open(budget);
    const { append } = appender(journal);
    const counted = () => allowanceBytes - budget.allowanceBytes(clock.monoMs());
    expect(counted()).toBe(journal.status().bytesWritten);
    expect(counted()).toBeGreaterThanOrEqual(64 * 1024);
    append('fast');
    await pass(10);
    const flown = (10 * large.bytesPerDay) / DAY_MS;
    expect(counted() + flown).toBeCloseTo(journal.status().bytesWritten, 3);
  });
});

describe('an append says', () => {
  it('no, when it is refused or must wait for more than the next commit', async () => {
    const journal = await open();
    const { append } = appender(journal);
    const large = reading('a', 'x'.repeat(20_000), { monoMs: clock.monoMs() });
    const appendLarge = () => journal.append(journal.stream('plain'), 0, large, () => {});
    expect(append('plain')).toBe(true);
    expect(appendLarge()).toBe(true);
    // Half a segment is full, and its commit begins: this one waits for it.
    expect(appendLarge()).toBe(true);
    // Half a segment again: what comes now waits for two.
    expect(appendLarge()).toBe(false);
    expect(append('plain')).toBe(false);
    await pass(0);
    expect(append('plain')).toBe(true);
    await journal.close();
    expect(append('plain')).toBe(false);
  });
});

describe('the timer', () => {
  it('fires once, at the earliest moment asked for, and never within the call', async () => {
    const fired: number[] = [];
    const timer = new CommitTimer(clock, () => fired.push(clock.monoMs()));
    const now = clock.monoMs();
    timer.wake(now + 50);
    timer.wake(now + 20);
    timer.wake(now + 90);
    await pass(19);
    expect(fired).toEqual([]);
    await pass(100);
    expect(fired).toHaveLength(1);
    timer.wake(clock.monoMs() - 5);
    expect(fired).toHaveLength(1);
    await pass(0);
    expect(fired).toHaveLength(2);
    timer.wake(clock.monoMs() + 5);
    timer.cancel();
    await pass(100);
    expect(fired).toHaveLength(2);
  });
});
