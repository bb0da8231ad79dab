import fc from 'fast-check';
import type { LogRecord, MessageId } from '../../src/base/reading.ts';
import type { CloudRecord } from '../../src/uplink/decode-envelope.ts';
import { encodeEnvelope, type Origin } from '../../src/uplink/envelope.ts';

/** Batches for the tests of the envelope: one by hand, and any at random. */

export const ORIGIN: Origin = { gateway: 'plant-4', log: '9f3c61d2' };

/** What the far side shall get: what one wrapper a record would say. */
export function expectedOf(
  record: LogRecord,
  historical = false,
  origin: Origin = ORIGIN,
): CloudRecord {
  return JSON.parse(encodeEnvelope(record, origin, historical).toString()) as CloudRecord;
}

const id = (text: string): MessageId => ({ kind: 'id', text });

const T0 = 1_767_225_600_000;

function record(partition: number, offset: number, more: Partial<LogRecord>): LogRecord {
  return {
    ...{ stream: 'readings', partition, offset, device: 'boiler-7' },
    ...{ topic: 'sensors/boiler-7/temperature', payload: Buffer.from('{"value":21.5}') },
    ...{ monoMs: 1, boot: '00', runMs: 1, receivedAtMs: T0, ...more },
  };
}

/** Everything that the format can say, in few records. */
export const EVERY_CASE: readonly LogRecord[] = [
  record(3, 1042, { messageId: id('b7-17'), receivedAtMs: T0 + 0.4, deviceTimeMs: T0 - 130 }),
  record(5, 77, { device: 'pump-2', topic: 'sensors/pump-2', payload: Buffer.of(0xff, 0) }),
  record(3, 1043, { messageId: id('b7-18'), receivedAtMs: T0 + 999.6, deviceTimeMs: 0 }),
  // A hole in the offsets, and a clock that was set back.
  record(3, 1050, { messageId: id('b7-9'), receivedAtMs: T0 - 5 }),
  record(3, 1051, { messageId: id('b7-009'), payload: Buffer.from('') }),
  record(3, 1052, { messageId: id('reboot'), payload: Buffer.from('\ufeffкухня 🌡 "\\\n\u0000') }),
  record(5, 78, { device: 'pump-2', topic: 'sensors/pump-2', messageId: id('x007') }),
  record(0, 9_007_199_254_740_990, { device: 'pump-2', messageId: id('12345678901234567890') }),
  record(0, 0, { device: 'pump-2', messageId: id('7'), reason: 'PAYLOAD_EMPTY' }),
];

const text = fc.oneof(
  fc.constantFrom('a', 'pump-2', 'sensors/boiler-7', '__proto__', '', '"\\'),
  fc.string({ unit: 'binary', maxLength: 8 }),
  // Half a character too.
  fc.array(fc.nat({ max: 0xffff }), { maxLength: 4 }).map((units) => String.fromCharCode(...units)),
);

const idText = fc.oneof(
  fc.tuple(fc.constantFrom('b7-', '', 'a:', '0', '-'), fc.nat()).map(([a, n]) => `${a}${n}`),
  fc.stringMatching(/^[a-c]?-?[0-9]{1,20}$/),
  fc.constantFrom('1e3', '0', '00', '-0', 'b7--5', 'b7-1.5', 'b7-', 'b7-9007199254740993'),
  text,
);

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 24 }),
  fc.string({ unit: 'binary', maxLength: 24 }).map((t) => new TextEncoder().encode(t)),
  fc.json().map((t) => new TextEncoder().encode(t)),
);

const NEAR = { min: T0, max: T0 + 1000, noNaN: true };

const rest = fc.record({
  ...{ partition: fc.nat({ max: 15 }), jump: fc.oneof(fc.constant(0), fc.nat({ max: 9 })) },
  ...{ device: text, topic: text, id: fc.option(idText), payload, reason: fc.option(text) },
  receivedAtMs: fc.oneof(fc.nat(), fc.integer({ min: T0, max: T0 + 100_000 }), fc.double(NEAR)),
  deviceTimeMs: fc.option(fc.nat({ max: 8e15 })),
});

/** Any records of one stream, with holes in their offsets. */
export const anyRecords: fc.Arbitrary<LogRecord[]> = fc
  .tuple(fc.array(rest, { minLength: 1, maxLength: 40 }), fc.nat())
  .map(([rows, first]) => {
    const next = new Map<number, number>();
    return rows.map(({ jump, id: name, reason, deviceTimeMs, partition, ...more }) => {
      const offset = (next.get(partition) ?? first) + jump;
      next.set(partition, offset + 1);
      return record(partition, offset, {
        ...more,
        ...(name === null ? {} : { messageId: id(name) }),
        ...(reason === null ? {} : { reason }),
        ...(deviceTimeMs === null ? {} : { deviceTimeMs }),
      });
    });
  });
