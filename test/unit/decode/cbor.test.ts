import { encode, Tagged } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { cborDecoder } from '../../../src/decode/cbor.ts';
import { parseCbor } from '../../../src/decode/cbor-tree.ts';
import { fuzz } from './hostile.ts';

const decoder = cborDecoder([]);
const bytes = (hex: string) => Buffer.from(hex, 'hex');
const wrong = { ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' };
const tooMuch = { ok: false, code: 'PAYLOAD_TOO_COMPLEX' };

describe('CBOR', () => {
  // RFC 8949, appendix A.
  test.each([
    ['00', 0],
    ['1903e8', 1000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['1bffffffffffffffff', 2 ** 64],
    ['3903e7', -1000],
    ['c249010000000000000000', 2 ** 64],
    ['c349010000000000000000', -(2 ** 64)],
    ['f93e00', 1.5],
    ['fa47c35000', 100_000],
    ['fbc010666666666666', -4.1],
    ['f90001', 2 ** -24],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['f7', null],
    ['c074323031332d30332d32315432303a30343a30305a', '2013-03-21T20:04:00Z'],
    ['c11a514b67b0', 1363896240],
    ['d74401020304', 'AQIDBA'],
    ['4401020304', 'AQIDBA'],
    ['62c3bc', 'ü'],
    ['6161', 'a'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a201020304', { 1: 2, 3: 4 }],
    ['a26161016162820203', { a: 1, b: [2, 3] }],
    ['9fff', []],
    ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
    ['bf61610161629f0203ffff', { a: 1, b: [2, 3] }],
    // RFC 8949, 3.4.4: the decimal fraction 273.15.
    ['c48221196ab3', 273.15],
  ])('%s', (hex, value) => {
    expect(parseCbor(bytes(hex))).toEqual({ ok: true, value });
  });

  // RFC 8949, appendix F, and what a reading may not be.
  test.each([
    ['nothing behind the head', '18'],
    ['a list that ends too early', '8301'],
    ['a field without a value', 'a16161'],
    ['a break by itself', 'ff'],
    ['a break in a list of a length', '82ff'],
    ['a break in place of a value', 'bf6161ff'],
    ['a break behind a tag', '9fc1ff'],
    ['reserved lengths', '1c'],
    ['two items', '0001'],
    ['a text that is no UTF-8', '61ff'],
    ['a text in pieces', '7f657374726561646d696e67ff'],
    ['a simple value', 'f0'],
    ['not a number', 'f97e00'],
    ['infinity', 'f97c00'],
    ['a name twice', 'a2616101616102'],
    ['a number and its digits as names', 'a2010261310a'],
    ['a list as a name', 'a18000'],
    ['a fraction as a name', 'a1f93e0000'],
    ['a length beyond the payload', '9bffffffffffffffff'],
    ['a text longer than the payload', '7b00ffffffffffff61'],
    ['a decimal fraction of texts', 'c4826161196ab3'],
  ])('%s is no reading', (_, hex) => {
    expect(parseCbor(bytes(hex))).toEqual(wrong);
  });

  it('is not followed without end', () => {
    expect(parseCbor(bytes(`${'81'.repeat(32)}00`)).ok).toBe(true);
    expect(parseCbor(bytes(`${'81'.repeat(33)}00`))).toEqual(tooMuch);
    expect(parseCbor(bytes(`${'c1'.repeat(200_000)}00`))).toEqual(tooMuch);
    expect(parseCbor(bytes(`${'9f'.repeat(200_000)}`))).toEqual(tooMuch);
    expect(parseCbor(bytes(`9a0003ffff${'a0'.repeat(262_143)}`)).ok).toBe(true);
    expect(parseCbor(bytes(`9a00040000${'a0'.repeat(262_144)}`))).toEqual(tooMuch);
    expect(parseCbor(bytes(`c25820${'ff'.repeat(32)}`)).ok).toBe(true);
    expect(parseCbor(bytes(`c25821${'ff'.repeat(33)}`))).toEqual(tooMuch);
  });

  it('has fields of any name, and changes no other object', () => {
    const parsed = parseCbor(bytes('a1695f5f70726f746f5f5fa16161f5'));
    expect(parsed.ok && Object.keys(parsed.value as object)).toEqual(['__proto__']);
    expect(({} as { a?: unknown }).a).toBeUndefined();
    expect(parsed.ok && (parsed.value as { a?: unknown }).a).toBeUndefined();
  });

  it('has ids, times and metrics as JSON does', () => {
    const parse = (value: unknown) => {
      const parsed = decoder.parse(encode(value));
      if (!parsed.ok) throw new Error(parsed.code);
      return parsed.value;
    };
    const one = parse({
      id: 18_446_744_073_709_551_615n,
      ts: 1_700_000_000,
      t: 21.5,
      up: 2n ** 60n,
    });
    expect(decoder.messageId(one)).toEqual({ kind: 'id', text: '18446744073709551615' });
    expect(decoder.deviceTime(one)).toBe(1_700_000_000_000);
    expect(decoder.samples(one, 'room', 's/d/room')).toEqual([
      { metric: 'room.t', value: 21.5 },
      { metric: 'room.up', value: 2 ** 60 },
    ]);
    const uuid = parse({ id: new Tagged(37, Buffer.alloc(16, 1)) });
    expect(decoder.messageId(uuid)).toEqual({ kind: 'id', text: 'AQEBAQEBAQEBAQEBAQEBAQ' });
    const many = parse([{ ts: 1, t: 20, bad: Number.NaN }, { ts: 2, t: 21 }, 5]);
    expect(decoder.samples(many, '', 's/d')).toEqual([
      { metric: 't', value: 20, timeMs: 1_000 },
      { metric: 't', value: 21, timeMs: 2_000 },
      { metric: 'value', value: 5 },
    ]);
    const nested = cborDecoder(['/env/*']);
    expect(nested.samples(parse({ env: { t: 1, seq: 5, u: 2n ** 55n } }), '', 's/d')).toEqual([
      { metric: 'env.t', value: 1 },
      { metric: 'env.u', value: 2 ** 55 },
    ]);
  });

  it('gives back what was put in', () => {
    // As JSON has it: the encoder here knows no negative zero.
    const values = fc.json({ maxDepth: 5 }).map((text): unknown => JSON.parse(text));
    fc.assert(
      fc.property(values, (value) => {
        expect(parseCbor(encode(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    const valid = [{ id: 'a', t: 1.5, list: [1, 2n ** 60n] }, [{ ts: 5, v: 1 }], 21.5];
    fuzz(
      decoder,
      valid.map((value) => encode(value)),
    );
    fuzz(
      cborDecoder(['/list/*', '/*/v', '/*/*']),
      valid.map((value) => encode(value)),
    );
  });
});
