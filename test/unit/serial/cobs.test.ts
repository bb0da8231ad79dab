import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CobsEvent,
  CobsFramer,
  cobsEncode,
  frameOf,
} from '../../../firmware-bridge/serial/cobs.ts';
import { crc16 } from '../../../firmware-bridge/serial/crc16.ts';
import {
  ackBody,
  askBody,
  nakBody,
  type Reason,
  readFrame,
  welcomeBody,
} from '../../../firmware-bridge/serial/frame.ts';

const MAX = 300;

interface Vectors {
  readonly crc: ReadonlyArray<{ bytes: string; crc: number }>;
  readonly cobs: ReadonlyArray<{ plain: string; encoded: string }>;
  readonly frames: ReadonlyArray<Record<string, string | number>>;
  readonly refused: ReadonlyArray<{ name: string; wire: string }>;
}

// The device's end is held to the same ones.
const golden = new URL('../../golden/serial-vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(golden, 'utf8')) as Vectors;
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** What a framer finds in `bytes` when they come in pieces of these lengths. */
function framed(bytes: Uint8Array, cuts: readonly number[] = [], max = MAX): CobsEvent[] {
  const framer = new CobsFramer(max);
  const events: CobsEvent[] = [];
  let at = 0;
  for (const cut of cuts) {
    events.push(...framer.take(bytes.subarray(at, at + cut)));
    at += cut;
  }
  return [...events, ...framer.take(bytes.subarray(at))];
}

const bodies = (events: readonly CobsEvent[]) =>
  events.flatMap((event) => (event.kind === 'body' ? [toHex(event.body)] : []));

describe('known answers', () => {
  test.each(vectors.crc)('CRC of $bytes', ({ bytes, crc }) => {
    expect(crc16(hex(bytes))).toBe(crc);
  });

  test.each(vectors.cobs)('COBS of $plain', ({ plain, encoded }) => {
    expect(toHex(cobsEncode(hex(plain)))).toBe(encoded);
  });

  test.each(vectors.frames)('the frame $name', (vector) => {
    const body = hex(String(vector['body']));
    expect(toHex(frameOf(body))).toBe(vector['wire']);
    expect(bodies(framed(hex(String(vector['wire'])), [], 1_024))).toEqual([vector['body']]);
    const { type, boot, seq, reason, wallMs, maxFrameBytes } = vector;
    const identity = { boot: Number(boot), seq: Number(seq) };
    const made: Record<number, () => Uint8Array> = {
      3: () => ackBody(identity),
      4: () => welcomeBody(Number(wallMs), Number(maxFrameBytes)),
      5: () => nakBody(identity, Number(reason) as Reason),
      6: () => askBody(),
    };
    const make = made[Number(type)];
    if (make !== undefined) {
      expect(toHex(make())).toBe(vector['body']);
      return;
    }
    const { device, topic, payload } = vector;
    const read = readFrame(body);
    if (type === 1) expect(read).toEqual({ kind: 'hello', boot, device });
    else {
      expect(read).toMatchObject({ kind: 'reading', ...identity, topic });
      expect(read?.kind === 'reading' && Buffer.from(read.payload).toString()).toBe(payload);
    }
  });

  test.each(vectors.refused)('refused: $name', ({ wire }) => {
    expect(framed(hex(wire)).map(({ kind }) => kind)).toEqual(['noise']);
  });
});

describe('a framer', () => {
  const bytesUpTo = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });
  const cuts = fc.array(fc.nat(40), { maxLength: 40 });
  // Many zeros and many long runs: where stuffing is at work.
  const plain = fc
    .array(
      fc.oneof(
        bytesUpTo(20),
        fc.constant(new Uint8Array(3)),
        fc.constant(new Uint8Array(254).fill(1)),
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])))
    .filter((bytes) => bytes.length > 0);

  test('gives back what was framed, wherever it is split', () => {
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 4 }), cuts, (all, pieces) => {
        const wire = Buffer.concat(all.map(frameOf));
        expect(bodies(framed(wire, pieces, 2_000))).toEqual(all.map(toHex));
      }),
    );
  });

  test('takes a full last block with and without the empty one after it', () => {
    const body = new Uint8Array(252).fill(7);
    const wire = frameOf(body);
    // 252 bytes and a CRC without a zero: one full block.
    expect([wire[0], wire.length]).toEqual([0xff, 256]);
    const longer = Uint8Array.from([...wire.subarray(0, -1), 1, 0]);
    expect(bodies(framed(wire))).toEqual([toHex(body)]);
    expect(bodies(framed(longer))).toEqual([toHex(body)]);
  });

  test('finds a good frame after any noise and a 0x00', () => {
    fc.assert(
      fc.property(bytesUpTo(600), plain, cuts, (noise, body, pieces) => {
        const wire = Buffer.concat([noise, Uint8Array.of(0), frameOf(body)]);
        expect(bodies(framed(wire, pieces, 2_000)).at(-1)).toBe(toHex(body));
      }),
    );
  });

  test('says of every byte what it was, and never gives more than the longest body', () => {
    fc.assert(
      fc.property(bytesUpTo(2_000), cuts, (bytes, pieces) => {
        const events = framed(Uint8Array.from([...bytes, 0]), pieces, 16);
        for (const event of events) {
          if (event.kind === 'body') expect(event.body.length).toBeLessThanOrEqual(16);
          if (event.kind === 'tooLong') expect(event.head.length).toBeLessThanOrEqual(18);
        }
        const noise = events.reduce((sum, e) => sum + (e.kind === 'noise' ? e.bytes : 0), 0);
        const isAllNoise = events.every(({ kind }) => kind === 'noise');
        if (isAllNoise) expect(noise).toBe(bytes.filter((byte) => byte !== 0).length);
      }),
    );
  });

  test('one damaged bit gives no body', () => {
    fc.assert(
      fc.property(plain, fc.nat(), fc.nat(7), (body, where, bit) => {
        const wire = frameOf(body);
        const at = where % (wire.length - 1);
        wire[at] = (wire[at] ?? 0) ^ (1 << bit);
        // A bit that makes a 0x00 splits the frame in two: none of them may pass for one.
        expect(bodies(framed(wire, [], 2_000))).not.toContain(toHex(body));
      }),
    );
  });

  test('knows whose a body was that is too long, if its checksum is right', () => {
    const long = new Uint8Array(5_000).fill(9);
    const wire = frameOf(long);
    const [event] = framed(wire);
    expect(event?.kind === 'tooLong' && toHex(event.head.subarray(0, 9))).toBe('09'.repeat(9));
    wire[4_000] = 8;
    expect(framed(wire).map(({ kind }) => kind)).toEqual(['noise']);
  });
});
