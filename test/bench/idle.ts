/**
 * `npm run bench:idle`: what a gateway costs that has little to do.
 *
 * node idle.js [--minutes 10] [--devices 100] [--rate 100] [--program /usr/lib/headgate/main.js]
 *
 *   quiet   devices are connected and say nothing but their PINGREQ
 *   busy    they send at a steady rate with QoS 1, for as long but two minutes at most
 *
 * CPU is user and system time of the daemon, all its threads, of one core. Memory is VmRSS at the
 * end of each part. Flash is `write_bytes` of /proc/PID/io: pages that it has made dirty. Kernels
 * with large folios count a whole one for a page in it (256 KiB for 4), so only zero is exact.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { spawnNode } from '../../src/os/child.ts';
import { until } from '../support/until.ts';
import { startGateway } from './gateway-child.ts';
import { CONNACK, connectPacket, PacketReader } from './mqtt-packets.ts';
import { temporaryPlace, untilRemoved } from './temporary-place.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    devices: { type: 'string', default: '100' },
    rate: { type: 'string', default: '100' },
    program: { type: 'string', default: '' },
  },
});
const QUIET_MS = Number(values.minutes) * 60_000;
const BUSY_MS = Math.min(QUIET_MS, 120_000);
/** What the start, and the first readings, leave to be done. */
const SETTLE_MS = 30_000;
const KEEPALIVE_MS = 60_000;
const PINGREQ = Buffer.from([0xc0, 0]);
/** USER_HZ, as every Linux has it: the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

interface Sample {
  readonly monoMs: number;
  readonly cpuSeconds: number;
  readonly writtenBytes: number;
  readonly rssMB: number;
}

function sampleOf(pid: number): Sample {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // From the state on, which follows the name: utime and stime are its 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    monoMs: systemClock.monoMs(),
    cpuSeconds: ticks / TICKS_PER_SECOND,
    writtenBytes: Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? Number.NaN),
    rssMB: (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024) / 1e6,
  };
}

function show(part: string, from: Sample, to: Sample): void {
  const seconds = (to.monoMs - from.monoMs) / 1000;
  const share = (100 * (to.cpuSeconds - from.cpuSeconds)) / seconds;
  const columns = [
    part.padEnd(6),
    seconds.toFixed(0).padStart(8),
    share.toFixed(2).padStart(8),
    to.rssMB.toFixed(1).padStart(8),
    String(to.writtenBytes - from.writtenBytes).padStart(14),
  ];
  print(columns.join(' '));
}

/** Connected, with a PINGREQ as often as the keepalive asks for, and nothing else. */
async function connectQuietly(port: number, count: number): Promise<void> {
  let accepted = 0;
  for (let i = 0; i < count; i++) {
    const socket = connect(port, '127.0.0.1');
    const reader = new PacketReader();
    socket.on('data', (bytes) => {
      for (const { kind } of reader.read(bytes)) if (kind === CONNACK) accepted += 1;
    });
    socket.on('error', (error) => {
      throw error;
    });
    socket.write(connectPacket(`quiet-${i}`));
    // Not all at one moment.
    setTimeout(
      () => setInterval(() => socket.write(PINGREQ), KEEPALIVE_MS).unref(),
      (KEEPALIVE_MS * i) / count,
    ).unref();
  }
  await until('all are connected', () => accepted === count);
}

async function run(): Promise<void> {
  const place = temporaryPlace('/tmp', 'headgate-idle-');
  // In place of this checkout's: what a package installs.
  const by = ['sh', '-c', 'program=$0 && node=$1 && shift 2 && exec "$node" "$program" "$@"'];
  const { port, child } = await startGateway(
    join(place.folder, 'data'),
    {},
    values.program === '' ? [] : [...by, values.program],
  );
  untilRemoved(() => child.kill('SIGKILL'));
  await connectQuietly(port, Number(values.devices));
  await wait(SETTLE_MS);
  print(`Node ${process.version}; ${values.devices} devices, then ${values.rate} readings/s`);
  print('part    seconds    CPU %   RSS MB  bytes written');
  const before = sampleOf(child.pid);
  await wait(QUIET_MS);
  show('quiet', before, sampleOf(child.pid));
  const script = fileURLToPath(new URL('./steady-load.js', import.meta.url));
  const load = spawnNode(
    [script, '--port', `${port}`, '--rate', values.rate, '--file', '/dev/null'],
    process.env,
  );
  untilRemoved(() => load.kill('SIGKILL'));
  await wait(SETTLE_MS);
  const busy = sampleOf(child.pid);
  await wait(BUSY_MS);
  show('busy', busy, sampleOf(child.pid));
  load.kill('SIGTERM');
  child.kill('SIGTERM');
  await Promise.all([load.ended, child.ended]);
  place.remove();
  process.exit(0);
}

await run();
