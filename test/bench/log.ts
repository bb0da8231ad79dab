/**
 * `npm run bench:log`: how quick the log is by itself: appends, the start after a kill, reading
 * from anywhere.
 *
 * node log.js [--row append --row start --row read] [--folder /tmp] [--gigabytes 4]
 */
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { APPEND_CASES, measureAppend } from './log-append.ts';
import { fillAndKill, makeSparse } from './log-folders.ts';
import { measureReads, READS_HEAD } from './log-read.ts';
import { measureStart } from './log-start.ts';
import { temporaryPlace } from './temporary-place.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string', multiple: true },
    /** On a disk: where the large log goes. */
    folder: { type: 'string', default: tmpdir() },
    gigabytes: { type: 'string', default: '4' },
  },
});

const SPARSE_SEGMENTS = 40;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function memoryFolder(): string | undefined {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return undefined;
  }
}

async function appends(): Promise<void> {
  const memory = memoryFolder();
  print(`Appends to one store, 16 partitions, in ${memory ?? `${values.folder}, no memory`}`);
  for (const options of APPEND_CASES) print(await measureAppend(memory ?? values.folder, options));
}

async function startAndReads(wanted: ReadonlySet<string>): Promise<void> {
  const { folder: base } = temporaryPlace(values.folder, 'headgate-log-');
  const dense = join(base, 'dense');
  print(`\nA log of ${values.gigabytes} GiB in ${base}; its writer is killed while it writes`);
  await fillAndKill(dense, Number(values.gigabytes) * 1024 ** 3);
  if (wanted.has('start')) for (const line of await measureStart(base, dense)) print(line);
  if (!wanted.has('read')) return;
  const [plain, packed] = [join(base, 'plain'), join(base, 'packed')];
  await makeSparse(plain, SPARSE_SEGMENTS, { packing: false });
  await makeSparse(packed, SPARSE_SEGMENTS);
  print(READS_HEAD);
  for (const line of await measureReads(`${values.gigabytes} GiB, dense`, dense)) print(line);
  for (const line of await measureReads('one reading a commit', plain)) print(line);
  for (const line of await measureReads('the same, packed', packed)) print(line);
}

const wanted = new Set(values.row ?? ['append', 'start', 'read']);
print(`Node ${process.version}, ${process.platform} ${process.arch}`);
if (wanted.has('append')) await appends();
if (wanted.has('start') || wanted.has('read')) await startAndReads(wanted);
