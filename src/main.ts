#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { ERRORS, HeadgateError, messageOf } from './base/errors.ts';
import { check } from './cli/check.ts';
import type { Command, Io } from './cli/command.ts';
import { demo } from './cli/demo.ts';
import { logLs } from './cli/log-ls.ts';
import { logRead } from './cli/log-read.ts';
import { logTail } from './cli/log-tail.ts';
import { logVerify } from './cli/log-verify.ts';
import { run } from './cli/run.ts';
import { ConfigError } from './cli/settings.ts';
import { sim } from './cli/sim.ts';
import { status } from './cli/status.ts';
import { VERSION } from './version.ts';

/** argv → command. Exit codes: 0 well, 1 what was asked for is not so, 2 a wrong command line. */
const COMMANDS: readonly Command[] = [
  run,
  demo,
  check,
  status,
  sim,
  logLs,
  logRead,
  logTail,
  logVerify,
];

const io: Io = {
  env: process.env,
  print: (line) => {
    process.stdout.write(`${line}\n`);
    return process.stdout.writable;
  },
  complain: (line) => {
    process.stderr.write(`${line}\n`);
  },
};

function help(): void {
  io.print('Headgate: an edge broker. A PUBACK means the reading is on flash, once, in order.\n');
  for (const { usage, summary } of COMMANDS) io.print(`  ${usage}\n      ${summary}`);
  io.print('\n  headgate COMMAND --help shows the usage of one command.');
}

/** The command that the first words name, and the words after it. */
function find(words: readonly string[]): { command: Command; rest: string[] } | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = COMMANDS.find((one) => one.name === name);
    if (command !== undefined) return { command, rest: words.slice(length) };
  }
  return undefined;
}

function parse(command: Command, args: string[]) {
  try {
    const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [min, max] = command.positionals;
    const asked = values.help === true;
    if (!asked && (positionals.length < min || positionals.length > max)) {
      throw new RangeError(positionals.length < min ? 'something is missing' : 'too many words');
    }
    return { values: values as Record<string, string | boolean | undefined>, positionals };
  } catch (error) {
    throw new HeadgateError('USAGE', `${messageOf(error)}\nusage: ${command.usage}`);
  }
}

async function main(words: readonly string[]): Promise<number> {
  const [first] = words;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    help();
    return first === undefined ? 2 : 0;
  }
  if (first === '--version') {
    io.print(VERSION);
    return 0;
  }
  const found = find(words);
  if (found === undefined) {
    const names = COMMANDS.map(({ name }) => name).join(', ');
    throw new HeadgateError(
      'USAGE',
      `no command ${words.slice(0, 2).join(' ')}; there are: ${names}`,
    );
  }
  const { values, positionals } = parse(found.command, found.rest);
  if (values['help'] === true) {
    io.print(`usage: ${found.command.usage}\n${found.command.summary}`);
    return 0;
  }
  return found.command.run(values, positionals, io);
}

/** What went wrong, and what to do about it. */
function explain(error: unknown): number {
  if (!(error instanceof HeadgateError)) {
    io.complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }
  io.complain(`headgate: ${error.message}`);
  if (error instanceof ConfigError) for (const line of error.lines) io.complain(line);
  if (error.code !== 'USAGE') io.complain(`  ${ERRORS[error.code].mend}`);
  return error.code === 'USAGE' ? 2 : 1;
}

// A reader such as `head` that has had enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = explain(error);
}
