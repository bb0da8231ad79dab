// Makes the checkout ready to run: installs the packages and builds, each only if something
// changed. Quiet and quick (no child process) when there is nothing to do. Plain Node without
// packages, since it runs before any are there.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const LOCK_FOLDER = join(ROOT, '.ready-lock');
const PACKAGES_WANTED = join(ROOT, 'package-lock.json');
const PACKAGES_THERE = join(ROOT, 'node_modules', '.package-lock.json');
const STAMP = join(ROOT, 'dist', '.built-from');
const SOURCES = ['src', 'firmware-bridge', 'deploy', 'test/bench', 'test/support', 'test/vm'];
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const PROGRAMS = [
  'dist/src/main.js',
  'dist/deploy/cloud/main.js',
  'dist/firmware-bridge/serial/main.js',
];

const POLL_MS = 200;
const MAX_WAIT_MS = 15 * 60_000;
/** A lock without an owner is one whose maker died between two system calls. */
const OWNERLESS_MS = 10_000;

const at = (path) => join(ROOT, path);

function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function filesBelow(folder) {
  if (!existsSync(at(folder))) return [];
  return readdirSync(at(folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/**
 * What a build is made from: names, sizes and times. Compared for being the same, not for being
 * newer: a gateway's clock may stand in 1970, and a file that is gone has no time at all.
 */
function builtFrom() {
  const paths = [...SOURCES.flatMap(filesBelow), ...SETTINGS].filter((path) =>
    existsSync(at(path)),
  );
  const facts = paths.map((path) => {
    const { size, mtimeMs } = statSync(at(path));
    return `${path} ${size} ${mtimeMs}`;
  });
  return `${facts.sort().join('\n')}\n`;
}

function isInstalled() {
  if (!existsSync(PACKAGES_THERE)) return false;
  return statSync(PACKAGES_THERE).mtimeMs >= statSync(PACKAGES_WANTED).mtimeMs;
}

function isBuilt() {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === builtFrom();
}

/** Runs a step. Its output is of interest only if it fails. */
function step(what, command, args) {
  process.stderr.write(`${what} …\n`);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    // npm would find its own settings of an `npm test` around us otherwise.
    env: { ...process.env, npm_config_loglevel: 'error' },
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}\n`);
  throw new Error(`${what} failed`);
}

function install() {
  // The tools for building are needed here even where NODE_ENV says production.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  step('installing packages (npm ci)', process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
  // With a clock that was set back since the checkout, the list would never look new enough.
  const wanted = statSync(PACKAGES_WANTED).mtime;
  if (!isInstalled()) utimesSync(PACKAGES_THERE, wanted, wanted);
}

function build() {
  // Read before the compiler does: a file saved meanwhile gives another build next time.
  const from = builtFrom();
  // Left over files would go on being found after their source is gone.
  rmSync(at('dist'), { recursive: true, force: true });
  const compiler = at('node_modules/typescript/bin/tsc');
  step('building (tsc)', process.execPath, [compiler, '-p', 'tsconfig.build.json']);
  // The compiler makes plain files, and `npm link` makes these executable only once.
  for (const program of PROGRAMS) chmodSync(at(program), 0o755);
  writeFileSync(STAMP, from);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function ownerOf(folder) {
  try {
    return readFileSync(join(folder, 'pid'), 'utf8');
  } catch {
    return '';
  }
}

function isStale() {
  const owner = ownerOf(LOCK_FOLDER);
  if (owner !== '') return !isAlive(Number(owner));
  try {
    return Math.abs(Date.now() - statSync(LOCK_FOLDER).mtimeMs) > OWNERLESS_MS;
  } catch {
    return false;
  }
}

/** Takes a dead process's lock away. A rename has one winner; whoever loses just looks again. */
function breakLock() {
  const owner = ownerOf(LOCK_FOLDER);
  const aside = `${LOCK_FOLDER}.${process.pid}`;
  try {
    renameSync(LOCK_FOLDER, aside);
  } catch {
    return;
  }
  // Another one broke it and locked anew between our look and our rename: that lock is alive.
  if (ownerOf(aside) !== owner) renameSync(aside, LOCK_FOLDER);
  else rmSync(aside, { recursive: true, force: true });
}

function tryLock() {
  try {
    mkdirSync(LOCK_FOLDER);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
  writeFileSync(join(LOCK_FOLDER, 'pid'), String(process.pid));
  return true;
}

/** Runs `work` while no other process does. */
function locked(work) {
  let waitedMs = 0;
  while (!tryLock()) {
    if (isStale()) breakLock();
    else if (waitedMs >= MAX_WAIT_MS) {
      throw new Error(`another process has been at it for too long; see ${LOCK_FOLDER}`);
    } else {
      if (waitedMs === 0) process.stderr.write('waiting for another install or build …\n');
      sleep(POLL_MS);
      waitedMs += POLL_MS;
    }
  }
  try {
    work();
  } finally {
    rmSync(LOCK_FOLDER, { recursive: true, force: true });
  }
}

// A terminal's Ctrl-C reaches npm or the compiler too: the lock is held until they have ended.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});

try {
  if (!isInstalled() || !isBuilt()) {
    locked(() => {
      if (!isInstalled()) install();
      if (!isBuilt()) build();
    });
  }
} catch (error) {
  process.stderr.write(`not ready: ${error.message}\n`);
  process.exitCode = 1;
}
