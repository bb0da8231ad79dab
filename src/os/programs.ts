import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

/** How a program has ended. */
export interface ProgramEnd {
  /** null: a signal has ended it, or it could not be started. */
  readonly code: number | null;
  /** Its last words on standard error, or why it could not be started. */
  readonly error: string;
}

/** A program that runs beside this process, and not longer than it. */
export interface RunningProgram {
  readonly ended: Promise<ProgramEnd>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface Answer extends ProgramEnd {
  readonly output: string;
}

/** The seam to programs of the system: gpioset, gpiomon. Nothing here goes through a shell. */
export interface Programs {
  /** Runs a program to its end; one that takes too long is killed. Never rejects. */
  ask(command: string, args: readonly string[]): Promise<Answer>;
  /** Starts a program, which is ended with this process however that ends. */
  start(command: string, args: readonly string[], onLine?: (line: string) => void): RunningProgram;
}

/** Whoever answers later than that hangs. */
const ANSWER_WITHIN_MS = 5_000;
/** Listings of a few hundred lines are 20 KB. */
const MAX_OUTPUT_CHARACTERS = 1_000_000;
const MAX_ERROR_CHARACTERS = 500;

function isOnPath(name: string, env: NodeJS.ProcessEnv): boolean {
  return (env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/**
 * What goes before a command so that the program ends with its parent: one that outlives a killed
 * daemon would hold the line against the next. Where util-linux has it, `setpriv` asks the kernel
 * for that. It can't in the sandbox of headgate.service, which forbids a system call that it makes;
 * there systemd ends what the daemon leaves behind.
 */
function untilParentEnds(env: NodeJS.ProcessEnv): readonly string[] {
  if (env['SYSTEMD_EXEC_PID'] === String(process.pid)) return [];
  return isOnPath('setpriv', env) ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
}

/** The programs of this machine. */
export function systemPrograms(env: NodeJS.ProcessEnv): Programs {
  const environment = { ...env, LC_ALL: 'C' };
  const bound = untilParentEnds(env);
  const begin = (words: readonly string[], detached: boolean, onText: (text: string) => void) => {
    const [command = '', ...args] = words;
    const child = spawn(command, args, {
      env: environment,
      // In a group of its own: Ctrl-C is for this process, which then ends it in its turn.
      detached,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let error = '';
    child.stdout.setEncoding('utf8').on('data', onText);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      error = (error + text).slice(-MAX_ERROR_CHARACTERS);
    });
    const ended = new Promise<ProgramEnd>((resolve) => {
      child.once('error', ({ message }) => resolve({ code: null, error: message }));
      // Not `exit`: its last words would be missing.
      child.once('close', (code) => resolve({ code, error: error.trim() }));
    });
    return { child, ended };
  };
  return {
    async ask(command, args) {
      let output = '';
      const { child, ended } = begin([command, ...args], false, (text) => {
        output = (output + text).slice(0, MAX_OUTPUT_CHARACTERS);
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), ANSWER_WITHIN_MS);
      const end = await ended;
      clearTimeout(timer);
      return { ...end, output };
    },
    start(command, args, onLine = () => {}) {
      const { child, ended } = begin([...bound, command, ...args], true, () => {});
      createInterface({ input: child.stdout }).on('line', onLine);
      return { ended, kill: (signal) => void child.kill(signal) };
    },
  };
}
