/**
 * The only place where time is read. A gateway may have no battery-backed clock: the wall clock can
 * stand in 1970 at boot and jump by years when it is set. Durations, windows and order therefore
 * run on `monoMs`; `wallMs` is written down and shown, and decides nothing.
 */
export interface Clock {
  /** Wall clock, ms since 1970. May jump either way. */
  wallMs(): number;
  /** Kernel monotonic clock, ms since boot. Comparable between processes of one boot. */
  monoMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
};

/** Uniform in [0, 1). Here because chance, like time, is passed in and can be replayed. */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

/** Small seeded generator (mulberry32), for simulated sensors and repeatable tests. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
