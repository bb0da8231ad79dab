import { describe, expect, it } from 'vitest';
import { globPattern } from '../../../src/base/glob.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import type { Verdict } from '../../../src/base/verdict.ts';
import { type Limit, Limits } from '../../../src/detect/limits.ts';
import { Records } from './records.ts';

function learning(record: LogRecord, value: number, metric = 'temperature'): Verdict {
  const { device, runMs, receivedAtMs, stream, partition, offset } = record;
  const cause = { stream, partition, offset };
  const band = { expectedLow: 0, expectedHigh: 1, learned: 0.1 };
  const of = { device, metric, value, score: 0, state: 'learning', ...band } as const;
  return { ...of, atRunMs: runMs, receivedAtMs, cause };
}

/** What one limit says of values that come a second apart: `ok`, or the fault. */
function said(limit: Partial<Limit>, values: readonly number[], more: Partial<LogRecord>[] = []) {
  const limits = new Limits({ a: { severity: 'critical', ...limit } });
  const records = new Records();
  return values.flatMap((value, i) => {
    const record = { ...records.next({ value }), ...more[i] };
    return limits
      .observe(record, [learning(record, value)])
      .map(({ fault, state, score }) => (state === 'anomalous' ? `${fault} ${score}` : 'ok'));
  });
}

describe('a limit', () => {
  it.each<[string, Partial<Limit>, number[], string[]]>([
    ['max', { max: 5 }, [5, 5.1, -9], ['ok', 'range 1', 'ok']],
    ['min', { min: 5 }, [5, 4.9, 99], ['ok', 'range 1', 'ok']],
    ['both', { min: 0, max: 0 }, [0, 1, -1], ['ok', 'range 1', 'range 1']],
    ['rate', { ratePerSecond: 2 }, [0, 2, 4.5, 4.5, 2], ['ok', 'ok', 'rate 1', 'ok', 'rate 1']],
    ['range before rate', { max: 5, ratePerSecond: 2 }, [0, 9], ['ok', 'range 1']],
    ['silence alone says nothing of values', { silenceSeconds: 5 }, [0, 1e9], []],
  ])('%s, while the series is learnt', (_, limit, values, expected) => {
    expect(said(limit, values)).toEqual(expected);
  });

  it.each<[string, Partial<Limit>, number]>([
    ['its device', { device: 'd1' }, 1],
    ['devices like it', { device: 'd*' }, 1],
    ['another device', { device: 'd2' }, 0],
    ['no part of a name', { device: 'd' }, 0],
    ['its metric', { metric: 'temp?rature' }, 1],
    ['another metric', { metric: 'humidity' }, 0],
    ['its topic', { topic: 'sensors/+/temperature' }, 1],
    ['another topic', { topic: 'sensors/d1/humidity' }, 0],
  ])('is for %s', (_, scope, verdicts) => {
    expect(said({ max: 5, ...scope }, [9])).toHaveLength(verdicts);
  });

  it('says what a person wrote: its name, how grave it is, what is allowed', () => {
    const record = new Records().next({ value: 9 });
    const limits = new Limits({ hot: { max: 5, severity: 'critical' } });
    expect(limits.observe(record, [learning(record, 9)])[0]).toMatchObject({
      limit: { name: 'hot', severity: 'critical' },
      expectedLow: -Number.MAX_VALUE,
      expectedHigh: 5,
    });
  });

  it('of a rate says between what the value could have come', () => {
    const records = new Records();
    const limits = new Limits({ fast: { ratePerSecond: 2, severity: 'info' } });
    const [first, second] = [records.next(0), records.next(0)];
    limits.observe(first, [learning(first, 10)]);
    const [verdict] = limits.observe(second, [learning(second, 20)]);
    expect(verdict).toMatchObject({ fault: 'rate', expectedLow: 8, expectedHigh: 12 });
  });
});

describe('the rate', () => {
  it('goes by the clock of the device where it has one: a backlog comes all at once', () => {
    const times = [0, 600_000, 1_200_000].map((deviceTimeMs) => ({ deviceTimeMs, runMs: 5_000 }));
    expect(said({ ratePerSecond: 0.1 }, [0, 50, 120], times)).toEqual(['ok', 'ok', 'rate 1']);
  });

  it('of what arrives together is that of one second', () => {
    const times = [{ runMs: 5_000 }, { runMs: 5_000 }, { runMs: 5_001 }];
    expect(said({ ratePerSecond: 2 }, [0, 1.5, 4], times)).toEqual(['ok', 'ok', 'rate 1']);
  });

  it('goes on after a restart from the value before it', () => {
    const records = new Records();
    const config = { a: { ratePerSecond: 2, severity: 'info' } } as const;
    const before = new Limits(config);
    const first = records.next(0);
    before.observe(first, [learning(first, 0)]);
    expect(before.changedBytes).toBeGreaterThan(0);
    const stored = [...before.snapshot()].map(([key, value]): [string, string] => [
      key,
      value ?? '',
    ]);
    expect([...before.snapshot()]).toEqual([]);
    const after = new Limits(config);
    after.restore(new Map([...stored, ['limits/last/d2/t', '{'], ['other', '{']]));
    const second = records.next(0);
    expect(after.observe(second, [learning(second, 9)])[0]?.fault).toBe('rate');
    // What could not be read is to be deleted.
    expect([...after.snapshot()].map(([key]) => key)).toContain('limits/last/d2/t');
  });
});

it.each([
  ['*', 'anything/at\nall', true],
  ['a.b', 'axb', false],
  ['a?', 'aß', true],
  ['[a]*', '[a]b', true],
  ['a*c', 'abbc', true],
  ['a*c', 'abcd', false],
])('the glob %j and %j', (glob, name, matches) => {
  expect(globPattern(glob).test(name)).toBe(matches);
});
