import { posix } from 'node:path';
import { type Import, importsOf, lineAt, readSource, type SourceText } from './source-text.ts';

/**
 * The rules of the house, as functions from files to what they break. test/tidy.test.ts runs them.
 */

export interface HouseFile {
  /** From the root of the project: `src/log/journal.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Breach {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

interface ReadFile extends HouseFile {
  readonly source: SourceText;
  readonly imports: readonly Import[];
}

export type Rule = (files: readonly ReadFile[]) => Breach[];

export const MAX_FILE_LINES = 400;
export const MAX_COLUMNS = 100;

/**
 * From the ground up. A file imports its own folder or a lower floor; rooms of a floor are apart.
 */
const FLOORS: ReadonlyArray<readonly string[]> = [
  ['src/base'],
  // How well a detector does, told by numbers alone: it knows none.
  ['src/decode', 'src/detect-score'],
  ['src/os'],
  // Drives its pins through the seam to the file system, hence one step above it.
  ['firmware-bridge'],
  ['src/log'],
  [
    ...[
      'src/ingest',
      'src/dedup',
      'src/detect',
      'src/alert',
      'src/windows',
      'src/uplink',
      'src/audit',
    ],
  ],
  // Runs elsewhere: what reads a message is all that it has of the daemon (BORROWED).
  ['deploy/cloud'],
  ['src/ops'],
  ['gateway'],
  ['src/cli'],
  // Makes the package for Debian: man pages from the tables of commands and settings.
  ['deploy/deb'],
  ['src/main.ts'],
];

/** Packages that may be named in these files only, so that each can be replaced in one place. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  aedes: ['src/ingest/broker.ts'],
  mqtt: [
    'src/uplink/mqtt-link.ts',
    'firmware-bridge/device/device-client.ts',
    'deploy/cloud/mqtt-source.ts',
  ],
  '@nats-io/transport-node': ['src/uplink/nats-link.ts', 'deploy/cloud/nats-source.ts'],
  '@nats-io/jetstream': ['deploy/cloud/nats-source.ts'],
  kafkajs: ['src/uplink/kafka-link.ts', 'deploy/cloud/kafka-source.ts'],
  pg: ['deploy/cloud/database.ts'],
  onoff: ['firmware-bridge/gpio/onoff-line.ts'],
  '@serialport/bindings-cpp': ['firmware-bridge/serial/node-port.ts'],
  pino: ['src/os/logger.ts'],
  'classic-level': ['src/os/level-store.ts', 'src/os/native-parts.ts'],
  cborg: ['src/decode/cbor-tree.ts'],
  pbf: ['src/decode/sparkplug-payload.ts'],
};

/** All that deploy/cloud may have of src, besides src/base. */
const BORROWED = ['src/uplink/decode-envelope.ts', 'src/uplink/uplink-url.ts'];

/** Folders that read files and start processes by themselves. */
const FILE_USERS = ['src/os', 'firmware-bridge', 'deploy/cloud', 'deploy/deb'];

/** Where the rules look; anything else at the top is one that nobody has thought of. */
const TOP = new Set([
  ...['src', 'firmware-bridge', 'test', 'scripts', 'docs', 'deploy', 'systemd', '.ci', '.github'],
]);

const OS_MODULES = new Set(['fs', 'fs/promises', 'child_process', 'cluster', 'worker_threads']);
const CLOCK_FILE = 'src/base/clock.ts';
// The word Date is a clock unless it is given a time, or only asked what a value is.
const CLOCK_READS = new RegExp(
  [
    '(?<!\\bnew\\s+|\\binstanceof\\s+)\\bDate\\b(?!\\.(parse|UTC)\\b)',
    '\\bnew\\s+Date\\b(?!\\s*\\(\\s*[^\\s)])',
    '\\bMath\\s*(\\.\\s*random\\b|\\[)|\\bMath\\b(?!\\s*\\.)',
    '\\b(performance|perf_hooks|hrtime|randomInt|randomUUID|getRandomValues)\\b|\\buptime\\s*\\(',
  ].join('|'),
  'g',
);
/** Ways to a module that no reader of the source can follow. */
const HIDDEN_IMPORTS =
  /\b(createRequire|getBuiltinModule|_linkedBinding|process\.binding)\b|\bimport\s*\(\s*[^\s'"]/g;
const CONSOLE = /\bconsole\s*[.[]/g;
// Put together here, so that this file does not break its own rule.
const MARKER_WORDS = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'];
const MARKERS = new RegExp(`\\b(${MARKER_WORDS.join('|')})\\b`);

function isInHouse({ path }: HouseFile): boolean {
  return /^(src|firmware-bridge|deploy\/cloud)\//.test(path);
}

function isTypeScript({ path }: HouseFile): boolean {
  return /\.[cm]?[jt]sx?$/.test(path);
}

/** Whatever is read line by line; generated files are long as they are. */
function isProse(file: HouseFile): boolean {
  return isTypeScript(file) || /(\.(md|yaml|service|sh)|\.ci\/run)$/.test(file.path);
}

function isBelow(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path.startsWith(`${folder}/`));
}

/** The folder or root file that a file belongs to. */
function roomOf(path: string): string {
  if (path.startsWith('firmware-bridge/')) return 'firmware-bridge';
  if (path === 'src/main.ts') return path;
  const [top = '', folder = '', ...rest] = path.split('/');
  return rest.length === 0 ? 'gateway' : `${top}/${folder}`;
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

function targetOf(file: HouseFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(posix.dirname(file.path), specifier));
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

/** Breaches of one kind, one per import of each file in the house. */
function forEachImport(check: (file: ReadFile, found: Import) => string | undefined): Rule {
  return (files) =>
    files.filter(isInHouse).flatMap((file) =>
      file.imports.flatMap((found) => {
        const message = check(file, found);
        return message === undefined ? [] : [{ path: file.path, line: found.line, message }];
      }),
    );
}

/** Breaches of one kind, one per match in the code of each file that `applies` to. */
function forEachMatch(pattern: RegExp, applies: (file: HouseFile) => boolean, why: string): Rule {
  return (files) =>
    files.filter(applies).flatMap(({ path, source }) =>
      [...source.code.matchAll(pattern)].map((match) => {
        const line = lineAt(source.code, match.index);
        return { path, line, message: `${match[0].trim()}: ${why}` };
      }),
    );
}

const floors = forEachImport((file, { specifier }) => {
  const target = targetOf(file, specifier);
  if (target === undefined) return undefined;
  const [from, to] = [roomOf(file.path), roomOf(target)];
  const [own, other] = [floorOf(from), floorOf(to)];
  if (own < 0) return `${from} has no floor; give it one in test/support/house-rules.ts`;
  if (other < 0) return `${target} is not in the house`;
  if (from === 'deploy/cloud' && ![from, 'src/base'].includes(to) && !BORROWED.includes(target)) {
    return `${target} is the daemon's; deploy/cloud runs elsewhere`;
  }
  if (from === to || other < own) return undefined;
  return `${from} imports ${to}, which is ${other > own ? 'above it' : 'beside it'}`;
});

/** Type-only imports count: two files that need each other's types are one file. */
const cycles: Rule = (files) => {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const breaches: Breach[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return;
    for (const { specifier, line } of file.imports) {
      const target = targetOf(file, specifier);
      if (target === undefined) continue;
      const start = [...trail, path].indexOf(target);
      if (start < 0) visit(target, [...trail, path]);
      else {
        const ring = [...trail, path].slice(start);
        breaches.push({ path, line, message: `cycle: ${[...ring, target].join(' → ')}` });
      }
    }
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return breaches;
};

/** Files that nothing leads to from the places where execution starts, tests among these. */
export function deadFiles(entryPoints: readonly string[]): Rule {
  return (files) => {
    const byPath = new Map(files.map((file) => [file.path, file]));
    const missing = entryPoints.filter((path) => !byPath.has(path));
    const reached = new Set<string>();
    const visit = (path: string): void => {
      const file = byPath.get(path);
      if (file === undefined || reached.has(path)) return;
      reached.add(path);
      for (const { specifier } of file.imports) visit(targetOf(file, specifier) ?? '');
    };
    for (const path of entryPoints) visit(path);
    for (const { path } of files) if (path.endsWith('.test.ts')) visit(path);
    // A declaration file speaks for a package without types; nothing imports it.
    const dead = files.filter(
      (file) =>
        (isInHouse(file) || file.path.startsWith('test/')) &&
        isTypeScript(file) &&
        !file.path.endsWith('.d.ts'),
    );
    return [
      ...missing.map((path) => ({ path, line: 1, message: 'this entry point does not exist' })),
      ...dead
        .filter(({ path }) => !reached.has(path))
        .map(({ path }) => ({ path, line: 1, message: 'nothing leads here from an entry point' })),
    ];
  };
}

const osModules = forEachImport((file, { specifier }) => {
  const isOs = OS_MODULES.has(specifier.replace(/^node:/, ''));
  if (!isOs || isBelow(file.path, FILE_USERS)) return undefined;
  return `${specifier} belongs into ${FILE_USERS.join(' or ')}`;
});

const owners = forEachImport((file, { specifier }) => {
  const name = packageOf(specifier);
  const allowed = Object.hasOwn(OWNERS, name) ? OWNERS[name] : undefined;
  if (allowed === undefined || allowed.includes(file.path)) return undefined;
  return `${name} may be named in ${allowed.join(' and ')} only`;
});

const clockReads = forEachMatch(
  CLOCK_READS,
  (file) => isInHouse(file) && isTypeScript(file) && file.path !== CLOCK_FILE,
  `time and chance are read in ${CLOCK_FILE} alone, and passed in`,
);

const consoleLines = forEachMatch(
  CONSOLE,
  (file) => isInHouse(file) && isTypeScript(file) && !isBelow(file.path, ['src/cli']),
  'use the logger; only src/cli speaks to the terminal',
);

const hiddenImports = forEachMatch(
  HIDDEN_IMPORTS,
  (file) => isInHouse(file) && isTypeScript(file),
  'an import names its module where it stands',
);

const places: Rule = (files) =>
  files
    .filter(({ path }) => path.includes('/') && !TOP.has(path.split('/', 1)[0] ?? ''))
    .map(({ path }) => ({ path, line: 1, message: 'no rule knows this place' }));

const longFiles: Rule = (files) =>
  files.filter(isTypeScript).flatMap(({ path, text }) => {
    const count = text.trimEnd().split('\n').length;
    if (count <= MAX_FILE_LINES) return [];
    return [{ path, line: count, message: `${count} lines; at most ${MAX_FILE_LINES}` }];
  });

function forEachLine(check: (line: string) => string | undefined): (file: HouseFile) => Breach[] {
  return ({ path, text }) =>
    text.split('\n').flatMap((content, index) => {
      const message = check(content);
      return message === undefined ? [] : [{ path, line: index + 1, message }];
    });
}

/** A row of a table and a lone address can't be broken. */
const UNBREAKABLE = /^\s*(\||(- )?<?https?:\S+$)/;

const longLines: Rule = (files) =>
  files.filter(isProse).flatMap(
    forEachLine((line) => {
      const { length } = [...line];
      if (length <= MAX_COLUMNS || UNBREAKABLE.test(line)) return undefined;
      return `${length} columns; at most ${MAX_COLUMNS}`;
    }),
  );

/** The lint rules that may be set aside, with a reason beside it. Never those with a limit. */
const IGNORABLE = ['lint/suspicious/noControlCharactersInRegex'];

const ignores: Rule = (files) =>
  files.filter(isTypeScript).flatMap(
    forEachLine((line) => {
      const rule = /(?:\/\/|\/\*) *(?:biome|eslint|@ts)-\S* *(\S*?):?(?: |$)/.exec(line)?.[1];
      if (rule === undefined || IGNORABLE.includes(rule)) return undefined;
      return `${rule || line.trim()} may not be set aside`;
    }),
  );

const markers: Rule = (files) =>
  files.flatMap(
    forEachLine((line) => {
      const [word] = line.match(MARKERS) ?? [];
      return word === undefined ? undefined : `${word}: do it, or leave it and say so`;
    }),
  );

const RULES = {
  floors,
  cycles,
  'os modules': osModules,
  owners,
  'hidden imports': hiddenImports,
  places,
  'clock reads': clockReads,
  console: consoleLines,
  'long files': longFiles,
  'long lines': longLines,
  ignores,
  markers,
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof RULES | 'dead files';

/** Rules of the house that `files` break, by name. */
export function breachesOf(
  name: RuleName,
  files: readonly HouseFile[],
  entryPoints: readonly string[] = [],
): Breach[] {
  const rule = name === 'dead files' ? deadFiles(entryPoints) : RULES[name];
  const read = files.map((file): ReadFile => {
    const source = isTypeScript(file) ? readSource(file.text) : { code: '', uncommented: '' };
    return { ...file, source, imports: importsOf(source) };
  });
  return rule(read);
}

export const RULE_NAMES: readonly RuleName[] = [
  ...(Object.keys(RULES) as Array<keyof typeof RULES>),
  'dead files',
];
