import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { Budget } from '../../../src/uplink/budget.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { settle } from './fakes.ts';
import { batchShape, publishing, ScriptedFar, type ScriptedLink } from './publishing.ts';

let far = new ScriptedFar();
beforeEach(() => {
  far = new ScriptedFar();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Acknowledges the oldest ones, one by one. */
async function ackOne(link: ScriptedLink, times = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    link.pending[0]?.ack();
    await settle();
  }
}

const countOf = (streams: readonly string[], stream: string) =>
  streams.filter((one) => one === stream).length;

describe('whose turn it is', () => {
  test.each([1, 2, 8])('alerts first, whenever they come, in a window of %i', async (window) => {
    const { sources, serve } = publishing(far, { window });
    sources.fresh.append(30);
    sources.backlog.append(30);
    const link = far.link();
    const { over } = await serve(link);
    sources.alerts.append(12);
    await settle();
    expect(far.streams).not.toContain('alerts');
    await ackOne(link, 12);
    expect(far.streams.slice(window)).toEqual(Array(12).fill('alerts'));
    await ackOne(link, 1);
    expect(far.streams[window + 12]).not.toBe('alerts');
    await over();
  });

  test.each([
    [0.2, 100, 20],
    [0.5, 100, 50],
    [0.01, 200, 2],
    [0.99, 100, 99],
  ])('the backlog gets %d of the publishes while both wait', async (share, all, expected) => {
    const { sources, serve } = publishing(far, { window: 1, backlogShare: share });
    sources.fresh.append(220);
    sources.backlog.append(220);
    const link = far.link();
    const { over } = await serve(link);
    // The first one went before the other side had been read.
    await ackOne(link, all);
    const streams = far.streams.slice(1);
    expect(streams).toHaveLength(all);
    // Of sums of decimals, one may come a turn later.
    expect(Math.abs(countOf(streams, 'backlog') - expected)).toBeLessThanOrEqual(1);
    // Spread over them: in each tenth as many, or one more or less.
    const tenth = all / 10;
    for (let from = 0; from < all; from += tenth) {
      const count = countOf(streams.slice(from, from + tenth), 'backlog');
      expect(Math.abs(count - tenth * share)).toBeLessThanOrEqual(1);
    }
    await over();
  });

  it('of a fifth, each fifth one', async () => {
    const { sources, serve } = publishing(far, { window: 1 });
    sources.fresh.append(40);
    sources.backlog.append(40);
    const link = far.link();
    const { over } = await serve(link);
    await ackOne(link, 15);
    const five = ['fresh', 'fresh', 'fresh', 'fresh', 'backlog'];
    expect(far.streams.slice(1)).toEqual([...five, ...five, ...five]);
    await over();
  });

  it('where one of them has nothing, the other gets all, and nobody saves up turns', async () => {
    const { sources, serve } = publishing(far, { window: 1 });
    sources.backlog.append(40);
    const link = far.link();
    const { over } = await serve(link);
    await ackOne(link, 9);
    expect(far.streams).toEqual(Array(10).fill('backlog'));
    sources.fresh.append(14);
    await settle();
    await ackOne(link, 9);
    const five = ['fresh', 'fresh', 'fresh', 'fresh', 'backlog'];
    expect(far.streams.slice(10, 19)).toEqual([...five, ...five.slice(0, 4)]);
    // The backlog's turn, then fresh ones until they are gone: six are left.
    await ackOne(link, 20);
    expect(far.streams.slice(19, 26)).toEqual([...five.slice(4), ...five, 'fresh']);
    expect(new Set(far.streams.slice(27))).toEqual(new Set(['backlog']));
    await over();
  });

  it('fresh ones get all that they want where no backlog is', async () => {
    const { sources, serve } = publishing(far, { window: 1 });
    sources.fresh.append(60);
    const link = far.link();
    const { over } = await serve(link);
    await ackOne(link, 29);
    expect(far.streams).toEqual(Array(30).fill('fresh'));
    sources.backlog.append(10);
    await settle();
    await ackOne(link, 5);
    expect(countOf(far.streams.slice(30), 'backlog')).toBe(1);
    await over();
  });
});

describe('what may be on its way', () => {
  test.each([
    [1, 1],
    [2, 1],
    [7, 6],
    [8, 7],
    [64, 56],
  ])('of a window of %i the backlog takes %i, and a fresh one finds room', async (...given) => {
    const [window, most] = given;
    const { sources, serve } = publishing(far, { window });
    sources.backlog.append(100);
    const link = far.link();
    const { over } = await serve(link);
    expect(far.streams).toEqual(Array(most).fill('backlog'));
    sources.fresh.append(100);
    await settle();
    expect(countOf(far.streams, 'fresh')).toBe(window - most);
    await ackOne(link, 5);
    expect(link.mostPending).toBe(window);
    await over();
  });

  it('the backlog leaves an eighth of the bytes too', async () => {
    far.sizeOf = () => 100;
    const { sources, serve } = publishing(far, { window: 100, maxInFlightBytes: 1600 });
    sources.backlog.append(100);
    const link = far.link();
    const { over } = await serve(link);
    expect(link.pendingBytes).toBe(1400);
    sources.fresh.append(100);
    await settle();
    expect(link.pendingBytes).toBe(1600);
    expect(countOf(far.streams, 'fresh')).toBe(2);
    await over();
  });

  it('bytes are free again with the acknowledgement, and with a refusal', async () => {
    far.sizeOf = ({ payload }) => (payload.length > 0 ? 100 : 0);
    const { sources, serve } = publishing(far, { window: 100, maxInFlightBytes: 300 });
    sources.fresh.append(100);
    const link = far.link();
    const { over, publisher } = await serve(link);
    for (let i = 0; i < 20; i++) {
      expect(link.pendingBytes).toBe(300);
      await ackOne(link);
    }
    await over();
    await publisher.settled();
    const next = far.link();
    const again = await serve(next);
    expect(next.pendingBytes).toBe(300);
    await again.over();
  });

  test.each(['raw', 'batch'])('one publish may go, however large it is, %s', async (kind) => {
    far.sizeOf = () => 5000;
    const shape = kind === 'batch' ? { shape: () => batchShape(200) } : {};
    const { sources, serve } = publishing(far, { maxInFlightBytes: 10, ...shape });
    sources.fresh.append(10);
    sources.backlog.append(10);
    const link = far.link();
    const { over } = await serve(link);
    for (let i = 1; i < 8; i++) {
      expect(far.publishes).toHaveLength(i);
      expect(link.pending).toHaveLength(1);
      await ackOne(link);
    }
    await over();
  });

  it('a batch counts by a guess while it is packed', async () => {
    const { sources, serve } = publishing(far, {
      ...{ shape: () => batchShape(1000), window: 100, maxInFlightBytes: 1500 },
    });
    sources.fresh.append(1000);
    const link = far.link();
    const { over } = await serve(link);
    for (let i = 0; i < 20; i++) {
      const before = link.pendingBytes - (link.pending.at(-1)?.bytes ?? 0);
      expect(before).toBeLessThan(1500);
      // Once it is packed, by what it is: all that may be on its way is.
      expect(link.pendingBytes).toBeGreaterThanOrEqual(1500);
      await ackOne(link);
    }
    await over();
  });

  test.each([
    [3, 3, 2],
    [100, 8, 7],
    [0, 1, 1],
  ])('a link that takes %i at a time gets %i', async (receiveMaximum, most, ofBacklog) => {
    const { sources, serve } = publishing(far);
    sources.backlog.append(30);
    const link = far.link({ receiveMaximum });
    const { over } = await serve(link);
    expect(link.pending).toHaveLength(ofBacklog);
    sources.fresh.append(30);
    await settle();
    for (let i = 0; i < 20; i++) await ackOne(link);
    expect(link.mostPending).toBe(most);
    await over();
    // Another link says for itself.
    const next = far.link();
    const again = await serve(next);
    expect(next.pending).toHaveLength(8);
    await again.over();
  });

  test.each([
    [1000, 5000, 1000],
    [5000, 1000, 1000],
    [undefined, 1500, 1500],
  ])('publishes of %s bytes at most for the link, and %i for us', async (...given) => {
    const [maximumSizeBytes, maxBytes, most] = given;
    const { sources, serve } = publishing(far, { shape: batchShape, maxBytes });
    sources.fresh.append(500);
    sources.backlog.append(500);
    const link = far.link(maximumSizeBytes === undefined ? {} : { maximumSizeBytes });
    const { over } = await serve(link);
    while (sources.fresh.backlog() + sources.backlog.backlog() > 0) await link.ackAll();
    const sizes = far.publishes.map(({ bytes }) => bytes);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(most);
    // And most of it is used.
    expect(sizes.length).toBeLessThan(2.5 * (sizes.reduce((sum, one) => sum + one, 0) / most));
    await over();
  });

  it('a wait of months, after many alerts, does not keep it busy', async () => {
    const clock = new FakeClock();
    const rates = { bytesPerSecond: 0, bytesPerDay: 1000, publishesPerSecond: 0 };
    const budget = new Budget({ clock, ...rates, meteredHours: [], meteredLanes: 'fresh' });
    budget.spend(100_000);
    const asked = vi.spyOn(budget, 'waitMs');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { sources, serve } = publishing(far, { budget });
    sources.fresh.append(10);
    const { over } = await serve(far.link());
    asked.mockClear();
    for (let ms = 0; ms < 1000; ms += 10) vi.advanceTimersByTime(10);
    expect(asked).not.toHaveBeenCalled();
    clock.advance(102 * 86_400_000);
    vi.advanceTimersByTime(102 * 86_400_000);
    await settle();
    expect(far.publishes.length).toBeGreaterThan(0);
    await over();
  });

  it('where bytes a second are counted, the backlog comes in smaller publishes', async () => {
    const clock = new FakeClock();
    const rates = { bytesPerSecond: 1500, bytesPerDay: 0, publishesPerSecond: 0 };
    const budget = new Budget({ clock, ...rates, meteredHours: [], meteredLanes: 'fresh' });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { sources, serve } = publishing(far, { shape: batchShape, maxBytes: 20_000, budget });
    sources.fresh.append(1000);
    sources.backlog.append(1000);
    const link = far.link();
    const { over } = await serve(link);
    for (let s = 0; s < 120; s++) {
      await link.ackAll();
      clock.advance(1000);
      vi.advanceTimersByTime(1000);
      await settle();
    }
    expect(sources.backlog.backlog()).toBe(0);
    const largest = (stream: string) =>
      Math.max(...far.publishes.filter((one) => one.stream === stream).map(({ bytes }) => bytes));
    expect(largest('backlog')).toBeLessThanOrEqual(2048);
    expect(largest('fresh')).toBeGreaterThan(2500);
    await over();
  });
});
