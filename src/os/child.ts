import { spawn } from 'node:child_process';

/** A program of ours that runs beside this process. */
export interface Child {
  readonly pid: number;
  /** Resolves when it has ended, with its exit code, or null if a signal ended it. */
  readonly ended: Promise<number | null>;
  /** What it has written so far to standard output and standard error. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
}

/** What a child says is kept for when something goes wrong, up to this. */
const MAX_OUTPUT_CHARACTERS = 1_000_000;

/** Starts `node args…`, by a program that takes that as its last arguments if one is given. */
export function spawnNode(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  by: readonly string[] = [],
): Child {
  const [program = process.execPath, ...words] = [...by, process.execPath, ...args];
  const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output = (output + text).slice(-MAX_OUTPUT_CHARACTERS);
    });
  }
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(-1));
  });
  return {
    pid: child.pid ?? -1,
    ended,
    output: () => output,
    kill: (signal) => {
      child.kill(signal);
    },
  };
}
