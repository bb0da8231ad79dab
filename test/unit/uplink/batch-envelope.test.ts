import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBatch } from '../../../src/uplink/batch-envelope.ts';
import {
  type CloudRecord,
  decodeEnvelope,
  EnvelopeError,
} from '../../../src/uplink/decode-envelope.ts';
import { recordMessage } from '../../../src/uplink/envelope.ts';
import { anyRecords, EVERY_CASE, expectedOf, ORIGIN } from '../../support/batch-records.ts';

// The three shapes of what the far side gets, as docs/envelope.md has them. A batch says of each
// record what a wrapper would say, byte for byte.

const GOLDEN = new URL('../../golden/batch-1.envelope', import.meta.url);
const DOCS = new URL('../../../docs/envelope.md', import.meta.url);

const blockOf = (language: string, nth = 0) =>
  readFileSync(DOCS, 'utf8').split(`\`\`\`${language}\n`)[nth + 1]?.split('```')[0] ?? '';

const batchOf = (more: object): Uint8Array => {
  const document = JSON.parse(encodeBatch(EVERY_CASE, ORIGIN, false).toString());
  return Buffer.from(JSON.stringify({ ...document, ...more }));
};

describe('a batch', () => {
  // Format 1 as bytes. Nobody rewrites that file: another format gets another number, and a file.
  test('is written and read as ever', () => {
    const golden = readFileSync(GOLDEN);
    expect(encodeBatch(EVERY_CASE, ORIGIN, true).toString()).toBe(golden.toString());
    const expected = EVERY_CASE.map((record) => expectedOf(record, true));
    expect(decodeEnvelope(golden)).toEqual(expected);
  });

  test('gives back any records, compressed or not', () => {
    const check = (records: Parameters<typeof encodeBatch>[0], historical: boolean) => {
      const document = encodeBatch(records, ORIGIN, historical);
      const expected = records.map((record) => expectedOf(record, historical));
      expect(decodeEnvelope(document)).toEqual(expected);
      expect(decodeEnvelope(deflateSync(document))).toEqual(expected);
    };
    fc.assert(fc.property(anyRecords, fc.boolean(), check), { numRuns: 500 });
  });

  test('has a start for each partition alone when no offset is missing', () => {
    const records = Array.from({ length: 300 }, (_, i) => {
      const [first] = EVERY_CASE;
      if (first === undefined) throw new Error('no case');
      return { ...first, partition: i % 16, offset: 1000 + Math.floor(i / 16) };
    });
    const document = JSON.parse(encodeBatch(records, ORIGIN, false).toString());
    expect(document.starts).toEqual(Array.from({ length: 16 }, (_, i) => [i, 1000]));
  });

  test('leaves out what says nothing', () => {
    const bare = { ...EVERY_CASE[1], payload: Buffer.from('1') } as (typeof EVERY_CASE)[number];
    const document = JSON.parse(encodeBatch([bare], ORIGIN, false).toString());
    const columns = ['starts', 'sources', 'source', 'receivedAt', 'payload'];
    expect(Object.keys(document)).toEqual(['headgate', 'gateway', 'log', 'stream', ...columns]);
  });

  test('reads as the page says of its example', () => {
    const records = decodeEnvelope(Buffer.from(blockOf('json')));
    const told = records.map(({ partition, offset, device, id, receivedAt, deviceTime }) => [
      ...[partition, offset, device, id, receivedAt - 1_767_225_600_000],
      deviceTime === undefined ? undefined : receivedAt - deviceTime,
    ]);
    expect(told).toEqual([
      [3, 1042, 'boiler-7', 'b7-17', 0, 130],
      [5, 77, 'pump-2', undefined, 210, undefined],
      [3, 1043, 'boiler-7', 'b7-18', 1000, 128],
    ]);
  });

  test('is decoded by the JavaScript on the page', () => {
    const program = `${blockOf('js', 1)}
      const all = [...decodeBatch(Buffer.from(process.argv[1], 'base64'))];
      console.log(JSON.stringify(all.map((r) => ({ ...r, payload: r.payload.toString('hex') }))));`;
    const message = deflateSync(encodeBatch(EVERY_CASE, ORIGIN, false)).toString('base64');
    const args = ['--input-type=module', '-e', program, message];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const expected = EVERY_CASE.map((record) => ({
      ...{ id: null, deviceTime: null, reason: null, historical: false, ...expectedOf(record) },
      payload: Buffer.from(record.payload).toString('hex'),
    }));
    for (const record of expected) Reflect.deleteProperty(record, 'encoding');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(expected);
  });
});

describe('one record', () => {
  const check = (identity: 'wrapper' | 'properties', historical: boolean) => {
    const shape = { topic: 'x', identity, historical };
    const one = ([record]: Parameters<typeof encodeBatch>[0]) => {
      if (record === undefined) throw new Error('no record');
      const { payload, properties } = recordMessage(record, ORIGIN, shape);
      expect(decodeEnvelope(payload, properties)).toEqual([expectedOf(record, historical)]);
    };
    fc.assert(fc.property(anyRecords, one), { numRuns: 300 });
  };

  test.each([true, false])('in a wrapper, historical: %s', (it) => check('wrapper', it));
  test.each([true, false])('beside its properties, historical: %s', (it) =>
    check('properties', it),
  );

  test('other properties change nothing', () => {
    const [record] = EVERY_CASE;
    if (record === undefined) throw new Error('no record');
    const { payload } = recordMessage(record, ORIGIN, {
      ...{ topic: 'x', identity: 'wrapper', historical: false },
    });
    const beside = { log: 'of a bridge', traceparent: '00-1' };
    expect(decodeEnvelope(payload, beside)).toEqual([expectedOf(record)]);
  });
});

/** The records, or undefined when it was refused as it should be. */
function tried(
  payload: Uint8Array,
  properties?: Record<string, string>,
): CloudRecord[] | undefined {
  try {
    return decodeEnvelope(payload, properties);
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    expect(error.message).toMatch(/^[ -~]{8,160}$/);
    return undefined;
  }
}

const wellMade = (record: CloudRecord) =>
  typeof record.device === 'string' &&
  Number.isSafeInteger(record.offset) &&
  Number.isSafeInteger(record.receivedAt) &&
  typeof record.payload === 'string';

describe('what is not sound is refused', () => {
  test.each([
    ['nothing', Buffer.of(), /begins like no envelope/],
    ['half a document', Buffer.from('{"headgate":1'), /no JSON/],
    ['half a stream', deflateSync(batchOf({})).subarray(0, -9), /no sound zlib stream/],
    ['no UTF-8', Buffer.of(0x7b, 0xff), /no UTF-8/],
    ['another format', batchOf({ headgate: 2 }), /format 2 is unknown/],
    ['a null', deflateSync(Buffer.from('null')), /no JSON object/],
    ['a list', deflateSync(Buffer.from('[1]')), /no JSON object/],
    ['a long column', batchOf({ lag: Array(10).fill(1) }), /lag has 10 entries/],
    ['a short column', batchOf({ lag: [1] }), /lag has 1 entries, payload has 9/],
    ['a column left out', batchOf({ source: undefined }), /source is no list/],
    ['a source that is not there', batchOf({ source: Array(9).fill(9) }), /names none/],
    ['a partition without a start', batchOf({ starts: [[0, 1]] }), /no start/],
    [
      'starts out of order',
      batchOf({
        starts: [
          [1, 1],
          [0, 1],
        ],
      }),
      /not in order/,
    ],
    ['an offset below 0', batchOf({ starts: [[0, -1]] }), /below 0/],
    ['a time that is a text', batchOf({ receivedAt: Array(9).fill('1') }), /no whole number/],
    ['a sum beyond 2^53', batchOf({ receivedAt: Array(9).fill(2 ** 52) }), /no whole number/],
    ['base64 that is none', batchOf({ base64: [0] }), /said to be base64/],
    ['base64 beyond the end', batchOf({ base64: [9] }), /base64 names/],
    ['a wrapper without an offset', Buffer.from('{"gateway":"a","log":"b"}'), /stream is no text/],
  ])('%s', (_, payload, message) => {
    expect(() => decodeEnvelope(payload)).toThrow(EnvelopeError);
    expect(() => decodeEnvelope(payload)).toThrow(message);
  });

  test('an id by number from a source without a prefix', () => {
    const document = { sources: [[3, 'd', 't']], source: Array(9).fill(0), id: Array(9).fill(1) };
    expect(() => decodeEnvelope(batchOf(document))).toThrow(/no prefix/);
  });

  test('a bomb, before it goes off', () => {
    const bomb = deflateSync(Buffer.alloc(65 * 1024 * 1024, ' '));
    expect(bomb.length).toBeLessThan(100_000);
    expect(() => decodeEnvelope(bomb)).toThrow(/larger than 67108864 bytes/);
    const small = deflateSync(encodeBatch(EVERY_CASE, ORIGIN, false));
    expect(() => decodeEnvelope(small, {}, { maxOutputLength: 100 })).toThrow(/larger than 100 /);
    expect(() => decodeEnvelope(batchOf({}), {}, { maxOutputLength: 100 })).toThrow(EnvelopeError);
    expect(() => decodeEnvelope(batchOf({}), {}, { maxRecords: 0 })).toThrow(/more than 0/);
  });

  test('any bytes, and any damage to a message, give an EnvelopeError or records', () => {
    const plain = encodeBatch(EVERY_CASE, ORIGIN, true);
    const [sent] = EVERY_CASE.map((record) =>
      recordMessage(record, ORIGIN, { topic: 'x', identity: 'wrapper', historical: true }),
    );
    const messages = [plain, deflateSync(plain), deflateSync(plain, { level: 0 }), sent?.payload];
    const message = fc.constantFrom(...messages.map((m) => m ?? Buffer.of()));
    const hit = fc.record({ at: fc.nat(), to: fc.oneof(fc.nat(255), fc.constantFrom(...plain)) });
    const damage = (whole: Uint8Array, hits: { at: number; to: number }[], cut: number) => {
      const bytes = Buffer.from(whole);
      for (const { at, to } of hits) bytes[at % bytes.length] = to;
      const records = tried(cut % 4 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes);
      expect(records?.every(wellMade) ?? true).toBe(true);
    };
    const hits = fc.array(hit, { maxLength: 4 });
    fc.assert(fc.property(message, hits, fc.nat(), damage), { numRuns: 5_000 });
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void tried(bytes)));
  });

  test('any value in any place of a document does too', () => {
    const document = JSON.parse(encodeBatch(EVERY_CASE, ORIGIN, true).toString());
    const value = fc.oneof(
      fc.constantFrom(null, true, -1, 0, 1, 9, 1.5, 1e300, '', 'a', [], {}, [0], [[0, 0]]),
      fc.jsonValue(),
    );
    const wrapper = expectedOf(EVERY_CASE[0] ?? (EVERY_CASE[1] as never));
    const check = (key: string, place: number, inside: boolean, put: unknown) => {
      const copy = structuredClone({ ...document, ...(place % 5 === 0 ? wrapper : {}) });
      if (place % 5 === 0) Reflect.deleteProperty(copy, 'headgate');
      if (inside && Array.isArray(copy[key])) copy[key][place % copy[key].length] = put;
      else copy[key] = put;
      const records = tried(Buffer.from(JSON.stringify(copy)));
      expect(records?.every(wellMade) ?? true).toBe(true);
    };
    const key = fc.constantFrom(...Object.keys({ ...document, ...wrapper }));
    fc.assert(fc.property(key, fc.nat(), fc.boolean(), value, check), { numRuns: 5_000 });
  });

  test('and any properties', () => {
    const names = ['gateway', 'log', 'stream', 'partition', 'offset', 'receivedAt', 'historical'];
    const sound = { ...expectedOf(EVERY_CASE[0] ?? (EVERY_CASE[1] as never)) } as object;
    const texts = Object.fromEntries(Object.entries(sound).map(([k, v]) => [k, String(v)]));
    const check = (name: string, text: string | string[]) =>
      void tried(Buffer.from('1'), { ...texts, [name]: text as string });
    const text = fc.oneof(fc.string(), fc.constantFrom('-1', '1e3', '', '99999999999999999'));
    fc.assert(fc.property(fc.constantFrom(...names), fc.oneof(text, fc.array(text)), check));
    expect(tried(Buffer.from('1'), { ...texts, offset: '1.5' })).toBeUndefined();
    expect(tried(Buffer.from('1'), { ...texts, offset: '' })).toBeUndefined();
    expect(tried(Buffer.from('1'), { ...texts, offset: '15' })).toHaveLength(1);
  });
});
