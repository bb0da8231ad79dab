import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AlertEvent } from '../../../src/alert/alert-event.ts';
import { AlertStates } from '../../../src/alert/alert-state.ts';
import { ALERT_OPTIONS, scoreOf, verdict } from './verdicts.ts';

/** Scores, one a second from `from` on. */
function feed(states: AlertStates, scores: readonly number[], from = 0): AlertEvent[] {
  return scores.flatMap((score, i) => states.observe(verdict(score, from + i)));
}

const shown = (events: readonly AlertEvent[]) =>
  events.map(({ kind, cause }) => `${kind} ${cause.offset}`);

describe('an alert', () => {
  it('begins with an anomaly and ends after five ordinary values in a row', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    const [begin, end, ...more] = feed(states, [0, 1, 50, 40, 1, 1, 1, 1, 1, 1]);
    expect(begin).toEqual({
      id: 'begin:d1/temperature:a1b2:readings:0:2',
      kind: 'begin',
      device: 'd1',
      metric: 'temperature',
      source: 'learned',
      value: 70,
      score: scoreOf(50),
      expectedLow: 12,
      expectedHigh: 28,
      severity: 'warning',
      fault: 'unusual',
      cause: { stream: 'readings', partition: 0, offset: 2 },
      sinceMs: 1_795_000_002_000,
      sinceRunMs: 2_000,
      atMs: 1_795_000_002_000,
      atRunMs: 2_000,
      suppressed: 0,
      count: 1,
    });
    expect(end).toMatchObject({
      id: 'end:d1/temperature:a1b2:readings:0:8',
      kind: 'end',
      value: 21,
      score: scoreOf(1),
      sinceMs: 1_795_000_002_000,
      sinceRunMs: 2_000,
      atMs: 1_795_000_008_000,
      atRunMs: 8_000,
    });
    expect(more).toEqual([]);
  });

  it('does not flicker between the two limits', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    const scores = [9, 5, 7.9, 3, 3, 3, 3, 4, 8, 3.9, 3, 3, 3];
    expect(shown(feed(states, scores))).toEqual(['begin 0']);
    expect(shown(feed(states, [3], scores.length))).toEqual(['end 13']);
  });

  it('that turns out to be graver ends, and begins anew as that', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    const events = [
      ...states.observe(verdict(9, 0, { fault: 'spike' })),
      ...states.observe(verdict(9, 1, { fault: 'stuck' })),
      // Graver once is enough, and what is less grave is no news.
      ...states.observe(verdict(9, 2, { fault: 'shift' })),
      ...states.observe(verdict(9, 3, { fault: 'spike' })),
      ...feed(states, [1, 1, 1, 1, 1], 4),
    ];
    const told = events.map(({ id, severity, sinceRunMs }) => [id, severity, sinceRunMs]);
    const name = (kind: string, at: number) => `${kind}:d1/temperature:a1b2:readings:0:${at}`;
    expect(told).toEqual([
      [name('begin', 0), 'info', 0],
      // After its beginning: its own reading may yet end the next one.
      [name('end', 0), 'info', 0],
      [name('begin', 1), 'warning', 0],
      [name('end', 8), 'warning', 0],
    ]);
    expect(events[1]).toMatchObject({ begunId: events[0]?.id, isSuperseded: true });
    expect(events[3]).toMatchObject({ begunId: events[2]?.id });
  });

  it('does not turn out to be graver by the reading with which it began', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    const again = { fault: 'stuck', cause: verdict(9, 0).cause } as const;
    expect(shown(states.observe(verdict(9, 0, { fault: 'spike' })))).toEqual(['begin 0']);
    expect(states.observe(verdict(9, 0.5, again))).toEqual([]);
    expect(states.observe(verdict(9, 1, { fault: 'stuck' }))).toHaveLength(2);
  });

  it('turns out to be graver once it has lasted as long as that must', () => {
    const minDurationMs = { info: 0, warning: 3_000, critical: 0 };
    const states = new AlertStates({ ...ALERT_OPTIONS, minDurationMs });
    const events = [0, 1, 2, 3].flatMap((at) =>
      states.observe(verdict(9, at, { fault: at === 0 ? 'spike' : 'stuck' })),
    );
    expect(shown(events)).toEqual(['begin 0', 'end 3', 'begin 3']);
  });

  it('of a flood is told in the flood of its severity when it turns out to be graver', () => {
    const flood = { maxAlerts: 1, windowMs: 600_000 };
    const states = new AlertStates({ ...ALERT_OPTIONS, flood });
    const metrics = ['a', 'b', 'c'];
    for (const metric of metrics) states.observe(verdict(9, 0, { metric, fault: 'spike' }));
    const graver = metrics.flatMap((metric) =>
      states.observe(verdict(9, 1, { metric, fault: 'stuck' })),
    );
    expect(graver.map(({ kind, metric, severity }) => [kind, metric, severity])).toEqual([
      ['end', 'a', 'info'],
      ['begin', 'a', 'warning'],
      ['begin', 'flood', 'warning'],
    ]);
  });

  it('never begins while the series is learnt', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    expect(states.observe(verdict(0, 0, { state: 'learning' }))).toEqual([]);
    expect(states.active()).toEqual([]);
  });

  it('is one a series', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    for (const device of ['d1', 'd2']) {
      for (const metric of ['t', 'h']) states.observe(verdict(9, 0, { device, metric }));
    }
    expect(states.active().map(({ device, metric }) => `${device} ${metric}`)).toEqual([
      'd1 t',
      'd1 h',
      'd2 t',
      'd2 h',
    ]);
    expect(new Set(states.active().map(({ id }) => id)).size).toBe(4);
  });
});

describe('the cool-down', () => {
  const ended = [9, 1, 1, 1, 1, 1]; // ends in second 5: cools down until second 65

  it('holds back and counts what would begin, and the next alert tells of it', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    feed(states, ended);
    expect(feed(states, [9, 9, 0, 9], 61)).toEqual([]);
    expect(feed(states, [9], 65)).toMatchObject([{ kind: 'begin', suppressed: 3 }]);
  });

  it('tells of it after an ordinary time, too', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    feed(states, ended);
    feed(states, [9, 0, 0], 30);
    feed(states, [0, 0, 0], 70);
    expect(feed(states, [9], 500)).toMatchObject([{ kind: 'begin', suppressed: 1 }]);
  });

  it('runs on the clock of the log: the wall clock may jump', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    feed(states, ended);
    const yearsLater = { receivedAtMs: 1_995_000_000_000 };
    expect(states.observe(verdict(9, 64, yearsLater))).toEqual([]);
    expect(states.observe(verdict(9, 65, { receivedAtMs: 0 }))).toMatchObject([{ kind: 'begin' }]);
  });

  it('leaves nothing behind when there is nothing to tell', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    feed(states, ended);
    states.snapshot();
    feed(states, [0], 65);
    expect(states.snapshot()).toEqual(new Map([['alert/state/d1/temperature', undefined]]));
    feed(states, [0, 0, 0], 66);
    expect(states.snapshot().size).toBe(0);
  });
});

const runs = fc.array(
  fc.record({
    score: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom(0, 3.9, 4, 7.9, 8, 1e308)),
    device: fc.constantFrom('d1', 'd/2', 'dü'),
    waitS: fc.integer({ min: 0, max: 40 }),
  }),
  { maxLength: 150 },
);

function verdictsOf(run: Array<{ score: number; device: string; waitS: number }>) {
  let second = 0;
  return run.map(({ score, device, waitS }) => {
    second += 1 + waitS;
    return verdict(score, second, { device });
  });
}

describe('any run of verdicts', () => {
  it('begins and ends in turn, and the active ones are those that have begun', () => {
    fc.assert(
      fc.property(runs, (run) => {
        const states = new AlertStates(ALERT_OPTIONS);
        const open = new Map<string, AlertEvent>();
        const endedAt = new Map<string, number>();
        for (const one of verdictsOf(run)) {
          const [event, ...more] = states.observe(one);
          expect(more).toEqual([]);
          if (event === undefined) continue;
          const { device, kind, atRunMs } = event;
          expect(open.has(device)).toBe(kind === 'end');
          if (kind === 'begin') {
            expect(event.score).toBeGreaterThanOrEqual(0.5);
            const cooledMs = atRunMs - (endedAt.get(device) ?? Number.NEGATIVE_INFINITY);
            expect(cooledMs).toBeGreaterThanOrEqual(ALERT_OPTIONS.coolDownMs);
            open.set(device, event);
          } else {
            expect(event.sinceRunMs).toBe(open.get(device)?.atRunMs);
            endedAt.set(device, atRunMs);
            open.delete(device);
          }
        }
        const ids = (events: Iterable<AlertEvent>) => [...events].map(({ id }) => id).sort();
        expect(ids(states.active())).toEqual(ids(open.values()));
      }),
      { numRuns: 200 },
    );
  });

  it('gives the same events, ids and all, when it is read again from a checkpoint', () => {
    fc.assert(
      fc.property(runs, fc.nat(150), fc.nat(150), (run, a, b) => {
        const verdicts = verdictsOf(run);
        const observe = (states: AlertStates, part: typeof verdicts) =>
          part.flatMap((one) => states.observe(one));
        const straight = new AlertStates(ALERT_OPTIONS);
        const checkpoint = Math.min(a, b, verdicts.length);
        const store = new Map<string, string>();
        const save = (states: AlertStates) => {
          for (const [key, value] of states.snapshot()) {
            if (value === undefined) store.delete(key);
            else store.set(key, value);
          }
        };
        observe(straight, verdicts.slice(0, Math.floor(checkpoint / 2)));
        save(straight);
        observe(straight, verdicts.slice(Math.floor(checkpoint / 2), checkpoint));
        save(straight);
        const expected = observe(straight, verdicts.slice(checkpoint));
        const again = new AlertStates(ALERT_OPTIONS);
        again.restore(new Map([...store, ['detect/series/d1/t', '{}']]));
        expect(observe(again, verdicts.slice(checkpoint))).toEqual(expected);
        expect(again.active()).toEqual(straight.active());
      }),
      { numRuns: 200 },
    );
  });

  it('forgets the series that nobody watches, and keys that name none', () => {
    const states = new AlertStates(ALERT_OPTIONS);
    const cooling = JSON.stringify({ kind: 'cooling', untilRunMs: 1, suppressed: 0 });
    states.restore(
      new Map(['d1/t', 'd%2F2/t', '%ff/t'].map((key) => [`alert/state/${key}`, cooling])),
    );
    states.forgetUnwatched(({ device, metric }) => `${device} ${metric}` === 'd/2 t');
    expect([...states.snapshot()]).toEqual([
      ['alert/state/d1/t', undefined],
      ['alert/state/%ff/t', undefined],
    ]);
  });
});

it('of a record with many values no two alerts of a series have one id', () => {
  const states = new AlertStates({ ...ALERT_OPTIONS, clearCount: 1, coolDownMs: 0 });
  const scores = [50, 0, 50, 0, 50];
  const events = scores.flatMap((score) => states.observe(verdict(score, 7)));
  expect(shown(events)).toEqual(['begin 7', 'end 7']);
  expect(states.observe(verdict(50, 8))).toMatchObject([{ kind: 'begin', suppressed: 2 }]);
});
