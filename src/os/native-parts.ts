import { dirname, join } from 'node:path';
import type { Files } from './files.ts';

/** Loads the compiled part of classic-level. Rejects where there is none for this machine. */
export async function loadLevel(): Promise<unknown> {
  return import('classic-level');
}

export interface Installation {
  /** Folder that holds package.json and node_modules. */
  readonly root: string;
  /** Versions of the packages that it asks for, by name. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Where this program is installed by npm; undefined: it is not, a Debian package has no npm. */
export async function installation(
  files: Files,
  from: string = import.meta.dirname,
): Promise<Installation | undefined> {
  for (let root = from; dirname(root) !== root; root = dirname(root)) {
    const text = await files.readText(join(root, 'package.json'));
    if (text === undefined) continue;
    const { name, dependencies, optionalDependencies } = JSON.parse(text) as {
      name?: string;
      dependencies?: Record<string, string>;
      optionalDependencies?: Record<string, string>;
    };
    const isWhole = (await files.kindOf(join(root, 'node_modules'))) !== undefined;
    if (name !== 'headgate' || !isWhole) return undefined;
    return { root, versions: { ...dependencies, ...optionalDependencies } };
  }
  return undefined;
}
