import type { Command } from '../../src/cli/command.ts';
import { EXIT_CODES, optionRows } from '../../src/cli/usage.ts';
import { CONFIG_KEYS, type ConfigKey } from '../../src/ops/config-keys.ts';
import {
  entry,
  heading,
  headOf,
  NOTHING,
  type PageHead,
  page,
  paragraph,
  subheading,
  verbatim,
} from './roff.ts';

/** The manual: written from the tables of commands, options and settings. Pure. */

export type Edition = Pick<PageHead, 'version' | 'date'>;

function commandPart(command: Command): string[] {
  const rows = optionRows(command);
  return [
    subheading(`headgate ${command.name}`),
    ...verbatim(command.usage),
    ...paragraph(command.summary),
    ...rows.flatMap(([typed, help]) => entry(typed, help)),
  ];
}

const FILES: ReadonlyArray<readonly [string, string]> = [
  ['/etc/headgate/headgate.yaml', 'settings; headgate.yaml(5)'],
  ['/etc/headgate/keys', 'passwords and keys, which systemd hands over to the daemon'],
  ['/etc/headgate/serial', 'settings of each headgate-serial, a file a device'],
  ['/var/lib/headgate', 'log and state'],
  ['/usr/share/doc/headgate/docs', 'all pages of the documentation'],
];

/** headgate(1) */
export function headgatePage(commands: readonly Command[], edition: Edition): string {
  return page([
    ...headOf({
      name: 'headgate',
      section: 1,
      summary: 'edge broker for IoT gateways',
      ...edition,
    }),
    heading('Synopsis'),
    ...verbatim('headgate COMMAND [OPTIONS]'),
    heading('Description'),
    ...paragraph(
      'Headgate is an MQTT broker for gateways. A PUBACK means: the reading is on flash, once, ' +
        'in order, and will reach the cloud. Commands find the daemon by its data folder.',
    ),
    heading('Commands'),
    ...commands.flatMap(commandPart),
    heading('Exit status'),
    ...paragraph(EXIT_CODES.join('\n')),
    heading('Environment'),
    ...paragraph(
      'HEADGATE_CONFIG names the configuration file. Every setting has a variable that wins over ' +
        'the file: headgate.yaml(5).',
    ),
    heading('Files'),
    ...FILES.flatMap(([path, meaning]) => entry(path, meaning)),
    heading('See also'),
    ...paragraph('headgate.yaml(5), headgate-serial(1), headgate-sink(1)'),
  ]);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function settingPart({ path, allowed, variable, description, ...key }: ConfigKey): string[] {
  const facts = [
    `Allowed: ${allowed}.`,
    key.default === undefined || key.default === '' ? '' : `Default: ${shown(key.default)}.`,
    variable === undefined ? '' : `Variable: ${variable}.`,
  ];
  return entry(path.join('.'), [description, ...facts].filter((text) => text !== '').join('\n'));
}

/** headgate.yaml(5) */
export function settingsPage(edition: Edition): string {
  const groups = [...new Set(CONFIG_KEYS.map(({ path: [group = ''] }) => group))];
  const summary = 'settings of headgate';
  return page([
    ...headOf({ name: 'headgate.yaml', section: 5, summary, ...edition }),
    heading('Synopsis'),
    ...paragraph('/etc/headgate/headgate.yaml'),
    heading('Description'),
    ...paragraph(
      [
        'A YAML file; a dot in a name below is a level of it. All settings are optional. A',
        'variable of the environment wins over the file, an option of the command line over',
        'both; a variable that takes a list or a map takes it in flow form. A name that is not in',
        'the table, in the file or behind HEADGATE_, is an error. `headgate check` lists all',
        'problems at once, each with its line; `headgate check --defaults` prints a file with',
        'every setting.',
      ].join(' '),
    ),
    ...paragraph('Units stand last in a name: Ms, Seconds, Hours, Bytes, MBPerDay, TBW.'),
    ...groups.flatMap((group) => [
      heading(group),
      ...CONFIG_KEYS.filter(({ path }) => path[0] === group).flatMap(settingPart),
    ]),
    heading('See also'),
    ...paragraph('headgate(1)'),
  ]);
}

/** Words that are typed, and the lines that explain them; what is no such row is prose. */
function rowsOf(lines: readonly string[]): string[] {
  const out: string[] = [];
  for (const line of lines) {
    const [, word, meaning = ''] = /^ {2}(--\S.*?)(?: {2,}(.*))?$/.exec(line) ?? [];
    if (word !== undefined) out.push(...entry(word, meaning));
    else if (line.trim() === '') out.push('');
    else if (out.at(-1) === '') out.splice(-1, 1, ...paragraph(line.trim()));
    else if (out.at(-1) === NOTHING) out.splice(-1, 1, ...paragraph(line.trim()).slice(1));
    else out.push(...paragraph(line.trim()).slice(1));
  }
  return out.filter((line) => line !== '');
}

/**
 * A page from what `--help` prints: `name: summary`, an empty line, the words of the usage, an
 * empty line, and the options. Throws if it is not so.
 */
export function helpPage(help: string, edition: Edition): string {
  const [, name = '', summary = ''] = /^(\S+): (.*)$/m.exec(help.split('\n', 1)[0] ?? '') ?? [];
  const [, usage, ...rest] = help.trimEnd().split('\n\n');
  if (name === '' || usage === undefined || rest.length === 0) {
    throw new Error(`no page can be made of this help: ${help.slice(0, 60)}`);
  }
  return page([
    ...headOf({ name, section: 1, summary, ...edition }),
    heading('Synopsis'),
    ...verbatim(usage.replaceAll(/^ {2}/gm, '')),
    heading('Options'),
    ...rowsOf(rest.join('\n\n').split('\n')),
    heading('See also'),
    ...paragraph('headgate(1)'),
  ]);
}
