import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sequenceFromText } from '../../../src/base/message-id.ts';
import { deviceTimeOf, messageIdOf, samplesOf } from '../../../src/decode/fields.ts';
import { AUTO } from '../../../src/decode/json.ts';

const parse = (text: string) => AUTO.parse(Buffer.from(text));
function parsed(text: string) {
  const result = parse(text);
  if (!result.ok) throw new Error(result.code);
  return result.value;
}

describe('a payload', () => {
  it('is JSON or a plain number, and nothing else', () => {
    expect(parse('21.5')).toEqual({ ok: true, value: 21.5 });
    expect(parse('{"value":1}').ok).toBe(true);
    expect(parse('')).toEqual({ ok: false, code: 'PAYLOAD_EMPTY' });
    for (const bad of ['NaN', 'Infinity', '1e999', 'hello', '{"value":NaN}', '{', '0x10']) {
      expect(parse(bad)).toEqual({ ok: false, code: 'PAYLOAD_NOT_A_READING' });
    }
    expect(AUTO.parse(Buffer.from([0xff, 0xfe, 0x31]))).toMatchObject({ ok: false });
  });

  it('names its message by id, messageId or seq', () => {
    expect(messageIdOf(parsed('{"id":"a-1","seq":9}'))).toEqual({ kind: 'id', text: 'a-1' });
    expect(messageIdOf(parsed('{"messageId":7}'))).toEqual({ kind: 'id', text: '7' });
    expect(messageIdOf(parsed('{"id":"7"}'))).toEqual({ kind: 'id', text: '7' });
    expect(messageIdOf(parsed('{"seq":7}'))).toEqual({ kind: 'counter', text: '7', sequence: 7 });
    expect(messageIdOf(parsed('{"seq":7,"boot":"x:y"}'))).toEqual(sequenceFromText('x:y:7'));
    expect(messageIdOf(parsed('{"value":1}'))).toBeUndefined();
    expect(messageIdOf(parsed('{"id":null,"seq":null}'))).toBeUndefined();
    expect(messageIdOf(parsed('21.5'))).toBeUndefined();
    expect(messageIdOf(parsed('{"id":{"a":1}}'))).toBe('PAYLOAD_ID_INVALID');
    expect(messageIdOf(parsed('{"id":""}'))).toBe('PAYLOAD_ID_INVALID');
    expect(messageIdOf(parsed('{"seq":7,"boot":""}'))).toBe('PAYLOAD_ID_INVALID');
    expect(messageIdOf(parsed(`{"id":"${'é'.repeat(129)}"}`))).toBe('PAYLOAD_ID_INVALID');
    expect(messageIdOf(parsed(`{"id":"${'é'.repeat(128)}"}`))).toMatchObject({ kind: 'id' });
  });

  it('has no id that another would be stored as', () => {
    expect(messageIdOf(parsed('{"id":"\\ud800"}'))).toBe('PAYLOAD_ID_INVALID');
    expect(messageIdOf(parsed('{"seq":1,"boot":"\\ud800"}'))).toBe('PAYLOAD_ID_INVALID');
    for (const large of ['{"id":1732471234567890123}', '{"seq":1732471234567890123}']) {
      expect(messageIdOf(parsed(large))).toMatchObject({ kind: 'counter' });
    }
  });

  it('takes a seq of digits for the number, and any other for no name by itself', () => {
    expect(messageIdOf(parsed('{"seq":"7"}'))).toEqual({ kind: 'counter', text: '7', sequence: 7 });
    expect(messageIdOf(parsed('{"seq":"007","boot":"b"}'))).toEqual(sequenceFromText('b:7'));
    for (const seq of ['-5', '"-5"', '1.5', '"a"', '"0x10"', '" 5"', '"99999999999999999999"']) {
      for (const body of [`{"seq":${seq}}`, `{"seq":${seq},"boot":"b"}`]) {
        const text = String(JSON.parse(seq));
        expect(messageIdOf(parsed(body)), body).toMatchObject({ kind: 'counter', text });
      }
    }
    for (const seq of ['{}', 'true', '""']) {
      expect(messageIdOf(parsed(`{"seq":${seq}}`))).toBe('PAYLOAD_ID_INVALID');
    }
  });

  it('tells its time in seconds, milliseconds or ISO 8601', () => {
    const at = Date.UTC(2026, 0, 2);
    expect(deviceTimeOf(parsed(`{"ts":${at}}`))).toBe(at);
    expect(deviceTimeOf(parsed(`{"time":${at / 1000}}`))).toBe(at);
    expect(deviceTimeOf(parsed('{"timestamp":"2026-01-02T00:00:00Z"}'))).toBe(at);
    expect(deviceTimeOf(parsed('{"ts":"soon"}'))).toBeUndefined();
    expect(deviceTimeOf(parsed('{"ts":-5}'))).toBeUndefined();
  });

  it('gives its numbers, named by topic and field', () => {
    expect(samplesOf(21.5, 'temperature')).toEqual([{ metric: 'temperature', value: 21.5 }]);
    expect(samplesOf(21.5, '')).toEqual([{ metric: 'value', value: 21.5 }]);
    const value = parsed(
      '{"id":"1","ts":5,"value":1,"rh":40,"ok":true,"big":1e999,"in":{"deep":5},"list":[1]}',
    );
    expect(samplesOf(value, 'room')).toEqual([
      { metric: 'room', value: 1 },
      { metric: 'room.rh', value: 40 },
    ]);
    expect(samplesOf(value, '')).toEqual([
      { metric: 'value', value: 1 },
      { metric: 'rh', value: 40 },
    ]);
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((s) => Buffer.from(s)),
        ),
        (bytes) => {
          const parsed = AUTO.parse(bytes);
          if (!parsed.ok) return;
          messageIdOf(parsed.value);
          deviceTimeOf(parsed.value);
          for (const { value } of samplesOf(parsed.value, 'x'))
            expect(Number.isFinite(value)).toBe(true);
        },
      ),
    );
  });
});
