import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../../src/base/reading.ts';
import {
  type Fallen,
  type Heard,
  Silence,
  type SilenceOptions,
} from '../../../src/detect/silence.ts';

const WALL = 1_795_000_000_000;

const OPTIONS: SilenceOptions = {
  learned: true,
  factor: 3,
  minMs: 300_000,
  limits: {},
  graceMs: 0,
  maxDevices: 100,
};

const BY_LIMIT: SilenceOptions = {
  ...OPTIONS,
  learned: false,
  limits: { pump: { device: 'p*', silenceSeconds: 10, severity: 'critical' } },
};

function record(device: string, second: number, topic = `sensors/${device}/t`): LogRecord {
  const runMs = second * 1_000;
  const at = { stream: 'readings', partition: 0, offset: second, receivedAtMs: WALL + runMs };
  return { device, topic, payload: Buffer.from('1'), monoMs: runMs, boot: '00', runMs, ...at };
}

/** Who fell silent, and at which second of the run clock. */
const fell = (groups: ReadonlyArray<readonly Fallen[]>) =>
  groups.map((group) => group.map(({ verdict }) => `${verdict.device} ${verdict.atRunMs / 1000}`));

const shown = ({ fallen, heard }: Heard) => ({
  fallen: fell(fallen),
  heard: heard.map(({ device }) => device),
});

const at = (silence: Silence, second: number) =>
  fell(silence.advance(second * 1_000, WALL + second * 1_000));

/** A device that sends each minute from 0 on; the last time at minute 20. */
function minutely(silence: Silence, ...devices: string[]): Heard[] {
  return Array.from({ length: 21 }, (_, i) => devices.map((one) => record(one, i * 60)))
    .flat()
    .map((one) => silence.observe(one));
}

describe('a device that sends each minute', () => {
  it('is silent after the least time, gathered for a minute with others', () => {
    const silence = new Silence(OPTIONS);
    minutely(silence, 'a');
    expect(at(silence, 1_200 + 300)).toEqual([]);
    expect(at(silence, 1_200 + 359)).toEqual([]);
    expect(at(silence, 1_200 + 360)).toEqual([['a 1560']]);
    expect(at(silence, 9_999)).toEqual([]);
  });

  it('says how long, since when, and names its last reading', () => {
    const silence = new Silence(OPTIONS);
    minutely(silence, 'a');
    const [[fallen] = []] = silence.advance(1_560_000, WALL + 1_560_000);
    expect(fallen).toEqual({
      verdict: {
        device: 'a',
        metric: 'silence',
        value: 360,
        score: 1,
        expectedLow: 0,
        expectedHigh: 300,
        state: 'anomalous',
        learned: 1,
        fault: 'silence',
        atRunMs: 1_560_000,
        receivedAtMs: WALL + 1_560_000,
        cause: { stream: 'readings', partition: 0, offset: 1_200 },
      },
      since: { sinceMs: WALL + 1_200_000, sinceRunMs: 1_200_000 },
    });
  });

  it('is heard again with its next reading, and may fall silent once more', () => {
    const silence = new Silence(OPTIONS);
    minutely(silence, 'a');
    at(silence, 1_600);
    expect(shown(silence.observe(record('a', 1_700)))).toEqual({ fallen: [], heard: ['a'] });
    expect(at(silence, 2_000)).toEqual([]);
    expect(at(silence, 2_060)).toEqual([['a 2060']]);
  });

  it('is not silent if it is heard while others are gathered', () => {
    const silence = new Silence(OPTIONS);
    minutely(silence, 'a');
    at(silence, 1_510);
    expect(shown(silence.observe(record('a', 1_520)))).toEqual({ fallen: [], heard: [] });
    expect(at(silence, 1_700)).toEqual([]);
  });

  it('is told of by the readings of others, too: no clock is needed', () => {
    const silence = new Silence(OPTIONS);
    minutely(silence, 'a');
    expect(shown(silence.observe(record('b', 1_600))).fallen).toEqual([['a 1560']]);
  });

  it('falls silent together with those that fall at about the same time', () => {
    const silence = new Silence(OPTIONS);
    minutely(silence, 'a', 'b', 'c');
    silence.observe(record('b', 1_230));
    silence.observe(record('c', 1_290));
    expect(at(silence, 9_999)).toEqual([['a 1560', 'b 1560'], ['c 1650']]);
  });
});

it('a device that sends more often from now on is silent sooner', () => {
  const silence = new Silence(OPTIONS);
  for (let i = 0; i <= 16; i++) silence.observe(record('a', i * 600));
  for (let i = 1; i <= 32; i++) silence.observe(record('a', 9_600 + i * 230));
  expect(at(silence, 17_710)).toEqual([['a 17710']]);
});

it('a device that sends several things at a time is no irregular one', () => {
  const silence = new Silence(OPTIONS);
  for (let i = 0; i <= 20; i++) {
    for (const part of [0, 0.1, 0.2]) silence.observe(record('a', i * 600 + part));
  }
  expect(at(silence, 12_000 + 1_800)).toEqual([]);
  expect(at(silence, 12_000 + 1_861)).toEqual([['a 13860.2']]);
});

describe('a limit', () => {
  it('needs no learning: one reading, and it counts', () => {
    const silence = new Silence(BY_LIMIT);
    silence.observe(record('p1', 100));
    silence.observe(record('q1', 100));
    expect(at(silence, 114)).toEqual([]);
    const [[fallen] = []] = silence.advance(115_000, WALL);
    expect(fallen?.verdict).toMatchObject({
      device: 'p1',
      limit: { name: 'pump', severity: 'critical' },
      expectedHigh: 10,
    });
    expect([silence.watches('p1', 'pump'), silence.watches('q1', 'pump')]).toEqual([true, false]);
  });

  it('goes before what is learned of the device', () => {
    const silence = new Silence({ ...BY_LIMIT, learned: true });
    minutely(silence, 'a');
    for (let i = 0; i <= 1_200; i += 5) silence.observe(record('p1', i));
    expect(at(silence, 1_215)).toEqual([['p1 1215']]);
    expect(at(silence, 9_999)).toEqual([['a 1560']]);
  });

  it('may be for one topic of a device', () => {
    const limits = { t: { topic: '+/+/door', silenceSeconds: 10, severity: 'info' } } as const;
    const silence = new Silence({ ...OPTIONS, learned: false, limits });
    silence.observe(record('a', 0, 'sensors/a/door'));
    silence.observe(record('a', 14, 'sensors/a/t'));
    expect(at(silence, 15)).toEqual([['a 15']]);
    expect(shown(silence.observe(record('a', 20, 'sensors/a/t'))).heard).toEqual([]);
    expect(shown(silence.observe(record('a', 21, 'sensors/a/door'))).heard).toEqual(['a']);
  });

  it('waits for what a commit may hold back', () => {
    const silence = new Silence({ ...BY_LIMIT, graceMs: 2_000 });
    silence.observe(record('p1', 100));
    expect(at(silence, 116)).toEqual([]);
    expect(at(silence, 117)).toEqual([['p1 117']]);
  });
});

it('is off where nothing asks for it', () => {
  const silence = new Silence({ ...OPTIONS, learned: false });
  silence.observe(record('a', 0));
  expect([silence.isOff, silence.armed, [...silence.snapshot()]]).toEqual([true, 0, []]);
});

it('keeps to so many devices', () => {
  const silence = new Silence({ ...BY_LIMIT, maxDevices: 2 });
  for (const device of ['p1', 'p2', 'p3']) silence.observe(record(device, 0));
  expect(at(silence, 99)).toEqual([['p1 15', 'p2 15']]);
  expect(silence.unheard).toBe(1);
});

it('has places for devices with a limit, however many there are without', () => {
  const options = { ...BY_LIMIT, learned: true, maxDevices: 2 };
  const silence = new Silence(options);
  const devices = ['x1', 'x2', 'x3', 'p1', 'p2', 'p3'];
  for (const device of devices) silence.observe(record(device, 0));
  const watched = (by: Silence) => devices.filter((device) => by.watches(device));
  expect(watched(silence)).toEqual(['x1', 'x2', 'p1', 'p2']);
  expect(silence.unheard).toBe(2);
  expect(at(silence, 99)).toEqual([['p1 15', 'p2 15']]);
  // And so after a restart.
  const again = reopened(silence, new Map(), options);
  expect(watched(again)).toEqual(['x1', 'x2', 'p1', 'p2']);
});

function reopened(silence: Silence, store: Map<string, string>, options = BY_LIMIT): Silence {
  for (const [key, value] of silence.snapshot()) {
    if (value === undefined) store.delete(key);
    else store.set(key, value);
  }
  const next = new Silence(options);
  next.restore(store);
  return next;
}

describe('a restart', () => {
  it('gives each device its whole time again, and raises what stays silent after it', () => {
    const silence = new Silence(BY_LIMIT);
    silence.observe(record('p1', 100));
    const after = reopened(silence, new Map());
    after.restarted(108_000);
    expect(at(after, 122)).toEqual([]);
    const [[fallen] = []] = after.advance(123_000, WALL + 123_000);
    expect(fallen).toMatchObject({ from: 108_000, verdict: { value: 23, atRunMs: 123_000 } });
  });

  it('does not raise a second time what is silent already', () => {
    const silence = new Silence(BY_LIMIT);
    silence.observe(record('p1', 100));
    at(silence, 120);
    const after = reopened(silence, new Map());
    after.restarted(120_000);
    expect(at(after, 999)).toEqual([]);
    expect(shown(after.observe(record('p1', 1_000))).heard).toEqual(['p1']);
  });

  it('learns nothing from the gap around it', () => {
    const gaps = (restarted: boolean) => {
      const silence = new Silence(OPTIONS);
      minutely(silence, 'a');
      if (restarted) silence.restarted(1_210_000);
      for (let i = 0; i < 8; i++) silence.observe(record('a', 1_200 + 290 + i * 60));
      return at(silence, 1_200 + 290 + 420 + 400).length;
    };
    expect([gaps(true), gaps(false)]).toEqual([1, 0]);
  });

  it.each([
    ['gaps', { gaps: {} }],
    ['no gaps', { gaps: null }],
    ['a reading without a place', { last: { runMs: 1, wallMs: 1 } }],
    ['no time', { gapRunMs: 'soon' }],
  ])('learns afresh what another version has stored: %s', (_, change) => {
    const silence = new Silence(OPTIONS);
    silence.observe(record('p1', 100));
    const [[key = '', text = '[]'] = []] = [...silence.snapshot()];
    const timers = (JSON.parse(text) as object[]).map((timer) => ({ ...timer, ...change }));
    const after = new Silence(OPTIONS);
    after.restore(new Map([[key, JSON.stringify(timers)]]));
    expect([...after.snapshot()]).toEqual([[key, undefined]]);
    expect(after.observe(record('p1', 200)).heard).toEqual([]);
  });

  it('drops what has no limit any more, and what it cannot read', () => {
    const silence = new Silence(BY_LIMIT);
    silence.observe(record('p1', 100));
    const store = new Map([
      ['silence/device/x', '[{'],
      ['silence/starts', 'x'],
      ['other', 'x'],
    ]);
    const after = reopened(silence, store, { ...BY_LIMIT, limits: {} });
    expect([...after.snapshot()].map(([key]) => key)).toEqual([
      'silence/device/x',
      'silence/device/p1',
    ]);
  });
});

it('any run of readings and moments: a restart anywhere changes nothing', () => {
  const step = fc.record({
    device: fc.constantFrom('p1', 'p2', 'p3', undefined),
    waitS: fc.nat(25),
  });
  const run = fc.array(step, { maxLength: 80 });
  fc.assert(
    fc.property(run, fc.nat(80), (steps, cut) => {
      const play = (restart: boolean) => {
        let silence = new Silence(BY_LIMIT);
        let second = 0;
        return steps.map(({ device, waitS }, i) => {
          if (restart && i === cut) silence = reopened(silence, new Map());
          second += waitS;
          if (device !== undefined) return shown(silence.observe(record(device, second)));
          return { fallen: at(silence, second), heard: [] };
        });
      };
      expect(play(true)).toEqual(play(false));
    }),
    { numRuns: 300 },
  );
});

it('the moments at which time is told change nothing but when it is said', () => {
  const times = fc.array(fc.nat(300), { maxLength: 30 });
  fc.assert(
    fc.property(times, times, (readings, ticks) => {
      const play = (moments: readonly number[]) => {
        const silence = new Silence(BY_LIMIT);
        const all = [
          ...readings.map((second, i) => ({ second, device: `p${i % 3}` })),
          ...moments.map((second) => ({ second, device: undefined })),
        ].sort(
          (a, b) =>
            a.second - b.second || Number(a.device !== undefined) - Number(b.device !== undefined),
        );
        const groups = all.flatMap(({ second, device }) =>
          device === undefined
            ? at(silence, second)
            : shown(silence.observe(record(device, second))).fallen,
        );
        return [...groups, ...at(silence, 9_999)];
      };
      expect(play(ticks)).toEqual(play([]));
    }),
    { numRuns: 300 },
  );
});

it('50,000 devices that fall silent at one time are told together', () => {
  const count = 50_000;
  const limits = { all: { silenceSeconds: 600, severity: 'info' } } as const;
  const silence = new Silence({ ...BY_LIMIT, limits, maxDevices: count });
  for (let i = 0; i < count; i++) silence.observe(record(`d${i}`, 0));
  for (let second = 1; second < 600; second++) silence.advance(second * 1_000, 0);
  let fallen = 0;
  for (const group of silence.advance(660_000, 0)) fallen += group.length;
  expect(fallen).toBe(count);
});
