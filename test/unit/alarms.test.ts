import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Alarms } from '../../src/alarms.ts';
import type { AlertEvent } from '../../src/alert/alert-event.ts';
import { AlertStates } from '../../src/alert/alert-state.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import type { Verdict } from '../../src/base/verdict.ts';
import { Limits } from '../../src/detect/limits.ts';
import { Silence } from '../../src/detect/silence.ts';
import { ALERT_OPTIONS, verdict } from './alert/verdicts.ts';

// All that raises alerts, together: whatever comes, what begins ends, and a restart anywhere
// changes nothing.

const LIMITS = {
  hot: { metric: 'a', max: 60, severity: 'critical' },
  fast: { device: 'd1', ratePerSecond: 5, severity: 'info' },
  quiet: { silenceSeconds: 20, severity: 'warning' },
} as const;

function open(stored: ReadonlyMap<string, string> = new Map()): Alarms {
  const silence = () =>
    new Silence({
      learned: true,
      factor: 3,
      minMs: 5_000,
      limits: LIMITS,
      graceMs: 0,
      maxDevices: 100,
    });
  const states = () =>
    new AlertStates({
      ...ALERT_OPTIONS,
      clearCount: 2,
      clearMs: 2_000,
      coolDownMs: 5_000,
      minDurationMs: { info: 3_000, warning: 1_000, critical: 0 },
      flood: { maxAlerts: 1, windowMs: 30_000 },
    });
  const alarms = new Alarms(() => ({
    states: states(),
    limits: new Limits(LIMITS),
    silence: silence(),
  }));
  expect(alarms.restore(stored, () => true)).toEqual([]);
  return alarms;
}

interface Step {
  /** undefined: no reading, the time passes. */
  readonly device: string | undefined;
  readonly spreads: number[];
  readonly waitS: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    device: fc.constantFrom('d1', 'd/2', 'dü', undefined),
    spreads: fc.array(fc.constantFrom(0, 3, 6, 9, 50), { minLength: 1, maxLength: 3 }),
    waitS: fc.oneof({ weight: 9, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(40) }),
  }),
  { maxLength: 120 },
);

/** What each step raises; before step `cut` all is stored, and taken up again. */
function play(run: readonly Step[], cut?: number): AlertEvent[] {
  let alarms = open();
  const stored = new Map<string, string>();
  let second = 0;
  return run.flatMap(({ device, spreads, waitS }, i) => {
    if (i === cut || i * 2 === cut) {
      for (const [key, value] of alarms.snapshot()) {
        if (value === undefined) stored.delete(key);
        else stored.set(key, value);
      }
      if (i === cut) alarms = open(stored);
    }
    second += waitS;
    const runMs = second * 1_000;
    if (device === undefined) return alarms.advance(runMs, 1_795_000_000_000 + runMs);
    const record = recordOf(device, runMs, i);
    return alarms.observe(record, verdictsOf(record, spreads));
  });
}

function verdictsOf({ device, offset, runMs }: LogRecord, spreads: readonly number[]): Verdict[] {
  const cause = { stream: 'readings', partition: 0, offset };
  return spreads.map((one, at) => {
    const metric = 'abc'[at] ?? '';
    return verdict(one, runMs / 1_000, { device, metric, cause });
  });
}

function recordOf(device: string, runMs: number, offset: number): LogRecord {
  const at = { stream: 'readings', partition: 0, offset, runMs, boot: '00', monoMs: runMs };
  const receivedAtMs = 1_795_000_000_000 + runMs;
  return { device, topic: `sensors/${device}/t`, payload: new Uint8Array(0), receivedAtMs, ...at };
}

it('what begins ends, in turn, under names that are there once', () => {
  let floods = 0;
  fc.assert(
    fc.property(steps, (run) => {
      const events = play(run);
      const open = new Map<string, AlertEvent>();
      for (const event of events) {
        const series = JSON.stringify([event.device, event.metric, event.source]);
        if (/^(site|flood)/.test(event.source)) floods += 1;
        if (event.kind === 'begin') {
          expect(open.has(series), `${event.id} begins once`).toBe(false);
          expect(event.sinceRunMs).toBeLessThanOrEqual(event.atRunMs);
          open.set(series, event);
        } else {
          expect(event.begunId).toBe(open.get(series)?.id);
          open.delete(series);
        }
      }
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    }),
    { numRuns: 300 },
  );
  expect(floods).toBeGreaterThan(20);
});

it('the active ones are those that have begun and not ended', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const alarms = open();
      const active = new Set<string>();
      let second = 0;
      for (const [i, { device = 'd1', spreads, waitS }] of run.entries()) {
        second += waitS;
        const record = recordOf(device, second * 1_000, i);
        for (const event of alarms.observe(record, verdictsOf(record, spreads))) {
          if (event.kind === 'begin') active.add(event.id);
          else active.delete(event.begunId ?? '');
        }
        expect(new Set(alarms.active().map(({ id }) => id))).toEqual(active);
      }
    }),
    { numRuns: 200 },
  );
});

it('a restart anywhere changes nothing', () => {
  fc.assert(
    fc.property(steps, fc.nat(120), (run, cut) => {
      expect(play(run, cut)).toEqual(play(run));
    }),
    { numRuns: 300 },
  );
});
