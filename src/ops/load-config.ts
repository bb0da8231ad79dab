import * as v from 'valibot';
import { presetApplied } from './cloud-presets.ts';
import { type Config, ConfigSchema, deepFreeze } from './config.ts';
import { alertFaults } from './config-alert-rules.ts';
import { downlinkFaults } from './config-downlink-rules.ts';
import {
  allowedBy,
  bare,
  CONFIG_KEYS,
  isOptional,
  ROOT,
  type Schema,
  schemaAt,
  schemaBelow,
  showPath,
} from './config-keys.ts';
import { faultsBetween } from './config-rules.ts';
import { type ConfigSource, type Problem, readConfigText, readVariable } from './config-source.ts';
import { CONFIG_STEPS, CONFIG_VERSION, type ConfigStep, migrated } from './config-version.ts';
import { nearestName } from './nearest-name.ts';

export type { Problem } from './config-source.ts';

export interface ConfigInput {
  /** The configuration file, YAML; '' for the defaults. */
  readonly text: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From the command line; they win over the file and the environment. */
  readonly overrides?: { readonly port?: number; readonly dataDir?: string };
  /** Default: those of this release. */
  readonly versions?: { readonly steps: readonly ConfigStep[]; readonly version: number };
}

export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: Config;
      /** The file is of an older version: what of it is called something else now. */
      readonly warnings: readonly Problem[];
      readonly problemAt: ProblemAt;
    }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      /** What is left with every wrong setting at its default. */
      readonly rest: Config | undefined;
      readonly problemAt: ProblemAt;
    };

/** A problem with a setting that shows only outside the configuration. */
export type ProblemAt = (path: readonly string[], message: string) => Problem;

type Path = readonly string[];
type Tree = Record<string, unknown>;

const MAX_SHOWN_CHARACTERS = 60;
// Each round takes at least one wrong setting out; the deepest chain of follow-ups is far shorter.
const MAX_ROUNDS = 20;
const VARIABLE_PREFIX = 'HEADGATE_';
const SINK_PREFIX = 'HEADGATE_SINK_';
/** Read before the configuration is: the path of the file. */
const FILE_VARIABLE = 'HEADGATE_CONFIG';
const DATA_VARIABLE = 'HEADGATE_DATA';
// valibot passes these over in silence, for fear of prototype pollution.
const IMPOSSIBLE_NAMES = ['__proto__', 'constructor', 'prototype'];

function isMap(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value in a message: short, and without a password that may stand in an address. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'a map';
  if (typeof value !== 'string') return String(value);
  const safe = value.replace(/\/\/.*@/, '//***@').replace(/(\/\/.*?)\?.*/, '$1?***');
  const short =
    safe.length > MAX_SHOWN_CHARACTERS ? `${safe.slice(0, MAX_SHOWN_CHARACTERS)}…` : safe;
  return `the text ${JSON.stringify(short)}`;
}

/** One reading of file, variables and command line. Collects every problem; nothing throws. */
class Loading {
  readonly problems: Problem[] = [];
  readonly #source: ConfigSource;
  /** Settings that a variable or an option gave, with its name. */
  readonly #givenBy = new Map<string, string>();
  /** Settings with a problem of their own; what lies between them and others is not looked at. */
  readonly #wrong = new Set<string>();
  #tree: Tree;

  constructor(source: ConfigSource) {
    this.#source = source;
    this.problems.push(...source.problems);
    this.#tree = {};
    if (isMap(source.value)) this.#tree = this.#known(ROOT, source.value, []) as Tree;
    else if (source.value !== undefined) {
      const message = `the file holds ${shown(source.value)}; allowed: ${allowedBy(ROOT)}`;
      this.problems.push({ path: '', line: 1, message });
    }
  }

  #report(path: Path, part: 'name' | 'value', said: { message: string; mend?: string }): void {
    this.problems.push(this.problemAt(path, part, said));
  }

  problemAt(path: Path, part: 'name' | 'value', said: { message: string; mend?: string }): Problem {
    const lengths = path.map((_, index) => path.length - index);
    const giver = lengths
      .map((length) => this.#givenBy.get(path.slice(0, length).join('.')))
      .find((name) => name !== undefined);
    const at = giver === undefined ? this.#source.positionOf(path, part) : undefined;
    const message = giver === undefined ? said.message : `${giver}: ${said.message}`;
    return { path: showPath(path), ...at, ...said, message };
  }

  #reportUnknown(path: Path, siblings: readonly string[]): void {
    const name = path.at(-1) ?? '';
    const above = path.slice(0, -1);
    const where = above.length === 0 ? 'at the top' : `under ${showPath(above)}`;
    const elsewhere = CONFIG_KEYS.find(
      (key) => key.path.at(-1) === name && key.variable !== undefined,
    );
    const near = nearestName(name, siblings);
    const mend =
      near !== undefined
        ? `did you mean ${near}?`
        : elsewhere !== undefined
          ? `did you mean ${showPath(elsewhere.path)}?`
          : `allowed: ${siblings.join(', ')}`;
    this.#report(path, 'name', { message: `there is no setting "${name}" ${where}`, mend });
  }

  /** A copy without what the table does not know; maps where the table has maps. */
  #known(schema: Schema, value: unknown, path: Path): unknown {
    const inner = bare(schema);
    const isMapExpected = inner.type === 'strict_object' || inner.type === 'record';
    if (!isMapExpected) return value;
    if (value === null && isOptional(schema)) return undefined;
    if (!isMap(value)) {
      const message = `${showPath(path)} is ${shown(value)}; allowed: ${allowedBy(schema)}`;
      this.#report(path, 'value', { message });
      this.#wrong.add(path.join('.'));
      return undefined;
    }
    const copy: Tree = {};
    for (const [name, child] of Object.entries(value)) {
      const below = [...path, name];
      const childSchema = schemaBelow(schema, name);
      if (IMPOSSIBLE_NAMES.includes(name) || childSchema === undefined) {
        this.#reportUnknown(below, Object.keys(inner.entries ?? {}));
      } else {
        const known = this.#known(childSchema, child, below);
        if (known !== undefined) copy[name] = known;
      }
    }
    return copy;
  }

  /** Sets what a variable or an option says. */
  give(path: Path, value: unknown, giver: string): void {
    this.#givenBy.set(path.join('.'), giver);
    const schema = schemaAt(path) ?? ROOT;
    let section = this.#tree;
    for (const name of path.slice(0, -1)) {
      const below = section[name];
      const map = isMap(below) ? below : {};
      section[name] = map;
      section = map;
    }
    const known = this.#known(schema, value, path);
    if (known !== undefined) section[path.at(-1) ?? ''] = known;
  }

  giveVariable(name: string, text: string): void {
    const wanted = name === DATA_VARIABLE ? `${VARIABLE_PREFIX}DATA_DIR` : name;
    const key = CONFIG_KEYS.find(({ variable }) => variable === wanted);
    if (key === undefined) {
      const variables = CONFIG_KEYS.flatMap(({ variable }) => variable ?? []);
      const near = nearestName(name, variables);
      const mend = near === undefined ? 'unset it' : `did you mean ${near}?`;
      this.problems.push({ path: '', message: `there is no variable ${name}`, mend });
      return;
    }
    const read = key.isText ? { value: text } : readVariable(text);
    if ('fault' in read) {
      const message = `${name}: ${read.fault}; allowed: ${key.allowed}`;
      this.problems.push({ path: showPath(key.path), message });
    } else if (read.value !== undefined) this.give(key.path, read.value, name);
  }

  /**
   * Checks each setting, then what lies between them with the wrong ones at their defaults. Returns
   * what there is then, sound or not.
   */
  finish(): Config | undefined {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const result = v.safeParse(ConfigSchema, presetApplied(this.#tree));
      if (result.success) {
        this.#checkBetween(result.output);
        return deepFreeze(result.output);
      }
      for (const issue of result.issues) {
        const path = (issue.path ?? []).map(({ key }) => String(key));
        // What is wrong above a wrong setting may be no more than the hole that it left.
        const isFollowUp = this.#isWrong(path) || this.#lacksPreset(path, issue);
        if (!isFollowUp) this.#reportIssue(path, issue);
        this.#wrong.add(path.join('.'));
        this.#forget(path);
      }
    }
    return undefined;
  }

  #reportIssue(path: Path, issue: v.BaseIssue<unknown>): void {
    const place = showPath(path);
    const schema = schemaAt(path) ?? ROOT;
    const isName = issue.path?.at(-1)?.origin === 'key';
    if (issue.type === 'check') {
      const subject = isName ? `the name "${path.at(-1)}"` : `${place} is ${shown(issue.input)}`;
      this.#report(path, isName ? 'name' : 'value', { message: `${subject}: ${issue.message}` });
    } else if (isName) {
      this.#report(path, 'name', { message: `${place} is missing; needed: ${allowedBy(schema)}` });
    } else {
      const message = `${place} is ${shown(issue.input)}; allowed: ${allowedBy(schema)}`;
      const isBare = ['number', 'boolean'].includes(typeof issue.input);
      const mend = isBare && bare(schema).type === 'string' ? { mend: 'put it in quotes' } : {};
      this.#report(path, 'value', { message, ...mend });
    }
  }

  /** Takes the setting out of the tree, or, if it may not be missing, what it belongs to. */
  #forget(path: Path): void {
    const schema = schemaAt(path);
    const above = path.slice(0, -1);
    const isNamed = bare(schemaAt(above) ?? ROOT).type === 'record';
    if (above.length > 0 && !isNamed && (schema === undefined || !isOptional(schema))) {
      this.#forget(above);
      return;
    }
    let section: unknown = this.#tree;
    for (const name of above) section = isMap(section) ? section[name] : undefined;
    if (isMap(section)) delete section[path.at(-1) ?? ''];
  }

  /** True if the setting, or one below it, has a problem of its own. */
  #isWrong(path: Path): boolean {
    return [...this.#wrong].some((at) => `${at}.`.startsWith(`${path.join('.')}.`));
  }

  /** A host alone is an address once a preset has completed it; the one that is named is none. */
  #lacksPreset(path: Path, { input }: v.BaseIssue<unknown>): boolean {
    const isHost = path.join('.') === 'uplink.url' && !String(input).includes('//');
    return isHost && this.#isWrong(['uplink', 'preset']);
  }

  #checkBetween(config: Config): void {
    const faults = [...faultsBetween(config), ...downlinkFaults(config), ...alertFaults(config)];
    for (const { path, others, message, mend } of faults) {
      if ([path, ...others].some((at) => this.#isWrong(at))) continue;
      this.#report(path, 'value', mend === undefined ? { message } : { message, mend });
    }
  }
}

const THIS_RELEASE = { steps: CONFIG_STEPS, version: CONFIG_VERSION };

/** The file as one of this release, with each setting where it stands in it. */
function ofThisVersion(
  source: ConfigSource,
  versions: NonNullable<ConfigInput['versions']>,
): { source: ConfigSource; refusal?: Problem; warnings: readonly Problem[] } {
  const { tree, changed, refusal } = migrated(source.value, versions);
  // Back through every step: what was moved twice stands where it was before the first.
  const moved = (path: Path): Path =>
    changed.toReversed().reduce<Path>((at, { from, to }) => {
      const isBelow = to.every((name, i) => at[i] === name);
      return isBelow ? [...from, ...at.slice(to.length)] : at;
    }, path);
  const positionOf: ConfigSource['positionOf'] = (path, part) =>
    source.positionOf(moved(path), part);
  const warnings = changed.map(({ from, what }) => ({
    path: showPath(from),
    ...source.positionOf(from, 'name'),
    message: `${what}: the file is of an older version, and is read as if it said so`,
    mend: `once all is written so, put "version: ${versions.version}" there`,
  }));
  const own = { ...source, value: tree, positionOf };
  if (refusal === undefined) return { source: own, warnings };
  return { source: own, warnings, refusal: { ...refusal, ...positionOf(['version'], 'value') } };
}

/**
 * The configuration from the file's text, the environment and the command line, later ones winning.
 * Either a complete, frozen configuration, or every problem there is, in the order of the file.
 */
export function loadConfig({ text, env, overrides = {}, versions }: ConfigInput): LoadedConfig {
  const read = readConfigText(text);
  const { source, refusal, warnings } = ofThisVersion(read, versions ?? THIS_RELEASE);
  const loading = new Loading(source);
  if (refusal !== undefined) loading.problems.push(refusal);
  for (const name of Object.keys(env).sort()) {
    const value = env[name];
    // headgate-sink has its own, which may stand in the same environment.
    const isOurs = name.startsWith(VARIABLE_PREFIX) && !name.startsWith(SINK_PREFIX);
    if (!isOurs || name === FILE_VARIABLE || value === undefined) continue;
    loading.giveVariable(name, value);
  }
  if (overrides.port !== undefined) loading.give(['mqtt', 'port'], overrides.port, '--port');
  if (overrides.dataDir !== undefined) loading.give(['data', 'dir'], overrides.dataDir, '--data');
  const config = loading.finish();
  const problemAt = (path: Path, message: string) => loading.problemAt(path, 'value', { message });
  if (config !== undefined && loading.problems.length === 0) {
    return { ok: true, config, warnings, problemAt };
  }
  return { ok: false, problems: inFileOrder(loading.problems), rest: config, problemAt };
}

/** Those that stand on no line of the file come last. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const last = Number.POSITIVE_INFINITY;
  return problems.toSorted((a, b) => (a.line ?? last) - (b.line ?? last));
}

/** One problem in one line: `gateway.yaml:3:9: mqtt.port is … (mend)`. */
export function showProblem(problem: Problem, file: string): string {
  const at = [problem.line, problem.column].filter((part) => part !== undefined);
  const place = at.length === 0 ? '' : `${[file, ...at].join(':')}: `;
  const mend = problem.mend === undefined ? '' : ` (${problem.mend})`;
  return `${place}${problem.message}${mend}`;
}
