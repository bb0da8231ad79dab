/**
 * `npm run bench:drain`: what a large backlog that goes to the cloud costs the devices and the
 * gateway's memory.
 *
 * node drain.js [--records 1000000] [--rate 1000] [--shape batch]
 *
 * One daemon is given the backlog by MQTT while its link is closed, and stops. A new one starts on
 * that log, so that what the filling took of memory counts for neither side. Then, without a break,
 * devices in a process of their own send at a steady rate with QoS 1, and
 *
 *   before  the link is closed,
 *   drain   it is open, until the last reading of the backlog is at a subscriber of the far broker,
 *   idle    it is open, and nothing waits but what has just come in.
 *
 * An acknowledgement's latency belongs to the part in which its reading was sent; it is counted
 * from the moment of sending, and the devices wait for nobody. The first seconds of `before` and
 * of `idle` are left out: what the compilers and the collector are still busy with. Memory is
 * VmRSS of the daemon, looked at every 50 ms: its growth is from the largest of `before` to the
 * largest of `drain`. The far broker and its subscriber, which on a real gateway are on another
 * machine, run with a lower priority.
 */
import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { spawnNode } from '../../src/os/child.ts';
import { LossyProxy } from '../support/lossy-proxy.ts';
import { until } from '../support/until.ts';
import { ClimateLoad, publishAll } from './climate-load.ts';
import { farCounter, startFarBroker } from './far-side.ts';
import { type GatewayChild, startGateway } from './gateway-child.ts';
import { temporaryPlace, untilRemoved } from './temporary-place.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '1000' },
    shape: { type: 'string', default: 'batch' },
  },
});
const RECORDS = Number(values.records);
const RATE = Number(values.rate);
const SHAPE = values.shape === 'raw' ? 'raw' : 'batch';
const WARM_MS = 15_000;
const PART_MS = 30_000;
const SAMPLE_MS = 50;
const MB = 1e6;

interface Sample {
  readonly monoMs: number;
  readonly value: number;
}

type Part = readonly [fromMonoMs: number, toMonoMs: number];

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

function within(samples: readonly Sample[], [from, to]: Part): number[] {
  const inside = samples.filter(({ monoMs }) => monoMs >= from && monoMs < to);
  return inside.map(({ value }) => value).sort((a, b) => a - b);
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor((sorted.length - 1) * q)] ?? Number.NaN;
}

function residentBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN) * 1024;
}

/** Looks at the memory of a process until it is told to stop. */
function watchMemory(pid: number): { readonly samples: Sample[]; stop(): void } {
  const samples: Sample[] = [];
  const timer = setInterval(() => {
    samples.push({ monoMs: systemClock.monoMs(), value: residentBytes(pid) });
  }, SAMPLE_MS);
  return { samples, stop: () => clearInterval(timer) };
}

async function startDevices(port: number, file: string) {
  const script = fileURLToPath(new URL('./steady-load.js', import.meta.url));
  // Numbers that the backlog has not: its readings are counted by theirs.
  const args = Object.entries({ port, rate: RATE, first: 10 * RECORDS, file });
  const child = spawnNode([script, ...args.flatMap(([k, v]) => [`--${k}`, `${v}`])], process.env);
  const remove = untilRemoved(() => child.kill('SIGKILL'));
  await until('the devices send', () => child.output().startsWith('ready'));
  return async (): Promise<Sample[]> => {
    child.kill('SIGTERM');
    if ((await child.ended) !== 0) throw new Error(`the devices: ${child.output()}`);
    remove();
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .map(([monoMs = 0, value = 0]) => ({ monoMs, value }));
  };
}

async function startDaemon(folder: string, linkPort: number): Promise<GatewayChild> {
  const gateway = await startGateway(folder, {
    HEADGATE_UPLINK_URL: `mqtt://127.0.0.1:${linkPort}`,
    HEADGATE_UPLINK_SHAPE: SHAPE,
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '1000',
  });
  untilRemoved(() => gateway.child.kill('SIGKILL'));
  return gateway;
}

async function stopDaemon({ child }: GatewayChild): Promise<void> {
  child.kill('SIGTERM');
  await child.ended;
}

function lower(...pids: readonly number[]): void {
  for (const pid of pids) setPriority(pid, constants.priority.PRIORITY_LOW);
}

interface Parts {
  readonly before: Part;
  readonly drain: Part;
  readonly idle: Part;
}

function show(parts: Parts, latencies: readonly Sample[], memory: readonly Sample[]): void {
  print('          seconds   samples    p50 ms    p99 ms    max ms   RSS MB: median   largest');
  for (const [name, part] of Object.entries(parts) as Array<[keyof Parts, Part]>) {
    const ms = within(latencies, part).map((us) => us / 1000);
    const rss = within(memory, part).map((bytes) => bytes / MB);
    const columns = [
      name.padEnd(8),
      ((part[1] - part[0]) / 1000).toFixed(1).padStart(8),
      String(ms.length).padStart(9),
      ...[0.5, 0.99, 1].map((q) => quantile(ms, q).toFixed(2).padStart(9)),
      quantile(rss, 0.5).toFixed(1).padStart(16),
      quantile(rss, 1).toFixed(1).padStart(9),
    ];
    print(columns.join(' '));
  }
  const p99 = (part: Part) => quantile(within(latencies, part), 0.99);
  const most = (part: Part) => quantile(within(memory, part), 1);
  const growth = (most(parts.drain) - most(parts.before)) / MB;
  print(`\np99 while it drains, of idle   ${(p99(parts.drain) / p99(parts.idle)).toFixed(2)}`);
  print(`memory that it takes, MB       ${growth.toFixed(1)}`);
}

async function run(): Promise<void> {
  const place = temporaryPlace('/tmp', 'headgate-drain-');
  const far = await startFarBroker(join(place.folder, 'far'));
  const proxy = await LossyProxy.start({ toPort: far.port });
  proxy.freeze('refused');
  const folder = join(place.folder, 'data');
  const filled = await startDaemon(folder, proxy.port);
  await publishAll(filled.port, new ClimateLoad(1), RECORDS);
  await stopDaemon(filled);

  const gateway = await startDaemon(folder, proxy.port);
  const memory = watchMemory(gateway.child.pid);
  const stopDevices = await startDevices(gateway.port, join(place.folder, 'latencies'));
  const wanted = { count: RECORDS, filter: 'headgate/#', shape: SHAPE } as const;
  const counter = await farCounter(far.port, wanted);
  lower(far.pid, counter.pid);
  await wait(WARM_MS);
  const startMs = systemClock.monoMs();
  await wait(PART_MS);
  proxy.thaw();
  await until('the link is open', () => proxy.connections.length > 0);
  const openedMs = proxy.connections[0]?.openedMonoMs ?? Number.NaN;
  const { lastMonoMs } = await counter.counted();
  const { passed } = proxy;
  await wait(WARM_MS);
  const idleMs = systemClock.monoMs();
  await wait(PART_MS);
  const { backlog } = await gateway.status();
  const idle: Part = [idleMs, systemClock.monoMs()];
  memory.stop();
  const latencies = await stopDevices();
  await stopDaemon(gateway);
  await proxy.close();
  await far.stop();
  place.remove();

  const seconds = (lastMonoMs - openedMs) / 1000;
  print(`Node ${process.version}, shape ${SHAPE}; ${RATE} readings/s come in all the time`);
  print(
    `${RECORDS} readings drained in ${seconds.toFixed(1)} s, ${Math.round(RECORDS / seconds)}/s`,
  );
  print(`${(passed.up / MB).toFixed(1)} MB up; at the end ${backlog} records wait\n`);
  show(
    { before: [startMs, openedMs], drain: [openedMs, lastMonoMs], idle },
    latencies,
    memory.samples,
  );
}

await run();
