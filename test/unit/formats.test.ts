import { encode } from 'cborg';
import { expect, it } from 'vitest';
import { Books } from '../../src/audit/books.ts';
import { systemClock } from '../../src/base/clock.ts';
import { newCounters } from '../../src/base/counters.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { SampleReader } from '../../src/decode/sample-reader.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import { TopicMap } from '../../src/ingest/topic-map.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { streamDecodings } from '../../src/stream-decoding.ts';
import { configOf } from '../support/config-loading.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { openTestJournal, readAll } from '../support/journals.ts';
import { sparkplugBytes } from '../support/sparkplug-messages.ts';

// Each format from its setting, through the pipeline and the log, to what was measured.

const T = 1_700_000_000_000;

type Sent = readonly [topic: string, payload: Uint8Array | string, how?: 'redriven'];

interface Plan {
  /** Below the stream, YAML. */
  readonly settings: string;
  readonly topics?: string;
  readonly sent: readonly Sent[];
}

/** What becomes of messages that are sent one after the other. */
async function follow({ settings, topics = 's/<device>/#', sent }: Plan) {
  const yaml = `streams:\n  s:\n    topics: ["${topics}"]\n    partitions: 1\n${settings}`;
  const decoding = (await streamDecodings(configOf(yaml))).get('s');
  if (decoding === undefined) throw new Error('no stream');
  const files = new FakeFiles();
  const journal = await openTestJournal(files, { streams: [{ name: 's', partitions: 1 }] });
  const events = await openTestJournal(files, {
    folder: '/data/log/events',
    streams: [{ name: 'dead-letter', partitions: 1 }],
  });
  const ids = { windowMs: 1e9, windowIds: 1_000, maxIds: 1_000, maxDevices: 100 };
  const dedup = new Dedup({ mode: 'auto', ...ids });
  const counters = newCounters();
  const warned: unknown[] = [];
  const pipeline = new Pipeline({
    topics: new TopicMap([{ stream: 's', partitions: 1, pattern: topics }]),
    streams: new Map([
      ['s', { journal, stream: journal.stream('s'), dedup, ack: 'durable' as const, ...decoding }],
    ]),
    events,
    deadLetters: events.stream('dead-letter'),
    clock: systemClock,
    counters,
    books: new Books({ bucketMs: 60_000 }),
    logger: { ...silentLogger, warn: (fields) => void warned.push(fields) },
  });
  for (const [topic, body, how] of sent) {
    const payload = Buffer.from(body);
    if (how === 'redriven') {
      const letter = { device: 'd', topic, payload, monoMs: 0 };
      const id = { kind: 'id' as const, text: 'letter' };
      await new Promise((resolve) => pipeline.redrive(letter, id, resolve));
      continue;
    }
    const message = { clientId: 'c', topic, payload, qos: 1 as const, retain: false, dup: false };
    await new Promise<void>((resolve, reject) => {
      pipeline.accept(message, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }
  const reader = new SampleReader(decoding.rules.decoder);
  const records = await readAll(files, journal, 's');
  const samples = records.flatMap((record) => reader.read(record));
  const letters = await readAll(files, events, 'dead-letter');
  return {
    ...counters,
    ids: records.map(({ messageId }) => messageId?.text),
    times: records.map(({ deviceTimeMs }) => deviceTimeMs),
    payloads: records.map(({ payload }) => Buffer.from(payload)),
    samples: samples.map(({ metric, value }) => [metric, value]),
    reasons: letters.map(({ reason }) => reason),
    warned,
  };
}

const WRONG = ['PAYLOAD_NOT_OF_FORMAT'];

it('json: lists of samples, nested metrics, an id below a pointer', async () => {
  const body = JSON.stringify({ meta: { uid: 'u-1' }, samples: [{ ts: 1, t: 20 }, { t: 21 }] });
  const settings =
    '    format: json\n    metrics: [/samples/*/t]\n    dedup: { idFrom: "pointer:/meta/uid" }';
  const sent = [
    ['s/d', body],
    ['s/d', body.replace('21', '22')],
    ['s/d', '{'],
  ] as const;
  expect(await follow({ settings, sent })).toMatchObject({
    ...{ stored: 1, duplicates: 1, deadLettered: 1 },
    ...{
      ids: ['u-1'],
      samples: [
        ['samples.t', 20],
        ['samples.t', 21],
      ],
      reasons: WRONG,
    },
  });
});

it('number: one that is none is kept aside', async () => {
  const sent = [
    ['s/d/temp', ' 21.50\n'],
    ['s/d/temp', '{"value":1}'],
  ] as const;
  const seen = await follow({ settings: '    format: number', sent });
  expect(seen).toMatchObject({ stored: 1, samples: [['temp', 21.5]], reasons: WRONG });
});

it('cbor: bytes are stored as they came, and read when they are wanted', async () => {
  const body = encode({ id: 2n ** 60n, ts: T, t: 21.5 });
  const sent = [
    ['s/d', body],
    ['s/d', body],
    ['s/d', '{"id":1}'],
  ] as const;
  expect(await follow({ settings: '    format: cbor', sent })).toMatchObject({
    ...{
      stored: 1,
      duplicates: 1,
      ids: [String(2n ** 60n)],
      times: [T],
      payloads: [Buffer.from(body)],
    },
    ...{ samples: [['t', 21.5]], reasons: WRONG },
  });
});

it.each(['senml', 'senml-cbor'])('%s: a pack is one reading of many', async (format) => {
  const bytes = (pack: unknown) => (format === 'senml' ? JSON.stringify(pack) : encode(pack));
  const pack = [
    { bn: 'urn:x:', bt: T / 1_000, n: 'a', v: 1 },
    { n: 'b', v: 2 },
  ];
  const sent = [
    ['s/d', bytes(pack)],
    ['s/d', bytes(pack)],
    ['s/d', bytes([{ v: 1 }])],
  ] as const;
  const settings = `    format: ${format}\n    dedup: { idFrom: "pointer:/0/bt" }`;
  expect(await follow({ settings, sent })).toMatchObject({
    ...{ stored: 1, duplicates: 1, ids: [String(T / 1_000)], times: [T] },
    ...{
      samples: [
        ['urn:x:a', 1],
        ['urn:x:b', 2],
      ],
      reasons: WRONG,
    },
  });
});

it('influx: every line, and no id of its own', async () => {
  const body = `cpu,host=a user=1.5,idle=9i ${T}000000\nmem free=2u`;
  const sent = [
    ['s/d', body],
    ['s/d', body],
    ['s/d', 'cpu'],
  ] as const;
  expect(await follow({ settings: '    format: influx', sent })).toMatchObject({
    ...{ stored: 2, duplicates: 0, ids: [undefined, undefined], times: [T, T], reasons: WRONG },
    samples: [1, 2].flatMap(() => [
      ['cpu.user,host=a', 1.5],
      ['cpu.idle,host=a', 9],
      ['mem.free', 2],
    ]),
  });
});

it('sparkplug: names by births, repeats by time and seq, and what never came', async () => {
  const born = {
    timestamp: T,
    seq: 0,
    metrics: [{ name: 'Temp', alias: 1, datatype: 3, int: 20 }],
  };
  const data = (seq: number) =>
    sparkplugBytes({ timestamp: T + seq, seq, metrics: [{ alias: 1, int: -seq }] });
  const sent = [
    ['spBv1.0/plant/NBIRTH/edge', sparkplugBytes(born)],
    ['spBv1.0/plant/NDATA/edge', data(1)],
    ['spBv1.0/plant/NDATA/edge', data(1)],
    ['spBv1.0/plant/NDATA/edge', data(4)],
    ['spBv1.0/plant/NDATA/edge', '{}'],
  ] as const;
  const seen = await follow({
    settings: '    format: sparkplug',
    topics: 'spBv1.0/+/+/<device>/#',
    sent,
  });
  expect(seen).toMatchObject({
    ...{ received: 5, stored: 3, duplicates: 1, deadLettered: 1, sparkplugGaps: 2 },
    ...{ ids: [`${T}:0`, `${T + 1}:1`, `${T + 4}:4`], reasons: WRONG },
    samples: [
      ['Temp', 20],
      ['Temp', -1],
      ['Temp', -4],
    ],
  });
  expect(seen.warned).toContainEqual(
    expect.objectContaining({ stream: 's', node: 'edge', by: 'seq', from: 2, to: 3, missing: 2 }),
  );
});

it('raw: anything is a reading, which nobody looks into', async () => {
  const settings = '    format: raw\n    dedup: { idFrom: "topic:3", bootFrom: "topic:4" }';
  const sent = [
    ['s/d/7/b1', Buffer.from([0xff, 0x00])],
    ['s/d/7/b1', Buffer.from([0xff])],
    ['s/d/7/b2', Buffer.from([])],
    ['s/d/x', Buffer.from('{"id":"no"}')],
  ] as const;
  expect(await follow({ settings, sent })).toMatchObject({
    ...{ stored: 3, duplicates: 1, deadLettered: 0 },
    ...{ ids: ['b1:7', 'b2:7', 'x'], samples: [] },
  });
});

it('sparkplug: an old message that is redriven has no place among the new ones', async () => {
  const sent = [0, 1, 2, 40, 3, 4].map((seq): Sent => {
    const bytes = sparkplugBytes({ timestamp: T + seq, seq, metrics: [] });
    const type = seq === 0 ? 'NBIRTH' : 'NDATA';
    const topic = `spBv1.0/plant/${type}/edge`;
    return seq === 40 ? [topic, bytes, 'redriven'] : [topic, bytes];
  });
  const settings = '    format: sparkplug';
  const seen = await follow({ settings, topics: 'spBv1.0/+/+/<device>/#', sent });
  expect(seen).toMatchObject({ received: 6, stored: 6, sparkplugGaps: 0, warned: [] });
});
