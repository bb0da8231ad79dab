/** Logs to measure, and the kernel's copies of them in memory. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JournalOptions } from '../../src/log/journal-options.ts';
import { spawnNode } from '../../src/os/child.ts';
import type { FileHandle, Files } from '../../src/os/files.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { appendAll, openLog, PARTITIONS } from './flash-log.ts';
import { SensorLoad } from './sensor-load.ts';
import { SetClock } from './set-clock.ts';
import { untilRemoved } from './temporary-place.ts';

const RETENTION = { maxBytes: 1024 ** 4, maxAgeMs: 0 };
const POLL_MS = 20;
const READINGS_A_PAUSE = 32;

export const programOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** For logs that are only made to be read: they need not be durable. */
const unsyncedFiles: Files = {
  ...nodeFiles,
  async open(path, mode): Promise<FileHandle> {
    const handle = await nodeFiles.open(path, mode);
    return {
      read: (into, position) => handle.read(into, position),
      write: (bytes, position) => handle.write(bytes, position),
      sync: async () => {},
      sizeBytes: () => handle.sizeBytes(),
      truncate: (sizeBytes) => handle.truncate(sizeBytes),
      close: () => handle.close(),
    };
  },
  syncFolder: async () => {},
};

/**
 * Has a process of its own append to a log, one commit after the other, and kills it with SIGKILL
 * in the middle of that once the log holds `bytes` of payload.
 */
export async function fillAndKill(folder: string, bytes: number): Promise<void> {
  const args = [programOf('./log-process.js'), '--role', 'write', '--folder', folder];
  const child = spawnNode(args, process.env);
  const kill = untilRemoved(() => child.kill('SIGKILL'));
  let hasEnded = false;
  const ended = child.ended.then(() => {
    hasEnded = true;
  });
  const payload = () => Number(child.output().trimEnd().split('\n').at(-1));
  while (!hasEnded && !(payload() >= bytes)) await wait(POLL_MS);
  if (hasEnded) throw new Error(`the writer ended by itself: ${child.output()}`);
  kill();
  await ended;
}

/** A log of readings that were committed one by one. Returns how many. */
export async function makeSparse(
  folder: string,
  segments: number,
  more: Partial<JournalOptions> = {},
): Promise<number> {
  const clock = new SetClock();
  const journal = await openLog(unsyncedFiles, folder, { clock, retention: RETENTION, ...more });
  const load = new SensorLoad({ seed: 1, partitions: 1 });
  let count = 0;
  while (journal.segments().length <= segments) {
    clock.nowMs += 1_000;
    const { reading } = load.next(clock.wallMs(), clock.monoMs());
    await appendAll(journal, [{ partition: count % PARTITIONS, reading }]);
    count += 1;
    if (count % READINGS_A_PAUSE === 0) await journal.retain();
  }
  await journal.retain();
  await journal.close();
  return count;
}

/** Makes the kernel forget what it holds of a file, so that the next read is from the disk. */
export function forgetFile(path: string): void {
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
}

export function forgetFolder(folder: string): void {
  execFileSync('sync', ['--file-system', folder]);
  for (const name of readdirSync(folder)) forgetFile(join(folder, name));
}
