import type { Problem } from './config-source.ts';

/**
 * Files of older releases: `version` says which settings a file was written for, and steps make one
 * of the present version of it, in memory. The file itself is never touched. Pure.
 */

/** Raised with each change that a file of before would not survive. */
export const CONFIG_VERSION = 1;

type Tree = Readonly<Record<string, unknown>>;

/** One change from the version before. */
export interface ConfigChange {
  /** The new tree, or undefined: the file has nothing that it concerns. */
  apply(tree: Tree): Tree | undefined;
  /** The setting it concerns, as the file has it. */
  readonly from: readonly string[];
  /** The same where it stands now. */
  readonly to: readonly string[];
  /** What has changed, in words, for whoever has to write the file anew. */
  readonly what: string;
}

/** What leads to a version from the one before. */
export interface ConfigStep {
  readonly version: number;
  readonly changes: readonly ConfigChange[];
}

/**
 * In rising order, one for each version from 2 on. Every release adds its own and takes none away;
 * there has been no change yet.
 */
export const CONFIG_STEPS: readonly ConfigStep[] = [];

function isMap(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueAt(tree: unknown, path: readonly string[]): unknown {
  return path.reduce(
    (at, name) => (isMap(at) && Object.hasOwn(at, name) ? at[name] : undefined),
    tree,
  );
}

function without(tree: Tree, [first = '', ...rest]: readonly string[]): Tree {
  const { [first]: there, ...others } = tree;
  if (rest.length === 0 || !isMap(there)) return others;
  const left = without(there, rest);
  return Object.keys(left).length === 0 ? others : { ...others, [first]: left };
}

/** undefined: something that is no map is in the way. */
function withValue(tree: unknown, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (tree !== undefined && tree !== null && !isMap(tree)) return undefined;
  const map = tree ?? {};
  const below = withValue(valueAt(map, [first]), rest, value);
  return below === undefined ? undefined : { ...map, [first]: below };
}

/**
 * A setting has another name or place: `uplink.host` → `uplink.url`. Where the new name is there as
 * well, the old one stays, and the check names it.
 */
export function renamed(from: string, to: string): ConfigChange {
  const [old, now] = [from.split('.'), to.split('.')];
  return {
    from: old,
    to: now,
    what: `${from} is ${to} now`,
    apply: (tree) => {
      const value = valueAt(tree, old);
      if (value === undefined || valueAt(tree, now) !== undefined) return undefined;
      const moved = withValue(without(tree, old), now, value);
      return isMap(moved) ? moved : undefined;
    },
  };
}

export interface Migrated {
  /** Without `version`, which has been looked at. */
  readonly tree: unknown;
  /** What was changed: it works as it is, and should be written anew some day. */
  readonly changed: readonly ConfigChange[];
  /** The version can't be read here: nothing else of the file is looked at. */
  readonly refusal?: Omit<Problem, 'line' | 'column'>;
}

/** `value`: the file as it was read. `steps` and what they lead to are of this release. */
export function migrated(
  value: unknown,
  { steps, version: current }: { steps: readonly ConfigStep[]; version: number },
): Migrated {
  if (!isMap(value)) return { tree: value, changed: [] };
  const version = value['version'] ?? current;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    const message = 'version is no whole number from 1 on';
    const mend = `write "version: ${current}", or leave it out`;
    return { tree: {}, changed: [], refusal: { path: 'version', message, mend } };
  }
  if (version > current) {
    const message =
      `version is ${version}: a newer release wrote this file, ` +
      `and this one reads up to ${current}`;
    const mend = 'install that release again, or give this one a file of its own';
    return { tree: {}, changed: [], refusal: { path: 'version', message, mend } };
  }
  let tree: Tree = without(value, ['version']);
  const changed: ConfigChange[] = [];
  for (const step of steps) {
    if (step.version <= version) continue;
    for (const change of step.changes) {
      const next = change.apply(tree);
      if (next === undefined) continue;
      tree = next;
      changed.push(change);
    }
  }
  return { tree, changed };
}
