import { expect, it } from 'vitest';
import type { AlertEvent } from '../../../src/alert/alert-event.ts';
import { AlertStates, type SilentDevice } from '../../../src/alert/alert-state.ts';
import { ALERT_OPTIONS, verdict } from './verdicts.ts';

// Many alerts at once are one: of a device, of a site.

const OPTIONS = {
  ...ALERT_OPTIONS,
  clearCount: 1,
  coolDownMs: 10_000,
  flood: { maxAlerts: 3, windowMs: 60_000 },
};

const told = (events: readonly AlertEvent[]) =>
  events.map(({ kind, device, metric, count }) => `${kind} ${device} ${metric} ${count}`);

function plant() {
  const states = new AlertStates(OPTIONS);
  const see = (metric: string, spreads: number, second: number, over = {}) =>
    told(states.observe(verdict(spreads, second, { metric, ...over })));
  return { states, see };
}

it('a device that has gone mad is one alert after the first three', () => {
  const { states, see } = plant();
  const begun = ['a', 'b', 'c', 'd', 'e', 'f'].map((metric, i) => see(metric, 50, i));
  expect(begun.flat()).toEqual([
    'begin d1 a 1',
    'begin d1 b 1',
    'begin d1 c 1',
    'begin d1 flood 4',
  ]);
  const flood = states.active().find(({ metric }) => metric === 'flood');
  expect(flood).toMatchObject({ source: 'flood:warning', names: ['a', 'b', 'c', 'd'] });
  expect(states.countOf(flood?.id ?? '')).toEqual({ count: 6, open: 3 });
  expect(states.active()).toHaveLength(4);
  // The three told by themselves end by themselves; the others with the flood, once all is calm.
  const ended = ['a', 'd', 'e', 'f'].map((metric, i) => see(metric, 1, 10 + i));
  expect(ended.flat()).toEqual(['end d1 a 1']);
  expect(see('f', 1, 22)).toEqual([]);
  expect(see('f', 1, 23)).toEqual(['end d1 flood 6']);
  expect(states.active().map(({ metric }) => metric)).toEqual(['b', 'c']);
});

it('one series that begins and ends again and again is a flood, too, which goes on', () => {
  const { see } = plant();
  const events = Array.from({ length: 60 }, (_, i) => see('a', i % 12 === 0 ? 50 : 1, i));
  expect(events.flat()).toEqual([
    ...Array.from({ length: 3 }, () => ['begin d1 a 1', 'end d1 a 1']).flat(),
    'begin d1 flood 4',
    'end d1 flood 4',
    'begin d1 a 1',
    'end d1 a 1',
  ]);
});

it('alerts that are far apart are no flood', () => {
  const { see } = plant();
  const begun = ['a', 'b', 'c', 'd', 'e'].map((metric, i) => see(metric, 50, i * 21));
  expect(begun.flat().filter((one) => one.includes('flood'))).toEqual([]);
});

it('nothing grave goes under in a flood of what is less', () => {
  const { see } = plant();
  for (const [i, metric] of ['a', 'b', 'c', 'd', 'e'].entries()) see(metric, 50, i);
  const limit = { name: 'x', severity: 'critical' };
  expect(see('z', 50, 9, { limit, fault: 'range' })).toEqual(['begin d1 z 1']);
});

it('other devices are not of it', () => {
  const { see } = plant();
  for (const [i, metric] of ['a', 'b', 'c', 'd', 'e'].entries()) see(metric, 50, i);
  expect(see('a', 50, 6, { device: 'd2' })).toEqual(['begin d2 a 1']);
});

function silent(device: string, lastSecond: number, second: number, over = {}): SilentDevice {
  const cause = { stream: 'readings', partition: 0, offset: lastSecond };
  const of = { device, metric: 'silence', fault: 'silence', cause, expectedHigh: 60, ...over };
  const sinceMs = 1_795_000_000_000 + lastSecond * 1_000;
  return {
    verdict: { ...verdict(50, second, of as Partial<SilentDevice['verdict']>), score: 1 },
    since: { sinceMs, sinceRunMs: lastSecond * 1_000 },
  };
}

const heard = (device: string, second: number) =>
  verdict(0, second, { device, metric: 'silence', fault: 'silence' });

it('a site that goes dark is one alert, which ends with the last of its devices', () => {
  const states = new AlertStates(OPTIONS);
  const devices = Array.from({ length: 40 }, (_, i) => `d${i}`);
  const begun = states.silent(
    devices.map((device, i) => silent(device, i, 500)),
    50,
  );
  expect(told(begun)).toEqual(['begin site silence 40']);
  expect(begun[0]).toMatchObject({
    id: 'begin:site/silence/site%3Awarning:a1b2:readings:0:0',
    names: ['d0', 'd1', 'd2', 'd3', 'd4'],
    sinceRunMs: 0,
  });
  expect(told(states.silent([silent('late', 100, 520)], 50))).toEqual([]);
  const ended = [...devices, 'late'].map((device, i) => states.heard(heard(device, 600 + i)));
  expect(ended.slice(0, -1).flat()).toEqual([]);
  expect(told(ended.at(-1) ?? [])).toEqual(['end site silence 41']);
  expect(states.active()).toEqual([]);
});

it('most of a small site is one alert, too', () => {
  expect(told(new AlertStates(OPTIONS).silent([silent('a', 1, 9), silent('b', 2, 9)], 3))).toEqual([
    'begin site silence 2',
  ]);
});

it('a few of many are told one by one, and each ends by itself under the name of its begin', () => {
  const states = new AlertStates(OPTIONS);
  const begun = states.silent([silent('a', 1, 9), silent('b', 2, 9)], 40);
  expect(told(begun)).toEqual(['begin a silence 1', 'begin b silence 1']);
  const [end] = states.heard(heard('a', 30));
  expect(end?.id).toBe('end:a/silence/silence:a1b2:readings:0:1');
  // The reading that ends one silence is the last one before the next.
  const [again] = states.silent([silent('a', 30, 99)], 40);
  const [endAgain] = states.heard(heard('a', 130));
  expect(new Set([begun[0]?.id, end?.id, again?.id, endAgain?.id]).size).toBe(4);
});

it('what is not watched any more leaves its flood, and a flood of none is over', () => {
  const states = new AlertStates(OPTIONS);
  states.silent(
    ['a', 'b', 'c', 'd'].map((device, i) => silent(device, i, 9)),
    40,
  );
  const [site] = states.active();
  states.forgetUnwatched(({ device }) => device === 'a' || device === 'b');
  expect(states.countOf(site?.id ?? '')).toEqual({ count: 4, open: 2 });
  states.forgetUnwatched(() => false);
  expect(states.active()).toEqual([]);
});

it('a flood that is forgotten takes its alerts along', () => {
  const states = new AlertStates(OPTIONS);
  states.silent(
    ['a', 'b', 'c', 'd'].map((device, i) => silent(device, i, 9)),
    40,
  );
  const [site] = states.active();
  if (site !== undefined) states.forget(site);
  expect(states.active()).toEqual([]);
  expect(states.heard(heard('a', 20))).toEqual([]);
});

/** All is stored, but what `lost` picks, and taken up again. */
function reopened(states: AlertStates, lost: (key: string) => boolean = () => false): AlertStates {
  const next = new AlertStates(OPTIONS);
  const stored = [...states.snapshot()].flatMap(([key, value]): Array<[string, string]> => {
    if (value === undefined) return [];
    return [[key, lost(key) ? '{' : value]];
  });
  const unreadable = next.restore(new Map(stored));
  expect(unreadable).toEqual(stored.map(([key]) => key).filter(lost));
  return next;
}

/** A flood of `d`, which is calm since second 10; `a`, `b` and `c` last, told by themselves. */
function quietFlood(): AlertStates {
  const states = new AlertStates(OPTIONS);
  for (const [i, metric] of ['a', 'b', 'c', 'd'].entries()) {
    states.observe(verdict(50, i, { metric }));
  }
  states.observe(verdict(1, 10, { metric: 'd' }));
  return states;
}

it('a flood that is calm goes on with the next alert of its device', () => {
  const states = quietFlood();
  expect(told(states.observe(verdict(50, 12, { metric: 'e' })))).toEqual([]);
  expect(told(states.observe(verdict(1, 25, { metric: 'd' })))).toEqual([]);
  expect(told(states.observe(verdict(1, 26, { metric: 'e' })))).toEqual([]);
  expect(told(states.observe(verdict(1, 36, { metric: 'd' })))).toEqual(['end d1 flood 5']);
});

it('a flood that is calm ends after a restart, too', () => {
  const states = reopened(quietFlood());
  expect(told(states.observe(verdict(1, 19, { metric: 'd' })))).toEqual([]);
  expect(told(states.observe(verdict(1, 20, { metric: 'd' })))).toEqual(['end d1 flood 4']);
});

it('a flood whose beginning another version has stored is one that cannot be read', () => {
  const states = new AlertStates(OPTIONS);
  for (const [i, metric] of ['a', 'b', 'c', 'd'].entries()) {
    states.observe(verdict(50, i, { metric }));
  }
  const stored = new Map<string, string>();
  for (const [key, value] of states.snapshot()) if (value !== undefined) stored.set(key, value);
  const key = [...stored.keys()].find((one) => one.startsWith('alert/flood/')) ?? '';
  const { begun, ...flood } = JSON.parse(stored.get(key) ?? '{}');
  stored.set(key, JSON.stringify({ ...flood, begun: { id: begun.id } }));
  const again = new AlertStates(OPTIONS);
  expect(again.restore(stored)).toEqual([key]);
  expect(told(again.active())).toEqual(['a', 'b', 'c', 'd'].map((one) => `begin d1 ${one} 1`));
});

it('of a flood that cannot be read each alert is told by itself', () => {
  const states = new AlertStates(OPTIONS);
  for (const [i, metric] of ['a', 'b', 'c', 'd'].entries()) {
    states.observe(verdict(50, i, { metric }));
  }
  const again = reopened(states, (key) => key.startsWith('alert/flood/'));
  expect(told(again.active())).toEqual(['a', 'b', 'c', 'd'].map((one) => `begin d1 ${one} 1`));
  expect(told(again.observe(verdict(1, 10, { metric: 'd' })))).toEqual(['end d1 d 1']);
});
