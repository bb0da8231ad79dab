/**
 * What rolling windows cost: ns a value, beside two Maps of this machine, and bytes a series that
 * stay, for sensors of several rates. The second of two hours is timed: every bucket is in use.
 */
import { seededRandom } from '../../src/base/clock.ts';
import { Windows } from '../../src/windows/windows.ts';

const HOUR_MS = 3_600_000;
const SERIES = 500;
const METRICS = 5;

interface Load {
  readonly name: string;
  readonly everyMs: number;
  readonly value: (chance: number, i: number) => number;
}

const noise = (chance: number) => 20 + 4 * chance;
const tenths = (chance: number) => Math.round(10 * noise(chance)) / 10;

const LOADS: readonly Load[] = [
  { name: '1/s, noise', everyMs: 1_000, value: noise },
  { name: '1/s, tenths', everyMs: 1_000, value: tenths },
  { name: 'every 10 s, noise', everyMs: 10_000, value: noise },
  { name: 'every 60 s, noise', everyMs: 60_000, value: noise },
];

function heldBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('start it with --expose-gc');
  for (let i = 0; i < 3; i++) gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const NAMES = Array.from({ length: SERIES }, (_, s) => ({
  device: `sensor-${Math.floor(s / METRICS)}`,
  metric: `metric-${s % METRICS}`,
}));

/** One value of each series, and again, for so long. Returns how many there were. */
function hour({ everyMs }: Load, each: (s: number, i: number) => void, from = 0): number {
  const count = HOUR_MS / everyMs;
  for (let i = from; i < from + count; i++) for (let s = 0; s < SERIES; s++) each(s, i);
  return count * SERIES;
}

/** Processor time in ns: other work on the machine does not count. */
function timed(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1_000;
}

function row(load: Load): string {
  const random = seededRandom(1);
  const chances = Array.from({ length: 65_536 }, random);
  const measured = (s: number, i: number) => load.value(chances[(i * SERIES + s) & 0xffff] ?? 0, i);
  const before = heldBytes();
  const windows = new Windows({ maxSeries: SERIES });
  const observe = (s: number, i: number) => {
    const { device, metric } = NAMES[s] ?? { device: '', metric: '' };
    const runMs = i * load.everyMs;
    windows.observe(device, metric, measured(s, i), { runMs, arrivedRunMs: runMs, wallMs: runMs });
  };
  const values = hour(load, observe);
  const ns = timed(() => hour(load, observe, values / SERIES)) / values;
  const bytes = (heldBytes() - before) / windows.size;
  const found = new Map<string, Map<string, number>>();
  const set = (s: number, i: number) => {
    const { device, metric } = NAMES[s] ?? { device: '', metric: '' };
    const metrics = found.get(device) ?? new Map<string, number>();
    metrics.set(metric, measured(s, i));
    found.set(device, metrics);
  };
  hour(load, set);
  const mapNs = timed(() => hour(load, set)) / values;
  const parts = [`${Math.round(ns)} ns a value (two Maps: ${Math.round(mapNs)})`];
  parts.push(`${Math.round(bytes)} bytes a series`);
  return `windows, ${load.name}: ${parts.join(', ')}`;
}

// The first one warms up the engine.
for (const load of LOADS.slice(0, 1)) row(load);
for (const load of LOADS) process.stdout.write(`${row(load)}\n`);
