import { encode } from 'cborg';
import { describe, expect, it, test } from 'vitest';
import type { Decoder } from '../../../src/decode/decoder.ts';
import { MAX_PARTS, MAX_SAMPLES } from '../../../src/decode/decoder.ts';
import { SENML_JSON } from '../../../src/decode/senml.ts';
import { SENML_CBOR } from '../../../src/decode/senml-cbor.ts';
import { fuzz } from './hostile.ts';

function read(decoder: Decoder, payload: Uint8Array, place = '') {
  const parsed = decoder.parse(payload);
  if (!parsed.ok) throw new Error(parsed.code);
  const { value } = parsed;
  return { value, samples: decoder.samples(value, place, 's/d') };
}

const json = (pack: unknown) => Buffer.from(JSON.stringify(pack));
const samples = (pack: unknown, place = '') => read(SENML_JSON, json(pack), place).samples;
const OW = 'urn:dev:ow:10e2073a01080063';

describe('the examples of RFC 8428', () => {
  test('5.1.1: a single data point is of now', () => {
    expect(samples([{ n: OW, u: 'Cel', v: 23.1 }])).toEqual([{ metric: OW, value: 23.1 }]);
  });

  const seven = [
    {
      bn: 'urn:dev:ow:10e2073a0108006:',
      bt: 1.276020076001e9,
      bu: 'A',
      bver: 5,
      n: 'voltage',
      u: 'V',
      v: 120.1,
    },
    ...[-5, -4, -3, -2, -1, 0].map((t, i) => ({
      n: 'current',
      t,
      v: [1.2, 1.3, 1.4, 1.5, 1.6, 1.7][i],
    })),
  ];
  const resolved = [
    { metric: 'urn:dev:ow:10e2073a0108006:voltage', value: 120.1, timeMs: 1_276_020_076_001 },
    ...[1.2, 1.3, 1.4, 1.5, 1.6, 1.7].map((value, i) => ({
      metric: 'urn:dev:ow:10e2073a0108006:current',
      value,
      timeMs: 1_276_020_076_001 + (i - 5) * 1_000,
    })),
  ];

  test('5.1.2: base fields go on', () => {
    expect(samples(seven)).toEqual(resolved);
    expect(SENML_JSON.deviceTime(seven)).toBe(1_276_020_076_001);
  });

  test('6: the same in CBOR', () => {
    const hex =
      '87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b0010622361' +
      '4120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333' +
      '333333a3006763757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666' +
      '666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999999aa30067' +
      '63757272656e74060002fb3ffb333333333333';
    const { value, samples: found } = read(SENML_CBOR, Buffer.from(hex, 'hex'));
    expect(found).toEqual(resolved);
    expect(value).toMatchObject([
      { bn: 'urn:dev:ow:10e2073a0108006:', n: 'voltage', v: 120.1 },
      {},
      {},
      {},
      {},
      {},
      {},
    ]);
  });

  test('5.1.4: a list without a time, and values that are no numbers', () => {
    const pack = [
      { bn: `${OW}:`, n: 'temp', u: 'Cel', v: 27.2 },
      { n: 'humidity', u: '%RH', v: 80 },
      { n: 'label', vs: 'Machine Room' },
      { n: 'open', vb: false },
      { n: 'nfc-reader', vd: 'aGkgCg' },
    ];
    expect(samples(pack, 'hall')).toEqual([
      { metric: `hall.${OW}:temp`, value: 27.2 },
      { metric: `hall.${OW}:humidity`, value: 80 },
    ]);
  });
});

describe('a pack', () => {
  it('has times from now on below 2^28 s, and since 1970 above', () => {
    const pack = [
      { bn: 'a', v: 1, t: -2.5 },
      { v: 2, t: 2 ** 28 - 1 },
      { v: 3, t: 2 ** 28 },
      { bt: 1.7e9, v: 4 },
      { v: 5, t: -1.7e9 },
    ];
    expect(samples(pack)).toEqual([
      { metric: 'a', value: 1, fromArrivalMs: -2_500 },
      { metric: 'a', value: 2, fromArrivalMs: (2 ** 28 - 1) * 1_000 },
      { metric: 'a', value: 3, timeMs: 2 ** 28 * 1_000 },
      { metric: 'a', value: 4, timeMs: 1.7e12 },
      { metric: 'a', value: 5 },
    ]);
    expect(SENML_JSON.deviceTime(pack)).toBeUndefined();
  });

  it('adds base value and base sum, and names a sum apart', () => {
    const pack = [
      { bn: 'meter/', bv: 20, bs: 100, n: 'p', v: 1.5, s: 5 },
      { n: 'q', s: -1 },
      { bv: 0, n: 'p', v: 1 },
      { bn: 'x:', bt: 5 },
    ];
    expect(samples(pack)).toEqual([
      { metric: 'meter/p', value: 21.5 },
      { metric: 'meter/p.sum', value: 105 },
      { metric: 'meter/q.sum', value: 99 },
      { metric: 'meter/p', value: 1 },
    ]);
  });

  it('has no id but where a pointer says', () => {
    expect(SENML_JSON.messageId([{ n: 'a', v: 1 }])).toBeUndefined();
  });

  it('is looked at up to a limit', () => {
    const many = Array.from({ length: MAX_SAMPLES + 2 }, () => ({ n: 'a', v: 1, s: 2 }));
    expect(samples(many)).toHaveLength(MAX_SAMPLES);
    expect(samples([{ n: 'a', v: 1 }, ...many])).toHaveLength(MAX_SAMPLES);
    const pack = (length: number) => SENML_JSON.parse(json(Array.from({ length }, () => ({}))));
    expect(pack(MAX_PARTS).ok).toBe(true);
    expect(pack(MAX_PARTS + 1)).toEqual({ ok: false, code: 'PAYLOAD_TOO_COMPLEX' });
  });

  test.each([
    ['no list', { n: 'a', v: 1 }],
    ['an empty list', []],
    ['a record that is none', [1]],
    ['a field that must be understood', [{ n: 'a', v: 1, must_: 1 }]],
    ['two values', [{ n: 'a', v: 1, vs: 'x' }]],
    ['a value of another kind', [{ n: 'a', v: '1' }]],
    ['a boolean of another kind', [{ n: 'a', vb: 1 }]],
    ['a time of another kind', [{ n: 'a', v: 1, t: 'now' }]],
    ['a null', [{ n: 'a', v: null }]],
    ['no name', [{ v: 1 }]],
    ['a name of other characters', [{ n: 'a b', v: 1 }]],
    ['a name that begins with a mark', [{ bn: '-', n: 'a', v: 1 }]],
    ['a name that is none because of its base', [{ bn: 'ü', n: 'a', v: 1 }]],
    ['a later version', [{ bver: 11, n: 'a', v: 1 }]],
    [
      'two versions',
      [
        { bver: 10, n: 'a', v: 1 },
        { bver: 9, n: 'a', v: 1 },
      ],
    ],
    [
      'a version that comes later',
      [
        { n: 'a', v: 1 },
        { bver: 9, n: 'a', v: 1 },
      ],
    ],
    ['a sum beyond numbers', [{ bv: 1e308, n: 'a', v: 1e308 }]],
  ])('with %s is no reading', (_, pack) => {
    expect(SENML_JSON.parse(json(pack))).toEqual({ ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' });
    expect(SENML_CBOR.parse(encode(pack))).toEqual({ ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' });
  });

  test.each([
    ['fields that nobody knows', [{ n: 'a', v: 1, extra: { x: 1 } }]],
    [
      'its version',
      [
        { bver: 10, n: 'a', v: 1 },
        { bver: 10, v: 1, n: 'b' },
      ],
    ],
    ['a unit and an update time', [{ n: 'a', u: 'Cel', v: 1, ut: 60, bu: 'V' }]],
  ])('with %s is one', (_, pack) => {
    expect(SENML_JSON.parse(json(pack)).ok).toBe(true);
    expect(SENML_CBOR.parse(encode(pack)).ok).toBe(true);
  });
});

test('no decoder of SenML ever throws', () => {
  const packs = [
    [
      { bn: 'a:', bt: 1.7e9, n: 'v', v: 1, s: 2 },
      { n: 'w', vb: true, t: -1 },
    ],
  ];
  fuzz(SENML_JSON, packs.map(json));
  fuzz(
    SENML_CBOR,
    packs.map((pack) => encode(pack)),
  );
  const numbered = new Map<number, unknown>([
    [-2, 'a'],
    [-3, 1.7e9],
    [2, 1],
    [5, 2 ** 55],
  ]);
  fuzz(SENML_CBOR, [encode([numbered])]);
});
