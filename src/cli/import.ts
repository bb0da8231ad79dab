import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { HeadgateError, unreadable } from '../base/errors.ts';
import { type Directive, directivesOf } from '../ops/mosquitto-conf.ts';
import { type Imported, importMosquitto } from '../ops/mosquitto-import.ts';
import type { ImportRow } from '../ops/mosquitto-report.ts';
import { nodeFiles } from '../os/node-files.ts';
import { type Command, JSON_OPTION, textValue } from './command.ts';
import { writeOut } from './out-file.ts';

/** Where the service hands it over (docs/service.md); `headgate check` takes it as it is. */
const PASSWORD_FILE = '/run/credentials/headgate.service/keys_uplink.password';
const MAX_FILE_CHARACTERS = 16 * 1024 * 1024;
const MAX_DIRECTIVES = 200_000;

/** Throws IMPORT_UNREADABLE. */
async function readConf(path: string): Promise<string> {
  let text: string | undefined;
  try {
    text = await nodeFiles.readText(path);
  } catch (error) {
    throw new HeadgateError('IMPORT_UNREADABLE', unreadable(path, error), { cause: error });
  }
  if (text === undefined) throw new HeadgateError('IMPORT_UNREADABLE', `there is no file ${path}`);
  if (text.length > MAX_FILE_CHARACTERS || text.includes('\0')) {
    throw new HeadgateError('IMPORT_UNREADABLE', `${path} is no mosquitto.conf`);
  }
  return text;
}

/** The file and what it includes, as mosquitto reads them: included ones where they are named. */
async function readAll(path: string): Promise<{ directives: Directive[]; files: string[] }> {
  const files = [path];
  const directives: Directive[] = [];
  for (const directive of directivesOf(await readConf(path), path)) {
    directives.push(directive);
    if (directive.name !== 'include_dir' || directive.value === '') continue;
    if ((await nodeFiles.kindOf(directive.value)) !== 'folder') {
      const where = `${path}:${directive.line}`;
      throw new HeadgateError('IMPORT_UNREADABLE', `${where}: include_dir names no folder`);
    }
    // Upper case of a letter before its lower case, as by the order of mosquitto.conf(5).
    const names = (await nodeFiles.list(directive.value)).filter((name) => name.endsWith('.conf'));
    const folded = (name: string) => name.toLowerCase();
    names.sort((a, b) => order(folded(a), folded(b)) || order(a, b));
    for (const name of names) {
      const file = join(directive.value, name);
      files.push(file);
      directives.push(...directivesOf(await readConf(file), file));
    }
  }
  if (directives.length > MAX_DIRECTIVES) {
    throw new HeadgateError('IMPORT_UNREADABLE', `${path} has more than ${MAX_DIRECTIVES} lines`);
  }
  return { directives, files };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function yamlOf(path: string, { tree, warnings }: Imported): string {
  const said = warnings.map((warning) => `# ${warning}\n`).join('');
  const head = `# Made by \`headgate import\` from ${JSON.stringify(path)}.\n`;
  return `${head}${said}${stringify({ version: 1, ...tree }, { lineWidth: 0 })}`;
}

const OUTCOMES = {
  carried: 'carried over',
  'no-meaning': 'no meaning here',
  'not-carried': 'NOT CARRIED',
} as const;

function rowText({ file, line, directive, outcome, to = [], note }: ImportRow): string {
  const settings = to.length === 0 ? '' : ` → ${to.join(', ')}`;
  const why = note === '' ? '' : `: ${note}`;
  return `${file}:${line}: ${directive}: ${OUTCOMES[outcome]}${settings}${why}`;
}

/** Also what the settings name that is not there yet. */
function nextSteps({ tree }: Imported, passwordFile: string): string[] {
  const uplink = (tree['uplink'] ?? {}) as { passwordFile?: string };
  if (uplink.passwordFile === undefined) return [];
  return [
    `the password of the bridge goes into ${passwordFile}, as its first line, mode 0600` +
      (passwordFile === PASSWORD_FILE
        ? ': put it into /etc/headgate/keys/uplink.password, and the service hands it over'
        : ''),
  ];
}

export const importConf: Command = {
  name: 'import',
  usage: 'headgate import MOSQUITTO.CONF [--out FILE] [--password-file PATH] [--json]',
  summary: 'makes a configuration of a mosquitto.conf, and says what became of each line',
  options: {
    ...JSON_OPTION,
    out: { type: 'string' },
    'password-file': { type: 'string' },
  },
  optionHelp: {
    out: 'the configuration goes there, and the report to standard output',
    'password-file': 'where the password of the uplink will stand; it is never printed',
  },
  positionals: [1, 1],
  async run(values, [file = ''], io) {
    const passwordFile = textValue(values, 'password-file') ?? PASSWORD_FILE;
    const out = textValue(values, 'out');
    if (out !== undefined && (await nodeFiles.kindOf(resolve(out))) === 'file') {
      throw new HeadgateError('OUT_UNWRITABLE', `--out: ${out} is there already`);
    }
    const { directives, files } = await readAll(file);
    const imported = importMosquitto({ directives, files, passwordFile });
    const yaml = yamlOf(file, imported);
    if (out !== undefined) await writeOut(out, lines(yaml), '\n');
    const { rows, warnings } = imported;
    const next = nextSteps(imported, passwordFile);
    if (values['json'] === true) {
      io.print(JSON.stringify({ out: out ?? null, yaml, rows, warnings, next }));
      return 0;
    }
    const say = out === undefined ? io.complain : io.print;
    for (const row of rows) say(rowText(row));
    for (const warning of warnings) say(`WARNING: ${warning}`);
    for (const step of next) say(`next: ${step}`);
    if (out === undefined) io.print(yaml.trimEnd());
    else say(`next: headgate check --config ${out}`);
    return 0;
  },
};

async function* lines(text: string): AsyncIterable<string> {
  yield text.trimEnd();
}
