import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogRecord, MessageId } from '../../../src/base/reading.ts';
import { recordJson } from '../../../src/base/record-json.ts';
import { cloudTopic, type Envelope, encodeEnvelope } from '../../../src/uplink/envelope.ts';
import { identityOf } from '../../support/identity.ts';

const RECORD: LogRecord = {
  stream: 'readings',
  partition: 3,
  offset: 1_042,
  device: 'boiler-7',
  topic: 'sensors/boiler-7/temperature',
  payload: Buffer.from('{"id":"a-17","value":21.5}'),
  monoMs: 12,
  receivedAtMs: 1_767_225_600_000.4,
  boot: '00',
  runMs: 99,
};

const ORIGIN = { gateway: 'plant-4', log: '9f3c' };
const id = (text: string): MessageId => ({ kind: 'id', text });

function sent(record: LogRecord, origin = ORIGIN): Envelope {
  return JSON.parse(encodeEnvelope(record, origin).toString()) as Envelope;
}

/** The payload as the far side gets it back. */
function payloadOf({ payload, encoding }: Pick<Envelope, 'payload' | 'encoding'>): Buffer {
  return Buffer.from(payload, encoding ?? 'utf8');
}

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.string({ unit: 'binary', maxLength: 64 }).map((text) => new TextEncoder().encode(text)),
  // Text that breaks off in the middle of a character, and marks that decoders like to swallow.
  fc.string({ unit: 'grapheme' }).map((text) => new TextEncoder().encode(text).subarray(0, -1)),
  fc.uint8Array({ maxLength: 8 }).map((rest) => Uint8Array.of(0xef, 0xbb, 0xbf, ...rest)),
);

describe('a record as JSON', () => {
  test('has its keys in one order, and none that says nothing', () => {
    const full = {
      ...RECORD,
      messageId: id('a-17'),
      deviceTimeMs: 5,
      reason: 'PAYLOAD_EMPTY',
      payload: Uint8Array.of(0xff),
    };
    const keys = ['stream', 'partition', 'offset', 'device', 'id', 'topic', 'receivedAt'];
    keys.push('deviceTime', 'reason', 'payload', 'encoding');
    expect(Object.keys(recordJson(full))).toEqual(keys);
    expect(Object.keys(sent(full))).toEqual(['gateway', 'log', ...keys]);
    const least = keys.filter((k) => !['id', 'deviceTime', 'reason', 'encoding'].includes(k));
    expect(Object.keys(sent(RECORD))).toEqual(['gateway', 'log', ...least]);
  });

  test('says what the record says', () => {
    expect(sent({ ...RECORD, messageId: id('a-17'), deviceTimeMs: 5, reason: 'WHY' })).toEqual({
      gateway: 'plant-4',
      log: '9f3c',
      stream: 'readings',
      partition: 3,
      offset: 1_042,
      device: 'boiler-7',
      id: 'a-17',
      topic: 'sensors/boiler-7/temperature',
      receivedAt: 1_767_225_600_000,
      deviceTime: 5,
      reason: 'WHY',
      payload: '{"id":"a-17","value":21.5}',
    });
  });

  test('a sequence is named as the payload named it', () => {
    const messageId = { kind: 'sequence', text: 'b1:7', boot: 'b1', sequence: 7 } as const;
    expect(sent({ ...RECORD, messageId }).id).toBe('b1:7');
  });

  test('any payload survives, byte for byte', () => {
    const check = (payload: Uint8Array) => {
      expect(payloadOf(sent({ ...RECORD, payload }))).toEqual(Buffer.from(payload));
    };
    fc.assert(fc.property(bytes, check), { numRuns: 2_000 });
  });

  test('text stays text, and only what is none becomes base64', () => {
    const text = fc.string({ unit: 'binary' });
    const check = (payload: string) => {
      const envelope = sent({ ...RECORD, payload: Buffer.from(payload) });
      expect(envelope).toMatchObject({ payload });
      expect(envelope).not.toHaveProperty('encoding');
    };
    fc.assert(fc.property(text, check));
  });

  test('a payload inside a larger buffer brings none of its neighbours along', () => {
    const payload = Buffer.from('AA\xffBB', 'latin1').subarray(2, 3);
    expect(payloadOf(sent({ ...RECORD, payload }))).toEqual(Buffer.of(0xff));
    expect(sent({ ...RECORD, payload: Buffer.from('-mid-').subarray(1, 4) }).payload).toBe('mid');
  });

  test('any device, topic and id survive', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    const check = (device: string, topic: string, name: string) => {
      const envelope = sent({ ...RECORD, device, topic, messageId: id(name) });
      expect(envelope).toMatchObject({ device, topic, id: name });
    };
    fc.assert(fc.property(text, text, text, check));
  });
});

describe('the identity', () => {
  // What the configuration lets through as names; a log's id is hexadecimal.
  const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,6}$/);
  const key = fc.tuple(
    name,
    fc.stringMatching(/^[0-9a-f]{2,4}$/),
    name,
    fc.nat({ max: 20 }),
    fc.nat({ max: 1_000 }),
  );
  type Key = [string, string, string, number, number];
  const identity = ([gateway, log, stream, partition, offset]: Key) =>
    identityOf(sent({ ...RECORD, stream, partition, offset }, { gateway, log }));

  test('is of five parts', () => {
    expect(identityOf(sent(RECORD))).toBe('plant-4/9f3c/readings/3/1042');
  });

  test('is the same for the same record and for no other', () => {
    const check = (one: Key, other: Key) => {
      const same = JSON.stringify(one) === JSON.stringify(other);
      expect(identity(one) === identity(other)).toBe(same);
    };
    fc.assert(fc.property(key, key, check));
    // Neighbours, which two draws at random seldom are.
    const change = fc.integer({ min: 0, max: 4 });
    fc.assert(
      fc.property(key, change, (one, place) => {
        const other = one.map((part, i) =>
          i !== place ? part : typeof part === 'number' ? part + 1 : `${part}0`,
        ) as Key;
        check(one, other);
        check(one, [...one]);
      }),
    );
  });
});

describe('the topic in the cloud', () => {
  const of = (template: string, device: string, stream = 'readings', gateway = 'gw') =>
    cloudTopic(template, { ...RECORD, device, stream }, gateway);

  test('fills the placeholders in, each as often as it stands there', () => {
    expect(of('headgate/{gateway}/{stream}/{device}', 'd1')).toBe('headgate/gw/readings/d1');
    expect(of('x/{device}-{device}', 'd1')).toBe('x/d1-d1');
    expect(of('x/{other}/$fixed', 'd1')).toBe('x/{other}/$fixed');
  });

  test('a name is never a template, nor a pattern', () => {
    expect(of('x/{device}', '{gateway}')).toBe('x/{gateway}');
    expect(of('x/{device}', "$&$1$'")).toBe("x/$&$1$'");
  });

  test('a topic does not become one of the broker by the name of a device', () => {
    expect(of('{device}/x', '$SYS')).toBe('_SYS/x');
    expect(of('$aws/rules/r/{device}', 'd1')).toBe('$aws/rules/r/d1');
  });

  test.each([
    ['a wildcard', '+', '_'],
    ['wildcards and levels', 'a/b#c+', 'a_b_c_'],
    ['nothing', '', '_'],
    ['NUL and DEL', 'a\u0000\u007f', 'a__'],
    // Mosquitto ends the connection at each of these.
    ['a control character above ASCII', 'a\u0085b', 'a_b'],
    ['no characters', '\ufffe\uffff\ufdd0\u{1ffff}', '____'],
    ['half a character', '\ud800x', '_x'],
    ['a name in another script', 'кухня-λ-温度-🌡', 'кухня-λ-温度-🌡'],
  ])('%s in a device name', (_, device, level) => {
    expect(of('x/{device}', device)).toBe(`x/${level}`);
  });

  test('any names give as many levels as the template has, and none that a broker refuses', () => {
    const text = fc.string({ unit: fc.nat({ max: 0xffff }).map((n) => String.fromCharCode(n)) });
    const check = (device: string, stream: string, gateway: string) => {
      const topic = of('{gateway}/{stream}/{device}', device, stream, gateway);
      const levels = topic.split('/');
      expect(levels).toHaveLength(3);
      expect(levels.every((level) => level !== '')).toBe(true);
      expect(topic).not.toMatch(/[+#\p{Cc}\p{Cs}]|^\$/u);
    };
    fc.assert(fc.property(text, text, text, check), { numRuns: 1_000 });
  });
});
