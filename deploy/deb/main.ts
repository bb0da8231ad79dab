import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ARCHITECTURES, type Architecture } from './architectures.ts';
import { bundle } from './bundle.ts';
import { CONFFILES, controlText, type Release } from './control.ts';
import { type Entry, treeOf } from './tree.ts';

/** npm run deb: docs/install.md. From dist/deploy/deb. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const USAGE = `\
usage: npm run deb -- [--arch amd64|arm64|armhf|all] [--revision N] [--out FOLDER]

Packages for Debian, into dist-deb/ unless --out names another folder; of every architecture
unless --arch names one. --revision is what follows the release in the version, 1 unless set.
Needs dpkg-deb, which Debian and its children have, and nothing from the network.
`;

class UsageError extends Error {}

/** The output of a program, without its last line break. Throws what it complained of. */
function outputOf(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status === 0) return stdout.trim();
  throw new Error(`${command}: ${error?.message ?? stderr.trim()}`);
}

/** The moment of the last commit, so that one commit gives one package, byte for byte. */
function epochOf(env: NodeJS.ProcessEnv): number {
  const given = env['SOURCE_DATE_EPOCH'] ?? '';
  if (/^\d+$/.test(given)) return Number(given);
  if (given !== '') throw new UsageError(`SOURCE_DATE_EPOCH is no number of seconds: ${given}`);
  try {
    return Number(outputOf('git', ['log', '-1', '--format=%ct']));
  } catch (cause) {
    const text = 'not a git checkout: set SOURCE_DATE_EPOCH to the time of the release, in seconds';
    throw new UsageError(text, { cause });
  }
}

function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
}

function writeEntry(folder: string, entry: Entry): void {
  const path = join(folder, entry.path);
  makeFolder(dirname(path));
  if ('link' in entry) {
    symlinkSync(entry.link, path);
  } else {
    writeFileSync(path, entry.content);
    chmodSync(path, entry.mode ?? 0o644);
  }
}

function filesOf(entries: readonly Entry[]) {
  return entries.flatMap((entry) => ('link' in entry ? [] : [entry]));
}

function md5sums(entries: readonly Entry[]): string {
  const lines = filesOf(entries)
    .filter(({ path }) => !CONFFILES.includes(`/${path}`))
    .map(({ path, content }) => `${createHash('md5').update(content).digest('hex')}  ${path}\n`);
  return lines.join('');
}

function controlEntries(
  architecture: Architecture,
  release: Release,
  entries: readonly Entry[],
): Entry[] {
  const kib = filesOf(entries).reduce(
    (sum, { content }) => sum + Math.ceil(Buffer.byteLength(content) / 1024),
    entries.length,
  );
  const scripts = ['postinst', 'prerm', 'postrm'].map((name) => ({
    path: `DEBIAN/${name}`,
    content: readFileSync(join(ROOT, 'deploy/deb/control', name)),
    mode: 0o755,
  }));
  return [
    { path: 'DEBIAN/control', content: controlText(architecture, release, kib) },
    { path: 'DEBIAN/conffiles', content: CONFFILES.map((path) => `${path}\n`).join('') },
    { path: 'DEBIAN/md5sums', content: md5sums(entries) },
    ...scripts,
  ];
}

/** A clock that stands in the past would else show in the archive. */
function stamp(path: string, epoch: number): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) stamp(below, epoch);
    else lutimesSync(below, epoch, epoch);
  }
  lutimesSync(path, epoch, epoch);
}

function pack(file: string, entries: readonly Entry[], epoch: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-deb-'));
  try {
    chmodSync(folder, 0o755);
    for (const entry of entries) writeEntry(folder, entry);
    stamp(folder, epoch);
    const args = ['--root-owner-group', '-Zxz', '--build', folder, file];
    const { status, stderr, error } = spawnSync('dpkg-deb', args, {
      encoding: 'utf8',
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    });
    if (status !== 0) throw new Error(`dpkg-deb: ${error?.message ?? stderr.trim()}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Wish {
  readonly architectures: readonly Architecture[];
  readonly revision: string;
  readonly out: string;
}

function wishOf(args: string[]): Wish | undefined {
  const options = {
    arch: { type: 'string', default: 'all' },
    revision: { type: 'string', default: '1' },
    out: { type: 'string', default: 'dist-deb' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    values = parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { arch, revision, out } = values;
  if (values.help === true) return undefined;
  const architectures = ARCHITECTURES.filter((one) => arch === 'all' || one === arch);
  if (architectures.length === 0) throw new UsageError(`--arch: there is no ${arch} here`);
  if (!/^[0-9][0-9a-z.+~]*$/.test(revision)) {
    throw new UsageError(`--revision: ${revision} is none: digits first, then a-z . + ~ as well`);
  }
  return { architectures, revision, out: resolve(ROOT, out) };
}

async function main(args: string[]): Promise<void> {
  const wish = wishOf(args);
  if (wish === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  if (spawnSync('dpkg-deb', ['--version']).error !== undefined) {
    throw new UsageError('dpkg-deb is missing: packages for Debian are built on Debian');
  }
  // Whatever the user's mask is, what is in the package is for everyone to read.
  process.umask(0o022);
  const about = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const release = {
    version: `${about.version}-${wish.revision}`,
    epoch: epochOf(process.env),
  };
  const code = await bundle(ROOT);
  makeFolder(wish.out);
  for (const architecture of wish.architectures) {
    const entries = treeOf({ root: ROOT, architecture, release, bundle: code });
    const file = join(wish.out, `headgate_${release.version}_${architecture}.deb`);
    const control = controlEntries(architecture, release, entries);
    pack(file, [...control, ...entries], release.epoch);
    process.stdout.write(`${file}\n`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  const text = isUsage ? error.message : String(error instanceof Error ? error.stack : error);
  process.stderr.write(`npm run deb: ${text}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
