/**
 * The power cut lab: a gateway in a machine of its own, whose data disk forgets what was not
 * flushed. docs/power-cut-lab.md says what is looked at, and what it found.
 *
 * npm run test:vm -- --states 600 --seed 1
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Random, seededRandom, systemClock } from '../../src/base/clock.ts';
import { STATE_KINDS } from './disk-states.ts';
import { cutAll } from './guest.ts';
import {
  checkerPayload,
  copyOfRoot,
  imageFolder,
  packageFile,
  packagePayload,
} from './lab-disk.ts';
import { type FileSystem, LabRun } from './lab-run.ts';
import { diskOf, type Stretch } from './lab-states.ts';
import { Ledger } from './ledger.ts';
import { Tally } from './tally.ts';

const { values } = parseArgs({
  options: {
    fast: { type: 'boolean', default: false },
    seed: { type: 'string' },
    /** In all. */
    states: { type: 'string' },
    /** Of a stretch. */
    acks: { type: 'string' },
    fs: { type: 'string', default: 'ext4,f2fs' },
    /** A package that is built already. */
    deb: { type: 'string' },
    /** `received` makes a gateway that promises too early: the lab must see it. */
    ack: { type: 'string', default: 'durable' },
  },
});

const FAST_STATES = 10;
const FULL_STATES = 600;
const FLUSH_MS = 10;

const beganMs = systemClock.monoMs();

function say(text: string): void {
  const seconds = ((systemClock.monoMs() - beganMs) / 1000).toFixed(0).padStart(5);
  process.stdout.write(`${seconds}s ${text}\n`);
}

function fileSystem(name: string): FileSystem {
  if (name === 'ext4' || name === 'f2fs') return name;
  throw new Error(`--fs takes ext4 and f2fs, not ${name}`);
}

interface Lab {
  readonly run: LabRun;
  /** Root disk of the machines. */
  readonly file: string;
  readonly random: Random;
  readonly tally: Tally;
}

/** One boot on a blank disk, then one on a state of each kind, each from the cut before it. */
async function cuts({ run, file, random, tally }: Lab, fs: FileSystem): Promise<Stretch[]> {
  const stretches: Stretch[] = [];
  let base = run.blank(fs);
  let ledger = new Ledger();
  for (const kind of [undefined, ...STATE_KINDS]) {
    const number = stretches.length;
    say(`${fs}, stretch ${number}: boots on ${kind ?? 'a blank disk'}`);
    const stretch = await run.stretch(file, { number, base, ledger });
    if (kind !== undefined) tally.boot(fs, kind);
    stretches.push(stretch);
    // Behind the last alert, which is on then when the machine comes back.
    const { record, loadedFrom } = stretch;
    const cut = Math.floor(record.length - random() * 0.7 * (record.length - loadedFrom));
    const next = STATE_KINDS[number];
    if (next === undefined) break;
    const seed = Math.floor(random() * 2 ** 31);
    base = diskOf(stretch, { stretch: number, kind: next, cut, seed });
    ledger = stretch.ledger.goOnFrom(cut);
  }
  return stretches;
}

async function full(lab: Lab, systems: readonly FileSystem[]): Promise<void> {
  const { run, file } = lab;
  say('installing');
  await run.installOn(file);
  const states = Math.ceil(Number(values.states ?? FULL_STATES) / systems.length);
  for (const fs of systems) {
    const stretches = await cuts(lab, fs);
    say(`${fs}: looking at ${states} states`);
    if (fs === 'f2fs') await run.checkInside(file, fs, stretches, states);
    else {
      for (const [i, stretch] of stretches.entries()) {
        await run.checkHere(stretch, Math.floor((states + i) / stretches.length));
      }
    }
  }
}

async function fast({ run, file }: Lab): Promise<void> {
  say('one boot: installing, publishing, the line, a cut');
  const stretch = await run.installAndCut(file, 'ext4');
  await run.checkHere(stretch, Number(values.states ?? FAST_STATES));
}

async function main(): Promise<number> {
  const seed = Number(values.seed ?? Math.floor(systemClock.wallMs() % 1_000_000));
  const random = seededRandom(seed);
  say(`seed ${seed}`);
  const { ack } = values;
  const systems = values.fs.split(',').map(fileSystem);
  if (ack !== 'durable' && ack !== 'received') throw new Error('--ack is durable or received');
  const image = imageFolder();
  const work = mkdtempSync(join(tmpdir(), 'hg-vm-'));
  const packageTar = packagePayload(packageFile(values.deb, work), work);
  const tally = new Tally();
  const run = new LabRun({
    ...{ image, work, random, tally, say },
    packagePayload: packageTar,
    checkerPayload: () => checkerPayload(work),
    ack,
    acks: Number(values.acks ?? (values.fast ? 400 : 2_000)),
    flushMs: FLUSH_MS,
  });
  const lab = { run, file: copyOfRoot(image, work), random, tally };
  if (values.fast) await fast(lab);
  else await full(lab, systems);
  process.stdout.write(`\n${tally.text()}\n`);
  say(`${tally.states} states, ${tally.faulty} of them faulty; seed ${seed}`);
  if (run.failures.length === 0) rmSync(work, { recursive: true });
  else say(`kept in ${work}`);
  return run.failures.length === 0 && tally.states > 0 ? 0 : 1;
}

// A machine would outlive the lab.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    cutAll();
    process.exit(1);
  });
}
process.exitCode = await main().catch((error: unknown) => {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
});
// What a failed step left running.
cutAll();
