import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/append-once.ts';
import { seededRandom } from '../../src/base/clock.ts';
import type { DedupMode } from '../../src/dedup/dedup.ts';
import { type DedupLife, numbered, started, withId } from '../support/dedup-life.ts';
import { until } from '../support/until.ts';

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

  it('store no more of a device than its window has, however loud it is', async () => {
    const life = await started({ maxIds: 1_000, windowIds: 20 });
    for (let n = 0; n < 3_000; n++) await life.send(withId(life, 'a', `${n}`));
    await until('it is stored', () => life.keeper.storedIds > 0);
    expect(life.keeper.storedIds).toBeLessThanOrEqual(6 * 20);
    await life.stop();
  });

  it('of devices that say nothing for a quarter of a year are forgotten', async () => {
    const life = await started({ maxIds: 100 });
    await life.send(numbered(life, 'gone', 'b', 1));
    for (let n = 0; n < 60; n++) await life.send(withId(life, 'a', `${n}`));
    const isStored = (device: string) => life.pages.keys.includes(`readings/device/${device}`);
    await until('both are stored', () => isStored('gone') && isStored('a'));
    await life.restart();
    life.clock.mono += 91 * 86_400_000;
    for (let n = 60; n < 120; n++) await life.send(withId(life, 'a', `${n}`));
    await until('it is gone', () => !isStored('gone'));
    expect(isStored('a')).toBe(true);
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
