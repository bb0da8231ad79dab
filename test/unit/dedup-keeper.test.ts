import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/append-once.ts';
import { seededRandom } from '../../src/base/clock.ts';
import type { Reading } from '../../src/base/reading.ts';
import type { DedupMode } from '../../src/dedup/dedup.ts';
import type { WriteBudget } from '../../src/log/write-budget.ts';
import { DedupLife } from '../support/dedup-life.ts';
import { until } from '../support/until.ts';

const withId = (life: DedupLife, device: string, text: string, more = ''): Reading => ({
  device,
  topic: `sensors/${device}/t`,
  payload: Buffer.from(`${text} ${more}`),
  messageId: { kind: 'id', text },
  monoMs: life.clock.monoMs(),
});

const numbered = (life: DedupLife, device: string, boot: string, sequence: number): Reading => ({
  ...withId(life, device, `${boot}:${sequence}`),
  messageId: { kind: 'sequence', text: `${boot}:${sequence}`, boot, sequence },
});

async function started(options: ConstructorParameters<typeof DedupLife>[0] = {}) {
  const life = new DedupLife(options);
  await life.start();
  return life;
}

const FILLER = 'x'.repeat(900);
const SMALL_LOG = { retention: { maxBytes: 4 * 32 * 1024, maxAgeMs: 0 } };

describe('dedup windows', () => {
  it('are as they were after a restart, however often and however it ends', async () => {
    const life = await started();
    const ends = [() => life.restart(), () => life.kill(), () => life.powerCut(seededRandom(3))];
    for (const [i, end] of ends.entries()) {
      for (let n = 0; n < 100; n++) {
        expect(await life.send(withId(life, 'a', `${i}-${n}`))).toBe('stored');
        expect(await life.send(numbered(life, 'b', `boot-${i}`, n))).toBe('stored');
      }
      await end();
      for (let n = 0; n < 100; n++) {
        expect(await life.send(withId(life, 'a', `${i}-${n}`)), `${i}-${n}`).toBe('repeat');
        expect(await life.send(numbered(life, 'b', `boot-${i}`, n))).toBe('repeat');
      }
    }
    await life.stop();
  });

  it('outlive the readings that they came from', async () => {
    const life = await started({ ...SMALL_LOG, maxIds: 10_000 });
    const total = 600;
    for (let n = 0; n < total; n++) {
      expect(await life.send(withId(life, 'a', `${n}`, FILLER))).toBe('stored');
      expect(await life.send(numbered(life, 'b', 'boot', n))).toBe('stored');
    }
    await life.journal.retain();
    expect((await life.ids()).length).toBeLessThan(total);
    await life.powerCut(() => 0);
    for (let n = 0; n < total; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
      expect(await life.send(numbered(life, 'b', 'boot', n)), String(n)).toBe('repeat');
    }
    await life.stop();
  });

  it('are longer than memory: what does not fit stands in the store', async () => {
    const life = await started({ maxIds: 100 });
    const total = 3_000;
    for (let n = 0; n < total; n++) await life.send(withId(life, `d${n % 7}`, `${n}`));
    await until('it is stored', () => life.keeper.storedIds >= total - 100);
    expect(life.keeper.dedup.size().ids).toBeLessThanOrEqual(100);
    for (let n = 0; n < total; n++) {
      expect(await life.send(withId(life, `d${n % 7}`, `${n}`)), String(n)).toBe('repeat');
    }
    expect(await life.send(withId(life, 'd0', 'new'))).toBe('stored');
    await life.stop();
  });

  it('of devices that memory has no room for come back from the store', async () => {
    const life = await started({ maxDevices: 8 });
    for (let n = 0; n < 40; n++) {
      for (const number of [0, 2]) await life.send(numbered(life, `d${n}`, 'boot', number));
    }
    expect(life.keeper.dedup.size().devices).toBeLessThanOrEqual(8);
    for (let n = 0; n < 40; n++) {
      const sent = [0, 1, 2, 1].map((number) => numbered(life, `d${n}`, 'boot', number));
      const outcomes: Outcome[] = [];
      for (const one of sent) outcomes.push(await life.send(one));
      expect(outcomes, `d${n}`).toEqual(['repeat', 'stored', 'repeat', 'repeat']);
    }
    await life.stop();
  });

  it('end by count and by time, also for what stands in the store', async () => {
    const life = await started({ windowIds: 50, windowMs: 60_000 });
    for (let n = 0; n < 200; n++) await life.send(withId(life, 'a', `${n}`));
    await life.restart();
    const outcomes: Outcome[] = [];
    for (const n of [199, 151, 150, 149]) outcomes.push(await life.send(withId(life, 'a', `${n}`)));
    expect(outcomes).toEqual(['repeat', 'repeat', 'repeat', 'stored']);
    life.clock.mono += 61_000;
    expect(await life.send(withId(life, 'a', '198'))).toBe('stored');
    // Runs go when they are out of time, with the next ones.
    for (let n = 0; n < 200; n++) {
      life.clock.mono += 1_000;
      await life.send(withId(life, 'b', `${n}`));
    }
    await until('old runs are gone', () => life.keeper.storedIds < 150);
    await life.stop();
  });

  it.each([
    ['ten years on', 315_360_000_000],
    ['a day back', -86_400_000],
  ])('neither forget nor block when the wall clock jumps %s', async (_, jumpMs) => {
    const life = await started({ windowMs: 3_600_000 });
    for (let n = 0; n < 100; n++) await life.send(withId(life, 'a', `${n}`));
    life.clock.wall += jumpMs;
    for (const end of [async () => {}, () => life.restart(), () => life.kill()]) {
      await end();
      for (let n = 0; n < 100; n++) {
        expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('repeat');
      }
    }
    // The same wall time again is nothing to the run clock: an hour of it ends the window.
    life.clock.mono += 3_600_100;
    expect(await life.send(withId(life, 'a', '0'))).toBe('stored');
    await life.stop();
  });

  it('of another log are forgotten with it: nothing of them is in this one', async () => {
    const life = await started();
    for (let n = 0; n < 200; n++) await life.send(withId(life, 'a', `${n}`));
    await life.stop();
    for (const name of await life.files.list('/data/log/telemetry')) {
      await life.files.remove(`/data/log/telemetry/${name}`);
    }
    await life.start();
    for (let n = 0; n < 200; n++) {
      expect(await life.send(withId(life, 'a', `${n}`)), String(n)).toBe('stored');
    }
    await life.stop();
  });

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

  it('of numbers begin anew with a mode that takes them in another way', async () => {
    const bare = (life: DedupLife, sequence: number, more = '') => ({
      ...withId(life, 'a', `${sequence}`, more),
      messageId: { kind: 'counter', text: `${sequence}`, sequence } as const,
    });
    const options: { mode: DedupMode; maxIds: number } = { mode: 'sequence', maxIds: 1_000 };
    const life = await started(options);
    for (let n = 0; n < 2_000; n++) await life.send(bare(life, n));
    options.mode = 'auto';
    await life.restart();
    for (let n = 0; n < 1_500; n++) await life.send(bare(life, n, 'after a reboot'));
    options.mode = 'sequence';
    await life.restart();
    for (let n = 1_500; n < 2_100; n++) {
      expect(await life.send(bare(life, n, 'after a reboot')), String(n)).toBe('stored');
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

  it('write nothing while nothing new comes, and little otherwise', async () => {
    const life = await started({ maxIds: 2_000, maxDevices: 100 });
    for (let n = 0; n < 5_000; n++) await life.send(withId(life, `d${n % 50}`, `${n}`));
    await life.restart();
    const { writes, writtenBytes } = life.pages;
    // Five of a thousand each: 24 bytes an id, 2 of its filter, and the devices.
    expect(writtenBytes / 5_000).toBeLessThan(40);
    for (let n = 0; n < 5_000; n++) await life.send(withId(life, `d${n % 50}`, `${n}`));
    expect(life.pages.writes).toBe(writes);
    await life.stop();
  });
});
