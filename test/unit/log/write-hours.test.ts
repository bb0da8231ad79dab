import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HOUR_MS, WriteHours } from '../../../src/log/write-hours.ts';

it('this hour and the 23 before it, whenever it is asked', () => {
  const hours = WriteHours.none();
  hours.add({ writtenBytes: 7, payloadBytes: 3 }, 0.5 * HOUR_MS);
  hours.add({ writtenBytes: 1, payloadBytes: 1 }, 0.9 * HOUR_MS);
  hours.add({ writtenBytes: 10, payloadBytes: 5 }, 5 * HOUR_MS);
  expect(hours.today(23.9 * HOUR_MS)).toEqual({
    writtenBytes: 18,
    payloadBytes: 9,
    coveredMs: 23.9 * HOUR_MS,
  });
  expect(hours.today(24.5 * HOUR_MS)).toEqual({
    writtenBytes: 10,
    payloadBytes: 5,
    coveredMs: 23.5 * HOUR_MS,
  });
  expect(hours.today(29 * HOUR_MS).writtenBytes).toBe(0);
});

it('is what was added in those hours, and keeps no more than they are', () => {
  const writes = fc.array(
    fc.record({ pauseMs: fc.integer({ min: 0, max: 3 * HOUR_MS }), bytes: fc.nat(1e9) }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(writes, (all) => {
      let runMs = 0;
      let hours = WriteHours.none();
      const added: Array<{ runMs: number; bytes: number }> = [];
      for (const { pauseMs, bytes } of all) {
        runMs += pauseMs;
        hours.add({ writtenBytes: bytes, payloadBytes: 0 }, runMs);
        added.push({ runMs, bytes });
        const encoded = JSON.parse(JSON.stringify(hours.encoded())) as unknown[];
        expect(encoded.length).toBeLessThanOrEqual(24);
        hours = WriteHours.decode(encoded) ?? WriteHours.none();
      }
      const since = (Math.floor(runMs / HOUR_MS) - 23) * HOUR_MS;
      const own = added.filter((one) => one.runMs >= since);
      const { writtenBytes, coveredMs } = hours.today(runMs);
      expect(writtenBytes).toBe(own.reduce((sum, { bytes }) => sum + bytes, 0));
      expect(coveredMs).toBe(runMs - Math.max(0, since));
    }),
  );
});
