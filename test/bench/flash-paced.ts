/**
 * One reading a second, at that pace: the file system has work of its own that goes by the clock,
 * which a fast run shares out over more readings than a slow one has.
 */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { PARTITIONS, startLog } from './flash-log.ts';
import { OTHER_KINDS } from './other-stores.ts';
import { SensorLoad } from './sensor-load.ts';
import { deviceMeter, type WriteMeter } from './write-meter.ts';

const READINGS = 120;
const INTERVAL_MS = 1_000;

interface Paced {
  readonly load: SensorLoad;
  commit(): Promise<void>;
  close(): Promise<void>;
}

async function pacedLog(folder: string): Promise<Paced> {
  const { journal, load, run } = await startLog(nodeFiles, join(folder, 'log'), 1);
  return { load, commit: () => run.commit(), close: () => journal.close() };
}

async function pacedFile(folder: string): Promise<Paced> {
  const [kind] = OTHER_KINDS;
  const store = await kind?.open(folder);
  if (store === undefined) throw new Error('no growing file');
  const load = new SensorLoad({ seed: 1, partitions: PARTITIONS });
  const commit = () => store.commit(load.many(1, systemClock.wallMs(), systemClock.monoMs()));
  return { load, commit, close: () => store.close() };
}

const KINDS = [
  { name: 'this log', options: 'noatime', start: pacedLog },
  { name: 'this log', options: 'noatime,commit=60', start: pacedLog },
  { name: 'growing file', options: 'noatime', start: pacedFile },
  { name: 'growing file', options: 'noatime,commit=60', start: pacedFile },
];

async function measure(meter: WriteMeter, start: (folder: string) => Promise<Paced>) {
  const { load, commit, close } = await start(meter.folder);
  const before = meter.bytes();
  const payloadBefore = load.payloadBytes;
  const startMs = systemClock.monoMs();
  for (let i = 1; i <= READINGS; i++) {
    await commit();
    await wait(startMs + i * INTERVAL_MS - systemClock.monoMs());
  }
  await close();
  return (meter.lastBytes() - before) / (load.payloadBytes - payloadBefore);
}

/** All kinds at once, each on a device of its own. Lines to print. */
export async function measurePaced(base: string): Promise<string[]> {
  const results = await Promise.all(
    KINDS.map(async ({ name, options, start }) => {
      const meter = deviceMeter(base, options);
      try {
        const figure = await measure(meter, start);
        return `${`${name}, mounted ${options}`.padEnd(40)} ${figure.toFixed(2).padStart(8)}`;
      } finally {
        meter.remove();
      }
    }),
  );
  return [`\nOne reading a second, ${READINGS} of them, each a commit: bytes/byte`, ...results];
}
