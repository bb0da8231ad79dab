import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** True once something accepts connections on the port. */
async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Debian's mosquitto as the cloud: keeps sessions and queues over a stop, as a cloud would. */
export class Mosquitto {
  readonly port: number;
  readonly #config: string;
  #child: ChildProcess | undefined;

  /** `more`: further lines of its configuration. */
  constructor(folder: string, port: number, more: readonly string[] = []) {
    this.port = port;
    mkdirSync(folder, { recursive: true, mode: 0o777 });
    this.#config = join(folder, 'mosquitto.conf');
    writeFileSync(
      this.#config,
      [
        'per_listener_settings true',
        `listener ${port} 127.0.0.1`,
        'allow_anonymous true',
        'user root',
        'persistence true',
        `persistence_location ${folder}/`,
        'max_queued_messages 0',
        'max_inflight_messages 0',
        ...more,
        '',
      ].join('\n'),
    );
  }

  async start(): Promise<void> {
    const child = spawn('mosquitto', ['-c', this.#config], { stdio: 'ignore' });
    this.#child = child;
    let gone = false;
    child.once('error', () => {
      gone = true;
    });
    child.once('exit', () => {
      gone = true;
    });
    for (let i = 0; i < 200 && !gone; i++) {
      if (await accepts(this.port)) return;
      await wait(25);
    }
    throw new Error('mosquitto did not start: is the package mosquitto installed?');
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** For the end of a test process, where nothing can be waited for. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** What it has in memory is gone. */
  async crash(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}
