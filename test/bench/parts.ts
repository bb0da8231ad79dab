/** What single parts cost, in µs a reading: the figures in the comments of hot paths. */
import { Books } from '../../src/audit/books.ts';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import { Detector } from '../../src/detect/detector.ts';
import { parseReading } from '../../src/ingest/parse-reading.ts';
import { BodyWriter } from '../../src/log/record-codec.ts';
import { autoRules } from '../support/reading-rules.ts';

const COUNT = 300_000;
const DEVICES = 50;

function recordsToMeasure(): LogRecord[] {
  const random = seededRandom(1);
  return Array.from({ length: COUNT }, (_, i) => {
    const device = `dev-${i % DEVICES}`;
    const value = (20 + random()).toFixed(3);
    const pad = 'x'.repeat(50);
    const text = `{"id":"${device}-${i}","ts":1795528656303,"value":${value},"pad":"${pad}"}`;
    const topic = `sensors/${device}/temperature`;
    return {
      device,
      topic,
      payload: Buffer.from(text),
      messageId: { kind: 'id', text: `${device}-${i}` },
      monoMs: i / 10,
      stream: 'readings',
      partition: i % 4,
      offset: i,
      receivedAtMs: 1_795_528_656_303 + i / 10,
      boot: '00',
      runMs: i / 10,
    };
  });
}

function microseconds(step: (record: LogRecord) => void, records: readonly LogRecord[]): number {
  const startMs = systemClock.monoMs();
  for (const record of records) step(record);
  return ((systemClock.monoMs() - startMs) * 1000) / records.length;
}

/** Name of the part and µs a reading. */
export function measureParts(): Array<[name: string, us: number]> {
  const records = recordsToMeasure();
  const dedup = new Dedup({
    mode: 'auto',
    windowMs: 86_400_000,
    windowIds: 1_024,
    maxIds: 200_000,
    maxDevices: 1_000,
  });
  const detector = new Detector({
    maxSeries: 1_000,
    logger: silentLogger,
  });
  const rules = autoRules(262_144);
  const stream = { name: 'readings', log: 'a1', takesMessages: true };
  const head = { booked: [0, 0, 0, 0], expiredTo: [0, 0, 0, 0], forwards: true };
  const own = new Books({ bucketMs: 60_000 }).open(stream, head).books;
  const body = new BodyWriter(64 * 1024);
  return [
    ['parse', microseconds((record) => parseReading(record, rules), records)],
    [
      'claim',
      microseconds((record) => {
        const seen = dedup.claim(record, record.runMs);
        if (seen?.kind === 'new') seen.claim.settle();
      }, records),
    ],
    [
      'encode',
      microseconds((record) => {
        if (body.length > 48 * 1024) body.reset();
        body.add(record, 0, 1);
      }, records),
    ],
    ['detect', microseconds((record) => detector.observe(record), records)],
    [
      'book',
      microseconds(
        ({ partition, receivedAtMs }) => own.stored(partition, undefined, receivedAtMs),
        records,
      ),
    ],
  ];
}
