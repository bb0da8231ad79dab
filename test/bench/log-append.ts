/** How many readings a second the append path takes when the storage is as quick as memory. */
import { join } from 'node:path';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Compression } from '../../src/log/codec.ts';
import { Journal } from '../../src/log/journal.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { SensorLoad, type SensorReading } from './sensor-load.ts';
import { temporaryPlace } from './temporary-place.ts';

const STREAM = 'readings';
const PARTITIONS = 16;
/** Made beforehand and appended again and again: what is measured is the log. */
const DISTINCT = 100_000;
const READINGS = 1_500_000;
const WARM_UP = 300_000;
const MAX_IN_FLIGHT = 16_384;
const ROUNDS = 3;
const TARGET = 500_000;
const SEGMENT_BYTES = 4 * 1024 * 1024;

export const APPEND_CASES: ReadonlyArray<{ compression: Compression; packing: boolean }> = [
  { compression: 'none', packing: false },
  { compression: 'none', packing: true },
  { compression: 'auto', packing: false },
  { compression: 'auto', packing: true },
];

/** Appends `count` readings; resolves, when the last is settled, with the ms it took. */
function appendMany(journal: Journal, readings: readonly SensorReading[], count: number) {
  const stream = journal.stream(STREAM);
  const startMs = systemClock.monoMs();
  let appended = 0;
  let settled = 0;
  return new Promise<number>((resolve, reject) => {
    const settle = (error: Error | undefined) => {
      settled += 1;
      if (error !== undefined) reject(error);
      if (settled === count) resolve(systemClock.monoMs() - startMs);
      else if (appended - settled < MAX_IN_FLIGHT / 2) fill();
    };
    const fill = () => {
      while (appended < count && appended - settled < MAX_IN_FLIGHT) {
        const item = readings[appended % readings.length];
        if (item === undefined) return;
        appended += 1;
        journal.append(stream, item.partition, item.reading, settle);
      }
    };
    fill();
  });
}

/** Readings a second, the best of some rounds: other work on the machine only ever slows it. */
async function measure(base: string, options: (typeof APPEND_CASES)[number]) {
  const place = temporaryPlace(base, 'headgate-append-');
  const load = new SensorLoad({ seed: 1, partitions: PARTITIONS });
  const readings = load.many(DISTINCT, Date.UTC(2026, 0, 5), systemClock.monoMs());
  try {
    const journal = await Journal.open({
      files: nodeFiles,
      folder: join(place.folder, 'log'),
      streams: [{ name: STREAM, partitions: PARTITIONS }],
      clock: systemClock,
      random: seededRandom(1),
      logger: silentLogger,
      boot: new Uint8Array(8),
      lingerMs: 5,
      segmentBytes: SEGMENT_BYTES,
      maxPendingBytes: 32 * 1024 * 1024,
      retention: { maxBytes: 256 * 1024 * 1024, maxAgeMs: 0 },
      ...options,
    });
    await journal.startUpkeep();
    await appendMany(journal, readings, WARM_UP);
    const cpuBefore = process.cpuUsage();
    const rates: number[] = [];
    const commitsBefore = journal.status().commits;
    for (let round = 0; round < ROUNDS; round++) {
      rates.push(READINGS / ((await appendMany(journal, readings, READINGS)) / 1000));
      await journal.retain();
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    const commits = journal.status().commits - commitsBefore;
    await journal.close();
    const count = ROUNDS * READINGS;
    return {
      rates,
      cpuUs: (user + system) / count,
      perCommit: count / commits,
      mean: load.payloadBytes / DISTINCT,
    };
  } finally {
    place.remove();
  }
}

/** A line to print. */
export async function measureAppend(
  base: string,
  options: (typeof APPEND_CASES)[number],
): Promise<string> {
  const { rates, cpuUs, perCommit, mean } = await measure(base, options);
  const best = Math.max(...rates);
  const { compression, packing } = options;
  return [
    `compression ${compression}`.padEnd(17),
    `packing ${packing ? 'on' : 'off'}`.padEnd(12),
    `${Math.round(best)} readings/s of ${mean.toFixed(0)} bytes`.padStart(32),
    `(rounds ${rates.map((rate) => Math.round(rate / 1000)).join(', ')} thousand;`,
    `${Math.round(perCommit)} a commit; ${cpuUs.toFixed(2)} µs of CPU each, all threads):`,
    `target ${TARGET} ${best >= TARGET ? 'met' : 'MISSED'}`,
  ].join(' ');
}
