import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GatewayProcess, headgate, Running } from './gateway-process.ts';
import { until } from './until.ts';

/** `headgate-serial` as it is built, and the line between it and a device. */

const PROGRAM = join(import.meta.dirname, '../../dist/firmware-bridge/serial/main.js');

export function startBridge(args: readonly string[]): Running {
  return new Running(process.execPath, [PROGRAM, ...args]);
}

/** A serial port of this name, a pseudo terminal, with the TCP port as what is plugged in. */
export function plugIn(path: string, port: number): Running {
  return new Running('socat', [`PTY,link=${path},rawer`, `TCP:127.0.0.1:${port}`]);
}

/** As when a USB plug is pulled: the port is gone, whoever has it open. */
export async function pullOut(line: Running): Promise<void> {
  line.kill('SIGTERM');
  await line.ended;
}

/** Ends it as an operator would; returns its exit code. */
export async function endBridge(bridge: Running): Promise<number | null> {
  bridge.kill('SIGTERM');
  return await bridge.ended;
}

/** The last counts that a bridge has said. */
export function countsOf(bridge: Running): Readonly<Record<string, number>> {
  const lines = bridge.stdout.split('\n').filter((line) => line.includes('"counts"'));
  return JSON.parse(lines.at(-1) ?? '{}') as Record<string, number>;
}

/** Waits until a bridge has said `words`, `times` times. */
export async function untilSaid(bridge: Running, words: string, times = 1): Promise<void> {
  await until(`the bridge says ${words}`, () => bridge.stdout.split(words).length > times, 20_000);
}

/** The most that the process had in memory. */
export function peakMegabytes(pid: number): number {
  const kb = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1_024;
}

interface Stored {
  readonly id: string;
  readonly topic: string;
  readonly payload: string;
}

/** All readings of a gateway's log. */
export async function readingsOf(gateway: GatewayProcess): Promise<Stored[]> {
  const args = ['log', 'read', 'readings', '--from', 'earliest', '--format', 'ndjson'];
  const { lines } = await headgate([...args, '--data', gateway.data.root]);
  return lines.map((line) => JSON.parse(line) as Stored);
}
