import { describe, expect, it, test } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import { type CloudMessage, CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { decodeEnvelope } from '../../../src/uplink/decode-envelope.ts';
import {
  BatchShape,
  type CutBound,
  type MessageBound,
  RawShape,
} from '../../../src/uplink/shape.ts';

const ORIGIN = { gateway: 'gw', log: 'a1b2' };
/** Beside its payload, what a record is taken for in a document. */
const BESIDE = 64;

function recordsOf(payloads: readonly string[]): LogRecord[] {
  return payloads.map((payload, offset) => ({
    ...{ stream: 'readings', partition: 0, offset, device: 'd1', topic: 'sensors/d1' },
    ...{ payload: Buffer.from(payload), monoMs: 0, receivedAtMs: 1000, boot: '00', runMs: 0 },
  }));
}

const alike = (count: number, bytes: number) =>
  recordsOf(Array.from({ length: count }, () => 'a'.repeat(bytes)));

/** Deflate makes three quarters of them, since they are base64. */
function random(count: number, bytes: number, seed = 1): LogRecord[] {
  const next = seededRandom(seed);
  const one = () => Buffer.from(Array.from({ length: bytes }, () => Math.floor(next() * 256)));
  const payloads = Array.from({ length: count }, () => one().toString('base64').slice(0, bytes));
  return recordsOf(payloads);
}

function boundOf(maxBytes = Number.POSITIVE_INFINITY): MessageBound {
  return { maxBytes, sizeOf: ({ payload, topic }) => payload.length + topic.length };
}

function batchShape(more: { compression?: 'deflate' | 'none'; maxDocumentBytes?: number } = {}) {
  return new BatchShape({
    ...{ origin: ORIGIN, topic: 'to/{gateway}/{stream}', lingerMs: 500, compression: 'deflate' },
    ...{ maxDocumentBytes: Number.POSITIVE_INFINITY, ...more },
  });
}

const offsetsOf = (message: CloudMessage | undefined) =>
  decodeEnvelope(message?.payload ?? new Uint8Array()).map(({ offset }) => offset);
/** No bound but one on each publish. */
const cutBound = (maxBytes = Number.POSITIVE_INFINITY, more: Partial<CutBound> = {}): CutBound => ({
  ...{ maxBytes, maxMessages: 16, maxDocumentBytes: Number.POSITIVE_INFINITY },
  maxAllBytes: Number.POSITIVE_INFINITY,
  ...more,
});
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe.each(['wrapper', 'properties'] as const)('each record as one message, %s', (identity) => {
  const topic = 'to/{gateway}/{stream}/{device}';
  const shape = new RawShape({ origin: ORIGIN, topic, identity });

  it('waits for no company', () => {
    expect(shape.lingerMs).toBe(0);
    expect(shape.isFull()).toBe(true);
  });

  it('as many are sent together as there is room for, and one at least', () => {
    const records = alike(20, 36);
    expect(shape.cut(records, 0, cutBound())).toBe(16);
    expect(shape.cut(records, 15, cutBound())).toBe(5);
    expect(shape.cut(records, 0, cutBound(undefined, { maxMessages: 1 }))).toBe(1);
    const few = shape.cut(records, 0, cutBound(undefined, { maxAllBytes: 1000 }));
    expect(shape.guessBytes(records.slice(0, few))).toBeLessThanOrEqual(1000);
    expect(shape.guessBytes(records.slice(0, few + 1))).toBeGreaterThan(1000);
    expect(shape.cut(records, 0, cutBound(undefined, { maxAllBytes: -1 }))).toBe(1);
  });

  it('what may be too large goes alone, and so does what must not: no wrapper is larger', () => {
    const worst = recordsOf(['a', '\u0001'.repeat(3000), 'b', 'c']);
    const cuts = (maxBytes: number) =>
      [0, 1, 2].map((from) => shape.cut(worst, from, cutBound(maxBytes)));
    expect(cuts(30_000)).toEqual([4, 3, 2]);
    expect(cuts(20_000)).toEqual([1, 1, 2]);
    const bound = { ...boundOf(), maxBytes: 30_000 };
    expect(shape.pack({ records: worst, historical: true, bound })).toHaveLength(4);
  });

  it('guesses payloads and some bytes around each', () => {
    const records = alike(3, 1000);
    const packed = shape.pack({ records, historical: false, bound: boundOf() });
    const bytes = packed.reduce((sum, { payload }) => sum + payload.length, 0);
    expect(shape.guessBytes(records)).toBeGreaterThanOrEqual(bytes);
    expect(shape.guessBytes(records)).toBeLessThan(bytes * 1.3);
    expect(shape.guessBytes([])).toBe(0);
  });

  it('goes to the topic of its device, under its own id', () => {
    const devices = ['a', 'b/c', 'a'];
    const records = alike(3, 5).map((record, i) => ({ ...record, device: devices[i] ?? '' }));
    const packed = shape.pack({ records, historical: false, bound: boundOf() });
    const [first, second, third] = packed.map(({ topic: to, key, id }) => ({ to, key, id }));
    expect(first).toEqual({ to: 'to/gw/readings/a', key: 'a', id: 'gw/a1b2/readings/0/0' });
    expect(second?.key).toBe('b/c');
    expect(second?.to.split('/')).toHaveLength(4);
    expect(third).toEqual({ ...first, id: 'gw/a1b2/readings/0/2' });
  });

  it('one that is too large is refused before it is sent, and says its size', () => {
    const [record] = alike(1, 100);
    if (record === undefined) throw new Error('one was made');
    const [message] = shape.pack({ records: [record], historical: false, bound: boundOf() });
    if (message === undefined) throw new Error('one was packed');
    const bytes = boundOf().sizeOf(message);
    const packIn = (maxBytes: number) => () =>
      shape.pack({ records: [record], historical: false, bound: boundOf(maxBytes) });
    expect(packIn(bytes)()).toHaveLength(1);
    const reason = `its publish has ${bytes} bytes, and the cloud takes ${bytes - 1}`;
    expect(packIn(bytes - 1)).toThrow(new CloudRefusal('too-large', reason));
  });
});

describe('how many go into a batch', () => {
  it('as many as the document holds, from any of them on, and one at least', () => {
    const shape = batchShape({ compression: 'none', maxDocumentBytes: 1000 });
    const records = alike(20, 36);
    expect(shape.cut(records, 0, cutBound())).toBe(10);
    expect(shape.cut(records, 12, cutBound())).toBe(8);
    expect(shape.cut(records, 19, cutBound())).toBe(1);
    expect(shape.cut(alike(2, 5000), 0, cutBound())).toBe(1);
    expect(shape.cut(records, 0, cutBound(undefined, { maxDocumentBytes: 500 }))).toBe(5);
    // A large one ends the batch before it.
    const mixed = recordsOf(['a', 'b', 'c'.repeat(5000), 'd']);
    expect([0, 1, 2, 3].map((from) => shape.cut(mixed, from, cutBound()))).toEqual([2, 1, 1, 1]);
  });

  it('is full with the first that would not fit any more', () => {
    const shape = batchShape({ compression: 'none', maxDocumentBytes: 1000 });
    const max = Number.POSITIVE_INFINITY;
    expect(shape.isFull(10, 10 * 36, max)).toBe(false);
    expect(shape.isFull(10, 10 * 36 + 1, max)).toBe(true);
    expect(shape.isFull(11, 0, max)).toBe(false);
    expect(shape.isFull(1, 937, max)).toBe(true);
  });

  it('a little less than a publish may have, and of what compresses four times as much', () => {
    const records = alike(200, 36);
    expect(batchShape({ compression: 'none' }).cut(records, 0, cutBound(2000))).toBe(18);
    expect(batchShape().cut(records, 0, cutBound(2000))).toBe(72);
    expect(batchShape().isFull(72, 72 * 36, 2000)).toBe(false);
    expect(batchShape().isFull(73, 73 * 36, 2000)).toBe(true);
    // The document has a bound of its own, however large a publish may be.
    expect(batchShape({ maxDocumentBytes: 500 }).cut(records, 0, cutBound(2000))).toBe(5);
    expect(batchShape().guessBytes(records)).toBe((200 * (36 + BESIDE)) / 4);
  });

  it('learns from each how well it was compressed', async () => {
    const shape = batchShape();
    const bound = boundOf();
    const pack = (records: readonly LogRecord[]) =>
      shape.pack({ records, historical: false, bound });
    const noise = random(100, 300);
    const guesses = [shape.guessBytes(noise)];
    let bytes = 0;
    for (let i = 0; i < 12; i++) {
      const [message] = await pack(noise);
      bytes = message?.payload.length ?? 0;
      guesses.push(shape.guessBytes(noise));
    }
    // Ever nearer, by the same part.
    const errors = guesses.map((guess) => Math.abs(bytes - guess));
    for (const [i, error] of errors.entries()) {
      expect(error).toBeCloseTo((errors[0] ?? 0) * 0.7 ** i, 3);
    }
    expect(errors.at(-1)).toBeLessThan(bytes / 50);
    const cut = shape.cut(random(1000, 300), 0, cutBound(50_000));
    const [message] = await pack(random(1000, 300).slice(0, cut));
    expect(message?.payload.length).toBeLessThanOrEqual(50_000);
    expect(message?.payload.length).toBeGreaterThan(40_000);
    // And back, as soon as what comes is alike again.
    for (let i = 0; i < 12; i++) await pack(alike(1000, 300));
    expect(shape.cut(alike(1000, 300), 0, cutBound(50_000))).toBe(1000);
  });
});

describe('a batch as a message', () => {
  test.each(['deflate', 'none'] as const)('holds its records, %s', async (compression) => {
    const records = alike(30, 20);
    const load = { records, historical: true, bound: boundOf() };
    const [message, ...more] = await batchShape({ compression }).pack(load);
    expect(more).toEqual([]);
    const { payload, ...rest } = message ?? { payload: new Uint8Array() };
    expect(rest).toEqual({
      ...{
        topic: 'to/gw/readings',
        key: 'readings',
        id: expect.stringMatching(/^gw\/a1b2\/readings\/0\/0\+30-[0-9a-f]{16}$/),
      },
      properties: {},
    });
    const decoded = decodeEnvelope(payload);
    expect(decoded.map(({ offset }) => offset)).toEqual(upTo(30));
    expect(decoded.every(({ historical }) => historical === true)).toBe(true);
    expect(payload[0] === 0x7b).toBe(compression === 'none');
  });

  it('has an id of its own when it is cut another time', async () => {
    const shape = batchShape();
    const idOf = async (records: readonly LogRecord[]) =>
      (await shape.pack({ records, historical: false, bound: boundOf() }))[0]?.id;
    const records = alike(9, 20);
    const loads = [records, records.slice(0, 5), records.slice(1), records.slice(0, 1), records];
    const ids = await Promise.all(loads.map(idOf));
    expect(ids[4]).toBe(ids[0]);
    expect(new Set(ids).size).toBe(4);
  });

  it('of nothing is none', async () => {
    const load = { records: [], historical: false, bound: boundOf() };
    expect(await batchShape().pack(load)).toEqual([]);
  });

  it('that is too large is packed in halves, in order, until each fits', async () => {
    const records = random(101, 300);
    const bound = boundOf(5000);
    const packed = await batchShape().pack({ records, historical: false, bound });
    expect(packed.length).toBeGreaterThan(4);
    for (const message of packed) expect(bound.sizeOf(message)).toBeLessThanOrEqual(5000);
    expect(packed.flatMap(offsetsOf)).toEqual(upTo(101));
    const ids = packed.map((message) => {
      const offsets = offsetsOf(message);
      return `gw/a1b2/readings/0/${offsets[0]}+${offsets.length}`;
    });
    expect(packed.map(({ id }) => id.replace(/-[0-9a-f]{16}$/, ''))).toEqual(ids);
  });

  it('fits its bound to the byte', async () => {
    const records = random(2, 300);
    const load = { records, historical: false };
    const [whole] = await batchShape().pack({ ...load, bound: boundOf() });
    if (whole === undefined) throw new Error('one was packed');
    const bytes = boundOf().sizeOf(whole);
    expect(await batchShape().pack({ ...load, bound: boundOf(bytes) })).toHaveLength(1);
    expect(await batchShape().pack({ ...load, bound: boundOf(bytes - 1) })).toHaveLength(2);
  });

  it('one record that is too large by itself is refused, among others too', async () => {
    const records = random(4, 300);
    const [large] = random(1, 9000, 2);
    if (large === undefined) throw new Error('one was made');
    const loads = [[large], [...records, { ...large, offset: 4 }], [{ ...large }, ...records]];
    for (const load of loads) {
      const packed = batchShape().pack({ records: load, historical: false, bound: boundOf(3000) });
      const error = await packed.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(CloudRefusal);
      expect(error).toMatchObject({ kind: 'too-large' });
      expect(String(error)).toMatch(/its publish has \d{4} bytes, and the cloud takes 3000/);
    }
  });
});
