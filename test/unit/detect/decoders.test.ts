import { expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import type { Verdict } from '../../../src/base/verdict.ts';
import { MAX_SAMPLES } from '../../../src/decode/decoder.ts';
import { jsonDecoder } from '../../../src/decode/json.ts';
import { SPARKPLUG } from '../../../src/decode/sparkplug.ts';
import { MAX_BORN_METRICS } from '../../../src/decode/sparkplug-births.ts';
import { Detector } from '../../../src/detect/detector.ts';
import { DetectorStore } from '../../support/detector-store.ts';
import { sparkplugBytes, type TestMetric } from '../../support/sparkplug-messages.ts';
import { Records } from './records.ts';

// Detection of formats whose messages hold many samples, or lean on earlier ones.

const OPTIONS = { maxSeries: 10, logger: silentLogger };

function sparkplugRecord(records: Records, type: string, metrics: readonly TestMetric[]) {
  const topic = `spBv1.0/plant/${type}/edge`;
  const payload = sparkplugBytes({ timestamp: 1_700_000_000_000, seq: 0, metrics });
  return { ...records.next('', 'edge', topic), payload };
}

function story(): LogRecord[] {
  const records = new Records();
  const birth = (name: string) =>
    sparkplugRecord(records, 'NBIRTH', [{ name, alias: 1, datatype: 3, int: 20 }]);
  const data = (value: number) => sparkplugRecord(records, 'NDATA', [{ alias: 1, int: value }]);
  return [data(1), birth('Temp'), data(-20), data(-21), birth('Level'), data(5), data(-6)];
}

it('a restart anywhere gives the same verdicts: births are in the state of detection', async () => {
  const straight = new Detector({ ...OPTIONS, decoder: SPARKPLUG });
  const expected = story().map((record) => straight.observe(record));
  expect(expected.flat().map(({ metric, value }) => [metric, value])).toEqual([
    ['alias:1', 1],
    ...[20, -20, -21].map((value) => ['Temp', value]),
    ...[20, 5, -6].map((value) => ['Level', value]),
  ]);
  for (let at = 0; at <= expected.length; at++) {
    let detector = new Detector({ ...OPTIONS, decoder: SPARKPLUG });
    const store = new DetectorStore();
    const seen: Verdict[][] = [];
    for (const [index, record] of story().entries()) {
      if (index === at) {
        store.save(detector);
        detector = new Detector({ ...OPTIONS, decoder: SPARKPLUG });
        detector.restore(store.entries);
      }
      seen.push(await store.watch(detector, [record]));
    }
    expect(seen, `restarted before record ${at}`).toEqual(expected);
  }
});

it('births that are waiting to be stored count among what a checkpoint writes', () => {
  const detector = new Detector({ ...OPTIONS, decoder: SPARKPLUG });
  const text = { name: 'Text', alias: 1, datatype: 3 };
  detector.observe(sparkplugRecord(new Records(), 'NBIRTH', [text]));
  expect(detector.watched).toBe(0);
  expect(detector.changedBytes).toBeGreaterThan(0);
});

it('births of a stream that is of another format by now are dropped', () => {
  const before = new Detector({ ...OPTIONS, decoder: SPARKPLUG });
  for (const record of story()) before.observe(record);
  const store = new DetectorStore();
  store.save(before);
  const born = [...store.entries.keys()].filter((key) => !key.startsWith('detect/'));
  expect(born).toHaveLength(1);
  const after = new Detector(OPTIONS);
  after.restore(store.entries);
  store.save(after);
  expect([...store.entries.keys()]).toEqual(['detect/index/0']);
  expect(born).toHaveLength(1);
});

it('what a limit leaves out is said', () => {
  const said: string[] = [];
  const logger = { ...silentLogger, warn: (_: object, message: string) => void said.push(message) };
  const many = new Detector({ ...OPTIONS, logger, decoder: jsonDecoder([]) });
  const list = (length: number) => Array.from({ length }, () => 1);
  many.observe(new Records().next(list(MAX_SAMPLES - 1)));
  expect(said).toEqual([]);
  expect(many.observe(new Records().next(list(MAX_SAMPLES + 1)))).toHaveLength(MAX_SAMPLES);
  expect(said).toEqual([expect.stringContaining('as many as are watched')]);
  said.length = 0;
  const births = new Detector({ ...OPTIONS, maxSeries: 1e6, logger, decoder: SPARKPLUG });
  const metrics = list(MAX_BORN_METRICS / 2 + 1).map((_, i) => ({ name: `m${i}`, datatype: 10 }));
  for (const node of ['a', 'b']) {
    const record = sparkplugRecord(new Records(), 'NBIRTH', metrics);
    births.observe({ ...record, topic: `spBv1.0/plant/NBIRTH/${node}` });
  }
  expect(said).toEqual([expect.stringContaining('too many births')]);
});
