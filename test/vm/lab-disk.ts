import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the lab needs on the disk of the machine it runs on. */

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

function run(command: string, args: readonly string[], cwd = ROOT): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? status}`);
}

/** Builds the image if there is none, or an older one. Returns its folder. */
export function imageFolder(): string {
  const folder = process.env['HEADGATE_VM_DIR'] ?? join(homedir(), '.cache', 'headgate-vm');
  mkdirSync(folder, { recursive: true });
  run('bash', [join(ROOT, 'test', 'vm', 'image.sh'), folder]);
  return folder;
}

/** A disk of its own for machines that keep what they write. */
export function copyOfRoot(image: string, work: string): string {
  const file = join(work, 'root.img');
  run('cp', ['--sparse=always', join(image, 'root.img'), file]);
  return file;
}

/** Builds the package for the machines, unless one is named. */
export function packageFile(named: string | undefined, work: string): string {
  if (named !== undefined) return named;
  const folder = join(work, 'deb');
  run('npm', ['run', '-s', 'deb', '--', '--arch', 'amd64', '--out', folder]);
  const [file, ...more] = readdirSync(folder).filter((name) => name.endsWith('.deb'));
  if (file === undefined || more.length > 0) throw new Error(`not one package in ${folder}`);
  return join(folder, file);
}

/** A tar, for a machine's third disk. Returns its path. */
function tarOf(folder: string): string {
  const tar = `${folder}.tar`;
  run('tar', ['-C', folder, '-cf', tar, '.']);
  rmSync(folder, { recursive: true });
  return tar;
}

/** Name of the package in its tar. */
export const PACKAGE = 'headgate.deb';

export function packagePayload(deb: string, work: string): string {
  const folder = join(work, 'package');
  mkdirSync(folder);
  cpSync(deb, join(folder, PACKAGE));
  return tarOf(folder);
}

/** The checker with all that it imports. */
export function checkerPayload(work: string): string {
  const folder = join(work, 'checkout');
  const parts = ['package.json', 'dist/src', 'dist/firmware-bridge', 'dist/test'];
  for (const part of [...parts, ...productionPackages()]) {
    // What only people and compilers read would take an emulated machine a minute to unpack.
    const filter = (path: string) => !/\.(map|md|ts|mts|cts|c|cc|h|cpp)$/.test(path);
    cpSync(join(ROOT, part), join(folder, part), { recursive: true, filter });
  }
  return tarOf(folder);
}

function productionPackages(): string[] {
  const { status, stdout } = spawnSync(
    'npm',
    ['ls', '--all', '--parseable', '--omit=dev', '--omit=optional', '--omit=peer'],
    { cwd: ROOT, encoding: 'utf8' },
  );
  if (status === null) throw new Error('npm ls failed');
  return stdout
    .split('\n')
    .filter((path) => path.includes('/node_modules/'))
    .map((path) => path.slice(ROOT.length))
    .filter((path) => existsSync(join(ROOT, path)));
}

/** Starts a program of this build; resolves with the first line it prints. */
export function startProgram(name: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'test', 'vm', name), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`${name} ended with ${code}`)));
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
  });
}
