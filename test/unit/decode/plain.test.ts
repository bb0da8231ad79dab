import { describe, expect, it, test } from 'vitest';
import { MAX_SAMPLES } from '../../../src/decode/decoder.ts';
import { autoDecoder, jsonDecoder } from '../../../src/decode/json.ts';
import { loadDecoder } from '../../../src/decode/load-decoder.ts';
import { NUMBER_DECODER, RAW_DECODER } from '../../../src/decode/plain.ts';
import { fuzz } from './hostile.ts';

function samples(text: string, metrics: readonly string[] = [], place = '') {
  const decoder = jsonDecoder(metrics);
  const parsed = decoder.parse(Buffer.from(text));
  if (!parsed.ok) throw new Error(parsed.code);
  return decoder.samples(parsed.value, place, 's/d');
}

describe('a list of samples', () => {
  it('has the numbers of its objects, each with its time, and its own', () => {
    const text = '[{"ts":1700000000,"t":20,"id":7},{"t":21,"in":{"x":1}},"a",null,[3],4]';
    expect(samples(text, [], 'room')).toEqual([
      { metric: 'room.t', value: 20, timeMs: 1_700_000_000_000 },
      { metric: 'room.t', value: 21 },
      { metric: 'room', value: 4 },
    ]);
  });

  it('is looked at up to a limit', () => {
    const many = JSON.stringify(Array.from({ length: MAX_SAMPLES + 1 }, () => 1));
    expect(samples(many)).toHaveLength(MAX_SAMPLES);
    const fields = Object.fromEntries(Array.from({ length: MAX_SAMPLES + 1 }, (_, i) => [i, i]));
    expect(samples(JSON.stringify(fields))).toHaveLength(MAX_SAMPLES);
    expect(samples(`[${JSON.stringify(fields)},1]`)).toHaveLength(MAX_SAMPLES);
    expect(samples(many, ['/*', '/*'])).toHaveLength(MAX_SAMPLES);
  });

  it('says nothing in format auto, as it always did', () => {
    expect(autoDecoder([]).samples([{ t: 1 }, 2], '', 's/d')).toEqual([]);
    expect(autoDecoder(['/*/t']).samples([{ t: 1 }, 2], '', 's/d')).toEqual([
      { metric: 't', value: 1 },
    ]);
  });
});

describe('pointers at metrics', () => {
  const text = JSON.stringify({
    ts: 1_700_000_000,
    env: { temperature: 21.5, 'a/b': 1, ok: true, '*': 9 },
    samples: [{ t: 1, time: 1_700_000_001 }, { t: 2 }, { t: 'x' }],
    rows: [[1, 2], [3]],
    value: 5,
  });
  const ts = 1_700_000_000_000;

  test.each([
    ['/env/temperature', [['env.temperature', 21.5, ts]]],
    ['/env/a~1b', [['env.a/b', 1, ts]]],
    [
      '/samples/*/t',
      [
        ['samples.t', 1, ts + 1_000],
        ['samples.t', 2, ts],
      ],
    ],
    ['/samples/1/t', [['samples.t', 2, ts]]],
    [
      '/rows/*/*',
      [
        ['rows', 1, ts],
        ['rows', 2, ts],
        ['rows', 3, ts],
      ],
    ],
    [
      '/env/*',
      [
        ['env.temperature', 21.5, ts],
        ['env.a/b', 1, ts],
        ['env.*', 9, ts],
      ],
    ],
    ['/value', [['value', 5, ts]]],
    ['/samples', []],
    ['/samples/t', []],
    ['/nothing/*/t', []],
    ['/constructor/length', []],
  ] as const)('%s', (pointer, expected) => {
    const found = samples(text, [pointer]).map(({ metric, value, timeMs }) => [
      metric,
      value,
      timeMs,
    ]);
    expect(found).toEqual(expected);
  });

  it('are named by the place too, and come in their order', () => {
    expect(samples(text, ['/value', '/env/temperature'], 'hall')).toEqual([
      { metric: 'hall', value: 5, timeMs: ts },
      { metric: 'hall.env.temperature', value: 21.5, timeMs: ts },
    ]);
  });

  it('do not look at more than there is time for', () => {
    const empty = JSON.stringify(Array.from({ length: 80_000 }, () => ({})));
    const started = process.hrtime.bigint();
    expect(
      samples(
        empty,
        Array.from({ length: 64 }, () => '/*/t'),
      ),
    ).toEqual([]);
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(1_000);
  });
});

test('a plain number is one as people write it', () => {
  const parse = (text: string) => NUMBER_DECODER.parse(Buffer.from(text));
  for (const [text, value] of [
    ['21.5', 21.5],
    [' +21.50\r\n', 21.5],
    ['-.5e1', -5],
    ['007', 7],
    ['5.', 5],
  ] as const) {
    expect(parse(text), text).toEqual({ ok: true, value });
  }
  for (const text of ['NaN', '1e999', '0x10', '1,5', '21.5C', '"1"', '{}', ' ', '1 2', '--1']) {
    expect(parse(text), text).toEqual({ ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' });
  }
  expect(parse('')).toEqual({ ok: false, code: 'PAYLOAD_EMPTY' });
  expect(NUMBER_DECODER.samples(21.5, 'room', 's/d')).toEqual([{ metric: 'room', value: 21.5 }]);
});

test('raw bytes are a reading, whatever they are, and say nothing', () => {
  for (const bytes of [[], [0xff, 0], [...Buffer.from('{"id":1}')]]) {
    const parsed = RAW_DECODER.parse(Uint8Array.from(bytes));
    expect(parsed.ok).toBe(true);
    if (!parsed.ok) continue;
    expect(RAW_DECODER.messageId(parsed.value)).toBeUndefined();
    expect(RAW_DECODER.samples(parsed.value, '', 's/d')).toEqual([]);
  }
});

test('JSON that is none is told apart from what auto rejects', () => {
  for (const [decoder, code] of [
    [jsonDecoder([]), 'PAYLOAD_NOT_OF_FORMAT'],
    [autoDecoder([]), 'PAYLOAD_NOT_A_READING'],
  ] as const) {
    for (const text of ['{', 'hello', '1e999', '\ufeff1']) {
      expect(decoder.parse(Buffer.from(text)), text).toEqual({ ok: false, code });
    }
  }
});

test.each(['auto', 'json', 'number', 'raw'] as const)(
  '%s never throws, whatever the bytes',
  async (format) => {
    const decoder = await loadDecoder({ format, metrics: [] });
    expect(decoder.format).toBe(format);
    fuzz(decoder, [Buffer.from('21.5'), Buffer.from('1e5')]);
    if (format === 'number') return;
    const texts = ['{"id":"é","t":1,"in":{"x":[1,2]}}', '[{"ts":1,"t":2},3]'];
    fuzz(
      decoder,
      texts.map((text) => Buffer.from(text)),
    );
  },
);

test.each(['auto', 'json'] as const)('%s with pointers never throws', async (format) => {
  const decoder = await loadDecoder({ format, metrics: ['/*/*', '/in/x/1', '/~0~1', '/*'] });
  fuzz(decoder, [Buffer.from('{"id":"a","t":1,"in":{"x":[1,2]}}'), Buffer.from('[[1],{"t":2}]')]);
});
