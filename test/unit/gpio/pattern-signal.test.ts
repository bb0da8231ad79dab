import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { levelAt, type Pattern, type PatternLevel } from '../../../firmware-bridge/gpio/pattern.ts';
import { PatternSignal } from '../../../firmware-bridge/gpio/pattern-signal.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const STEADY: Pattern = { kind: 'steady', onMs: 1, offMs: 1 };
const BLINK: Pattern = { kind: 'blink', onMs: 200, offMs: 300 };
const PULSE: Pattern = { kind: 'pulse', onMs: 150, offMs: 1 };

describe('the level of a pattern', () => {
  it.each<[string, Pattern, number, PatternLevel]>([
    ['steady', STEADY, 0, { active: true }],
    ['steady, later', STEADY, 1e9, { active: true }],
    ['blink', BLINK, 0, { active: true, forMs: 200 }],
    ['blink, just before it goes off', BLINK, 199.5, { active: true, forMs: 0.5 }],
    ['blink, off', BLINK, 200, { active: false, forMs: 300 }],
    ['blink, on again', BLINK, 500, { active: true, forMs: 200 }],
    ['blink, after days', BLINK, 500 * 1e6 + 350, { active: false, forMs: 150 }],
    ['pulse', PULSE, 0, { active: true, forMs: 150 }],
    ['pulse, over', PULSE, 150, { active: false }],
    ['pulse, long over', PULSE, 1e9, { active: false }],
  ])('%s', (_, pattern, sinceMs, level) => {
    expect(levelAt(pattern, sinceMs)).toEqual(level);
  });
});

describe('the signal', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function bench(patterns: Partial<Record<'info' | 'warning' | 'critical', Pattern>>) {
    const clock = new FakeClock();
    const startMs = clock.mono;
    /** When the line changed, in ms from the beginning, and to what. */
    const changes: Array<[number, boolean]> = [];
    const said: string[] = [];
    const fault = { message: '' };
    let now = false;
    const line = {
      name: 'bench',
      set: (active: boolean) => {
        if (fault.message !== '') throw new Error(fault.message);
        if (active !== now) changes.push([clock.mono - startMs, active]);
        now = active;
      },
      close: () => {
        now = false;
        changes.push([clock.mono - startMs, false]);
      },
    };
    const logger: Logger = { ...silentLogger, error: (_, message) => said.push(message) };
    const all = { info: STEADY, warning: STEADY, critical: STEADY, ...patterns };
    const signal = new PatternSignal({ line, patterns: all, clock, logger });
    const pass = (ms: number) => {
      for (let i = 0; i < ms; i += 10) {
        clock.advance(10);
        vi.advanceTimersByTime(10);
      }
    };
    return { signal, changes, said, fault, pass };
  }

  it('is on the line before show returns, and needs no timer while it is steady', () => {
    const { signal, changes } = bench({});
    signal.show('warning', true);
    expect([changes, vi.getTimerCount()]).toEqual([[[0, true]], 0]);
    signal.show(undefined, false);
    expect(changes).toEqual([
      [0, true],
      [0, false],
    ]);
  });

  it('blinks in the time of its pattern, and stops', () => {
    const { signal, changes, pass } = bench({ critical: BLINK });
    signal.show('critical', true);
    pass(1_000);
    expect(changes).toEqual([
      [0, true],
      [200, false],
      [500, true],
      [700, false],
      [1_000, true],
    ]);
    signal.show(undefined, false);
    expect([changes.at(-1), vi.getTimerCount()]).toEqual([[1_000, false], 0]);
  });

  it('goes on in step when it is shown again', () => {
    const { signal, changes, pass } = bench({ warning: BLINK });
    signal.show('warning', true);
    pass(150);
    signal.show('warning', true);
    pass(100);
    expect(changes).toEqual([
      [0, true],
      [200, false],
    ]);
  });

  it('pulses once for each that begins', () => {
    const { signal, changes, pass } = bench({ info: PULSE });
    signal.show('info', true);
    pass(1_000);
    signal.show('info', false);
    pass(1_000);
    signal.show('info', true);
    pass(1_000);
    expect(changes).toEqual([
      [0, true],
      [150, false],
      [2_000, true],
      [2_150, false],
    ]);
  });

  it('takes up the pattern of what is graver at once', () => {
    const { signal, changes, pass } = bench({ warning: BLINK });
    signal.show('warning', true);
    pass(300);
    signal.show('critical', true);
    pass(1_000);
    expect(changes).toEqual([
      [0, true],
      [200, false],
      [300, true],
    ]);
  });

  it('tries a line that cannot be driven again until it can be, and throws nothing', () => {
    const { signal, changes, said, fault, pass } = bench({});
    fault.message = 'EIO';
    signal.show('info', true);
    pass(1_000);
    expect([changes, said.length]).toEqual([[], 2]);
    fault.message = '';
    pass(1_000);
    expect([changes, vi.getTimerCount()]).toEqual([[[2_000, true]], 0]);
  });

  it('leaves the line alone once it is closed', () => {
    const { signal, changes, pass } = bench({ info: BLINK });
    signal.show('info', true);
    void signal.close();
    pass(1_000);
    signal.show('critical', true);
    expect([changes, vi.getTimerCount()]).toEqual([
      [
        [0, true],
        [0, false],
      ],
      0,
    ]);
  });
});
