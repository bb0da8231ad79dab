import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { until } from './until.ts';

const run = promisify(execFile);
const START_WITHIN_MS = 10_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface KafkaMessage {
  readonly key: string;
  readonly payload: string;
  readonly partition: number;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * A cluster of three brokers in memory, which librdkafka has for tests and Debian's kcat brings:
 * it speaks the protocol as brokers do, and forgets everything at its end.
 */
export class KafkaMock {
  /** Of each broker, `host:port`. */
  readonly brokers: readonly string[];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, brokers: readonly string[]) {
    this.#child = child;
    this.brokers = brokers;
  }

  static async start(): Promise<KafkaMock> {
    const settings = ['-X', 'test.mock.num.brokers=3', '-d', 'mock'];
    // A producer that waits for input: the brokers run within it.
    const child = spawn('kcat', ['-P', '-b', 'none', '-t', 'unused', ...settings], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let said = '';
    let gone = false;
    for (const event of ['error', 'exit'] as const) {
      child.once(event, () => {
        gone = true;
      });
    }
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 4096) said += text;
    });
    const addresses = /bootstrap\.servers=(\S+)/;
    const isUp = () => {
      if (gone) throw new Error('kcat ended: is the package kcat installed?');
      return addresses.test(said);
    };
    await until('the brokers are there', isUp, START_WITHIN_MS);
    return new KafkaMock(child, addresses.exec(said)?.[1]?.split(',') ?? []);
  }

  get url(): string {
    return `kafka://${this.brokers.join(',')}`;
  }

  get port(): number {
    return Number(this.brokers[0]?.split(':')[1]);
  }

  /** Stands still, as a machine that hangs: its sockets stay open, and nothing is answered. */
  async freeze(): Promise<void> {
    this.#child.kill('SIGSTOP');
    const stat = `/proc/${this.#child.pid}/stat`;
    await until('it stands still', () => /\) T /.test(readFileSync(stat, 'utf8')));
  }

  async kill9(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** All that the topic holds, as another client reads it; each partition in its order. */
  async messages(topic: string): Promise<KafkaMessage[]> {
    const args = ['-C', '-J', '-e', '-q', '-o', 'beginning', '-b', this.brokers.join(',')];
    const { stdout } = await run('kcat', [...args, '-t', topic], { maxBuffer: MAX_OUTPUT_BYTES });
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const { headers = [], ...message } = JSON.parse(line) as Omit<KafkaMessage, 'headers'> & {
          headers?: string[];
        };
        const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]]] : []));
        return { ...message, headers: Object.fromEntries(pairs) as Record<string, string> };
      });
  }
}
