import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

export interface Outcome {
  readonly status: number | null;
  /** Both outputs. */
  readonly text: string;
}

export function runProgram(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (error !== undefined) throw error;
  return { status, text: stdout + stderr };
}

/** As root, which a package has to be installed by. */
export function asRoot(command: string, ...args: readonly string[]): Outcome {
  if (process.getuid?.() === 0) return runProgram(command, args);
  return runProgram('sudo', ['-n', command, ...args]);
}

/** Builds packages as `npm run deb` does; returns their files by architecture. */
export function buildPackages(out: string, ...args: readonly string[]): Map<string, string> {
  const main = join(ROOT, 'dist/deploy/deb/main.js');
  const { status, text } = runProgram(process.execPath, [main, '--out', out, ...args]);
  if (status !== 0) throw new Error(text);
  const files = readdirSync(out).filter((name) => name.endsWith('.deb'));
  return new Map(files.map((name) => [name.replace(/^.*_|\.deb$/g, ''), join(out, name)]));
}

/** What is in a package, in a folder. */
export function unpack(file: string, folder: string): void {
  const { status, text } = runProgram('dpkg-deb', ['-x', file, folder]);
  if (status !== 0) throw new Error(text);
}

/** Files below a folder, by their path from there. */
export function pathsBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/**
 * A machine that has dpkg and nothing else installed. Maintainer scripts run beside it, told by
 * DPKG_ROOT where it is; no systemd runs in it.
 */
export class BareRoot {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    for (const path of ['var/lib/dpkg/info', 'var/lib/dpkg/updates', 'etc', 'run', 'tmp']) {
      mkdirSync(join(folder, path), { recursive: true });
    }
    writeFileSync(join(folder, 'var/lib/dpkg/status'), '');
    for (const name of ['passwd', 'group', 'shadow', 'gshadow']) {
      writeFileSync(join(folder, 'etc', name), name === 'group' ? 'root:x:0:\n' : '');
    }
  }

  dpkg(...args: readonly string[]): Outcome {
    return asRoot(
      ...(['dpkg', `--root=${this.folder}`, '--force-depends'] as const),
      ...['--force-script-chrootless', '--force-confold', ...args],
    );
  }
}
