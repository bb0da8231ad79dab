import { describe, expect, it, test } from 'vitest';
import { MAX_PARTS } from '../../../src/decode/decoder.ts';
import { SPARKPLUG } from '../../../src/decode/sparkplug.ts';
import { SparkplugBirths } from '../../../src/decode/sparkplug-births.ts';
import {
  sparkplugBytes,
  type TestMetric,
  type TestPayload,
} from '../../support/sparkplug-messages.ts';
import { fuzz } from './hostile.ts';

const T = 1_700_000_000_000;
const topicOf = (type: string, device = '') =>
  `spBv1.0/plant/${type}/edge${device === '' ? '' : `/${device}`}`;

function messageOf(payload: TestPayload) {
  const parsed = SPARKPLUG.parse(sparkplugBytes(payload));
  if (!parsed.ok) throw new Error(parsed.code);
  return parsed.value;
}

/** Metrics and values of a message, by what its births say. */
function read(topic: string, metrics: readonly TestMetric[], births = new SparkplugBirths()) {
  const value = births.see(messageOf({ timestamp: T, metrics, seq: 1 }), topic);
  const place = topic.split('/')[4] ?? '';
  return SPARKPLUG.samples(value, place, topic).map(({ metric, value: number }) => [
    metric,
    number,
  ]);
}

describe('a payload', () => {
  it('has its fields, and passes over what is not looked at', () => {
    const payload = {
      timestamp: T,
      metrics: [
        { name: 'a', alias: 2n ** 63n, timestamp: T + 1, datatype: 10, double: 1.5 },
        { name: 'b', datatype: 12, string: 'text' },
        { name: 'c', datatype: 11, boolean: true },
        { name: 'd', datatype: 3, isNull: true, int: 5 },
      ],
      seq: 7,
      uuid: 'u',
      body: Buffer.from([1, 2, 3]),
    };
    expect(messageOf(payload)).toEqual({
      timestamp: T,
      seq: 7,
      uuid: 'u',
      metrics: [
        { name: 'a', alias: '9223372036854775808', timestamp: T + 1, datatype: 10, value: 1.5 },
        { name: 'b', datatype: 12, value: 'text' },
        { name: 'c', datatype: 11, value: true },
        { name: 'd', datatype: 3, bits: 32 },
      ],
    });
  });

  // The bytes of protobuf's own reference: the tag, the length, "testing".
  it('is read as protocol buffers are written', () => {
    const bytes = Buffer.from('12 09 0a 07 74 65 73 74 69 6e 67'.replaceAll(' ', ''), 'hex');
    expect(SPARKPLUG.parse(bytes)).toEqual({ ok: true, value: { metrics: [{ name: 'testing' }] } });
  });

  test.each([
    ['cut off in a number', '0880'],
    ['cut off in a metric', '1205 0a0761'],
    ['a text longer than its metric', '1204 0a0a6162 180118011801180118'],
    ['a metric beyond the end', '12ff01 0a'],
    ['a text that is no UTF-8', '2201ff'],
    ['a number where a text is due', '2001'],
    ['a text where a number is due', '0a0161'],
    ['a metric that is a number', '1001'],
    ['an integer that is a text', '1203 520161'],
    ['a group', '0b0c'],
    ['a field that does not exist', '0000'],
    ['a varint without an end', 'ffffffffffffffffffffff'],
    ['JSON', Buffer.from('{"timestamp":1}').toString('hex')],
  ])('with %s is no reading', (_, hex) => {
    const parsed = SPARKPLUG.parse(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    expect(parsed).toEqual({ ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' });
  });

  it('has a limited number of metrics', () => {
    const many = Buffer.from('1200'.repeat(MAX_PARTS + 1), 'hex');
    expect(SPARKPLUG.parse(many.subarray(2)).ok).toBe(true);
    expect(SPARKPLUG.parse(many)).toEqual({ ok: false, code: 'PAYLOAD_TOO_COMPLEX' });
    expect(SPARKPLUG.parse(Buffer.alloc(0))).toEqual({ ok: false, code: 'PAYLOAD_EMPTY' });
  });

  it('is named by its time and its seq, and never by its uuid alone', () => {
    const id = (payload: TestPayload) => SPARKPLUG.messageId(messageOf(payload));
    expect(id({ timestamp: T, seq: 7 })).toEqual({ kind: 'id', text: `${T}:7` });
    expect(id({ timestamp: T, seq: 7, uuid: 'schema' })).toEqual({ kind: 'id', text: `${T}:7` });
    // Of a death, which has no seq, and of a clock that was never set.
    expect(id({ timestamp: T, uuid: 'schema' })).toBeUndefined();
    const counter = { kind: 'counter', text: '7', sequence: 7 };
    expect(id({ timestamp: 5_000, seq: 7 })).toEqual(counter);
    expect(id({ seq: 7 })).toEqual(counter);
    expect(SPARKPLUG.deviceTime(messageOf({ timestamp: T }))).toBe(T);
    expect(SPARKPLUG.deviceTime(messageOf({ seq: 1 }))).toBeUndefined();
  });
});

describe('a metric', () => {
  test.each<[what: string, metric: TestMetric, value: number | undefined]>([
    ['Int8', { datatype: 1, int: 0xff }, -1],
    ['Int8 with its sign extended to 32 bits', { datatype: 1, int: 0xfffffffe }, -2],
    ['Int16', { datatype: 2, int: 0x8000 }, -32_768],
    ['Int32', { datatype: 3, int: 0xfffffff6 }, -10],
    ['Int32 with its sign extended to 64 bits', { datatype: 3, int: -10 }, -10],
    ['Int64', { datatype: 4, long: -5 }, -5],
    ['Int64 beyond 2^53', { datatype: 4, long: -(2n ** 60n) }, -(2 ** 60)],
    ['UInt8', { datatype: 5, int: 0xff }, 255],
    ['UInt32', { datatype: 7, int: 0xffffffff }, 4_294_967_295],
    ['UInt64', { datatype: 8, long: 2n ** 64n - 1n }, 2 ** 64],
    ['Float', { datatype: 9, float: 1.5 }, 1.5],
    ['Double', { datatype: 10, double: -0.1 }, -0.1],
    ['a whole number of no datatype', { int: 0xffffffff }, -1],
    ['a double of no datatype', { double: 2 }, 2],
    ['DateTime', { datatype: 13, long: T }, undefined],
    ['Boolean', { datatype: 11, boolean: true }, undefined],
    ['String', { datatype: 12, string: '5' }, undefined],
    ['null', { datatype: 10, isNull: true, double: 5 }, undefined],
    ['not a number', { datatype: 9, float: Number.NaN }, undefined],
    ['infinity', { datatype: 10, double: Number.POSITIVE_INFINITY }, undefined],
    ['no value', { datatype: 10 }, undefined],
  ])('%s', (_, metric, value) => {
    const found = read(topicOf('NDATA'), [{ name: 'm', ...metric }]);
    expect(found).toEqual(value === undefined ? [] : [['m', value]]);
  });

  it('has its own time, or else that of its message', () => {
    const metrics = [
      { name: 'a', timestamp: T + 5, double: 1 },
      { name: 'b', double: 2 },
    ];
    const value = messageOf({ timestamp: T, metrics });
    expect(SPARKPLUG.samples(value, 'pump', topicOf('DDATA', 'pump'))).toEqual([
      { metric: 'pump.a', value: 1, timeMs: T + 5 },
      { metric: 'pump.b', value: 2, timeMs: T },
    ]);
  });

  it('is measured in births and data, and in nothing else', () => {
    const metrics = [
      { name: 'a', double: 1 },
      { name: 'bdSeq', long: 3 },
    ];
    for (const topic of [topicOf('NBIRTH'), topicOf('NDATA')]) {
      expect(read(topic, metrics), topic).toEqual([['a', 1]]);
    }
    for (const topic of [topicOf('DBIRTH', 'pump'), topicOf('DDATA', 'pump')]) {
      expect(read(topic, metrics), topic).toEqual([['pump.a', 1]]);
    }
    const others = [topicOf('NCMD'), topicOf('DCMD', 'pump'), topicOf('NDEATH')];
    const none = [topicOf('DDATA'), topicOf('NDATA', 'x'), 'spBv1.0/STATE/host', 'sensors/edge'];
    for (const topic of [...others, ...none]) expect(read(topic, metrics), topic).toEqual([]);
  });
});

describe('births', () => {
  const born = [
    { name: 'Temp', alias: 1, datatype: 3, int: 20 },
    { name: 'Load', alias: 2, datatype: 7, int: 5 },
    { name: 'Started', alias: 3, datatype: 13, long: T },
    { name: 'Signed', datatype: 2, int: 1 },
    { name: 'On', alias: 4, datatype: 11, boolean: true },
  ];

  it('say what aliases stand for, and of which datatype they are', () => {
    const births = new SparkplugBirths();
    expect(read(topicOf('NBIRTH'), born, births)).toEqual([
      ['Temp', 20],
      ['Load', 5],
      ['Signed', 1],
    ]);
    const data = [
      { alias: 1, int: 0xffffffff },
      { alias: 2, int: 0xffffffff },
      { alias: 3, long: T },
      { name: 'Signed', int: 0xffff },
      { alias: 9, double: 7 },
      { double: 8 },
    ];
    expect(read(topicOf('NDATA'), data, births)).toEqual([
      ['Temp', -1],
      ['Load', 4_294_967_295],
      ['Signed', -1],
      // Nobody has said what it stands for.
      ['alias:9', 7],
    ]);
    expect(read(topicOf('NDATA'), [{ alias: 1, int: 5 }])).toEqual([['alias:1', 5]]);
  });

  it('hold for their node or device until it is born again', () => {
    const births = new SparkplugBirths();
    const say = (topic: string, name: string) =>
      read(topic, [{ name, alias: 1, datatype: 10, double: 0 }], births);
    const ask = (topic: string) => read(topic, [{ alias: 1, double: 0 }], births)[0]?.[0];
    say(topicOf('NBIRTH'), 'node');
    say(topicOf('DBIRTH', 'pump'), 'pump');
    say('spBv1.0/plant/NBIRTH/edge2', 'other');
    expect(ask(topicOf('NDATA'))).toBe('node');
    expect(ask(topicOf('DDATA', 'pump'))).toBe('pump.pump');
    expect(ask(topicOf('DDATA', 'fan'))).toBe('fan.alias:1');
    // The will of an old connection may come after the new birth.
    read(topicOf('NDEATH'), [{ name: 'bdSeq', long: 0 }], births);
    expect(ask(topicOf('NDATA'))).toBe('node');
    say(topicOf('DBIRTH', 'pump'), 'motor');
    expect(ask(topicOf('DDATA', 'pump'))).toBe('pump.motor');
    say(topicOf('NBIRTH'), 'again');
    expect(ask(topicOf('NDATA'))).toBe('again');
    expect(ask(topicOf('DDATA', 'pump'))).toBe('pump.alias:1');
    expect(ask('spBv1.0/plant/NDATA/edge2')).toBe('other');
  });

  it('of an older time than the one that is known are passed over, after a restart too', () => {
    const births = new SparkplugBirths();
    const say = (topic: string, name: string, timestamp: number | undefined, to = births) => {
      const metrics = [{ name, alias: 1, datatype: 10, double: 0 }];
      to.see(messageOf({ ...(timestamp === undefined ? {} : { timestamp }), metrics }), topic);
    };
    const ask = (topic: string, of = births) =>
      read(topic, [{ alias: 1, double: 0 }], of).map(([name]) => name);
    say(topicOf('NBIRTH'), 'new', T);
    say(topicOf('DBIRTH', 'pump'), 'new', T + 2);
    say(topicOf('DBIRTH', 'pump'), 'old', T + 1);
    say(topicOf('NBIRTH'), 'old', T - 1);
    const again = new SparkplugBirths();
    again.restore(new Map([...births.snapshot()].map(([key, text]) => [key, text ?? ''])));
    say(topicOf('NBIRTH'), 'old', T - 1, again);
    for (const one of [births, again]) {
      expect(ask(topicOf('NDATA'), one)).toEqual(['new']);
      expect(ask(topicOf('DDATA', 'pump'), one)).toEqual(['pump.new']);
    }
    // Without a time, or with one of a clock that was never set, the order of arrival counts.
    say(topicOf('NBIRTH'), 'unset', 86_400_000);
    expect(ask(topicOf('NDATA'))).toEqual(['unset']);
    say(topicOf('NBIRTH'), 'set', T - 1);
    expect(ask(topicOf('NDATA'))).toEqual(['set']);
    say(topicOf('NBIRTH'), 'timeless', undefined);
    expect(ask(topicOf('NDATA'))).toEqual(['timeless']);
  });

  it('of a version that stored no time of theirs are still read', () => {
    const births = new SparkplugBirths();
    births.restore(new Map([['decode/sparkplug/plant/edge/', '[["before","1",10]]']]));
    expect(read(topicOf('NDATA'), [{ alias: 1, double: 0 }], births)).toEqual([['before', 0]]);
  });

  it('are as they were after a restart, and only what changed is stored', () => {
    const births = new SparkplugBirths();
    const stored = new Map<string, string>();
    const save = () => {
      const changes = [...births.snapshot()];
      for (const [key, value] of changes) {
        if (value === undefined) stored.delete(key);
        else stored.set(key, value);
      }
      return changes.length;
    };
    read(topicOf('NBIRTH'), born, births);
    read(topicOf('DBIRTH', 'a/b'.replace('/', ' ')), born, births);
    expect(births.changedBytes).toBeGreaterThan(0);
    expect(save()).toBe(2);
    expect(births.changedBytes).toBe(0);
    expect(save()).toBe(0);
    const again = new SparkplugBirths();
    again.restore(new Map([...stored, ['detect/series/x', 'not mine']]));
    const data = [
      { alias: 1, int: 0xffffffff },
      { name: 'Signed', int: 0xffff },
    ];
    for (const topic of [topicOf('NDATA'), topicOf('DDATA', 'a b')]) {
      expect(read(topic, data, again)).toEqual(read(topic, data, births));
    }
    read(topicOf('NBIRTH'), [], births);
    expect(save()).toBe(2);
    expect(stored.size).toBe(0);
  });

  it('that can’t be read are forgotten, and their state with them', () => {
    const births = new SparkplugBirths();
    const key = 'decode/sparkplug/plant/edge/';
    const timed = ['{"timeMs":"1","metrics":[]}', '{"timeMs":1,"metrics":5}'];
    for (const text of ['{', '5', '[[1,"2",3]]', '[["a",1,3]]', '[null]', '{}', ...timed]) {
      births.restore(new Map([[key, text]]));
      expect([...births.snapshot()], text).toEqual([[key, undefined]]);
    }
  });

  it('are not kept without end', () => {
    const births = new SparkplugBirths();
    const many = Array.from({ length: 8_000 }, (_, i) => ({
      name: `m${i}`,
      alias: i,
      datatype: 10,
    }));
    for (const device of ['a', 'b']) read(topicOf('DBIRTH', device), many, births);
    expect(births.takeFull()).toBe(false);
    read(topicOf('DBIRTH', 'c'), many, births);
    expect([births.takeFull(), births.takeFull()]).toEqual([true, false]);
    expect(read(topicOf('DDATA', 'a'), [{ alias: 5, double: 1 }], births)).toEqual([['a.m5', 1]]);
    expect(read(topicOf('DDATA', 'c'), [{ alias: 5, double: 1 }], births)).toEqual([
      ['c.alias:5', 1],
    ]);
    // Born again, a device takes no more room than before.
    for (let i = 0; i < 5; i++) read(topicOf('DBIRTH', 'a'), many, births);
    expect(births.takeFull()).toBe(false);
  });
});

test('it never throws, whatever the bytes', () => {
  const payloads: TestPayload[] = [
    {
      timestamp: T,
      seq: 0,
      metrics: [
        { name: 'bdSeq', long: 1 },
        { name: 'a', alias: 1, datatype: 3, int: -1 },
      ],
    },
    { timestamp: T, seq: 1, uuid: 'u', metrics: [{ alias: 1, double: 1.5 }, { float: 1 }] },
  ];
  for (const type of ['NBIRTH', 'NDATA', 'NDEATH']) {
    fuzz(SPARKPLUG, payloads.map(sparkplugBytes), topicOf(type));
  }
});
