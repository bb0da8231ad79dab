import type { AlertEvent } from '../../../src/alert/alert-event.ts';
import { type AlertOptions, AlertStates } from '../../../src/alert/alert-state.ts';
import type { Fault, Severity, Verdict } from '../../../src/base/verdict.ts';

const FAULT_SEVERITY: Readonly<Record<Fault, Severity>> = {
  spike: 'info',
  shift: 'warning',
  drift: 'warning',
  noise: 'warning',
  stuck: 'warning',
  range: 'warning',
  rate: 'warning',
  silence: 'warning',
  unusual: 'warning',
};

export const ALERT_OPTIONS: AlertOptions = {
  log: 'a1b2',
  clearScore: 1 / 3,
  clearCount: 5,
  clearMs: 0,
  coolDownMs: 60_000,
  minDurationMs: { info: 0, warning: 0, critical: 0 },
  severity: FAULT_SEVERITY,
  flood: { maxAlerts: 1_000, windowMs: 600_000 },
};

/** A distance of so many spreads as a score from 0 to 1: from 8 on it is an anomaly. */
export const scoreOf = (spreads: number) => spreads / (spreads + 8);

/** A verdict so many spreads from the median, at this second of the run clock. */
export function verdict(spreads: number, second: number, over: Partial<Verdict> = {}): Verdict {
  return {
    device: 'd1',
    metric: 'temperature',
    value: 20 + spreads,
    score: scoreOf(spreads),
    expectedLow: 12,
    expectedHigh: 28,
    state: spreads >= 8 ? 'anomalous' : 'normal',
    learned: 1,
    ...(spreads >= 8 ? { fault: 'unusual' } : {}),
    atRunMs: second * 1_000,
    receivedAtMs: 1_795_000_000_000 + second * 1_000,
    cause: { stream: 'readings', partition: 0, offset: second },
    ...over,
  };
}

/** An alert's beginning at this second, and its end. */
export function alertAt(second: number, over: Partial<Verdict> = {}): [AlertEvent, AlertEvent] {
  const states = new AlertStates({ ...ALERT_OPTIONS, clearCount: 1, coolDownMs: 0 });
  const [begin] = states.observe(verdict(50, second, over));
  const [end] = states.observe(
    verdict(1, second + 1, {
      ...over,
      cause: { stream: 'readings', partition: 0, ...over.cause, offset: second + 1 },
    }),
  );
  if (begin === undefined || end === undefined) throw new Error('no alert');
  return [begin, end];
}
