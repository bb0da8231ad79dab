/**
 * What `npm run bench:log` has other processes do.
 *
 * node log-process.js --role write --folder F    fills a log until it is killed, and says how far
 * node --expose-gc log-process.js --role open --folder F    opens it, and says what that took
 */
import { setImmediate as soon } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { appendAll, openLog, PARTITIONS } from './flash-log.ts';
import type { SensorReading } from './sensor-load.ts';

/** What `open` prints, as JSON. */
export interface Opened {
  readonly ms: number;
  readonly segments: number;
  readonly tornBytes: number;
  readonly rssBytes: number;
  /** Growth by the opening, as it stands then. */
  readonly rssGrowth: number;
  /** What is held for good: after what the opening began is done, and what it left is collected. */
  readonly heldGrowth: number;
}

const RETENTION = { maxBytes: 1024 ** 4, maxAgeMs: 0 };
const PAYLOAD_BYTES = 1_000;
const READINGS_A_COMMIT = 256;
const NOISE_BYTES = 32 * 1024 * 1024;
/** A payload begins at any of these places: no two near each other have anything in common. */
const STRIDE = 7_919;

async function write(folder: string): Promise<void> {
  const random = seededRandom(1);
  const noise = Buffer.from(
    Uint32Array.from({ length: NOISE_BYTES / 4 }, () => random() * 2 ** 32).buffer,
  );
  // What is random can't be compressed: there is no use in trying.
  const journal = await openLog(nodeFiles, folder, { retention: RETENTION, compression: 'none' });
  let offset = 0;
  const reading = (): SensorReading => {
    const at = (offset * STRIDE) % (NOISE_BYTES - PAYLOAD_BYTES);
    const payload = noise.subarray(at, at + PAYLOAD_BYTES);
    const partition = offset % PARTITIONS;
    offset += 1;
    const device = `node-${partition}`;
    return {
      partition,
      reading: { device, topic: `blobs/${device}`, payload, monoMs: systemClock.monoMs() },
    };
  };
  for (let i = 1; ; i++) {
    await appendAll(journal, Array.from({ length: READINGS_A_COMMIT }, reading));
    if (i % 64 === 0) process.stdout.write(`${offset * PAYLOAD_BYTES}\n`);
  }
}

/** Memory that the program holds, in its heap and beside it. */
async function heldBytes(): Promise<number> {
  // Twice: what stood beside the heap goes after the object that it was for.
  for (let i = 0; i < 2; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await soon();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function open(folder: string): Promise<void> {
  const heldBefore = await heldBytes();
  const rssBefore = process.memoryUsage().rss;
  const startMs = systemClock.monoMs();
  const journal = await openLog(nodeFiles, folder, { retention: RETENTION, compression: 'none' });
  const ms = systemClock.monoMs() - startMs;
  const rssBytes = process.memoryUsage().rss;
  const { segments, tornBytes } = journal.status();
  await journal.retain();
  const opened: Opened = {
    ms,
    segments,
    tornBytes,
    rssBytes,
    rssGrowth: rssBytes - rssBefore,
    heldGrowth: (await heldBytes()) - heldBefore,
  };
  process.stdout.write(`${JSON.stringify(opened)}\n`);
  await journal.close();
}

const { values } = parseArgs({ options: { role: { type: 'string' }, folder: { type: 'string' } } });
if (values.folder === undefined) throw new Error('--folder is missing');
await (values.role === 'write' ? write(values.folder) : open(values.folder));
