/**
 * What dedup costs: memory that stays resident, and µs a reading beside a bare Map of this machine.
 * Each row in a process of its own, which first does the same with windows that hold next to
 * nothing, so that what is counted is what the windows hold.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/base/clock.ts';
import type { Reading } from '../../src/base/reading.ts';
import { Dedup, type DedupOptions } from '../../src/dedup/dedup.ts';

const DEVICES = 10_000;
const IDS = 1_000_000;
const DAY_MS = 86_400_000;
const SMALL = { windowMs: DAY_MS, windowIds: 1, maxIds: 1_000, maxDevices: 10 };
const LARGE = { windowMs: DAY_MS, windowIds: IDS, maxIds: IDS, maxDevices: 2 * DEVICES };

type Make = (i: number) => Reading;

const numbered: Make = (i) => {
  const device = `sensor-${i % DEVICES}`;
  const sequence = Math.floor(i / DEVICES);
  const boot = `boot-${i % DEVICES}`;
  const messageId = { kind: 'sequence', text: `${boot}:${sequence}`, boot, sequence } as const;
  return { device, topic: `sensors/${device}/t`, payload: PAYLOAD, messageId, monoMs: i };
};

const named: Make = (i) => {
  const device = `sensor-${i % 1_000}`;
  const messageId = { kind: 'id', text: `${device}-${i.toString(36)}` } as const;
  return { device, topic: `sensors/${device}/t`, payload: PAYLOAD, messageId, monoMs: i };
};

const PAYLOAD = Buffer.from('{"value":21.5}');

function send(dedup: Dedup, reading: Reading): void {
  const seen = dedup.claim(reading, reading.monoMs);
  if (seen?.kind === 'new') seen.claim.settle();
}

function residentBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('start it with --expose-gc');
  for (let i = 0; i < 3; i++) gc();
  return process.memoryUsage.rss();
}

function residentMB(mode: DedupOptions['mode'], make: Make, count: number): string {
  const run = (options: typeof SMALL) => {
    const dedup = new Dedup({ mode, ...options });
    for (let i = 0; i < count; i++) send(dedup, make(i));
    return dedup;
  };
  run(SMALL);
  const before = residentBytes();
  const dedup = run(LARGE);
  const after = residentBytes();
  const { ids, devices } = dedup.size();
  const held = mode === 'id' ? `${ids} ids` : `${devices} devices`;
  return `${((after - before) / 1e6).toFixed(1)} MB for ${held}`;
}

const TIMED = 200_000;
const ROUNDS = 7;

function microseconds(step: (reading: Reading) => void, readings: readonly Reading[]): number {
  const startMs = systemClock.monoMs();
  for (const reading of readings) step(reading);
  return ((systemClock.monoMs() - startMs) * 1000) / readings.length;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** Rounds of both in turn, each over new readings; the first warms them up. */
function timed(mode: DedupOptions['mode'], make: Make): string {
  const dedup = new Dedup({ mode, ...LARGE });
  // What nobody can do without: is it there, and now it is.
  const known = new Map<string, number>();
  const ask = ({ device, messageId, monoMs }: Reading) => {
    const key = `${device} ${messageId?.text}`;
    if (!known.has(key)) known.set(key, monoMs);
  };
  const rounds = Array.from({ length: ROUNDS + 1 }, (_, round) => {
    const readings = Array.from({ length: TIMED }, (_, i) => make(round * TIMED + i));
    return {
      own: microseconds((reading) => send(dedup, reading), readings),
      map: microseconds(ask, readings),
    };
  }).slice(1);
  const [own, map] = [median(rounds.map((r) => r.own)), median(rounds.map((r) => r.map))];
  return `${own.toFixed(2)} µs; a bare Map: ${map.toFixed(2)} µs; ratio ${(own / map).toFixed(2)}`;
}

const ROWS: Readonly<Record<string, () => string>> = {
  'sequence, resident': () => residentMB('sequence', numbered, 50 * DEVICES),
  'id, resident': () => residentMB('id', named, IDS),
  'sequence, claim and settle': () => timed('sequence', numbered),
  'id, claim and settle': () => timed('id', named),
};

const [name] = process.argv.slice(2);
if (name === undefined) {
  for (const row of Object.keys(ROWS)) {
    // What the collector keeps ready for what comes next is nothing that the windows hold.
    const flags = row.endsWith('resident') ? ['--max-semi-space-size=1'] : [];
    const args = ['--expose-gc', ...flags, fileURLToPath(import.meta.url), row];
    const said = execFileSync(process.execPath, args, { encoding: 'utf8' });
    console.log(`${row.padEnd(28)} ${said.trim()}`);
  }
} else {
  console.log(ROWS[name]?.() ?? `no row ${name}`);
}
