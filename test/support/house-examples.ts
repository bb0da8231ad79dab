import type { RuleName } from './house-rules.ts';

/** What a rule of the house has to say of some files. */
export interface Example {
  readonly rule: RuleName;
  readonly why: string;
  readonly files: Readonly<Record<string, string>>;
  /** Where the breach is; absent for an example that breaks nothing. */
  readonly at?: string;
}

// Put together here, so that this file does not break its own rules.
const todo = 'TO' + 'DO';
const ignore = 'biome' + '-ignore';
const expectError = '@ts' + '-expect-error';

export const EXAMPLES: readonly Example[] = [
  {
    rule: 'floors',
    why: 'base reaches up to os',
    files: { 'src/base/a.ts': "import { b } from '../os/b.ts';" },
    at: 'src/base/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'a stage reaches to the stage beside it, for a type only',
    files: { 'src/ingest/a.ts': "\n\nimport type { B } from '../dedup/b.ts';" },
    at: 'src/ingest/a.ts:3',
  },
  {
    rule: 'floors',
    why: 'an import over several lines, and one that runs later',
    files: { 'src/ops/a.ts': "import {\n  b,\n} from '../gateway.ts';" },
    at: 'src/ops/a.ts:3',
  },
  {
    rule: 'floors',
    why: 'an import at run time',
    files: { 'src/os/a.ts': "const a = await import('../log/b.ts');" },
    at: 'src/os/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'a re-export',
    files: { 'src/log/a.ts': "export * from '../cli/b.ts';" },
    at: 'src/log/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'os knows nothing of the hardware',
    files: { 'src/os/a.ts': "import { b } from '../../firmware-bridge/gpio/b.ts';" },
    at: 'src/os/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'the cloud side has a part of the daemon',
    files: {
      'deploy/cloud/a.ts':
        "import '../../src/base/b.ts';\nimport '../../src/uplink/decode-envelope.ts';\n" +
        "import '../../src/uplink/lane.ts';",
    },
    at: 'deploy/cloud/a.ts:3',
  },
  {
    rule: 'floors',
    why: 'a folder that has no floor',
    files: { 'src/misc/a.ts': "import { b } from '../base/b.ts';" },
    at: 'src/misc/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'the product imports a test',
    files: { 'src/cli/a.ts': "import { b } from '../../test/support/b.ts';" },
    at: 'src/cli/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'lower floors, the own folder, packages and comments are fine',
    files: {
      'src/gateway.ts': "import { a } from './pipeline.ts';\nimport { b } from './uplink/b.ts';",
      'src/uplink/b.ts': "// import '../ingest/x.ts'\nimport { c } from './c.ts';\nimport 'mqtt';",
      'firmware-bridge/gpio/d.ts':
        "import type { OutputLine } from '../../src/base/output-line.ts';",
    },
  },
  {
    rule: 'cycles',
    why: 'three files in a ring',
    files: {
      'src/log/a.ts': "import './b.ts';",
      'src/log/b.ts': "import { c } from './c.ts';",
      'src/log/c.ts': "import type { A } from './a.ts';",
    },
    at: 'src/log/c.ts:1',
  },
  {
    rule: 'cycles',
    why: 'two ways to one file are no ring',
    files: {
      'src/log/a.ts': "import './b.ts';\nimport './c.ts';",
      'src/log/b.ts': "import './c.ts';",
      'src/log/c.ts': '',
    },
  },
  {
    rule: 'dead files',
    why: 'two files that only know each other',
    files: {
      'src/main.ts': "import './a.ts';",
      'src/a.ts': '',
      'src/b.ts': '',
    },
    at: 'src/b.ts:1',
  },
  { rule: 'dead files', why: 'the entry point is gone', files: {}, at: 'src/main.ts:1' },
  {
    rule: 'os modules',
    why: 'fs in the log',
    files: { 'src/log/a.ts': "import { open } from 'node:fs/promises';" },
    at: 'src/log/a.ts:1',
  },
  {
    rule: 'os modules',
    why: 'a child process without the prefix',
    files: { 'src/cli/a.ts': "const { spawn } = require('child_process');" },
    at: 'src/cli/a.ts:1',
  },
  {
    rule: 'os modules',
    why: 'os and firmware-bridge may',
    files: {
      'src/os/a.ts': "import 'node:fs';",
      'firmware-bridge/gpio/a.ts': "import { spawn } from 'node:child_process';",
    },
  },
  {
    rule: 'owners',
    why: 'a second file names aedes, for a type only',
    files: { 'src/ingest/a.ts': "import type { Client } from 'aedes';" },
    at: 'src/ingest/a.ts:1',
  },
  {
    rule: 'owners',
    why: 'a part of a package',
    files: { 'src/os/a.ts': "import x from 'pino/file';" },
    at: 'src/os/a.ts:1',
  },
  {
    rule: 'owners',
    why: 'its own file may, and mqtt-packet is not mqtt',
    files: {
      'src/ingest/broker.ts': "import { Aedes } from 'aedes';",
      'src/ingest/a.ts': "import p from 'mqtt-packet';",
    },
  },
  {
    rule: 'owners',
    why: 'sessions are handed a database, and open none',
    files: { 'src/ingest/a.ts': "import { ClassicLevel } from 'classic-level';" },
    at: 'src/ingest/a.ts:1',
  },
  {
    rule: 'floors',
    why: 'a re-export under a quoted name',
    files: { 'src/log/a.ts': "export { b as 'a b' } from '../cli/b.ts';" },
    at: 'src/log/a.ts:1',
  },
  ...[
    'import(where)',
    'import(new URL("x", base).href)',
    'import(`./$' + '{name}.ts`)',
    'createRequire(here)',
    'process.getBuiltinModule("fs")',
    'process.binding("fs")',
  ].map(
    (call): Example => ({
      rule: 'hidden imports',
      why: call,
      files: { 'src/log/a.ts': `const a = ${call};` },
      at: 'src/log/a.ts:1',
    }),
  ),
  {
    rule: 'hidden imports',
    why: 'a text is no secret',
    files: { 'src/log/a.ts': "const a = await import('onoff'); const b = 'createRequire';" },
  },
  { rule: 'places', why: 'a new folder', files: { 'lib/a.ts': '' }, at: 'lib/a.ts:1' },
  { rule: 'places', why: 'the known ones', files: { 'src/a.ts': '', 'README.md': '' } },
  ...[
    'Date.now()',
    'Date?.now()',
    "Date['now']()",
    'Date()',
    'new Date()',
    'new Date',
    'Reflect.construct(Date, [])',
    'Math.random()',
    "Math['random']()",
    'performance.now()',
    'performance.timeOrigin',
    'process.hrtime.bigint()',
    'process.uptime()',
    'randomInt(9)',
  ].map(
    (call): Example => ({
      rule: 'clock reads',
      why: call,
      files: { 'src/detect/a.ts': `const a = \`\${${call}}\`;` },
      at: 'src/detect/a.ts:1',
    }),
  ),
  {
    rule: 'clock reads',
    why: 'in clock.ts, in texts, in comments and of a given time',
    files: {
      'src/base/clock.ts': 'const now = Date.now();',
      'src/cli/a.ts':
        "// Date.now()\nconst a = 'Date.now()'; const b = new Date(a); /* Math.random() */" +
        'const c = b instanceof Date; const d = Date.parse(a) + Math.max(1, 2);',
      'src/cli/b.ts': 'const a = /"/.test(b); const c = `Date.now() $' + '{a} Math.random()`;',
    },
  },
  {
    rule: 'console',
    why: 'outside the command line',
    files: { 'src/ops/a.ts': 'const s = /[/"]/; console.log(s);' },
    at: 'src/ops/a.ts:1',
  },
  { rule: 'console', why: 'the command line', files: { 'src/cli/a.ts': "console.log('hi');" } },
  {
    rule: 'long files',
    why: 'one line too many',
    files: { 'test/a.ts': 'a;\n'.repeat(401) },
    at: 'test/a.ts:401',
  },
  { rule: 'long files', why: 'just enough', files: { 'test/a.ts': 'a;\n'.repeat(400) } },
  {
    rule: 'long lines',
    why: 'one column too many',
    files: { 'scripts/a.mjs': `\n${'a'.repeat(101)}` },
    at: 'scripts/a.mjs:2',
  },
  { rule: 'long lines', why: 'arrows are one column', files: { 'src/a.ts': '→'.repeat(100) } },
  {
    rule: 'long lines',
    why: 'prose too, but for a row of a table',
    files: { 'docs/a.md': `| ${'a'.repeat(200)} |\n${'a '.repeat(60)}` },
    at: 'docs/a.md:2',
  },
  {
    rule: 'ignores',
    why: 'a limit is set aside',
    files: { 'src/a.ts': `// ${ignore} lint/complexity/noExcessiveLinesPerFunction: long` },
    at: 'src/a.ts:1',
  },
  {
    rule: 'ignores',
    why: 'a type is set aside',
    files: { 'src/a.ts': `\n  // ${expectError}` },
    at: 'src/a.ts:2',
  },
  {
    rule: 'ignores',
    why: 'control characters are what is looked for',
    files: { 'src/a.ts': `// ${ignore} lint/suspicious/noControlCharactersInRegex: yes.` },
  },
  {
    rule: 'dead files',
    why: 'a helper that no test uses any more',
    files: {
      'src/main.ts': '',
      'test/a.test.ts': "import './b.ts';",
      'test/b.ts': '',
      'test/c.ts': '',
    },
    at: 'test/c.ts:1',
  },
  {
    rule: 'markers',
    why: 'in a comment',
    files: { 'src/a.ts': `\n// ${todo}: later` },
    at: 'src/a.ts:2',
  },
  { rule: 'markers', why: 'in prose', files: { 'docs/a.md': `(${todo})` }, at: 'docs/a.md:1' },
];
