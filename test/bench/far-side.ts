/** The cloud of a bench: Debian's mosquitto, and a program that counts what arrives there. */
import { fileURLToPath } from 'node:url';
import { spawnNode } from '../../src/os/child.ts';
import { freePort } from '../support/free-port.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { until } from '../support/until.ts';
import type { FarCount } from './far-count.ts';
import { untilRemoved } from './temporary-place.ts';

const ALL_WITHIN_MS = 15 * 60_000;

/** A program that takes part and goes when the bench does. */
export interface Process {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

export async function startBroker(broker: Mosquitto): Promise<Process> {
  const remove = untilRemoved(() => broker.kill());
  await broker.start();
  const stop = async () => {
    await broker.stop();
    remove();
  };
  return { pid: broker.pid, port: broker.port, stop };
}

/** Without limits, so that it holds nobody back. */
export async function startFarBroker(folder: string, port?: number): Promise<Process> {
  const lines = ['max_queued_bytes 0', 'set_tcp_nodelay true'];
  return startBroker(new Mosquitto(folder, port ?? (await freePort()), lines));
}

export interface Wanted {
  readonly count: number;
  readonly filter: string;
  readonly shape: 'raw' | 'batch';
}

/** Counts what arrives at the far broker; resolves, subscribed, with what gives the count. */
export async function farCounter(port: number, { count, filter, shape }: Wanted) {
  const file = fileURLToPath(new URL('./far-count.js', import.meta.url));
  const args = Object.entries({ port, count, filter, shape });
  const child = spawnNode([file, ...args.flatMap(([k, v]) => [`--${k}`, `${v}`])], process.env);
  const remove = untilRemoved(() => child.kill('SIGKILL'));
  await until('the counter is ready', () => child.output().startsWith('ready'));
  return {
    pid: child.pid,
    counted: async (): Promise<FarCount> => {
      const timer = setTimeout(() => child.kill('SIGTERM'), ALL_WITHIN_MS);
      const code = await child.ended;
      clearTimeout(timer);
      remove();
      if (code !== 0) throw new Error(`not all arrived: ${child.output()}`);
      return JSON.parse(child.output().slice('ready\n'.length)) as FarCount;
    },
  };
}
