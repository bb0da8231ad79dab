/** How long it takes from an offset anywhere in the log to the record that is there. */
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import type { Journal } from '../../src/log/journal.ts';
import { StreamCursor } from '../../src/log/log-reader.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { openLog, PARTITIONS } from './flash-log.ts';
import { forgetFile } from './log-folders.ts';

const STREAM = 'readings';
const OFFSETS = 200;
const SEED = 7;
const MAX_MS = 20;
const RETENTION = { maxBytes: 1024 ** 4, maxAgeMs: 0 };

/**
 * Where a consumer stands that has handled the first `count` readings, which were appended to the
 * partitions in turn.
 */
function positionAfter(count: number): number[] {
  return Array.from({ length: PARTITIONS }, (_, p) => Math.ceil((count - p) / PARTITIONS));
}

function fileOf(journal: Journal, from: readonly number[]): string | undefined {
  const isBehind = (next: readonly number[]) => next.every((base, p) => base <= (from[p] ?? 0));
  return journal.segments().findLast(({ header }) => isBehind(header.streams[0]?.nextOffsets ?? []))
    ?.path;
}

interface Taken {
  readonly ms: number;
  /** Of the processor, all threads together. */
  readonly cpuMs: number;
}

async function timeToFirst(journal: Journal, from: readonly number[]): Promise<Taken> {
  const cpuBefore = process.cpuUsage();
  const startMs = systemClock.monoMs();
  const cursor = new StreamCursor({ files: nodeFiles, view: journal, stream: STREAM, from });
  const [first] = (await cursor.next()) ?? [];
  const ms = systemClock.monoMs() - startMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  await cursor.close();
  // Without this a log that can't be read would look like a quick one.
  if (first?.offset !== from[first?.partition ?? 0]) throw new Error(`wrong record at ${from}`);
  return { ms, cpuMs: (user + system) / 1000 };
}

function quantiles(values: readonly number[]): string[] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.floor((sorted.length - 1) * q)] ?? Number.NaN;
  return [0.5, 0.99, 1].map((q) => at(q).toFixed(2).padStart(8));
}

/** Lines to print: from the disk, then from memory. */
export async function measureReads(name: string, folder: string): Promise<string[]> {
  const journal = await openLog(nodeFiles, folder, { retention: RETENTION, packing: false });
  const total = journal.nextOffsets(STREAM).reduce((sum, next) => sum + next, 0);
  const random = seededRandom(SEED);
  const places = Array.from({ length: OFFSETS }, () => positionAfter(Math.floor(random() * total)));
  const lines: string[] = [];
  try {
    for (const isCold of [true, false]) {
      const taken: Taken[] = [];
      for (const from of places) {
        const path = isCold ? fileOf(journal, from) : undefined;
        if (path !== undefined) forgetFile(path);
        taken.push(await timeToFirst(journal, from));
      }
      lines.push(
        [
          `${name}, ${isCold ? 'from disk' : 'from memory'}`.padEnd(34),
          ...quantiles(taken.map(({ ms }) => ms)),
          ...quantiles(taken.map(({ cpuMs }) => cpuMs)),
          taken.every(({ ms }) => ms <= MAX_MS) ? 'met' : 'MISSED',
        ].join('  '),
      );
    }
  } finally {
    await journal.close();
  }
  return lines;
}

export const READS_HEAD =
  `\nFirst record from ${OFFSETS} random offsets (seed ${SEED}), ms: p50, p99, max; ` +
  `then ms of CPU: p50, p99, max; target ${MAX_MS}`;
