import { dirname } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { WriteBar } from '../os/attribute.ts';
import type { Files } from '../os/files.ts';
import type { Installation } from '../os/native-parts.ts';
import type { Programs } from '../os/programs.ts';

/** What one look at the machine has found. */
export interface Check {
  readonly check: string;
  /** `warn`: something is not as it could be, and the gateway runs. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly says: string;
  /** What mends it: a command, where there is one. */
  readonly mend?: string;
}

const LEAST_NODE = [20, 19] as const;

/** `version`: `20.19.4`. */
export function nodeCheck(version: string, abi: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  const says = `Node ${version}, ABI ${abi}`;
  const isNew = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  if (isNew) return { check: 'node', state: 'ok', says };
  return {
    check: 'node',
    state: 'fail',
    says: `${says}; Headgate needs ${leastMajor}.${leastMinor} or newer`,
    mend: 'install a newer one: https://nodejs.org/en/download',
  };
}

export interface DataQuestion {
  /** The data folder. */
  readonly root: string;
  readonly minFreeBytes: number;
  /** Whose command line this is. */
  readonly user: string;
  readonly files: Files;
  readonly writeBar: WriteBar;
}

/** Whether the data folder can be written to, or made. */
export async function dataCheck(question: DataQuestion): Promise<Check> {
  const { root, minFreeBytes, user, files, writeBar } = question;
  const check = 'data';
  let folder = root;
  while ((await files.kindOf(folder)) === undefined && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  const bar = await writeBar(folder);
  const is = folder === root ? root : `${root} is not there yet, and ${folder}`;
  if (bar !== undefined) {
    const own = folder === root ? `chown -R ${user} ${root}` : `install -d -o ${user} ${root}`;
    return {
      ...{ check, state: 'fail', says: `${is} may not be written to by ${user} (${bar})` },
      mend: `sudo ${bar === 'EROFS' ? `mount -o remount,rw ${folder}` : own}`,
    };
  }
  const free = await files.freeBytes(folder);
  const says = `${is} may be written to by ${user}, ${Math.floor(free / 1e6)} MB free`;
  if (free >= minFreeBytes) return { check, state: 'ok', says };
  return {
    ...{ check, state: 'warn', says: `${says}, less than log.retention.minFreeBytes` },
    mend: `du -xh -d1 ${folder} | sort -h`,
  };
}

const GYP_NEEDS = ['python3', 'make', 'g++'];

/** What builds a native part here, and what must be installed before that. */
async function buildCommand(programs: Programs, command: string): Promise<string> {
  const missing: string[] = [];
  for (const tool of GYP_NEEDS) {
    if ((await programs.ask(tool, ['--version'])).code !== 0) missing.push(tool);
  }
  return missing.length === 0
    ? command
    : `sudo apt-get install -y ${missing.join(' ')} && ${command}`;
}

export interface NativeQuestion {
  readonly installed: Installation | undefined;
  readonly programs: Programs;
  /** Loads the part; rejects if that can't be done. */
  readonly load: () => Promise<unknown>;
}

const firstLine = (error: unknown) => messageOf(error).split('\n', 1)[0] ?? '';

/** The state store's compiled part, which comes with its package. */
export async function levelCheck({ installed, load }: NativeQuestion): Promise<Check> {
  const check = 'classic-level';
  try {
    await load();
    return { check, state: 'ok', says: 'the state store can be opened' };
  } catch (error) {
    const says = `the state store cannot be opened: ${firstLine(error)}`;
    if (installed === undefined) {
      return { check, state: 'fail', says, mend: 'sudo apt-get install --reinstall headgate' };
    }
    const { root, versions } = installed;
    const folder = `${root}/node_modules/classic-level`;
    const wanted = `classic-level@${versions['classic-level'] ?? 'latest'}`;
    const mend = `rm -rf ${folder} && npm --prefix ${root} install --no-save ${wanted}`;
    return { check, state: 'fail', says, mend };
  }
}

/** onoff and the part of it that is compiled at the installation, epoll. Both are optional. */
export async function onoffCheck({ installed, programs, load }: NativeQuestion): Promise<Check> {
  const check = 'onoff';
  try {
    await load();
    return { check, state: 'ok', says: 'onoff and epoll are there: lines can be driven by sysfs' };
  } catch (error) {
    if (installed === undefined) {
      return { check, state: 'ok', says: 'not part of this package: gpioset drives lines' };
    }
    const { root, versions } = installed;
    const isAbsent = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
    const wanted = `onoff@${versions['onoff'] ?? 'latest'}`;
    const build = isAbsent ? `install --no-save ${wanted}` : 'rebuild epoll';
    const what = isAbsent ? 'onoff is not installed' : 'epoll, its native part, is not built';
    return {
      ...{ check, state: 'warn', says: `${what}, so no line can be driven by sysfs` },
      mend: await buildCommand(programs, `npm --prefix ${root} ${build}`),
    };
  }
}
