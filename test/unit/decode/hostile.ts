import fc from 'fast-check';
import { expect } from 'vitest';
import { ERRORS } from '../../../src/base/errors.ts';
import { type Decoder, MAX_SAMPLES } from '../../../src/decode/decoder.ts';

/** What holds of every decoder, whatever the bytes. */

/** Valid messages with some bytes changed, taken out, put in or cut off. */
function mutated(valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    kind: fc.constantFrom('set', 'drop', 'put', 'cut', 'double'),
    at: fc.nat(),
    byte: fc.nat(255),
  });
  return fc
    .tuple(fc.constantFrom(...valid), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([message, changes]) => {
      let bytes = [...message];
      for (const { kind, at, byte } of changes) {
        const i = bytes.length === 0 ? 0 : at % bytes.length;
        if (kind === 'set') bytes[i] = byte;
        else if (kind === 'drop') bytes.splice(i, 1);
        else if (kind === 'put') bytes.splice(i, 0, byte);
        else if (kind === 'cut') bytes = bytes.slice(0, i);
        else bytes = [...bytes.slice(0, i), ...bytes];
      }
      return Uint8Array.from(bytes);
    });
}

const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).join();

/** Samples of finite numbers, or a code of the table; no other object is changed by it. */
export function expectSound(decoder: Decoder, payload: Uint8Array, topic = 's/d'): boolean {
  const before = Uint8Array.from(payload);
  const parsed = decoder.parse(payload);
  expect(Uint8Array.from(payload)).toEqual(before);
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(PROTOTYPE);
  if (!parsed.ok) {
    expect(ERRORS).toHaveProperty(parsed.code);
    expect(parsed.code).toMatch(/^PAYLOAD_/);
    return false;
  }
  const id = decoder.messageId(parsed.value);
  if (typeof id === 'string') expect(ERRORS).toHaveProperty(id);
  else if (id !== undefined) expect(Buffer.byteLength(id.text)).toBeLessThanOrEqual(600);
  const time = decoder.deviceTime(parsed.value) ?? 0;
  expect(Number.isSafeInteger(time) && time >= 0, String(time)).toBe(true);
  const memory = decoder.newMemory?.();
  const meant = memory?.see(parsed.value, topic) ?? parsed.value;
  const samples = decoder.samples(meant, 'p', topic);
  expect(samples.length).toBeLessThanOrEqual(MAX_SAMPLES);
  for (const { metric, value, timeMs = 0, fromArrivalMs = 0 } of samples) {
    expect(typeof metric).toBe('string');
    expect([value, timeMs, fromArrivalMs].every(Number.isFinite)).toBe(true);
  }
  return true;
}

/** Never throws on any bytes; and the valid messages, which are changed for it, are taken. */
export function fuzz(decoder: Decoder, valid: readonly Uint8Array[], topic?: string): void {
  for (const message of valid) {
    expect(expectSound(decoder, message, topic), Buffer.from(message).toString('hex')).toBe(true);
  }
  const anything = fc.oneof(fc.uint8Array({ maxLength: 100 }), mutated(valid));
  fc.assert(
    fc.property(anything, (bytes) => void expectSound(decoder, bytes, topic)),
    { numRuns: 500 },
  );
}
