import { type AlertEvent, AlertStates } from '../../../src/alert/alert-state.ts';
import type { Verdict } from '../../../src/base/verdict.ts';

export const ALERT_OPTIONS = { log: 'a1b2', clearScore: 4, clearCount: 5, coolDownMs: 60_000 };

/** A verdict with this score, at this second of the run clock. */
export function verdict(score: number, second: number, over: Partial<Verdict> = {}): Verdict {
  return {
    device: 'd1',
    metric: 'temperature',
    value: 20 + score,
    score,
    expectedLow: 12,
    expectedHigh: 28,
    state: score >= 8 ? 'anomalous' : 'normal',
    atRunMs: second * 1_000,
    receivedAtMs: 1_795_000_000_000 + second * 1_000,
    cause: { stream: 'readings', partition: 0, offset: second },
    ...over,
  };
}

/** An alert's beginning at this second, and its end. */
export function alertAt(second: number, over: Partial<Verdict> = {}): [AlertEvent, AlertEvent] {
  const states = new AlertStates({ ...ALERT_OPTIONS, clearCount: 1, coolDownMs: 0 });
  const begin = states.observe(verdict(50, second, over));
  const end = states.observe(
    verdict(1, second + 1, {
      ...over,
      cause: { stream: 'readings', partition: 0, ...over.cause, offset: second + 1 },
    }),
  );
  if (begin === undefined || end === undefined) throw new Error('no alert');
  return [begin, end];
}
