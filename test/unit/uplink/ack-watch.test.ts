import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AckWatch } from '../../../src/uplink/ack-watch.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const TIMEOUT_MS = 400;
let clock: FakeClock;

beforeEach(() => {
  vi.useFakeTimers();
  clock = new FakeClock();
});

afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const onDead = vi.fn();
  const watch = new AckWatch(clock, TIMEOUT_MS, onDead);
  const pass = (ms: number) => {
    clock.advance(ms);
    vi.advanceTimersByTime(ms);
  };
  return { watch, onDead, pass };
}

it('gives the link up when the oldest has waited for as long as it may, once', () => {
  const { watch, onDead, pass } = setUp();
  pass(3 * TIMEOUT_MS);
  watch.add({}, () => {});
  pass(TIMEOUT_MS - 100);
  watch.add({}, () => {});
  expect(onDead).not.toHaveBeenCalled();
  pass(100);
  expect(onDead.mock.calls).toEqual([['no acknowledgement within 400 ms']]);
  pass(5 * TIMEOUT_MS);
  expect(onDead).toHaveBeenCalledOnce();
});

it('gives each its own time from when it is the oldest', () => {
  const { watch, onDead, pass } = setUp();
  const all = [{}, {}, {}, {}, {}];
  for (const one of all) watch.add(one, () => {});
  for (const one of all) {
    pass(TIMEOUT_MS - 100);
    watch.delete(one);
  }
  pass(5 * TIMEOUT_MS);
  expect(onDead).not.toHaveBeenCalled();
});

it('is not held up by answers to later ones: the oldest lacks its own', () => {
  const { watch, onDead, pass } = setUp();
  watch.add({}, () => {});
  for (let i = 0; i < 4; i++) {
    const later = {};
    watch.add(later, () => {});
    pass(100);
    watch.delete(later);
  }
  expect(onDead).toHaveBeenCalledOnce();
});

it('goes by the clock that does not jump, and by a steady timer alone gives up nothing', () => {
  const { watch, onDead } = setUp();
  watch.add({}, () => {});
  // A suspended process: timers come, and no time has passed on the gateway's clock.
  clock.wall += 10 * TIMEOUT_MS;
  vi.advanceTimersByTime(10 * TIMEOUT_MS);
  expect(onDead).not.toHaveBeenCalled();
});

it('tells those that lack their answer that the link is gone, and watches no more', () => {
  const { watch, onDead, pass } = setUp();
  const [answered, open] = [vi.fn(), vi.fn()];
  const first = {};
  watch.add(first, answered);
  watch.add({}, open);
  watch.delete(first);
  watch.end('cut off');
  watch.end('once more');
  expect(answered).not.toHaveBeenCalled();
  expect(open.mock.calls).toEqual([[new Error('cut off')]]);
  pass(5 * TIMEOUT_MS);
  expect(onDead).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
