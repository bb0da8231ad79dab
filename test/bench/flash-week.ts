/** The room that seven days of one reading a second take, each committed by itself. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../src/os/node-files.ts';
import { appendAll, openLog, PARTITIONS } from './flash-log.ts';
import { SensorLoad } from './sensor-load.ts';
import { SetClock } from './set-clock.ts';
import { temporaryPlace } from './temporary-place.ts';

const READINGS = 7 * 24 * 3600;
const RETENTION_BYTES = 1024 ** 3;
const MAX_BYTES = 32e6;
/** Between so many readings, what is done beside the commits is waited for. */
const READINGS_A_PAUSE = 64;

/** By allocated size, as `du` counts. */
function folderUse(folder: string) {
  const names = readdirSync(folder);
  const bytes = names.reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0);
  const packed = names.filter((name) => name.endsWith('.packed')).length;
  return { bytes, packed, others: names.length - packed };
}

/** Lines to print. `base`: where to put the store for a while; in memory it is quicker. */
export async function measureWeek(base: string): Promise<string[]> {
  const place = temporaryPlace(base, 'headgate-week-');
  const folder = join(place.folder, 'log');
  try {
    const clock = new SetClock();
    const load = new SensorLoad({ seed: 1, partitions: PARTITIONS });
    const retention = { maxBytes: RETENTION_BYTES, maxAgeMs: 0 };
    const journal = await openLog(nodeFiles, folder, { clock, retention });
    for (let i = 1; i <= READINGS; i++) {
      clock.nowMs += 1_000;
      await appendAll(journal, [load.next(clock.wallMs(), clock.monoMs())]);
      if (i % READINGS_A_PAUSE === 0) await journal.retain();
    }
    await journal.retain();
    const { commits } = journal.status();
    await journal.close();
    const { bytes, packed, others } = folderUse(folder);
    const verdict = bytes <= MAX_BYTES ? 'met' : 'MISSED';
    return [
      `\nSeven days of one reading a second, each a commit`,
      `readings ${READINGS}, commits ${commits}, payload ${megabytes(load.payloadBytes)} MB ` +
        `(mean ${(load.payloadBytes / READINGS).toFixed(1)} bytes)`,
      `in the folder: ${megabytes(bytes)} MB, ${(bytes / READINGS).toFixed(1)} bytes a reading, ` +
        `${packed} packed files and ${others} others; ` +
        `target ${megabytes(MAX_BYTES)} MB: ${verdict}`,
    ];
  } finally {
    place.remove();
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
