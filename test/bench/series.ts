/**
 * What the series of detection cost: resident memory with 10,000 in use, with 50,000 in all, and
 * when all of these have changed since the last checkpoint; what a checkpoint takes, and to read
 * one back. Each row in a process of its own. `--expose-gc` is set by itself.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { SeriesDetector } from '../../src/detect/series-detector.ts';
import { SeriesTable } from '../../src/detect/series-table.ts';
import type { Storable, StorableKind } from '../../src/detect/storable.ts';
import { type LevelStore, openLevelStore } from '../../src/os/level-store.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { SERIES_ROOT } from '../../src/os/state-store.ts';
import { temporaryPlace } from './temporary-place.ts';

const HOT = 10_000;
const ALL = 50_000;
const GROUP = 256;
const LEARNT = 128;
const PREFIX = `${SERIES_ROOT}/a1/readings/`;
const random = seededRandom(1);

/** A state of as many bytes as one may have. */
class LargestState implements Storable {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  save(): Uint8Array {
    return this.bytes.slice();
  }
}

const LARGEST: StorableKind<LargestState> = {
  fresh: () => {
    const bytes = new Uint8Array(4_096);
    for (let i = 0; i < bytes.length; i++) bytes[i] = random() * 256;
    return new LargestState(bytes);
  },
  restore: (bytes) => new LargestState(bytes),
};

function learn(state: Storable): void {
  if (state instanceof LargestState) state.bytes[0] = (state.bytes[0] ?? 0) + 1;
  if (!(state instanceof SeriesDetector)) return;
  for (let i = 0; i < LEARNT; i++) state.observe(20 + Math.round(random() * 1e5) / 1e5, 300 * i);
}

/** Resident and nobody else's; pages of files that LevelDB has mapped go when others need room. */
function ownMB(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) * 1.024e-3;
}

function rssMB(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('start it with --expose-gc');
  for (let i = 0; i < 3; i++) gc();
  return process.memoryUsage.rss() / 1e6;
}

class Plant<S extends Storable> {
  readonly table: SeriesTable<S>;
  readonly level: LevelStore;

  constructor(kind: StorableKind<S>, level: LevelStore, hotSeries = HOT) {
    const onForgotten = (key: string, why: string) => {
      throw new Error(`${key}: ${why}`);
    };
    this.table = new SeriesTable({ kind, maxSeries: ALL, hotSeries, onForgotten });
    this.level = level;
  }

  /** Those from one number to another one send, as the watcher sees it. */
  async send(from: number, to: number): Promise<void> {
    const { table, level } = this;
    const read = (keys: readonly string[]) => level.state.getBytes(keys.map((key) => PREFIX + key));
    for (let first = from; first < to; first += GROUP) {
      const group = Array.from({ length: Math.min(GROUP, to - first) }, (_, i) => {
        const device = `sensor-${first + i}`;
        const series = table.get(device, 'temperature') ?? table.add(device, 'temperature');
        if (typeof series === 'string') throw new Error(series);
        return series;
      });
      await table.fetch(group, read);
      for (const series of group) learn(table.use(series));
      table.trim();
    }
  }

  async checkpoint(): Promise<void> {
    const { table, level } = this;
    table.begin();
    const named = <V>(states: ReadonlyMap<string, V>) =>
      new Map([...states].map(([key, value]) => [PREFIX + key, value]));
    for (const part of table.parts()) await level.state.write(named(part));
    const { index, states } = table.ending();
    await level.state.write(new Map<string, string | undefined>([...index, ...named(states)]));
    table.stored();
  }
}

async function timedMs(work: () => Promise<void>): Promise<string> {
  const startMs = systemClock.monoMs();
  await work();
  return (systemClock.monoMs() - startMs).toFixed(0);
}

async function withLevel(work: (level: LevelStore) => Promise<void>): Promise<void> {
  const { folder, remove } = temporaryPlace(tmpdir(), 'headgate-series-');
  const level = await openLevelStore({ folder, files: nodeFiles, logger: silentLogger });
  await work(level);
  await level.close();
  remove();
}

/** What a program needs to do this at all. */
async function warmUp<S extends Storable>(kind: StorableKind<S>): Promise<void> {
  await withLevel(async (level) => {
    const plant = new Plant(kind, level, 10);
    for (let round = 0; round < 2; round++) {
      for (let from = 0; from < HOT; from += GROUP) {
        await plant.send(from, Math.min(from + GROUP, HOT));
        await plant.checkpoint();
      }
    }
  });
}

async function measure<S extends Storable>(kind: StorableKind<S>): Promise<void> {
  await warmUp(kind);
  await withLevel((level) => measureOn(level, kind));
}

async function measureOn<S extends Storable>(
  level: LevelStore,
  kind: StorableKind<S>,
): Promise<void> {
  const plant = new Plant(kind, level);
  const base = rssMB();
  const say = (what: string) => {
    const { hot, packed } = plant.table.inMemory;
    const rss = rssMB();
    const own = `${ownMB().toFixed(0)} of them its own`;
    const grown = `${(rss - base).toFixed(0)} MB more`;
    const states = `${hot} in use, ${packed} waiting of ${plant.table.size}`;
    console.log(`  ${what.padEnd(44)} ${rss.toFixed(0)} MB resident, ${own}, ${grown}; ${states}`);
  };
  say('warmed up');
  await plant.send(0, HOT);
  say('10,000 send');
  await plant.checkpoint();
  say('and are stored');
  for (let from = HOT; from < ALL; from += HOT) {
    await plant.send(from, from + HOT);
    await plant.checkpoint();
  }
  await plant.send(0, HOT);
  await plant.checkpoint();
  say('50,000 have sent, 10,000 of them now');
  const backMs = await timedMs(() => plant.send(HOT, 2 * HOT));
  console.log(`  10,000 are read back in ${backMs} ms`);
  await plant.send(0, ALL);
  say('50,000 send between two checkpoints');
  console.log(`  the checkpoint takes ${await timedMs(() => plant.checkpoint())} ms`);
  say('and are stored');
}

const ROWS: Readonly<Record<string, () => Promise<void>>> = {
  'states of 4 KiB': () => measure(LARGEST),
  'states as they are': () => measure(SeriesDetector),
};

const [name] = process.argv.slice(2);
if (name === undefined) {
  for (const row of Object.keys(ROWS)) {
    console.log(row);
    const args = ['--expose-gc', fileURLToPath(import.meta.url), row];
    execFileSync(process.execPath, args, { stdio: 'inherit' });
  }
} else {
  await (ROWS[name]?.() ?? Promise.reject(new Error(`no row ${name}`)));
}
