import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';

/** Waits until `reached` holds; fails, naming `what`, if it does not within `withinMs`. */
export async function until(
  what: string,
  reached: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadlineMs = systemClock.monoMs() + withinMs;
  while (!(await reached())) {
    if (systemClock.monoMs() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await wait(10);
  }
}
