import { describe, expect, it } from 'vitest';
import { DrainMeter } from '../../src/uplink/drain-meter.ts';
import { type DrainFacts, drainOf } from '../../src/uplink-drain.ts';

describe('how quickly a counter goes up', () => {
  it('is not known before there are two samples', () => {
    const meter = new DrainMeter();
    expect(meter.perSecond).toBe(0);
    meter.sample(1000, 5000);
    expect(meter.perSecond).toBe(0);
    // Of the same moment, two say nothing.
    meter.sample(2000, 5000);
    expect(meter.perSecond).toBe(0);
    meter.sample(3000, 7000);
    expect(meter.perSecond).toBe(1000);
  });

  it('is that of the last half minute, by the times at which it was looked at', () => {
    const meter = new DrainMeter();
    for (let s = 0; s < 100; s++) meter.sample(500 * s, 1000 * s);
    expect(meter.perSecond).toBe(500);
    // 30 samples are 29 seconds: 15 of them at 500, then 14 at 0.
    for (let s = 100; s < 114; s++) meter.sample(500 * 99, 1000 * s);
    expect(meter.perSecond).toBeCloseTo((15 * 500) / 29, 9);
    for (let s = 114; s < 130; s++) meter.sample(500 * 99, 1000 * s);
    expect(meter.perSecond).toBe(0);
    // A timer that came late.
    meter.sample(500 * 99 + 610, 190_000);
    expect(meter.perSecond).toBeCloseTo(610 / 89, 1);
  });
});

const FACTS: DrainFacts = {
  backlog: 0,
  forwarded: 0,
  sentBytes: 0,
  recordsPerSecond: 0,
  storedPerSecond: 0,
  oldestMs: Number.POSITIVE_INFINITY,
  wallMs: Date.UTC(2026, 0, 1),
};

describe('how the uplink gets on', () => {
  it('leaves out what nobody knows', () => {
    expect(drainOf(FACTS)).toEqual({ recordsPerSecond: 0, etaSeconds: 0, sentBytes: 0 });
    // Bytes that were sent, and no acknowledgement yet.
    expect(drainOf({ ...FACTS, backlog: 10, sentBytes: 900 })).toEqual({
      recordsPerSecond: 0,
      sentBytes: 900,
    });
  });

  it('says rate, age, cost and what is left', () => {
    const status = drainOf({
      ...{ backlog: 1001, forwarded: 3000, sentBytes: 70_000 },
      ...{ recordsPerSecond: 120.26, storedPerSecond: 20.26, wallMs: FACTS.wallMs },
      oldestMs: FACTS.wallMs - 61_600,
    });
    expect(status).toEqual({
      recordsPerSecond: 120.3,
      backlogAgeSeconds: 62,
      // 100 a second faster than they come in.
      etaSeconds: 11,
      sentBytes: 70_000,
      bytesPerRecord: 23.3,
      // 8,640,000 records of 23.33 bytes.
      mbPerDayOf100Sensors: 201.6,
    });
  });

  it.each([
    [50, 50],
    [50, 60],
    [0, 0],
  ])('at %i a second, and %i that come in, nothing gets smaller', (out, stored) => {
    const rates = { recordsPerSecond: out, storedPerSecond: stored };
    expect(drainOf({ ...FACTS, ...rates, backlog: 1 })).not.toHaveProperty('etaSeconds');
    expect(drainOf({ ...FACTS, ...rates }).etaSeconds).toBe(0);
  });

  it('a record from the future, after the clock was set back, has no age', () => {
    const status = drainOf({ ...FACTS, backlog: 1, oldestMs: FACTS.wallMs + 5000 });
    expect(status.backlogAgeSeconds).toBe(0);
  });
});
