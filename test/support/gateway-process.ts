import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askControl } from '../../src/ops/control-client.ts';
import { type DataFolder, dataFolder } from '../../src/ops/data-folder.ts';
import type { Status } from '../../src/status.ts';
import { until } from './until.ts';

/** The program as it is built: what a user starts. */
export const MAIN = join(import.meta.dirname, '../../dist/src/main.js');

const START_WITHIN_MS = 20_000;
const ANSWER_WITHIN_MS = 30_000;

const children = new Set<ChildProcess>();
const folders = new Set<string>();

// The last resort, for a test process that ends in the middle: nothing of ours runs on after it.
process.once('exit', () => {
  for (const child of children) killAll(child);
});

/** The program and whatever it has started. */
function killAll({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Our environment without what could reach the program's settings. */
function cleanEnv(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...more };
}

/** A program that runs, with what it has said on each of its outputs. */
export class Running {
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';

  constructor(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    // A process group of its own, which can be ended as a whole.
    const child = spawn(file, args, { env: cleanEnv(env), stdio: [...stdio], detached: true });
    this.#child = child;
    children.add(child);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      // Only at `close` has everything been read that it said.
      child.once('close', (code) => {
        children.delete(child);
        resolve(code);
      });
    });
    this.ended.catch(() => {
      // Whoever waits for it gets the error.
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get hasEnded(): boolean {
    return !children.has(this.#child);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  kill(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL') killAll(this.#child);
    else this.#child.kill(signal);
  }
}

export interface Answer {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, a line each. */
  readonly lines: readonly string[];
}

/** Starts `headgate args…` and does not wait for its end. */
export function startHeadgate(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  main = MAIN,
): Running {
  return new Running(process.execPath, [main, ...args], env);
}

/** Waits for the end of a program; ends it, and fails, if it takes too long. */
export async function answerOf(running: Running): Promise<Answer> {
  const timer = setTimeout(() => running.kill('SIGKILL'), ANSWER_WITHIN_MS);
  const code = await running.ended;
  clearTimeout(timer);
  const { stdout, stderr } = running;
  return { code, stdout, stderr, lines: stdout.split('\n').filter((line) => line !== '') };
}

/** Runs `headgate args…` to its end. */
export function headgate(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  main = MAIN,
): Promise<Answer> {
  return answerOf(startHeadgate(args, env, main));
}

export interface GatewayProcessOptions {
  /** Data folder. Default: a new one, removed by `cleanUp`. */
  readonly folder?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** YAML for --config. */
  readonly config?: string;
  /** The program, if not the one that was built here. */
  readonly main?: string;
}

/** A real daemon: `headgate run` in a process of its own, on loopback. */
export class GatewayProcess {
  readonly data: DataFolder;
  readonly #running: Running;
  #port = 0;

  private constructor(folder: string, running: Running) {
    this.data = dataFolder(folder, {});
    this.#running = running;
  }

  /** Starts it and waits until it answers and listens. */
  static async start(options: GatewayProcessOptions = {}): Promise<GatewayProcess> {
    const { folder = temporaryFolder(), port = 0, env = {}, config, main } = options;
    const args = ['run', '--data', folder, '--port', String(port)];
    if (config !== undefined) {
      const file = join(temporaryFolder(), 'headgate.yaml');
      writeFileSync(file, config);
      args.push('--config', file);
    }
    const gateway = new GatewayProcess(folder, startHeadgate(args, env, main));
    try {
      await until('the gateway listens', () => gateway.#listens(), START_WITHIN_MS);
    } catch (error) {
      await gateway.kill9();
      throw new Error(`${(error as Error).message}\n${gateway.output()}`);
    }
    return gateway;
  }

  async #listens(): Promise<boolean> {
    if (this.#running.hasEnded) throw new Error('the gateway ended');
    if (!this.#running.stdout.includes('ready')) return false;
    // A socket that an earlier daemon left answers nothing; another daemon has another pid.
    const status = await this.status().catch(() => undefined);
    this.#port = status?.pid === this.#running.pid ? status.mqtt.port : 0;
    return this.#port > 0;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  get isRunning(): boolean {
    return !this.#running.hasEnded;
  }

  async status(): Promise<Status> {
    return (await askControl(this.data.socket, '/status')) as Status;
  }

  /** Waits until `reached` holds of the status. */
  async until(what: string, reached: (status: Status) => boolean): Promise<Status> {
    let last = await this.status();
    const holds = async () => {
      last = await this.status();
      return reached(last);
    };
    await until(what, holds, 20_000).catch((error: Error) => {
      throw new Error(`${error.message}; status: ${JSON.stringify(last)}`);
    });
    return last;
  }

  /** As a power cut would, but for the page cache: no goodbye of any kind. */
  async kill9(): Promise<void> {
    this.#running.kill('SIGKILL');
    await this.#running.ended;
  }

  /** Asks it to stop; returns its exit code, null if it had to be killed. */
  async stop(withinMs = 5_000): Promise<number | null> {
    this.#running.kill('SIGTERM');
    const timer = setTimeout(() => this.#running.kill('SIGKILL'), withinMs);
    const code = await this.#running.ended;
    clearTimeout(timer);
    return code;
  }

  output(): string {
    return this.#running.stdout + this.#running.stderr;
  }
}

/** A new empty folder that `cleanUp` removes. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hg-test-'));
  folders.add(folder);
  return folder;
}

/** For `afterEach` or `afterAll`: ends every program still running and removes the folders. */
export async function cleanUp(): Promise<void> {
  const closing = [...children].map(
    (child) => new Promise<void>((resolve) => child.once('close', () => resolve())),
  );
  for (const child of children) killAll(child);
  await Promise.all(closing);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}
