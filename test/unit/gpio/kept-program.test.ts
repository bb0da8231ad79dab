import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { KeptProgram } from '../../../firmware-bridge/gpio/kept-program.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { ProgramEnd, Programs } from '../../../src/os/programs.ts';
import { FakeClock } from '../../support/fake-clock.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Programs that end when they are told to, and a clock that stands. */
function bench() {
  const clock = new FakeClock();
  /** What was started and which signals it got. */
  const done: string[] = [];
  const said: unknown[] = [];
  let end: (how: ProgramEnd) => void = () => {};
  const programs: Programs = {
    ask: () => Promise.reject(new Error('not expected')),
    start: (command, args) => {
      done.push([command, ...args].join(' '));
      const ended = new Promise<ProgramEnd>((resolve) => (end = resolve));
      return { ended, kill: (signal) => void done.push(signal) };
    },
  };
  const logger = { ...silentLogger, error: (fields: unknown) => void said.push(fields) };
  const options = { command: 'hold', programs, clock, logger, lost: 'lost' };
  const die = async (how: Partial<ProgramEnd> = {}) => {
    end({ code: null, error: '', ...how });
    await vi.advanceTimersByTimeAsync(0);
  };
  return { kept: new KeptProgram(options), clock, done, said, die };
}

it('is replaced once the one before has ended, by what is wanted then', async () => {
  const { kept, done, said, die } = bench();
  kept.run(['0']);
  kept.run(['1']);
  kept.run(['2']);
  expect(done).toEqual(['hold 0', 'SIGTERM']);
  await die();
  expect([done.slice(2), said]).toEqual([['hold 2'], []]);
});

it('is made to end if it does not do so by itself', async () => {
  const { kept, done, die } = bench();
  kept.run(['0']);
  kept.run(['1']);
  vi.advanceTimersByTime(499);
  expect(done.at(-1)).toBe('SIGTERM');
  vi.advanceTimersByTime(1);
  expect(done.at(-1)).toBe('SIGKILL');
  await die();
  expect([done.at(-1), vi.getTimerCount()]).toEqual(['hold 1', 0]);
});

it('is started again at once when it ends, and then every second while that goes on', async () => {
  const { kept, done, said, die } = bench();
  kept.run(['1']);
  await die({ code: 1, error: 'busy' });
  expect([done.length, said]).toMatchObject([2, [{ program: 'hold', exit: 1, error: 'busy' }]]);
  await die();
  expect(done).toHaveLength(2);
  vi.advanceTimersByTime(1_000);
  expect(done).toHaveLength(3);
});

it('may end as often as it likes after a long life', async () => {
  const { kept, clock, done, die } = bench();
  kept.run(['1']);
  for (let i = 0; i < 5; i += 1) {
    clock.advance(1_000);
    await die();
  }
  expect(done).toHaveLength(6);
});

it('does not wait for a second when something else is wanted', async () => {
  const { kept, done, die } = bench();
  kept.run(['0']);
  await die();
  await die();
  kept.run(['1']);
  expect([done.at(-1), vi.getTimerCount()]).toEqual(['hold 1', 0]);
});

it('is not started again once it is stopped', async () => {
  const { kept, done, die } = bench();
  kept.run(['0']);
  const stopped = kept.stop();
  await die();
  await stopped;
  await kept.stop();
  vi.advanceTimersByTime(10_000);
  expect(done).toEqual(['hold 0', 'SIGTERM']);
});

it('is not started again if it is stopped while it waits', async () => {
  const { kept, done, die } = bench();
  kept.run(['0']);
  await die();
  await die();
  await kept.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10_000);
  expect(done).toHaveLength(2);
});
