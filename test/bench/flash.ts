/**
 * `npm run bench:flash`: bytes written to the device per byte of payload, for this log and for
 * other ways to store the same readings, and the room that a week of readings takes.
 * docs/flash-bench.md says how to read it.
 *
 * node flash.js [--row 1 --row 10 --row 100 --row 2000 --row paced --row week]
 *               [--method device|process] [--folder /dev/shm]
 */
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { type LogFigures, measureLog, PARTITIONS, type Phase } from './flash-log.ts';
import { measurePaced } from './flash-paced.ts';
import { measureWeek } from './flash-week.ts';
import { OTHER_KINDS } from './other-stores.ts';
import { SensorLoad } from './sensor-load.ts';
import { deviceMeter, METHODS, type Method, processMeter, type WriteMeter } from './write-meter.ts';

/** As systems on cards are mounted. */
const MOUNT_OPTIONS = 'noatime';
const SIZES = [1, 10, 100, 2_000];
/** What this log is to stay below: bytes on the device per byte of payload, in a full store. */
const TARGETS = new Map([
  [1, 33],
  [10, 3.5],
  [100, 0.7],
  [2_000, 0.4],
]);

const { values } = parseArgs({
  options: {
    row: { type: 'string', multiple: true },
    method: { type: 'string' },
    folder: { type: 'string' },
  },
});

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Where the image of a device is held: in memory if that can be, since only counts are asked. */
function imageFolder(): string {
  if (values.folder !== undefined) return values.folder;
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

/** The method that works here. */
function chooseMethod(): Method {
  if (values.method === 'process') return 'process';
  try {
    deviceMeter(imageFolder(), MOUNT_OPTIONS).remove();
    return 'device';
  } catch (error) {
    if (values.method === 'device') throw error;
    const [reason] = String((error as Error).message).split('\n');
    print(`No loop device for this process (${reason}): its own writes are counted instead.`);
    return 'process';
  }
}

async function metered<T>(method: Method, use: (meter: WriteMeter) => Promise<T>): Promise<T> {
  // Files in memory are not counted as written, so never there.
  const meter =
    method === 'device'
      ? deviceMeter(imageFolder(), MOUNT_OPTIONS)
      : processMeter(values.folder ?? tmpdir());
  try {
    return await use(meter);
  } finally {
    meter.remove();
  }
}

/** Bytes on the device per byte of payload; undefined: this runtime has no such store. */
async function measureOther(
  meter: WriteMeter,
  open: (typeof OTHER_KINDS)[number]['open'],
  row: { readonly size: number; readonly commits: number },
): Promise<number | undefined> {
  const store = await open(meter.folder);
  if (store === undefined) return undefined;
  const load = new SensorLoad({ seed: 1, partitions: PARTITIONS });
  const before = meter.bytes();
  for (let i = 0; i < row.commits; i++) {
    await store.commit(load.many(row.size, systemClock.wallMs(), systemClock.monoMs()));
  }
  await store.close();
  return (meter.lastBytes() - before) / load.payloadBytes;
}

function perPayload(bytes: number, { payloadBytes }: Phase): string {
  return (bytes / payloadBytes).toFixed(2);
}

const HEAD = [
  ['readings', 'a commit'],
  ['', 'commits'],
  ['payload', 'mean'],
  ['this log', 'full'],
  ['of it', 'packing'],
  ['of it', 'zeros'],
  ['this log', 'filling'],
  ['of it', 'zeros'],
  ...OTHER_KINDS.map(({ name }) => name.split(/(?<=^classic-)|(?<=^node:)| /)),
];
const WIDTHS = HEAD.map((words) => Math.max(9, ...words.map((word) => word.length + 1)));

function printLine(cells: readonly string[]): void {
  print(cells.map((cell, i) => cell.padStart(WIDTHS[i] ?? 0)).join(' '));
}

/** Prints a line of the table; returns one that says whether the target is met. */
async function compare(method: Method, size: number): Promise<string> {
  const { full, filling }: LogFigures = await metered(method, (meter) => measureLog(meter, size));
  const cells = [
    (full.readings / full.commits).toFixed(0),
    String(full.commits),
    (full.payloadBytes / full.readings).toFixed(1),
    perPayload(full.deviceBytes, full),
    perPayload(full.written.packed, full),
    perPayload(full.written.zeros, full),
    perPayload(filling.deviceBytes, filling),
    perPayload(filling.written.zeros, filling),
  ];
  for (const { open } of OTHER_KINDS) {
    const row = { size, commits: full.commits };
    const figure = await metered(method, (meter) => measureOther(meter, open, row));
    cells.push(figure?.toFixed(2) ?? 'Node 22.5');
  }
  printLine(cells);
  const bare = perPayload(full.deviceBytes - full.written.zeros, full);
  const target = TARGETS.get(size) ?? Number.POSITIVE_INFINITY;
  const verdict = Number(bare) <= target ? 'met' : 'MISSED';
  const name = `${String(size).padStart(5)} a commit, without zeros`;
  return `${name}: ${bare}, target ${target}: ${verdict}`;
}

const wanted = new Set(values.row ?? [...SIZES.map(String), 'paced', 'week']);
const method = chooseMethod();
print(`Node ${process.version}, ${process.platform} ${process.arch}`);
print(`Bytes on the device per byte of payload: ${METHODS[method]}\n`);
const sizes = SIZES.filter((size) => wanted.has(String(size)));
if (sizes.length > 0) for (const i of [0, 1]) printLine(HEAD.map((words) => words[i] ?? ''));
const verdicts: string[] = [];
for (const size of sizes) verdicts.push(await compare(method, size));
if (verdicts.length > 0) print(`\n${verdicts.join('\n')}`);
if (wanted.has('paced')) {
  if (method === 'device') for (const line of await measurePaced(imageFolder())) print(line);
  else print('\nOne reading a second: needs a device of its own.');
}
if (wanted.has('week')) for (const line of await measureWeek(imageFolder())) print(line);
