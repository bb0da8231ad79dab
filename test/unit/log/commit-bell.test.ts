import { beforeEach, expect, it } from 'vitest';
import { CommitBell } from '../../../src/log/commit-bell.ts';

let bell: CommitBell;
let abort: AbortController;

beforeEach(() => {
  bell = new CommitBell();
  abort = new AbortController();
});

/** Whether a wait is still on, once everything that was to be told is told. */
async function isWaiting(wait: Promise<void>): Promise<boolean> {
  const isOver = wait.then(() => false);
  return Promise.race([isOver, new Promise<true>((resolve) => setImmediate(resolve, true))]);
}

it('wakes who waits, once', async () => {
  const first = bell.rings(abort.signal);
  expect(await isWaiting(first)).toBe(true);
  bell.ring();
  expect(await isWaiting(first)).toBe(false);
  expect(await isWaiting(bell.rings(abort.signal))).toBe(true);
});

it('tells the next who waits of rings that nobody waited for, once', async () => {
  bell.ring();
  bell.ring();
  expect(await isWaiting(bell.rings(abort.signal))).toBe(false);
  expect(await isWaiting(bell.rings(abort.signal))).toBe(true);
});

it('tells of a ring that comes before who was woken goes on', async () => {
  const first = bell.rings(abort.signal);
  bell.ring();
  bell.ring();
  await first;
  expect(await isWaiting(bell.rings(abort.signal))).toBe(false);
});

it('is silent about what was before it is hushed', async () => {
  bell.ring();
  bell.hush();
  const wait = bell.rings(abort.signal);
  expect(await isWaiting(wait)).toBe(true);
  bell.ring();
  expect(await isWaiting(wait)).toBe(false);
});

it('holds nobody whose signal aborts, and keeps the ring for the next one', async () => {
  const wait = bell.rings(abort.signal);
  abort.abort();
  expect(await isWaiting(wait)).toBe(false);
  bell.ring();
  expect(await isWaiting(bell.rings(abort.signal))).toBe(false);
  const { signal } = new AbortController();
  expect(await isWaiting(bell.rings(signal))).toBe(false);
  expect(await isWaiting(bell.rings(signal))).toBe(true);
});
