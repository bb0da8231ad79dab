import { describe, expect, it } from 'vitest';
import { BacklogWindow } from '../../../src/uplink/backlog-window.ts';

const KIB = 1024;

/** A link that takes so many bytes a second, and so long there and back; always kept full. */
function drained(window: BacklogWindow, { bytesPerSecond = 0, roundTripMs = 0, seconds = 60 }) {
  const publish = 500;
  const onItsWay: Array<{ sentMs: number; answerMs: number }> = [];
  const delays: number[] = [];
  let leavesMs = 0;
  let bytes = 0;
  for (let now = 0; now < seconds * 1000; now++) {
    while ((onItsWay[0]?.answerMs ?? Number.POSITIVE_INFINITY) <= now) {
      const one = onItsWay.shift();
      if (one === undefined) break;
      delays.push(now - one.sentMs);
      bytes += publish;
      window.answered(publish, one.sentMs, now);
    }
    while (onItsWay.length === 0 || onItsWay.length * publish < window.bytes) {
      leavesMs = Math.max(now, leavesMs) + (publish * 1000) / bytesPerSecond;
      onItsWay.push({ sentMs: now, answerMs: leavesMs + roundTripMs });
    }
  }
  const last = delays.slice(-Math.floor(delays.length / 2));
  return { mostMs: Math.max(...last), rate: bytes / seconds };
}

describe('what the backlog may have on its way', () => {
  it('on a slow link little more than it takes in the time that a fresh one may wait', () => {
    for (const bytesPerSecond of [2_000, 6_000, 50_000]) {
      const { mostMs, rate } = drained(new BacklogWindow(256 * KIB), { bytesPerSecond });
      expect(mostMs).toBeLessThanOrEqual(1_500);
      expect(rate).toBeGreaterThan(bytesPerSecond * 0.85);
    }
  });

  it('on a fast one all that it may have at most, however far away', () => {
    const window = new BacklogWindow(256 * KIB);
    const { rate } = drained(window, { bytesPerSecond: 10e6, roundTripMs: 300, seconds: 10 });
    expect(window.bytes).toBe(256 * KIB);
    expect(rate).toBeGreaterThan(((256 * KIB) / 0.3) * 0.8);
  });

  it('one long wait halves it once, and it grows again', () => {
    const window = new BacklogWindow(64 * KIB);
    for (let i = 0; i < 1000; i++) window.answered(500, i * 10, i * 10 + 5);
    expect(window.bytes).toBe(64 * KIB);
    for (let i = 0; i < 100; i++) window.answered(500, 10_000 + i, 12_000 + i);
    expect(window.bytes).toBe(32 * KIB);
    for (let i = 0; i < 100; i++) window.answered(500, 13_000 + i, 13_005 + i);
    expect(window.bytes).toBe(64 * KIB);
  });

  it('a link that takes longer than it did is learnt anew', () => {
    const window = new BacklogWindow(64 * KIB);
    window.answered(500, 0, 5);
    let now = 0;
    for (let i = 0; i < 500; i++, now += 2_000) window.answered(500, now, now + 2_000);
    expect(window.bytes).toBe(64 * KIB);
  });

  it('is never more than it may be, though that is little', () => {
    const window = new BacklogWindow(KIB);
    expect(window.bytes).toBe(KIB);
    for (let now = 0; now < 100_000; now += 5_000) window.answered(500, now, now + (now % 4_000));
    expect(window.bytes).toBe(KIB);
  });
});
