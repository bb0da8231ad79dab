import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import config from '../vitest.config.ts';
import { EXAMPLES } from './support/house-examples.ts';
import { breachesOf, type HouseFile, RULE_NAMES } from './support/house-rules.ts';
import { importsOf, readSource } from './support/source-text.ts';

// The rules of the house, over every file of the project; then each rule over a file that breaks
// it, since a rule that cannot fail protects nothing.

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What is not ours, or is made from what is. */
const NOT_OURS = [
  '.git',
  'node_modules',
  'dist',
  'dist-deb',
  'coverage',
  'data',
  'package-lock.json',
];
const PLACES = readdirSync(ROOT).filter(
  (name) => !NOT_OURS.includes(name) && !name.startsWith('.ready-lock'),
);

/** Where execution starts: the program, and what a script starts by itself. */
const ENTRY_POINTS = [
  'src/main.ts',
  'deploy/cloud/main.ts',
  'deploy/deb/main.ts',
  'firmware-bridge/serial/main.ts',
  ...[
    'bench',
    'bare-aedes',
    'load',
    'flash',
    'log',
    'log-process',
    'dedup',
    'detect',
    'series',
    'windows',
    'uplink',
    'far-count',
    'drain',
    'alert',
    'idle',
    'steady-load',
  ].map((name) => `test/bench/${name}.ts`),
  ...['lab', 'checker'].map((name) => `test/vm/${name}.ts`),
];

const TEXT_FILE = /(\.(ts|mjs|js|md|yaml|yml|json|sh|service|h|ino|html|css)|\/run|\/[^./]+)$/;

function filesBelow(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
}

const files: HouseFile[] = PLACES.flatMap((place) => filesBelow(join(ROOT, place)))
  .map((path) => ({ full: path, path: relative(ROOT, path).replaceAll('\\', '/') }))
  .filter(({ path }) => TEXT_FILE.test(path))
  .map(({ full, path }) => ({ path, text: readFileSync(full, 'utf8') }));

describe('the project keeps the rules of the house', () => {
  test.each(RULE_NAMES)('%s', (name) => {
    const shown = breachesOf(name, files, ENTRY_POINTS).map(
      ({ path, line, message }) => `${path}:${line}: ${message}`,
    );
    expect(shown.sort()).toEqual([]);
  });

  test('the files were found', () => {
    const paths = files.map(({ path }) => path);
    for (const path of ['src/base/clock.ts', 'test/tidy.test.ts', 'docs/errors.md', '.ci/run']) {
      expect(paths).toContain(path);
    }
  });
});

/** `a/**\/*.ts` as a regular expression: the two wildcards are all that the lanes use. */
function patternOf(glob: string): RegExp {
  const parts = glob.replaceAll('.', '\\.').split('**/');
  return new RegExp(`^${parts.map((part) => part.replaceAll('*', '[^/]*')).join('(.*/)?')}$`);
}

test('every test belongs to a lane', () => {
  const lanes = (config.test?.projects ?? []).flatMap((project) =>
    typeof project === 'object' && 'test' in project ? [project.test ?? {}] : [],
  );
  expect(lanes.length).toBeGreaterThan(3);
  const matches = (globs: readonly string[] | undefined, path: string) =>
    globs?.some((glob) => patternOf(glob).test(path)) ?? false;
  const tests = files.map(({ path }) => path).filter((path) => /\.(test|spec)\./.test(path));
  expect(tests.length).toBeGreaterThan(30);
  for (const path of tests) {
    const own = lanes.filter((lane) => matches(lane.include, path) && !matches(lane.exclude, path));
    expect(own.length, path).toBe(1);
  }
});

const work = 'export async function work(): Promise<void> {}\n';

/** Each file breaks the rule that it is named for; the promise comes from another file. */
const LINT_EXAMPLES: Readonly<Record<string, string>> = {
  noMisusedPromises: `${work}export const go = () => (work() ? 1 : 2);\n`,
  noFloatingPromises:
    "import { work } from './noMisusedPromises.ts';\n\nexport const go = () => {\n  work();\n};\n",
  noExcessiveLinesPerFunction: `export function go() {\n${'  go();\n'.repeat(69)}}\n`,
  useMaxParams: 'export const go = (a, b, c, d, e) => a + b + c + d + e;\n',
  noNonNullAssertion: 'export const go = (a?: string) => a!.length;\n',
  organizeImports: "import { b } from './b.ts';\nimport { a } from './a.ts';\n\na(b);\n",
};

describe('each rule can fail, and only where it should', () => {
  test.each(EXAMPLES)('$rule: $why', ({ rule, files: example, at }) => {
    const given = Object.entries(example).map(([path, text]) => ({ path, text }));
    const found = breachesOf(rule, given, ['src/main.ts']).map(
      ({ path, line }) => `${path}:${line}`,
    );
    expect(found).toEqual(at === undefined ? [] : [at]);
  });

  test('no rule is without an example of a breach', () => {
    for (const name of RULE_NAMES) {
      expect(
        EXAMPLES.some(({ rule, at }) => rule === name && at !== undefined),
        name,
      ).toBe(true);
    }
  });

  test('the linter reports what it is relied on for', () => {
    const folder = mkdtempSync(join(tmpdir(), 'headgate-lint-'));
    for (const [name, text] of Object.entries(LINT_EXAMPLES)) {
      writeFileSync(join(folder, `${name}.ts`), text);
    }
    // The settings go along: given from afar, the rules about promises are silently off.
    copyFileSync(join(ROOT, 'biome.json'), join(folder, 'biome.json'));
    const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
    const args = [biome, 'check', '--reporter=json', '--max-diagnostics=100', '.'];
    const { stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    for (const name of Object.keys(LINT_EXAMPLES)) {
      expect(stdout, name).toMatch(new RegExp(`"category":"(lint|assist)/[^"]*${name}"`));
    }
  });
});

test.each([
  ["import a from 'x'", ['x']],
  ["import 'x'; import type { B } from 'y';", ['x', 'y']],
  ["export { a } from 'x';\nexport * as b from 'y';", ['x', 'y']],
  ["const a = await import('x'); require('y'); require.resolve('z');", ['x', 'y', 'z']],
  ["/* import 'x' */ // import 'y'\nconst a = \"\\n import 'z'\";", []],
  ["const a = `\nimport 'x';\n$" + "{b} import('y')`;", []],
  ["const r = /[`'/]/; import('x');", ['x']],
])('the imports of %j are %j', (text, specifiers) => {
  expect(importsOf(readSource(text)).map(({ specifier }) => specifier)).toEqual(specifiers);
});
