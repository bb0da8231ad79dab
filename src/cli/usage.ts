import { parseArgs } from 'node:util';
import { HeadgateError, messageOf } from '../base/errors.ts';
import { nearestName } from '../ops/nearest-name.ts';
import type { Command, Values } from './command.ts';

/** What can be typed, what it means, and what to say of what can't. */

const OPTION_HELP: Readonly<Record<string, string>> = {
  again: 'also what was redriven before',
  all: 'every dead letter, or those that --reason, --device, --since and --until name',
  anomaly: 'the message of each sensor that is far off, counted from 0; none by default',
  commit: 'moves the consumer on, a page at a time, once it is printed',
  config: 'YAML file; default: $HEADGATE_CONFIG, else /etc/headgate/headgate.yaml if it is there',
  count: 'messages of each sensor; 0, the default: until interrupted',
  data: 'data folder; default: data.dir, else $STATE_DIRECTORY, else ./data',
  defaults: 'prints a configuration file with every setting at its default',
  device: 'only records of this device',
  devices: 'sensors; 5 by default',
  'dry-run': 'says what would become of each, and changes nothing',
  every: 'ms between two messages of a sensor; 1000 by default',
  follow: 'goes on with new records until interrupted',
  from: 'earliest, which is the default, or an offset for every partition',
  host: 'where the gateway listens; 127.0.0.1 by default',
  json: 'one JSON value, for programs; {"error": …} where there is none to give',
  limit: 'records at most; all by default',
  lines: 'records to begin with; 10 by default',
  offset: 'the first one that is not handled',
  out: 'writes to this file, which is there when it is whole; until then it is FILE.part',
  partition: 'only records of this partition',
  port: 'MQTT port, instead of mqtt.port; 0 takes any free one',
  raw: 'the bytes of the payload, and nothing else',
  reason: 'only those with this code: PAYLOAD_TOO_LARGE, …; docs/errors.md has them all',
  records: 'the records of each block too',
  repeats: 'percent of messages that are sent twice; 5 by default',
  segment: 'only this one, by its number',
  seed: 'the same seed, the same sensors; 1 by default',
  since: 'only what came at this time or later: 2026-05-04T12:00:00Z, or 2h (ago)',
  store: 'telemetry (readings) or events (alerts, dead letters); both by default',
  until: 'only what came before this time',
};

/** Each option of a command as it is typed, and what it means here. */
export function optionRows({ options, optionHelp }: Command): Array<[typed: string, help: string]> {
  return Object.entries(options).map(([name, { short }]) => [
    short === undefined ? `--${name}` : `-${short}, --${name}`,
    optionHelp?.[name] ?? OPTION_HELP[name] ?? '',
  ]);
}

export function commandHelp(command: Command): string {
  const lines = optionRows(command).map(([typed, help]) => `  ${typed.padEnd(16)} ${help}`);
  return [`usage: ${command.usage}`, '', command.summary, '', ...lines].join('\n');
}

/** The commands, each with its usage, and where more is said. */
function list(commands: readonly Command[], command: string): string[] {
  return [
    ...commands.flatMap(({ usage, summary }) => [`  ${usage}`, `      ${summary}`]),
    '',
    `  headgate ${command} --help explains the options of one command.`,
  ];
}

function groupOf(commands: readonly Command[], first: string): Command[] {
  return commands.filter(({ name }) => name.startsWith(`${first} `));
}

/** What to say of a word that several commands begin with; undefined: none does. */
export function groupHelp(commands: readonly Command[], first: string): string | undefined {
  const group = groupOf(commands, first);
  return group.length === 0 ? undefined : list(group, `${first} COMMAND`).join('\n');
}

/** What the exit codes mean. */
export const EXIT_CODES = [
  'Exit codes: 0 well; 1 what was asked for is not so (a damaged log, a daemon that takes no',
  'data, books that do not balance, a faulty configuration) or went wrong; 2 a wrong command',
  'line, or nothing there to ask (no daemon, no log, no such stream or consumer).',
];

export function generalHelp(commands: readonly Command[]): string {
  return [
    'Headgate: an edge broker. A PUBACK means the reading is on flash, once, in order.',
    '',
    ...list(commands, 'COMMAND'),
    '',
    ...EXIT_CODES,
  ].join('\n');
}

/** The command that the first words name, and the words after it. Throws USAGE. */
export function findCommand(
  commands: readonly Command[],
  words: readonly string[],
): { command: Command; rest: string[] } {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = commands.find((one) => one.name === name);
    if (command !== undefined) return { command, rest: words.slice(length) };
  }
  const [first = '', second = ''] = words;
  if (first.startsWith('-')) {
    throw new HeadgateError('USAGE', `${first} stands behind the command that it is for`);
  }
  const group = groupOf(commands, first);
  const names = (group.length > 0 ? group : commands).map(({ name }) => name);
  const typed = group.length > 0 && !second.startsWith('-') ? `${first} ${second}`.trim() : first;
  const isWhole = typed === first && group.length > 0;
  const near = isWhole ? undefined : (nearestName(typed, names) ?? nearGroup(commands, words));
  const mend = near === undefined ? `there are: ${names.join(', ')}` : `did you mean ${near}?`;
  throw new HeadgateError('USAGE', `no command ${typed}; ${mend}`);
}

/** `alert ls` and `alert` for `alerts ls`: the command, or all that begin with the word. */
function nearGroup(
  commands: readonly Command[],
  [first = '', second = '']: readonly string[],
): string | undefined {
  const pairs = commands.map(({ name }) => name).filter((name) => name.includes(' '));
  if (groupOf(commands, first).length > 0) return undefined;
  const isPair = second !== '' && !second.startsWith('-');
  const near = isPair ? nearestName(`${first} ${second}`, pairs) : undefined;
  if (near !== undefined) return near;
  const group = nearestName(first, [...new Set(pairs.map((name) => name.split(' ', 1)[0] ?? ''))]);
  if (group === undefined) return undefined;
  return groupOf(commands, group)
    .map(({ name }) => name)
    .join(' or ');
}

function faultOf(error: unknown, { options }: Command, args: readonly string[]): string {
  const [said = ''] = messageOf(error).split(/\n|\. /, 1);
  const bare = /^Option '(.*?)(?: <value>)?' argument (?:missing|is ambiguous)/.exec(said)?.[1];
  if (bare !== undefined) {
    // It may be named in both its ways: `-n, --lines`.
    const at = args.findIndex((arg) => bare.split(', ').includes(arg));
    const next = args[at + 1];
    const instead = at < 0 || next === undefined ? '' : `, and ${next} looks like an option`;
    const named = Object.entries(options).find(([, { short }]) => `-${short}` === args[at])?.[0];
    const long = named === undefined ? args[at] : `--${named}`;
    // A number that is meant is told what numbers there may be.
    const how =
      /^-[\d.]/.test(next ?? '') && at >= 0 ? ` (${long}=${next} would be its value)` : '';
    return `${args[at] ?? bare} needs a value${instead}${how}`;
  }
  const unknown = /^Unknown option '(--?[^'=]*)'/.exec(said)?.[1];
  if (unknown === undefined) return said;
  const near = nearestName(unknown.replace(/^-+/, ''), Object.keys(options));
  return `there is no option ${unknown}${near === undefined ? '' : `; did you mean --${near}?`}`;
}

/** Options and arguments of a command. Throws USAGE. */
export function parseWords(
  command: Command,
  args: string[],
): { values: Values; positionals: readonly string[] } {
  let fault: string;
  try {
    const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    // As from a variable that is not set: taken for "not given", it would name another file.
    const empty = Object.keys(values).find((name) => (values as Values)[name] === '');
    if (empty !== undefined) throw new Error(`--${empty} is empty`);
    const [min, max] = command.positionals;
    const asked = values['help'] === true;
    if (asked || (positionals.length >= min && positionals.length <= max)) {
      return { values: values as Values, positionals };
    }
    fault = positionals.length < min ? 'an argument is missing' : 'too many arguments';
  } catch (error) {
    fault = faultOf(error, command, args);
  }
  throw new HeadgateError('USAGE', `${fault}\nusage: ${command.usage}`);
}
