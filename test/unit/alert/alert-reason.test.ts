import { describe, expect, it } from 'vitest';
import type { AlertEvent, Source } from '../../../src/alert/alert-event.ts';
import { lasted, reasonOf } from '../../../src/alert/alert-reason.ts';
import { alertAt } from './verdicts.ts';

const MIN = 60_000;

function event(over: Partial<AlertEvent>): AlertEvent {
  return { ...alertAt(0)[0], value: 56.1, expectedLow: 20.2, expectedHigh: 23.6, ...over };
}

describe('what is learned, in words', () => {
  it.each<[Partial<AlertEvent>, string]>([
    [{ fault: 'spike' }, 'jumped to 56.1, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'shift' }, 'is at another level, 56.1, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'drift' }, 'drifts, and is 56.1, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'noise' }, 'is noisier than ever, 56.1, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'stuck', value: 21.5 }, 'is stuck at 21.5, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'range' }, 'is 56.1, too high, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'range', value: 1 }, 'is 1, too low, expected 20.2 to 23.6 at this hour'],
    [{ fault: 'unusual' }, 'is 56.1, expected 20.2 to 23.6 at this hour'],
  ])('%j', (over, said) => {
    expect(reasonOf(event(over))).toBe(`temperature of d1 ${said}`);
  });

  it('says since when, where the anomaly is older than the alert', () => {
    const over = { fault: 'stuck', value: 21.5, sinceRunMs: 0, atRunMs: 40 * MIN } as const;
    expect(reasonOf(event(over))).toContain('is stuck at 21.5 for 40 min, expected');
  });

  it.each([
    [undefined, ''],
    [1, ''],
    [7.4, '; about one value in 7 is as unusual'],
    [4_049, '; about one value in 4,000 is as unusual'],
    [123_456, '; about one value in 120,000 is as unusual'],
    [1e12, '; about one value in a thousand million is as unusual'],
  ])('one in %d', (oneIn, said) => {
    const reason = reasonOf(event(oneIn === undefined ? {} : { oneIn }));
    expect(reason.split('at this hour')[1]).toBe(said);
  });

  it.each([
    [80, 18.9, 22.4, 'is 80, expected 18.9 to 22.4'],
    [80.123456, 18.91234, 22.41234, 'is 80.12, expected 18.91 to 22.41'],
    [101_390.4, 101_320.12, 101_380.88, 'is 101390.4, expected 101320.1 to 101380.9'],
    [0.0012345, 0.0010001, 0.0010009, 'is 0.0012345, expected 0.0010001 to 0.0010009'],
    [-3e7, 1e6, 2e6, 'is -30000000, expected 1000000 to 2000000'],
    [1e300, -1e200, 1e200, 'is 1e+300, expected -1e+200 to 1e+200'],
    [21.5, 21.5, 21.5, 'is 21.5, expected 21.5 to 21.5'],
  ])('with digits that tell: %d', (value, expectedLow, expectedHigh, said) => {
    const reason = reasonOf(event({ value, expectedLow, expectedHigh }));
    expect(reason).toBe(`temperature of d1 ${said} at this hour`);
  });

  it('says of a level that stays that it is ordinary now', () => {
    const end = { kind: 'end', value: 27.8, expectedLow: 20.2, expectedHigh: 22.2 } as const;
    expect(reasonOf(event(end))).toBe(
      'temperature of d1 stays at 27.8, which is ordinary from now on',
    );
  });

  it('says of what turned out to be graver that it is not over', () => {
    const end = { kind: 'end', value: 56.1, isSuperseded: true } as const;
    expect(reasonOf(event(end))).toBe(
      'temperature of d1 is graver than it seemed: what follows tells of it',
    );
  });

  it('ends with how long it lasted', () => {
    const end = { kind: 'end', value: 21.5, sinceRunMs: 0, atRunMs: 12 * MIN } as const;
    expect(reasonOf(event(end))).toBe('temperature of d1 is ordinary again at 21.5, after 12 min');
  });
});

describe('a plain limit, in words', () => {
  const none = Number.MAX_VALUE;
  const limit: Partial<AlertEvent> = { source: 'limit:boiler-hot' };

  it.each<[Partial<AlertEvent>, string]>([
    [
      { fault: 'range', expectedLow: -none, expectedHigh: 50 },
      'is 56.1, too high, allowed 50 at most',
    ],
    [
      { fault: 'range', expectedLow: 60, expectedHigh: none },
      'is 56.1, too low, allowed 60 at least',
    ],
    [{ fault: 'range', expectedLow: 10, expectedHigh: 50 }, 'is 56.1, too high, allowed 10 to 50'],
    [
      { fault: 'rate', expectedLow: 48, expectedHigh: 52 },
      'changed by 6.1 to 56.1, allowed 2 in that time',
    ],
  ])('%j', (over, said) => {
    expect(reasonOf(event({ ...limit, ...over }))).toBe(
      `temperature of d1 ${said} (limit boiler-hot)`,
    );
  });

  it('ends within it', () => {
    const reason = reasonOf(event({ ...limit, kind: 'end', value: 49, expectedHigh: 50 }));
    expect(reason).toBe('temperature of d1 is within its limit again at 49');
  });
});

describe('silence and floods, in words', () => {
  const silence: Partial<AlertEvent> = {
    metric: 'silence',
    fault: 'silence',
    expectedLow: 0,
    expectedHigh: 300,
    sinceRunMs: 0,
    atRunMs: 6 * MIN,
  };

  it.each<[Source, string]>([
    ['silence', 'd1 has been silent for 6 min, expected within 5 min'],
    ['silence:pump', 'd1 has been silent for 6 min, expected within 5 min (limit pump)'],
  ])('%s', (source, said) => {
    expect(reasonOf(event({ ...silence, source }))).toBe(said);
    expect(reasonOf(event({ ...silence, source, kind: 'end' }))).toBe(
      'd1 is heard again, after 6 min',
    );
  });

  it('a site', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const site = { ...silence, device: 'site', source: 'site:warning', count: 12, names } as const;
    expect(reasonOf(event(site))).toBe(
      '12 devices have fallen silent at about the same time: a, b, c, d, e and 7 more',
    );
    expect(reasonOf(event({ ...site, kind: 'end' }))).toBe(
      'all 12 silent devices are heard again, after 6 min',
    );
  });

  it('a device', () => {
    const flood = {
      source: 'flood:warning',
      metric: 'flood',
      count: 2,
      names: ['t', 'h'],
    } as const;
    expect(reasonOf(event(flood))).toBe('d1 has 2 alerts at about the same time: t, h');
    const end = { ...flood, kind: 'end', sinceRunMs: 0, atRunMs: 3_000 } as const;
    expect(reasonOf(event(end))).toBe('d1 is ordinary again, after 3 s');
  });
});

it.each([
  [0, '0 s'],
  [90_000, '90 s'],
  [40 * MIN, '40 min'],
  [12 * 60 * MIN, '12 h'],
  [72 * 60 * MIN, '3 days'],
])('%d ms are %s', (ms, said) => {
  expect(lasted(ms)).toBe(said);
});
