import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { seededRandom } from '../../src/base/clock.ts';

/** Programs of test/firmware, which have the header that firmware copies, and a line to them. */

export const FIRMWARE = join(import.meta.dirname, '../firmware');
export const DEVICE = join(import.meta.dirname, '../../firmware-bridge/device');

export const SANITIZED = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** Compiles `source`, a file of test/firmware, to `program`. A warning is an error. */
export function compile(source: string, program: string, flags: readonly string[] = []): void {
  const strict = ['-std=c99', '-Wall', '-Wextra', '-Werror', `-I${DEVICE}`];
  const args = [...strict, ...flags, join(FIRMWARE, source), '-o', program];
  const { status, stderr, error } = spawnSync('gcc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`gcc ${args.join(' ')}\n${stderr ?? error}`);
}

/** Runs it to its end, with `input` on stdin; throws if it says that something is wrong. */
export function answer(program: string, args: readonly string[] = [], input = ''): string {
  const timeout = 120_000;
  const run = spawnSync(program, args, { encoding: 'utf8', input, timeout, maxBuffer: 1e8 });
  if (run.status !== 0) throw new Error(`${program} ${args}: ${run.signal}\n${run.stderr}`);
  return run.stdout;
}

/** What a line does to each byte: how likely it is, from 0 to 1. */
export interface LineWeather {
  readonly drop: number;
  /** One bit of it. */
  readonly flip: number;
  /** Nothing of the next 1 to 60 bytes arrives. */
  readonly cut: number;
  /** Some bytes of chance before it. */
  readonly noise: number;
}

export const ROUGH: LineWeather = { drop: 0.001, flip: 0.001, cut: 0.0005, noise: 0.0005 };

/** One direction of a bad line. The same bytes with the same seed arrive the same. */
export function badLine(weather: LineWeather, seed: number): (bytes: Buffer) => Buffer {
  const random = seededRandom(seed);
  let cutBytes = 0;
  return (bytes) => {
    const out: number[] = [];
    for (const byte of bytes) {
      const [drop, flip, cut, noise] = [random(), random(), random(), random()];
      if (cut < weather.cut) cutBytes = 1 + Math.floor(random() * 60);
      if (noise < weather.noise) {
        for (let count = random() * 9; count > 0; count--) out.push(Math.floor(random() * 256));
      }
      if (cutBytes > 0) cutBytes -= 1;
      else if (flip < weather.flip) out.push(byte ^ (1 << Math.floor(random() * 8)));
      else if (drop >= weather.drop) out.push(byte);
    }
    return Buffer.from(out);
  };
}

/** The device's end of a serial port. */
export interface Port {
  readonly toHost: Writable;
  readonly fromHost: Readable;
}

export interface DeviceCounts {
  readonly boot: number;
  readonly put: number;
  readonly recovered: number;
  readonly sent: number;
  readonly resent: number;
  readonly acked: number;
  readonly nacked: number;
  readonly refused: number;
  readonly dropped: number;
  readonly badFrames: number;
  readonly lateAcks: number;
}

const running = new Set<ChildProcessWithoutNullStreams>();

/** A pseudo terminal whose other end is `path`, for as long as the test runs. */
export function openPort(path: string): Port {
  const child = spawn('socat', [`pty,raw,echo=0,link=${path}`, 'stdio']);
  running.add(child);
  child.once('close', () => running.delete(child));
  child.stdin.on('error', () => child.stdin.destroy());
  return { toHost: child.stdin, fromHost: child.stdout };
}

/** For `afterAll`: nothing of ours runs on. */
export function endFirmware(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** A device that runs, on the host. */
export class Firmware {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<number | null>;
  #said = '';

  constructor(program: string, args: readonly string[]) {
    const child = spawn(program, args);
    running.add(child);
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
    // A device that has what it wanted ends with bytes on their way to it.
    child.stdin.on('error', () => child.stdin.destroy());
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        running.delete(child);
        resolve(code);
      });
    });
  }

  /** Joins its line to a port, through what the line does in each direction. */
  join(port: Port, weather: LineWeather, seed: number): void {
    const up = badLine(weather, seed);
    const down = badLine(weather, seed + 1);
    this.#child.stdout.on('data', (bytes: Buffer) => port.toHost.write(up(bytes)));
    const toDevice = (bytes: Buffer) => {
      if (this.#child.stdin.writable) this.#child.stdin.write(down(bytes));
    };
    port.fromHost.on('data', toDevice);
    void this.#ended.then(() => port.fromHost.off('data', toDevice));
  }

  get stdout() {
    return this.#child.stdout;
  }

  tell(text: string): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(text);
  }

  /** The readings that it took so far, as `boot/seq`. */
  get taken(): string[] {
    return [...this.#said.matchAll(/^put (\d+) (\d+)\n/gm)].map(
      ([, boot, seq]) => `${boot}/${seq}`,
    );
  }

  /** A reset: at any moment, and without a word. */
  async reset(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Waits for its end, and what it counted. */
  async counts(): Promise<DeviceCounts> {
    const code = await this.#ended;
    const line = this.#said.split('\n').find((one) => one.startsWith('{'));
    if (code !== 0 || line === undefined) throw new Error(`ended with ${code}: ${this.#said}`);
    return JSON.parse(line) as DeviceCounts;
  }
}
