import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import type { Verdict } from '../../../src/base/verdict.ts';
import { Detector, type DetectorOptions } from '../../../src/detect/detector.ts';
import { DetectorStore } from '../../support/detector-store.ts';
import { Records } from './records.ts';

const OPTIONS: DetectorOptions = {
  maxSeries: 100,
  logger: silentLogger,
};

function watch(detector: Detector, records: readonly LogRecord[]): Verdict[] {
  return records.flatMap((record) => detector.observe(record));
}

/** Takes a snapshot: what it stores, or deletes. */
const keysOf = (detector: Detector) => new DetectorStore().save(detector);

function storedBy(detector: Detector): DetectorStore {
  const store = new DetectorStore();
  store.save(detector);
  return store;
}

/** A calm series: 20.0 to 20.9 in turn. */
function calm(records: Records, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, i) => records.next(20 + (i % 10) / 10));
}

function warnings(): { logger: Logger; said: string[] } {
  const said: string[] = [];
  return { said, logger: { ...silentLogger, warn: (_, message) => said.push(message) } };
}

describe('what is watched', () => {
  const metrics = (topic: string, payload: unknown, device = 'd1') =>
    new Detector(OPTIONS)
      .observe(new Records().next(payload, device, topic))
      .map(({ metric }) => metric);

  it.each([
    ['sensors/d1', 21.5, ['value']],
    ['sensors/d1/temperature', 21.5, ['temperature']],
    ['sensors/d1/room/temperature', 21.5, ['room.temperature']],
    ['sensors/d1/room', { value: 1, humidity: 40 }, ['room', 'room.humidity']],
    ['site/a/d1/room', { t: 1, h: 2 }, ['room.t', 'room.h']],
    ['sensors/d1', { id: 'x', seq: 4, ts: 1, on: true, t: 1, note: 'warm' }, ['t']],
    ['sensors/d1', [1, 2], []],
    ['sensors/d1', 'no JSON', []],
    ['sensors/d1', '', []],
    ['sensors/d1', '1e999', []],
  ])('%s %j', (topic, payload, expected) => {
    expect(metrics(topic, payload)).toEqual(expected);
  });

  it('tells devices and metrics apart', () => {
    const detector = new Detector(OPTIONS);
    const records = new Records();
    for (let i = 0; i < 40; i++) {
      watch(detector, [records.next({ a: 1, b: 1000 }, 'd1'), records.next({ a: 1000 }, 'd2')]);
    }
    const verdicts = watch(detector, [records.next({ a: 1000, b: 1000 }, 'd1')]);
    expect(verdicts.map(({ state }) => state)).toEqual(['anomalous', 'learning']);
    expect(detector.watched).toBe(3);
  });

  it('stops at its cap: what is beyond is counted, and said once', () => {
    const { logger, said } = warnings();
    const detector = new Detector({ ...OPTIONS, maxSeries: 2, logger });
    const records = new Records();
    const verdicts = watch(
      detector,
      ['d1', 'd2', 'd3', 'd4', 'd3', 'd1'].map((device) => records.next(1, device)),
    );
    expect(verdicts.map(({ device }) => device)).toEqual(['d1', 'd2', 'd1']);
    expect([detector.watched, detector.unwatched]).toEqual([2, 3]);
    expect(said).toEqual(['a series is not watched: detect.maxSeries is reached']);
  });

  it('leaves room for others beside a device that makes up names', () => {
    const { logger, said } = warnings();
    const detector = new Detector({ ...OPTIONS, maxSeries: 1_000, logger });
    const records = new Records();
    for (let i = 0; i < 300; i++) watch(detector, [records.next({ [`m${i}`]: 1 })]);
    expect([detector.watched, detector.unwatched]).toEqual([256, 44]);
    expect(said).toEqual(['a series is not watched: its device has too many']);
    expect(watch(detector, [records.next({ t: 1 }, 'd2')])).toHaveLength(1);
  });

  it('forgets series beyond its cap when that was lowered', () => {
    const { logger, said } = warnings();
    const before = new Detector(OPTIONS);
    const records = new Records();
    watch(
      before,
      ['d1', 'd2', 'd3'].map((device) => records.next(1, device)),
    );
    const detector = new Detector({ ...OPTIONS, maxSeries: 2, logger });
    const store = storedBy(before);
    detector.restore(store.entries);
    expect(detector.watched).toBe(2);
    expect(said).toEqual(['a series is forgotten: detect.maxSeries is reached']);
    store.save(detector);
    expect([...store.states.keys()]).toEqual(['0/0', '1/0']);
    expect([...store.entries.values()]).toEqual([
      '[["d1","temperature",0],["d2","temperature",0],null]',
    ]);
  });

  it('does not watch a field with an endless name', () => {
    const { logger, said } = warnings();
    const detector = new Detector({ ...OPTIONS, logger });
    const long = 'x'.repeat(10_000);
    expect(watch(detector, [new Records().next({ [long]: 1, t: 2 })])).toHaveLength(1);
    expect([detector.watched, detector.unwatched]).toEqual([1, 1]);
    expect(said).toEqual(['a series is not watched: its name is too long']);
  });

  it('takes a field that is named with half a character', () => {
    const detector = new Detector(OPTIONS);
    const records = new Records();
    const verdicts = watch(detector, [
      records.next('{"\\ud800":1}', 'd1', 'sensors/d1'),
      records.next('{"\\ud800":1}', 'd1', 'sensors/d1'),
    ]);
    expect(verdicts.map(({ metric }) => metric)).toEqual(['\ufffd', '\ufffd']);
    expect(detector.watched).toBe(1);
    expect(storedBy(detector).entries.get('detect/index/0')).toBe('[["d1","\ufffd",0]]');
  });
});

describe('the verdict', () => {
  it('names the reading and says what was expected', () => {
    const detector = new Detector(OPTIONS);
    const records = new Records();
    watch(detector, calm(records, 100));
    const [verdict] = watch(detector, [records.next(80)]);
    expect(verdict).toMatchObject({
      device: 'd1',
      metric: 'temperature',
      value: 80,
      state: 'anomalous',
      atRunMs: 100_000,
      receivedAtMs: 1_795_000_100_000,
      cause: { stream: 'readings', partition: 0, offset: 100 },
    });
    expect(verdict?.expectedLow).toBeGreaterThan(10);
    expect(verdict?.expectedHigh).toBeLessThan(30);
  });

  it('is `learning` for the first 30 values, whatever they are, and then until it knows', () => {
    const detector = new Detector(OPTIONS);
    const records = new Records();
    const first = [...calm(records, 29), records.next(1e9)];
    expect(watch(detector, first).map(({ state, score }) => `${state} ${score}`)).toEqual(
      Array(30).fill('learning 0'),
    );
    expect(watch(detector, [records.next(20.5), records.next(1e9)])).toMatchObject([
      { state: 'learning', score: expect.any(Number) },
      { state: 'anomalous', fault: 'range' },
    ]);
  });

  it('is `anomalous` from half of the score on, and then outside of the band', () => {
    fc.assert(
      fc.property(fc.double({ min: -60, max: 90, noNaN: true }), (value) => {
        const detector = new Detector(OPTIONS);
        const records = new Records();
        watch(detector, calm(records, 60));
        for (const one of watch(detector, [records.next(value)])) {
          expect(one.state).toBe(one.score >= 0.5 ? 'anomalous' : 'learning');
          const isInside = value >= one.expectedLow && value <= one.expectedHigh;
          expect(isInside && one.state === 'anomalous').toBe(false);
        }
      }),
    );
  });

  it('has finite numbers for all that JSON can say', () => {
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, 1.7e308, -1.7e308, 5e-324),
    );
    const payload = fc.oneof(number, fc.dictionary(fc.string(), number), fc.jsonValue());
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 80 }), (payloads) => {
        const detector = new Detector(OPTIONS);
        const records = new Records();
        for (const one of watch(
          detector,
          payloads.map((p) => records.next(JSON.stringify(p))),
        )) {
          for (const n of [one.value, one.score, one.expectedLow, one.expectedHigh]) {
            expect(n).toSatisfy(Number.isFinite);
          }
        }
        keysOf(detector);
      }),
      { numRuns: 200 },
    );
  });

  it('has a finite band between the largest numbers there are', () => {
    const detector = new Detector(OPTIONS);
    const records = new Records();
    const swing = Array.from({ length: 50 }, (_, i) => records.next(i % 2 ? 1.7e308 : -1.7e308));
    for (const { expectedLow, expectedHigh } of watch(detector, swing)) {
      expect([expectedLow, expectedHigh].every(Number.isFinite)).toBe(true);
    }
  });
});

describe('the stored state', () => {
  it('goes on after a crash as if there had been none, wherever the checkpoint was', async () => {
    const reading = fc.record({
      device: fc.constantFrom('d1', 'd2', 'd/3 ü'),
      value: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true, min: -9, max: 9 })),
    });
    const runs = fc.array(reading, { minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(runs, fc.array(fc.nat(200), { maxLength: 3 }), async (readings, cuts) => {
        const records = new Records();
        const all = readings.map(({ device, value }) => records.next(value, device, `s/${device}`));
        const straight = new Detector(OPTIONS);
        const expected = watch(straight, all);
        const store = new DetectorStore();
        const verdicts: Verdict[] = [];
        let from = 0;
        for (const to of [...cuts.sort((a, b) => a - b), all.length]) {
          const detector = new Detector(OPTIONS);
          detector.restore(store.entries);
          verdicts.push(...(await store.watch(detector, all.slice(from, Math.max(from, to)))));
          store.save(detector);
          from = Math.max(from, to);
        }
        expect(verdicts).toEqual(expected);
        const bytes = (of: DetectorStore) => [...of.states.values()].map(String).sort();
        expect(bytes(store)).toEqual(bytes(storedBy(straight)));
      }),
      { numRuns: 100 },
    );
  });

  it('gives only what changed since it was asked last', () => {
    const detector = new Detector(OPTIONS);
    const records = new Records();
    watch(detector, [records.next(1, 'd1'), records.next(1, 'd 2')]);
    const store = new DetectorStore();
    expect(store.save(detector)).toEqual(['0/0', '1/0', 'detect/index/0']);
    watch(detector, [records.next(2, 'd1')]);
    expect(store.save(detector)).toEqual(['0/1', 'detect/index/0']);
    expect(store.save(detector)).toEqual([]);
    expect([...store.states.keys()]).toEqual(['1/0', '0/1']);
  });

  it('learns afresh what it cannot read, says so, and takes up the rest', async () => {
    const { logger, said } = warnings();
    const before = new Detector(OPTIONS);
    const records = new Records();
    watch(before, [...calm(records, 40), records.next(1, 'd2'), records.next(1, 'd3')]);
    const store = storedBy(before);
    store.states.set('1/0', Buffer.from('{'));
    store.states.delete('2/0');
    store.entries.set('detect/index/1', '{"version":2}').set('alert/state/d1/t', '{}');
    store.states.set('64/1', Buffer.from('{}'));
    const detector = new Detector({ ...OPTIONS, logger });
    detector.restore(store.entries);
    expect(detector.watched).toBe(3);
    const next = [records.next(1e6), records.next(1, 'd2'), records.next(1, 'd3')];
    const verdicts = await store.watch(detector, [...next, records.next(1, 'd4')]);
    expect(verdicts.map(({ state }) => state)).toEqual(['anomalous', ...Array(3).fill('learning')]);
    expect(said).toEqual(Array(3).fill('a series is forgotten: its state is not readable'));
    store.save(detector);
    // Of d4: no number is given again while something may be stored under it.
    expect([...store.states.keys()].sort()).toEqual(['0/1', '1/1', '128/0', '2/1']);
    expect([...store.entries.keys()].sort()).toEqual([
      ...['alert/state/d1/t', 'detect/index/0', 'detect/index/2'],
    ]);
  });
});

describe('series that are not in use', () => {
  const OFTEN = { ...OPTIONS, maxSeries: 9 };
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ device: fc.nat(9), value: fc.integer({ min: -3, max: 9 }) }),
    },
    { weight: 3, arbitrary: fc.constantFrom('save', 'fail', 'begin', 'part', 'end', 'crash') },
  );

  it('leave memory and come back, which changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 300, size: 'max' }),
        fc.nat(3),
        async (steps, hot) => {
          const store = new DetectorStore();
          const records = new Records();
          const straight = new Detector(OFTEN);
          const { logger, said } = warnings();
          const evicting = () => new Detector({ ...OFTEN, hotSeries: 1 + hot, logger });
          let detector = evicting();
          let shot: ReturnType<Detector['snapshot']> | undefined;
          const end = (isStored: boolean) => {
            if (shot === undefined) return;
            store.finish(shot, isStored);
            shot = undefined;
          };
          let since: LogRecord[] = [];
          let ahead: LogRecord[] = [];
          for (const one of steps) {
            if (typeof one === 'object') {
              const record = records.next(one.value, `d${one.device}`);
              since.push(record);
              const verdicts = await store.watch(detector, [record]);
              expect(verdicts).toEqual(watch(straight, [record]));
              expect(detector.inMemory.hot).toBeLessThanOrEqual(1 + hot);
              continue;
            }
            if (one === 'part' && shot !== undefined) store.storePart(shot);
            if (one === 'end' && shot !== undefined) {
              end(true);
              ahead = [];
            }
            if (one === 'fail') end(false);
            if (one === 'begin' && shot === undefined) {
              shot = detector.snapshot();
              ahead = [...ahead, ...since];
              since = [];
            }
            if (one === 'save' && shot === undefined) {
              store.save(detector);
              ahead = [];
              since = [];
            }
            if (one !== 'crash') continue;
            shot = undefined;
            detector = evicting();
            detector.restore(store.entries);
            since = [...ahead, ...since];
            ahead = [];
            await store.watch(detector, since);
          }
          end(true);
          store.save(detector);
          expect(said.filter((one) => one.includes('forgotten'))).toEqual([]);
          const bytes = (of: DetectorStore) => [...of.states.values()].map(String).sort();
          expect(bytes(store)).toEqual(bytes(storedBy(straight)));
        },
      ),
      { numRuns: 60 },
    );
  });
});
