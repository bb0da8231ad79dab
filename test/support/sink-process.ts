import { join } from 'node:path';
import { answerOf, Running } from './gateway-process.ts';
import { until } from './until.ts';

/** The program as it is built. */
const SINK = join(import.meta.dirname, '../../dist/deploy/cloud/main.js');

export interface SinkProcessOptions {
  /** URL of what it reads. */
  readonly from: string;
  /** URL of the database. */
  readonly postgres: string;
  /** Further words of its command line. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** What its last line says. */
export interface SinkProcessCounts {
  readonly messages: number;
  readonly inserted: number;
  readonly repeated: number;
  readonly rejected: number;
  readonly waiting: number;
}

/** headgate-sink in a process of its own. It makes the tables. */
export class SinkProcess {
  readonly #running: Running;

  private constructor({ from, postgres, args = [], env = {} }: SinkProcessOptions) {
    const words = ['--from', from, '--postgres', postgres, '--create-table', '--json'];
    const takeover = ['--takeover', '6'];
    this.#running = new Running(process.execPath, [SINK, ...words, ...takeover, ...args], env);
  }

  /** Starts it, and does not wait for anything. */
  static launch(options: SinkProcessOptions): SinkProcess {
    return new SinkProcess(options);
  }

  /** Starts it and waits until it is connected to its source. */
  static async start(options: SinkProcessOptions): Promise<SinkProcess> {
    const sink = new SinkProcess(options);
    await sink.connected(1);
    return sink;
  }

  /** How often it has connected to its source. */
  get connections(): number {
    return this.stderr.split('connected, ').length - 1;
  }

  get stderr(): string {
    return this.#running.stderr;
  }

  /** Waits until it has connected as often. */
  async connected(times: number): Promise<void> {
    const isUp = () => {
      if (this.#running.hasEnded) throw new Error(`the sink ended: ${this.stderr}`);
      return this.connections >= times;
    };
    // A group of Kafka takes a member that was killed for alive until its session is over.
    await until('the sink is connected', isUp, 180_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.stderr}`);
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#running.kill(signal);
  }

  async kill9(): Promise<void> {
    this.#running.kill('SIGKILL');
    await this.#running.ended;
  }

  /** Asks it to stop. Its counts; fails if it ends in any other way than it should. */
  async stop(): Promise<SinkProcessCounts> {
    this.#running.kill('SIGTERM');
    const { code, lines, stderr } = await answerOf(this.#running);
    if (code !== 0) throw new Error(`the sink ended with ${code}: ${stderr}`);
    return JSON.parse(lines.at(-1) ?? '') as SinkProcessCounts;
  }
}
