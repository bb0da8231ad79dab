#!/usr/bin/env node
import { codeOf, ERRORS, type ErrorCode, HeadgateError, messageOf } from './base/errors.ts';
import type { Io } from './cli/command.ts';
import { COMMANDS } from './cli/commands.ts';
import { ConfigError } from './cli/settings.ts';
import { commandHelp, findCommand, generalHelp, groupHelp, parseWords } from './cli/usage.ts';
import { VERSION } from './version.ts';

/** Nothing went wrong, but there is nothing to ask either: apart from 1, for scripts. */
const NOTHING_TO_ASK: readonly ErrorCode[] = [
  'USAGE',
  'NOT_RUNNING',
  'NO_ACCESS',
  'NO_LOG',
  'DATA_NO_FOLDER',
  'CORPUS_INVALID',
  'IMPORT_UNREADABLE',
  'STREAM_UNKNOWN',
  'PARTITION_UNKNOWN',
  'CONSUMER_UNKNOWN',
  'STATE_UNKNOWN',
  'REQUEST_INVALID',
];

/** journald takes a line for an error only if it says so itself: sd-daemon(3). */
const ERROR_PREFIX =
  (process.env['JOURNAL_STREAM'] ?? '') !== '' && process.stderr.isTTY !== true ? '<3>' : '';

/** False once the reader of standard output, `head` perhaps, has had enough. */
let isRead = true;

const io: Io = {
  env: process.env,
  print: (line) => {
    if (isRead) process.stdout.write(`${line}\n`);
    return isRead;
  },
  complain: (line) => {
    process.stderr.write(`${line.replaceAll(/^/gm, ERROR_PREFIX)}\n`);
  },
};

function isHelp(word: string | undefined): boolean {
  return word === '--help' || word === '-h';
}

async function main(words: readonly string[]): Promise<number> {
  const [first, ...others] = words;
  if (first === undefined || isHelp(first)) {
    io.print(generalHelp(COMMANDS));
    return first === undefined ? 2 : 0;
  }
  if (['--version', '-v', '-V', 'version'].includes(first)) {
    io.print(VERSION);
    return 0;
  }
  if (first === 'help') return main([...others, '--help']);
  const group = isHelp(others[0]) ? groupHelp(COMMANDS, first) : undefined;
  if (group !== undefined) {
    io.print(group);
    return 0;
  }
  const { command, rest } = findCommand(COMMANDS, words);
  const { values, positionals } = parseWords(command, rest);
  if (values['help'] === true) {
    io.print(commandHelp(command));
    return 0;
  }
  return command.run(values, positionals, io);
}

/** For a program that asked for JSON and gets no answer: why. */
function errorJson(error: unknown): string {
  if (error instanceof HeadgateError) {
    const { code, detail } = error;
    const { cause, mend } = ERRORS[code];
    return JSON.stringify({ error: { code, cause: detail || cause, mend } });
  }
  const mend = 'The cause is in the words of the system.';
  return JSON.stringify({ error: { code: codeOf(error), cause: messageOf(error), mend } });
}

/** What went wrong, and what to do about it. */
function explain(error: unknown): number {
  if (!(error instanceof HeadgateError)) {
    const isSystem = error instanceof Error && 'syscall' in error;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    io.complain(isSystem ? `headgate: ${messageOf(error)}` : stack);
    return 1;
  }
  io.complain(`headgate: ${error.message}`);
  if (error instanceof ConfigError) for (const line of error.lines) io.complain(line);
  if (error.code !== 'USAGE') io.complain(`  ${ERRORS[error.code].mend}`);
  return NOTHING_TO_ASK.includes(error.code) ? 2 : 1;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has had enough is no error. The command ends by itself, with its own exit code:
  // that of a faulty configuration must not change because only its first line was looked at.
  isRead = false;
  if (error.code === 'EPIPE') return;
  io.complain(`headgate: ${error.message}`);
  process.exit(1);
});

// Nobody is left to tell.
process.stderr.on('error', () => {});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // Also where the words were wrong, so that nobody knows what else they meant.
  if (process.argv.includes('--json')) io.print(errorJson(error));
  process.exitCode = explain(error);
}
