import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { MAX_PARTS, MAX_SAMPLES } from '../../../src/decode/decoder.ts';
import { INFLUX } from '../../../src/decode/influx.ts';
import { readLine } from '../../../src/decode/influx-line.ts';
import { fuzz } from './hostile.ts';

const parse = (text: string) => INFLUX.parse(Buffer.from(text));
function samples(text: string, place = '') {
  const parsed = parse(text);
  if (!parsed.ok) throw new Error(parsed.code);
  return INFLUX.samples(parsed.value, place, 's/d');
}

describe('a line', () => {
  // As InfluxDB's own reference writes them.
  test.each([
    [
      'measurementName,tagKey=tagValue fieldKey="fieldValue" 1465839830100400200',
      {
        measurement: 'measurementName',
        tags: { tagKey: 'tagValue' },
        fields: { fieldKey: 'fieldValue' },
        timestamp: '1465839830100400200',
      },
    ],
    ['m f=1', { measurement: 'm', tags: {}, fields: { f: 1 } }],
    ['m f=-1.234456e+78', { measurement: 'm', tags: {}, fields: { f: -1.234456e78 } }],
    ['m a=1i,b=-12i,c=3u', { measurement: 'm', tags: {}, fields: { a: 1, b: -12, c: 3 } }],
    ['m f=9223372036854775807i', { fields: { f: 9223372036854775807n } }],
    ['m f=18446744073709551615u', { fields: { f: 18446744073709551615n } }],
    ['m a=t,b=T,c=true,d=True,e=TRUE', { fields: { a: true, b: true, c: true, d: true, e: true } }],
    ['m a=f,b=False', { fields: { a: false, b: false } }],
    ['my\\ Measurement f="string value"', { measurement: 'my Measurement' }],
    ['m f="\\"string\\" within a string"', { fields: { f: '"string" within a string' } }],
    ['m f="path\\\\to\\other"', { fields: { f: 'path\\to\\other' } }],
    [
      'm,tag\\ Key1=tag\\ Value1,k2=a\\,b\\=c f=1',
      { tags: { 'tag Key1': 'tag Value1', k2: 'a,b=c' } },
    ],
    ['a\\,b=c f=1', { measurement: 'a,b=c' }],
    ['m,k=back\\slash f\\=1=1', { tags: { k: 'back\\slash' }, fields: { 'f=1': 1 } }],
    ['m,⭐=🚀 f="Launch 🚀" 1', { tags: { '⭐': '🚀' }, fields: { f: 'Launch 🚀' } }],
    ['m   f=1,g=2   5  ', { fields: { f: 1, g: 2 }, timestamp: '5' }],
    ['m f="a,b c=d" -5', { fields: { f: 'a,b c=d' }, timestamp: '-5' }],
    ['m,k="v" f=1', { tags: { k: '"v"' } }],
  ])('%s', (line, point) => {
    expect(readLine(line)).toMatchObject(point);
  });

  test.each([
    'm',
    'm ',
    ' f=1',
    ',k=v f=1',
    'm f',
    'm f=',
    'm =1',
    'm, f=1',
    'm,k f=1',
    'm,k= f=1',
    'm,=v f=1',
    'm,k=v=w f=1',
    'm f=1,',
    'm f=1 now',
    'm f=1 5 6',
    'm f=1 12345678901234567890',
    'm f=1i2',
    'm f=1.5i',
    'm f=-1u',
    'm f=9223372036854775808i',
    'm f=18446744073709551616u',
    'm f=NaN',
    'm f=1e999',
    'm f=tru',
    'm f="open',
    'm f="a"b',
    'm\tf=1',
  ])('%j is none', (line) => {
    expect(readLine(line)).toBeUndefined();
  });

  it('has fields of any name, and changes no other object', () => {
    const point = readLine('m,__proto__=t __proto__=1,constructor=2');
    expect(Object.keys(point?.fields ?? {})).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(point?.fields)).toBe(Object.prototype);
    expect(samples('m,__proto__=t __proto__=1')).toEqual([
      { metric: 'm.__proto__,__proto__=t', value: 1 },
    ]);
  });
});

describe('a payload', () => {
  it('has a point a line, and comments', () => {
    const text =
      '# what follows\r\n' +
      'cpu,room=b,host=a user=1.5,idle=90i,on=t,note="x" 1700000000123456789\r\n\n' +
      '   mem free=2u\n  # the end';
    expect(samples(text, 'rack')).toEqual([
      { metric: 'rack.cpu.user,host=a,room=b', value: 1.5, timeMs: 1_700_000_000_123 },
      { metric: 'rack.cpu.idle,host=a,room=b', value: 90, timeMs: 1_700_000_000_123 },
      { metric: 'rack.mem.free', value: 2 },
    ]);
    const parsed = parse(text);
    expect(parsed.ok && INFLUX.deviceTime(parsed.value)).toBe(1_700_000_000_123);
    expect(parsed.ok && INFLUX.messageId(parsed.value)).toBeUndefined();
  });

  it('is no reading if one line is no point, or none is there', () => {
    for (const text of ['m f=1\nm', 'm f="a\nb"', '# nothing', '\n\n', 'm f=\u{ffff}']) {
      expect(parse(text), text).toEqual({ ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' });
    }
    expect(INFLUX.parse(Buffer.from([0x6d, 0x20, 0x66, 0x3d, 0xff]))).toMatchObject({ ok: false });
    expect(parse('')).toEqual({ ok: false, code: 'PAYLOAD_EMPTY' });
  });

  it('names a metric by a fingerprint of many tags, whatever their order', () => {
    const tags = Array.from({ length: 20 }, (_, i) => `tag${i}=value`);
    const [one] = samples(`m,${tags.join()} f=1`);
    const [same] = samples(`m,${tags.toReversed().join()} f=1`);
    const [other] = samples(`m,${tags.join()}2 f=1`);
    expect(one?.metric).toMatch(/^m\.f,#[0-9a-f]{16}$/);
    expect(same?.metric).toBe(one?.metric);
    expect(other?.metric).not.toBe(one?.metric);
  });

  it('has limits', () => {
    const line = 'm f=1\n';
    expect(samples(line.repeat(MAX_SAMPLES + 1))).toHaveLength(MAX_SAMPLES);
    expect(parse(line.repeat(MAX_PARTS)).ok).toBe(true);
    expect(parse(line.repeat(MAX_PARTS + 1))).toEqual({ ok: false, code: 'PAYLOAD_TOO_COMPLEX' });
  });

  it('is read back as it was written', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => !/[\\\r\n]/.test(text) && !text.startsWith('#') && text !== '__proto__');
    const escaped = (text: string, marks: RegExp) => text.replace(marks, (mark) => `\\${mark}`);
    const key = (text: string) => escaped(text, /[,= ]/g);
    fc.assert(
      fc.property(name, name, fc.string({ unit: 'grapheme' }), fc.bigInt(), (m, k, text, n) => {
        if (/[\r\n]/.test(text)) return;
        const whole = BigInt.asIntN(64, n);
        const string = escaped(text, /["\\]/g);
        const fields = `${key(k)}="${string}",_n=${whole}i`;
        const line = `${escaped(m, /[, ]/g)},${key(k)}=${key(k)} ${fields}`;
        const point = readLine(line);
        expect(point).toMatchObject({ measurement: m, tags: { [k]: k }, fields: { [k]: text } });
        expect(String(point?.fields['_n'])).toBe(String(whole));
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    const lines = ['m,k=v\\ w f=1i,g="a\\"b",h=t 1700000000000000000', '# c\nm f=1\nm2 f=-2.5e3 5'];
    fuzz(
      INFLUX,
      lines.map((line) => Buffer.from(line)),
    );
  });

  it('takes no longer than its length, however it is made', () => {
    const started = process.hrtime.bigint();
    for (const text of [
      `m f="${'\\'.repeat(250_000)}`,
      'a\\ '.repeat(80_000),
      ' '.repeat(250_000),
    ]) {
      expect(parse(text).ok).toBe(false);
    }
    for (const start of ['m f=1', 'm f=1 5']) {
      expect(parse(`${start}${' '.repeat(250_000)}x`).ok).toBe(false);
    }
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(2_000);
  });
});
