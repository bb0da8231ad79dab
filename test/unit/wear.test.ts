import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { Wear, type WrittenTotals } from '../../src/wear.ts';
import { configOf } from '../support/config-loading.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type MemoryState, memoryState } from '../support/memory-state.ts';

const HOUR_MS = 3_600_000;
const MB = 1e6;

let clock: FakeClock;
let state: MemoryState;
let totals: WrittenTotals;
let writes: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  clock = new FakeClock();
  writes = 0;
  const memory = memoryState();
  state = {
    ...memory,
    write: (entries) => {
      writes += 1;
      return memory.write(entries);
    },
  };
});

afterEach(() => {
  vi.useRealTimers();
});

async function start(yaml = '', logger = silentLogger): Promise<Wear> {
  totals = { writtenBytes: 0, payloadBytes: 0, stateBytes: 0 };
  const wear = await Wear.open({ config: configOf(yaml), state, clock, logger });
  wear.start(() => totals);
  return wear;
}

function write(writtenBytes: number, payloadBytes = 0, stateBytes = 0): void {
  totals = {
    writtenBytes: totals.writtenBytes + writtenBytes,
    payloadBytes: totals.payloadBytes + payloadBytes,
    stateBytes: totals.stateBytes + stateBytes,
  };
}

/** Hour by hour, as the timers find them. */
async function pass(hours: number, hourly: () => void = () => {}): Promise<void> {
  for (let i = 0; i < hours * 60; i++) {
    if (i % 60 === 0) hourly();
    clock.advance(60_000);
    await vi.advanceTimersByTimeAsync(60_000);
  }
}

describe('the wear of the card', () => {
  it('says what was written, for how much payload, and how long the card lasts', async () => {
    const wear = await start('flash: { cardTBW: 2 }');
    await pass(4, () => write(10 * MB, 4 * MB));
    expect(wear.status()).toEqual({
      writtenTodayBytes: 40 * MB,
      payloadTodayBytes: 16 * MB,
      amplification: 2.5,
      amplificationSinceStart: 2.5,
      projectedBytesPerDay: 240 * MB,
      budgetBytesPerDay: 0,
      overBudget: false,
      lingerMs: 5,
      // 2e12 / 240e6 / 365.25
      lifeYears: 22.82,
    });
    await wear.stop();
  });

  it('knows no ratio without payload, and no end without writes', async () => {
    const wear = await start();
    const status = wear.status();
    expect(status).toMatchObject({ writtenTodayBytes: 0, projectedBytesPerDay: 0 });
    expect(status).not.toHaveProperty('amplification');
    expect(status).not.toHaveProperty('amplificationSinceStart');
    expect(status).not.toHaveProperty('lifeYears');
    await wear.stop();
  });

  it('takes what came first for ten minutes of it, not for every second of a day', async () => {
    const wear = await start();
    write(8 * MB);
    clock.advance(1_000);
    expect(wear.status().projectedBytesPerDay).toBe(8 * MB * 6 * 24);
    await wear.stop();
  });

  it('says nothing of years before ten minutes of running, over restarts', async () => {
    const first = await start('flash: { cardTBW: 2 }');
    write(10 * MB);
    clock.advance(500_000);
    expect(first.status()).not.toHaveProperty('lifeYears');
    await first.stop();
    const wear = await start('flash: { cardTBW: 2 }');
    clock.advance(99_999);
    expect(wear.status()).not.toHaveProperty('lifeYears');
    clock.advance(1);
    // 2e12 / (10e6 * 144) / 365.25
    expect(wear.status().lifeYears).toBe(3.8);
    await wear.stop();
  });

  it('forgets what is older than a day', async () => {
    const wear = await start();
    write(500 * MB);
    await pass(23);
    expect(wear.status().writtenTodayBytes).toBe(500 * MB);
    await pass(2, () => write(MB));
    expect(wear.status().writtenTodayBytes).toBe(2 * MB);
    await wear.stop();
  });

  it('goes on after a restart, however long the gateway was off', async () => {
    const before = await start();
    await pass(3, () => write(10 * MB, 10 * MB));
    await before.stop();
    clock.advance(1_000 * HOUR_MS);
    const wear = await start();
    expect(wear.status()).toMatchObject({ writtenTodayBytes: 30 * MB, amplification: 1 });
    expect(wear.status()).not.toHaveProperty('amplificationSinceStart');
    await pass(1, () => write(2 * MB, MB));
    const status = wear.status();
    expect(status).toMatchObject({ writtenTodayBytes: 32 * MB, amplificationSinceStart: 2 });
    expect(status.projectedBytesPerDay).toBe(32 * MB * 6);
    await wear.stop();
  });

  it('is written once an hour and at a stop; a kill forgets the hour, bytes and time', async () => {
    const killed = await start();
    await pass(10, () => write(10 * MB));
    expect(writes).toBe(10);
    await pass(0.5, () => write(900 * MB));
    expect(writes).toBe(10);
    expect(JSON.stringify([...(await state.entries(''))]).length).toBeLessThan(500);
    const wear = await start();
    expect(wear.status()).toMatchObject({
      writtenTodayBytes: 100 * MB,
      projectedBytesPerDay: 240 * MB,
    });
    await wear.stop();
    expect(writes).toBe(11);
    await killed.stop();
  });

  it.each([
    '',
    '{}',
    '{"runMs":-1,"hours":[]}',
    '{"runMs":1,"hours":[[1,2]]}',
    '{"runMs":1,"hours":[[1,2,-3]]}',
    'null',
  ])('begins anew where the count is %j', async (text) => {
    await state.write(new Map([['wear', text]]));
    const said: string[] = [];
    const logger = { ...silentLogger, warn: (_: unknown, words: string) => said.push(words) };
    const wear = await start('', logger);
    expect(said).toEqual(['the count of bytes written is not readable: it begins anew']);
    write(MB);
    expect(wear.status().writtenTodayBytes).toBe(MB);
    await wear.stop();
  });

  it('that cannot be saved is said, and the gateway goes on', async () => {
    const said: string[] = [];
    const logger = { ...silentLogger, warn: (_: unknown, words: string) => said.push(words) };
    state = { ...state, write: () => Promise.reject(new Error('no')) };
    const wear = await start('', logger);
    await wear.stop();
    expect(said).toEqual(['the count of bytes written could not be saved']);
  });
});

describe('a budget', () => {
  const BUDGET = 'flash: { budgetMBPerDay: 80, maxLingerMs: 3000 }';

  it('is in the status, with what it does to the linger', async () => {
    const wear = await start(BUDGET);
    expect(wear.status()).toMatchObject({
      budgetBytesPerDay: 80 * MB,
      lingerMs: 5,
      overBudget: false,
    });
    wear.budget?.wrote(10 * MB, clock.monoMs());
    wear.budget?.wrote(4096, clock.monoMs());
    expect(wear.status()).toMatchObject({ lingerMs: 3_000, overBudget: false });
    wear.budget?.wrote(MB, clock.monoMs());
    expect(wear.status()).toMatchObject({ lingerMs: 3_000, overBudget: true });
    await wear.stop();
  });

  it('counts the state store, and goes on after a restart as it was left', async () => {
    const before = await start(BUDGET);
    write(30 * MB, 0, 30 * MB);
    // A burst is 10 MB.
    expect(before.status().overBudget).toBe(true);
    await before.stop();
    clock.advance(1_000 * HOUR_MS);
    const wear = await start(BUDGET);
    expect(wear.status().overBudget).toBe(true);
    await pass(7);
    expect(wear.status()).toMatchObject({ overBudget: false, lingerMs: 5 });
    await wear.stop();
  });

  it('is not filled by a kill, however often', async () => {
    const killed = [await start(BUDGET)];
    // 10 MB at first: the burst.
    killed[0]?.budget?.wrote(4 * MB, clock.monoMs());
    for (let i = 0; i < 5; i++) {
      const wear = await start(BUDGET);
      expect(wear.budget?.allowanceBytes(clock.monoMs())).toBe(0);
      expect(wear.status().lingerMs).toBe(5);
      wear.budget?.wrote(4096, clock.monoMs());
      expect(wear.status().lingerMs).toBe(3_000);
      killed.push(wear);
    }
    const last = killed.at(-1);
    await last?.stop();
    const wear = await start(BUDGET);
    // A stop knows what is left.
    expect(wear.budget?.allowanceBytes(clock.monoMs())).toBe(-4096);
    for (const one of [...killed.slice(0, -1), wear]) await one.stop();
  });

  it('that was exceeded stays so through a kill, as far as it was saved', async () => {
    const killed = await start(BUDGET);
    killed.budget?.wrote(40 * MB, clock.monoMs());
    await pass(1);
    const wear = await start(BUDGET);
    expect(wear.status().overBudget).toBe(true);
    await killed.stop();
    await wear.stop();
  });

  it('of 0 is none', async () => {
    const wear = await start();
    expect(wear.budget).toBeUndefined();
    await wear.stop();
  });
});
