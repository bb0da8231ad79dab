#!/usr/bin/env node
import { codeOf, ERRORS, type ErrorCode, HeadgateError, messageOf } from './base/errors.ts';
import { alertsAck } from './cli/alerts-ack.ts';
import { alertsLs } from './cli/alerts-ls.ts';
import { audit } from './cli/audit.ts';
import { check } from './cli/check.ts';
import type { Command, Io } from './cli/command.ts';
import { consumerCommit } from './cli/consumer-commit.ts';
import { consumerLag } from './cli/consumer-lag.ts';
import { consumerLs } from './cli/consumer-ls.ts';
import { consumerRead } from './cli/consumer-read.ts';
import { consumerRm } from './cli/consumer-rm.ts';
import { consumerSeek } from './cli/consumer-seek.ts';
import { deadLetterLs } from './cli/dead-letter-ls.ts';
import { deadLetterRedrive } from './cli/dead-letter-redrive.ts';
import { deadLetterShow } from './cli/dead-letter-show.ts';
import { demo } from './cli/demo.ts';
import { detectReplay } from './cli/detect-replay.ts';
import { detectScore } from './cli/detect-score.ts';
import { importConf } from './cli/import.ts';
import { logDump } from './cli/log-dump.ts';
import { logExport } from './cli/log-export.ts';
import { logLs } from './cli/log-ls.ts';
import { logRead } from './cli/log-read.ts';
import { logTail } from './cli/log-tail.ts';
import { logVerify } from './cli/log-verify.ts';
import { run } from './cli/run.ts';
import { ConfigError } from './cli/settings.ts';
import { sim } from './cli/sim.ts';
import { state } from './cli/state.ts';
import { status } from './cli/status.ts';
import { commandHelp, findCommand, generalHelp, groupHelp, parseWords } from './cli/usage.ts';
import { VERSION } from './version.ts';

/** argv → command. */
const COMMANDS: readonly Command[] = [
  run,
  demo,
  check,
  importConf,
  status,
  state,
  audit,
  sim,
  logLs,
  logRead,
  logTail,
  logVerify,
  logExport,
  logDump,
  consumerLs,
  consumerRead,
  consumerCommit,
  consumerSeek,
  consumerLag,
  consumerRm,
  deadLetterLs,
  deadLetterShow,
  deadLetterRedrive,
  detectReplay,
  detectScore,
  alertsLs,
  alertsAck,
];

/** Nothing went wrong, but there is nothing to ask either: apart from 1, for scripts. */
const NOTHING_TO_ASK: readonly ErrorCode[] = [
  'USAGE',
  'NOT_RUNNING',
  'NO_ACCESS',
  'NO_LOG',
  'DATA_NO_FOLDER',
  'IMPORT_UNREADABLE',
  'CORPUS_INVALID',
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
