import { describe, expect, it } from 'vitest';
import type { WriteBudget } from '../../src/log/write-budget.ts';
import { numbered, started, withId } from '../support/dedup-life.ts';
import { until } from '../support/until.ts';

const FILLER = 'x'.repeat(900);

describe('dedup windows and a store that is slow, full or damaged', () => {
  it('go on from memory and log while the store takes nothing, and are stored later', async () => {
    const life = await started({ maxIds: 400 });
    life.pages.fault = new Error('no space');
    for (let n = 0; n < 300; n++) await life.send(withId(life, 'a', `${n}`));
    await life.kill();
    for (let n = 0; n < 300; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    life.pages.fault = undefined;
    life.clock.advance(30_001);
    for (let n = 300; n < 600; n++) await life.send(withId(life, 'a', `${n}`));
    await until('it is stored', () => life.keeper.storedIds >= 400);
    for (let n = 0; n < 600; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('are synced before what they stand for is dropped, whenever they were written', async () => {
    const life = await started({ maxIds: 200, retention: { maxBytes: 1e9, maxAgeMs: 3_600_000 } });
    for (let n = 0; n < 100; n++) await life.send(withId(life, 'a', `${n}`, FILLER));
    await until('it is stored', () => life.keeper.storedIds === 100);
    expect(life.pages.unsynced).toBeGreaterThan(0);
    life.clock.mono += 7_200_000;
    // Of the next segment, and all before it is too old.
    for (let n = 100; n < 140; n++) await life.send(withId(life, 'a', `${n}`, FILLER));
    await life.journal.retain();
    expect((await life.ids()).length).toBeLessThan(100);
    await life.powerCut(() => 0);
    for (let n = 0; n < 140; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('of what comes while they are being stored are stored with the next', async () => {
    const life = await started({ maxIds: 100 });
    let release = () => {};
    life.pages.held = new Promise((resolve) => {
      release = resolve;
    });
    for (let n = 0; n < 90; n++) await life.send(withId(life, 'a', `${n}`));
    life.pages.held = undefined;
    release();
    for (let n = 90; n < 400; n++) await life.send(withId(life, 'a', `${n}`));
    await until('it is stored', () => life.keeper.storedIds >= 300);
    await life.kill();
    for (let n = 0; n < 400; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it.each(['retention', 'a stop'])('wait for the write budget, but %s does not', async (who) => {
    let isExceeded = true;
    const budget = { isExceeded: () => isExceeded } as unknown as WriteBudget;
    const life = await started({
      ...{ maxIds: 400, budget },
      retention: { maxBytes: 1e9, maxAgeMs: 10_000_000 },
    });
    for (let n = 0; n < 210; n++) await life.send(withId(life, 'a', `${n}`, FILLER));
    expect(life.pages.writes, 'the first run waits').toBe(0);
    life.clock.advance(20_000_000);
    for (let n = 210; n < 290; n++) await life.send(withId(life, 'a', `${n}`, FILLER));
    // Within the time of the test, and so within that of one pace.
    if (who === 'a stop') await life.keeper.stop();
    else await life.journal.retain();
    expect(life.keeper.storedIds).toBeGreaterThanOrEqual(200);
    isExceeded = false;
    await life.kill();
    for (let n = 0; n < 290; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('wait for the write budget only while memory has room for what comes since', async () => {
    const budget = { isExceeded: () => true } as unknown as WriteBudget;
    const life = await started({ maxIds: 1_000, budget });
    for (let n = 0; n < 2_600; n++) await life.send(withId(life, 'a', `${n}`));
    for (let n = 0; n < 2_600; n += 10) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('go on without a page that can not be read', async () => {
    const life = await started({ maxIds: 60 });
    for (let n = 0; n < 300; n++) await life.send(withId(life, 'a', `${n}`));
    await until('it is stored', () => life.keeper.storedIds > 200);
    const entries = life.pages.entries.bind(life.pages);
    const bad = life.pages.keys.find((key) => key.startsWith('readings/page/')) ?? '';
    let tried = 0;
    life.pages.entries = (folder) => {
      if (!bad.startsWith(folder)) return entries(folder);
      tried += 1;
      throw new Error('corruption');
    };
    for (let n = 600; n < 3_000; n++) await life.send(withId(life, 'a', `${n}`));
    expect(tried).toBe(1);
    for (let n = 600; n < 3_000; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('of a write that failed have no part in the next one', async () => {
    const life = await started({ maxIds: 100 });
    const write = life.pages.write.bind(life.pages);
    let isFull = true;
    life.pages.write = async (some, options) => {
      if (isFull && some.has('readings/horizon')) throw new Error('no space');
      await write(some, options);
    };
    for (let n = 0; n < 60; n++) await life.send(withId(life, 'a', `${n}`));
    const runsOf = (kind: string) =>
      life.pages.keys
        .filter((key) => key.startsWith(`readings/${kind}/`))
        .map((k) => k.split('/')[2]);
    await until('pages are left', () => runsOf('page').length > 0);
    isFull = false;
    life.clock.advance(30_001);
    await life.send(withId(life, 'a', '60'));
    await until('it is stored', () => life.keeper.storedIds > 0);
    const [run] = runsOf('run');
    expect(runsOf('page').some((name) => name !== run)).toBe(true);
    await life.restart();
    expect(runsOf('page').every((name) => name === run)).toBe(true);
    await life.stop();
  });

  it('go on from the end of a log that has less than was known', async () => {
    const life = await started({ maxIds: 1_000 });
    for (let n = 0; n < 20; n++) await life.send(withId(life, 'a', `${n}`));
    const horizon = JSON.stringify({ log: life.journal.logId, offsets: [1_000_000, 0] });
    await life.stop();
    await life.pages.write(new Map([['readings/horizon', Buffer.from(horizon)]]));
    await life.start();
    for (let n = 20; n < 60; n++) await life.send(withId(life, 'a', `${n}`));
    await life.kill();
    for (let n = 20; n < 60; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('try again only after a while when the store takes nothing', async () => {
    const life = await started({ maxIds: 100 });
    let tries = 0;
    const write = life.pages.write.bind(life.pages);
    life.pages.write = async (some, options) => {
      tries += 1;
      await write(some, options);
      throw new Error('no space');
    };
    for (let n = 0; n < 200; n++) await life.send(withId(life, 'a', `${n}`));
    expect(tries).toBe(1);
    life.clock.advance(30_001);
    for (let n = 200; n < 300; n++) await life.send(withId(life, 'a', `${n}`));
    expect(tries).toBe(2);
    await life.stop();
  });

  it('a horizon is never written back over a later one', async () => {
    const retention = { maxBytes: 1e9, maxAgeMs: 10_000_000 };
    const life = await started({ retention, maxIds: 400 });
    for (let n = 0; n < 200; n++) await life.send(withId(life, 'a', `${n}`, FILLER));
    await until('it is stored', () => life.keeper.storedIds === 200);
    life.clock.advance(20_000_000);
    for (let n = 200; n < 399; n++) await life.send(withId(life, 'a', `${n}`));
    // The next write reaches the store, and its answer waits while retention asks for a sync.
    const write = life.pages.write.bind(life.pages);
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let isWritten = false;
    life.pages.write = async (some, options) => {
      await write(some, options);
      if (!some.has('readings/horizon') || isWritten) return;
      isWritten = true;
      await answered;
    };
    await life.send(withId(life, 'a', '399'));
    await until('the later horizon is written', () => isWritten);
    const retained = life.journal.retain();
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    answer();
    await retained;
    await life.kill();
    for (let n = 399; n >= 0; n--) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('of a device are as long as they are, whatever came while they were stored', async () => {
    const life = await started({ maxIds: 100, windowIds: 90 });
    let release = () => {};
    life.pages.held = new Promise((resolve) => {
      release = resolve;
    });
    for (let n = 0; n < 90; n++) await life.send(withId(life, 'a', `${n}`));
    life.pages.held = undefined;
    release();
    await until('it is stored', () => life.keeper.storedIds === 50);
    await life.kill();
    for (let n = 0; n < 90; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('of a device that left memory while the store took nothing are known', async () => {
    const life = await started({ maxIds: 60, maxDevices: 10 });
    let isFull = false;
    const write = life.pages.write.bind(life.pages);
    life.pages.write = async (some, options) => {
      if (isFull) {
        throw new Error('no space');
      }
      await write(some, options);
    };
    for (let n = 0; n < 20; n++) await life.send(numbered(life, 'a', 'b', n));
    isFull = true;
    for (let n = 0; n < 12; n++) life.keeper.dedup.devices.hear(`other-${n}`);
    let failed = 0;
    const { devices } = life.keeper.dedup;
    const stored = devices.stored.bind(devices);
    devices.stored = (isStored) => {
      failed += 1;
      stored(isStored);
    };
    for (let n = 20; n < 31; n++) await life.send(withId(life, 'b', `${n}`));
    await until('a write has failed', () => failed > 0);
    isFull = false;
    for (let n = 0; n < 20; n++) {
      expect(await life.send(numbered(life, 'a', 'b', n)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('begin anew with a new log, also where the store takes no write', async () => {
    const life = await started();
    for (let n = 0; n < 200; n++) await life.send(withId(life, 'a', `${n}`));
    for (let n = 0; n < 50; n++) await life.send(numbered(life, 'b', 'boot', n));
    await life.stop();
    for (const name of await life.files.list('/data/log/telemetry')) {
      await life.files.remove(`/data/log/telemetry/${name}`);
    }
    life.pages.fault = new Error('no space');
    await life.start();
    for (let n = 0; n < 50; n++) {
      expect(await life.send(numbered(life, 'b', 'boot', n)), String(n)).toBe('stored');
    }
    life.pages.fault = undefined;
    life.clock.advance(30_001);
    for (let n = 0; n < 200; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('stored');
    }
    await until('it is stored', () => life.keeper.storedIds > 100);
    await life.stop();
  });
});
