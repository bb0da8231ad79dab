import * as v from 'valibot';
import { ERRORS } from '../base/errors.ts';
import {
  bare,
  CONFIG_KEYS,
  type ConfigKey,
  ROOT,
  type Schema,
  schemaBelow,
} from './config-keys.ts';

/** The pages and the default file that the tables of settings and errors give. Pure. */

const COMMENT_COLUMNS = 92;

function inCell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function showDefault(value: unknown): string {
  if (value === undefined) return '–';
  if (typeof value === 'string') return value === '' ? 'empty' : `\`${value}\``;
  return `\`${flow(value)}\``;
}

function keyRow(key: ConfigKey): string {
  const cells = [
    `\`${key.path.join('.')}\``,
    inCell(key.allowed),
    inCell(showDefault(key.default)),
    key.variable === undefined ? '–' : `\`${key.variable}\``,
    inCell(key.description),
  ];
  return `| ${cells.join(' | ')} |`;
}

function sectionOf(name: string): string {
  const rows = CONFIG_KEYS.filter(({ path }) => path[0] === name).map(keyRow);
  const head = '| Setting | Allowed | Default | Variable | Meaning |\n|---|---|---|---|---|';
  return [`## ${name}`, '', head, ...rows, ''].join('\n');
}

/** A scalar or a list as YAML in one line. */
function flow(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') {
    const isPlain = /^[a-z]+$/.test(value) && !['true', 'false', 'null'].includes(value);
    return isPlain ? value : `'${value.replaceAll("'", "''")}'`;
  }
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([name, inner]) => `${name}: ${flow(inner)}`);
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
  }
  return String(value);
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function comment(text: string, indent: string): string[] {
  const lines = wrapped(text, COMMENT_COLUMNS - indent.length - 2);
  return lines.map((line) => `${indent}# ${line}`);
}

/** One setting, or a map of them, with its default: `given`, or else what the table says. */
function yamlLines(schema: Schema, name: string, given: unknown, indent: string): string[] {
  const inner = bare(schema);
  const own = typeof schema.default === 'function' ? schema.default() : schema.default;
  const value = given ?? own;
  const description = v.getDescription(inner as unknown as v.GenericSchema);
  const about = description === undefined ? [] : comment(description, indent);
  if (inner.type !== 'strict_object' && inner.type !== 'record') {
    return [...about, `${indent}${name}: ${flow(value)}`.trimEnd()];
  }
  const known = typeof value === 'object' && value !== null ? value : {};
  const names = Object.keys(inner.entries ?? known);
  const below = names.flatMap((key) => {
    const child = schemaBelow(schema, key);
    const set = (known as Record<string, unknown>)[key];
    return child === undefined ? [] : yamlLines(child, key, set, `${indent}  `);
  });
  return [...about, `${indent}${name}:`, ...below];
}

/** A configuration file with every setting at its default, each with its meaning. */
export function defaultConfigYaml(): string {
  const sections = Object.entries(ROOT.entries ?? {}).map(([name, schema]) =>
    yamlLines(schema, name, undefined, '').join('\n'),
  );
  const head = '# Every setting of Headgate at its default. Keep only the lines that you change.';
  return `${[head, ...sections].join('\n\n')}\n`;
}

/** docs/config.md */
export function configMarkdown(): string {
  const names = Object.keys(ROOT.entries ?? {});
  return [
    '# Settings',
    '',
    'Written from the table in `src/ops/config.ts`. All are optional. Headgate reads one YAML',
    'file, named by `--config` or else by `HEADGATE_CONFIG`; if neither is given, it reads',
    '`/etc/headgate/headgate.yaml` where there is one. A variable of the environment wins over',
    'the file, an option of the command line over both. `HEADGATE_DATA` is short for',
    '`HEADGATE_DATA_DIR`. A variable that takes a list or a map takes it in flow form:',
    "`HEADGATE_UPLINK_STREAMS='[readings, alerts]'`. A name that is not in these tables, in the",
    'file or behind `HEADGATE_`, is an error: a slip of the pen must not pass for a setting.',
    '`headgate check` lists all problems at once, each with its line.',
    '',
    'Units stand last in a name: `Ms`, `Seconds`, `Hours`, `Bytes`, `MBPerDay`, `TBW`.',
    '',
    ...names.map(sectionOf),
    '## The defaults as a file',
    '',
    '```yaml',
    `${defaultConfigYaml()}\`\`\``,
    '',
  ].join('\n');
}

/** docs/errors.md */
export function errorsMarkdown(): string {
  const entries = Object.entries(ERRORS).flatMap(([code, { cause, mend }]) => [
    `## ${code}`,
    '',
    ...wrapped(cause, COMMENT_COLUMNS),
    '',
    ...wrapped(`**What to do:** ${mend}`, COMMENT_COLUMNS),
    '',
  ]);
  return [
    '# Errors',
    '',
    'Written from the table in `src/base/errors.ts`. Every error that Headgate raises by itself',
    'begins with one of these codes; they are never renamed. Codes such as `ENOSPC` or `EACCES`',
    'come from the operating system.',
    '',
    ...entries,
  ].join('\n');
}
