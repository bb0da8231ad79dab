import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { Decoder, Format } from '../../../src/decode/decoder.ts';
import { deviceTimeOf } from '../../../src/decode/fields.ts';
import { loadDecoder } from '../../../src/decode/load-decoder.ts';

// The largest payloads that are taken, made to cost as much as they can.

const BYTES = 262_144;
const digits = '1'.repeat(BYTES - 8);
const long = 'n'.repeat(BYTES / 2);

const HOSTILE: ReadonlyArray<readonly [format: Format, what: string, text: string]> = [
  ['number', 'digits and a bad end', `${digits}x`],
  ['number', 'spaces and a bad end', `1${' '.repeat(BYTES - 8)}x`],
  ['auto', 'digits and a bad end', `${digits}x`],
  ['influx', 'digits and a bad end', `m f=${digits}x`],
  ['influx', 'digits of a whole number', `m f=${digits}i`],
  ['influx', 'a long measurement of many fields', `${long} ${fields(BYTES / 2)}`],
  ['influx', 'a long tag value', `m,t=${long} ${fields(BYTES / 2)}`],
  ['senml', 'a long base name', `[{"bn":"${long}","v":1}${',{"v":1}'.repeat(16_000)}]`],
  ['json', 'lists in lists', `${'['.repeat(BYTES / 2)}${']'.repeat(BYTES / 2)}`],
  ['json', 'many samples', `[${'{"a":1},'.repeat(BYTES / 8 - 2)}{}]`],
];

function fields(bytes: number): string {
  const all: string[] = [];
  for (let i = 0, used = 0; used < bytes - 20; i++) {
    const field = `f${i}=1`;
    all.push(field);
    used += field.length + 1;
  }
  return all.join();
}

/** Every text that it makes, as whoever prints them. */
function read(decoder: Decoder, payload: Uint8Array): number {
  const parsed = decoder.parse(payload);
  if (!parsed.ok) return 0;
  decoder.messageId(parsed.value);
  decoder.deviceTime(parsed.value);
  return JSON.stringify(decoder.samples(parsed.value, 'place', 's/d')).length;
}

describe('a payload of 256 KiB takes no more than a moment and little memory', () => {
  it.each(HOSTILE)('%s: %s', async (format, _, text) => {
    const decoder = await loadDecoder({ format, metrics: [] });
    const payload = Buffer.from(text);
    expect(payload.length).toBeLessThanOrEqual(BYTES);
    const startMs = systemClock.monoMs();
    expect(read(decoder, payload)).toBeLessThan(4_096 * 1_200);
    // What grows with the square of it takes minutes.
    expect(systemClock.monoMs() - startMs).toBeLessThan(1_000);
  });
});

describe('the time of a device', () => {
  const at = (ts: string) => deviceTimeOf({ ts });

  it.each([
    ['2026-11-25', Date.UTC(2026, 10, 25)],
    ['2026-11-25T10:20:30Z', Date.UTC(2026, 10, 25, 10, 20, 30)],
    ['2026-11-25T10:20:30.250Z', Date.UTC(2026, 10, 25, 10, 20, 30, 250)],
    ['2026-11-25T10:20:30', Date.UTC(2026, 10, 25, 10, 20, 30)],
    ['2026-11-25 10:20', Date.UTC(2026, 10, 25, 10, 20)],
    ['2026-11-25T10:20:30+02:00', Date.UTC(2026, 10, 25, 8, 20, 30)],
    ['2026-11-25T10:20:30-0130', Date.UTC(2026, 10, 25, 11, 50, 30)],
  ])('%s', (text, ms) => {
    expect(at(text)).toBe(ms);
  });

  it.each(['5', '12345', 'sensor 5', 'uptime 12', '1-2-3', 'Nov 25 2026', '2026-13-40', ''])(
    '%j is none',
    (text) => {
      expect(at(text)).toBeUndefined();
    },
  );
});

it('two texts of CBOR that differ in a mark of byte order are two', async () => {
  const decoder = await loadDecoder({ format: 'cbor', metrics: [] });
  const map = (id: Buffer) =>
    Buffer.concat([
      Buffer.from([0xa1, 0x62]),
      Buffer.from('id'),
      Buffer.from([0x60 + id.length]),
      id,
    ]);
  const ids = ['\ufeffabcä', 'abcä'].map((text) => {
    const parsed = decoder.parse(map(Buffer.from(text)));
    return parsed.ok ? decoder.messageId(parsed.value) : undefined;
  });
  expect(ids[0]).not.toEqual(ids[1]);
});

it('tags of a line that look like others are others', async () => {
  const decoder = await loadDecoder({ format: 'influx', metrics: [] });
  const names = ['m,a=1,b=2 f=1', 'm,a=1\\,b\\=2 f=1'].map((line) => {
    const parsed = decoder.parse(Buffer.from(line));
    return parsed.ok ? decoder.samples(parsed.value, '', 's/d')[0]?.metric : undefined;
  });
  expect(names).toEqual(['m.f,a=1,b=2', 'm.f,a=1\\,b\\=2']);
});
