import { expect, it } from 'vitest';
import type { AlertEvent } from '../../../src/alert/alert-event.ts';
import { AlertStates } from '../../../src/alert/alert-state.ts';
import { ALERT_OPTIONS, verdict } from './verdicts.ts';

// Every way from one state to the next, a verdict a second.

const RULES = {
  ...ALERT_OPTIONS,
  clearCount: 2,
  coolDownMs: 10_000,
  minDurationMs: { info: 60_000, warning: 3_000, critical: 0 },
};

/** `H`: high, `m`: between calm and high, `.`: calm. What begins and ends, at which second. */
function story(signs: string, over: Partial<typeof RULES> = {}, more = {}): string[] {
  const states = new AlertStates({ ...RULES, ...over });
  const spreads: Readonly<Record<string, number>> = { H: 50, m: 6, '.': 1 };
  const events = [...signs].flatMap((sign, second) => {
    const one = verdict(spreads[sign] ?? 0, second, sign === 'H' ? more : {});
    return states.observe(one);
  });
  return events.map((e: AlertEvent) => `${e.kind} ${e.cause.offset} since ${e.sinceRunMs / 1000}`);
}

it.each([
  ['pending becomes active once it has lasted', 'HHHH', ['begin 3 since 0']],
  ['pending goes back to idle with a calm value', 'HHH.HHH', []],
  ['pending outlasts a value that is between', 'HHmH', ['begin 3 since 0']],
  ['pending begins with a high value only', 'HmmmH', ['begin 4 since 0']],
  ['active goes on with a value between', 'HHHHmmm', ['begin 3 since 0']],
  ['clearing goes back to active', 'HHHH.H.m.H', ['begin 3 since 0']],
  ['clearing ends', 'HHHH.m..', ['begin 3 since 0', 'end 7 since 0']],
  ['cooling holds back', 'HHHH..HHHHHH', ['begin 3 since 0', 'end 5 since 0']],
  [
    'after it a new one is pending first',
    'HHHH..HHHHHHHHHHHHHH',
    ['begin 3 since 0', 'end 5 since 0', 'begin 18 since 15'],
  ],
])('%s', (_, signs, expected) => {
  expect(story(signs)).toEqual(expected);
});

it.each([
  ['info', []],
  ['warning', ['begin 3 since 0']],
  ['critical', ['begin 0 since 0']],
] as const)('what is %s has a time of its own to last', (severity, expected) => {
  const of = { limit: { name: 'a', severity } };
  expect(story('HHHHHHH', {}, of)).toEqual(expected);
});

it('a clear time is waited for, however many calm values come', () => {
  const over = { clearMs: 5_000, minDurationMs: { info: 0, warning: 0, critical: 0 } };
  expect(story('H......', over)).toEqual(['begin 0 since 0', 'end 6 since 0']);
  expect(story('H....m.....', over)).toEqual(['begin 0 since 0']);
});

it('what a cool-down held back is told by the next one, also after a pending that was none', () => {
  const states = new AlertStates({ ...RULES, coolDownMs: 3_000 });
  const spreads = [50, 50, 50, 50, 1, 1, 50, 50, 1, 1, 50, 1, 1, 50, 50, 50, 50];
  const events = spreads.flatMap((one, second) => states.observe(verdict(one, second)));
  expect(events.map(({ kind, suppressed }) => [kind, suppressed])).toEqual([
    ['begin', 0],
    ['end', 0],
    ['begin', 2],
  ]);
});

it('limits and what is learned have alerts of their own', () => {
  const states = new AlertStates(ALERT_OPTIONS);
  const limit = { name: 'hot', severity: 'critical' } as const;
  const events = [
    ...states.observe(verdict(50, 1)),
    ...states.observe(verdict(50, 1, { limit, fault: 'range' }), 'limit:hot'),
  ];
  expect(events.map(({ id, severity }) => [id, severity])).toEqual([
    ['begin:d1/temperature:a1b2:readings:0:1', 'warning'],
    ['begin:d1/temperature/limit%3Ahot:a1b2:readings:0:1', 'critical'],
  ]);
});
