/**
 * `npm run bench`: durable QoS 1 throughput and ack latency against bare aedes, in turns within one
 * run, and bytes written per payload byte. Figures from one machine at one time: read the ratios.
 */

import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { type Child, spawnNode } from '../../src/os/child.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../src/os/temporary-folder.ts';
import { startGateway } from './gateway-child.ts';
import { measureParts } from './parts.ts';

const ROUNDS = 5;
const LOADS = [
  { name: '50 clients × 20 in flight', connections: 50, window: 20, messages: 150_000 },
  { name: '10 clients × 1 in flight', connections: 10, window: 1, messages: 10_000 },
];

interface Result {
  readonly rate: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly payloadBytes: number;
  /** Written to the log for it, and by the process as the kernel counts it. */
  readonly logBytes: number;
  readonly ioBytes: number;
}

interface Broker {
  readonly name: string;
  readonly port: number;
  readonly child: Child;
  logBytes(): Promise<number>;
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

async function outputLine(child: Child): Promise<string> {
  for (let i = 0; i < 1_000; i++) {
    const [line, rest] = child.output().split('\n', 2);
    if (rest !== undefined && line !== undefined) return line;
    await wait(10);
  }
  throw new Error(`no answer: ${child.output()}`);
}

async function startBare(): Promise<Broker> {
  const child = spawnNode([here('./bare-aedes.js')], process.env);
  const port = Number(await outputLine(child));
  return { name: 'bare aedes', port, child, logBytes: async () => 0 };
}

async function gatewayBroker(name: string, folder: string, env: NodeJS.ProcessEnv) {
  const { port, child, status } = await startGateway(folder, env);
  return { name, port, child, logBytes: async () => (await status()).bytesWritten };
}

/** Bytes that the process had the kernel write to storage. */
async function writtenBytes(pid: number): Promise<number> {
  const text = (await nodeFiles.readText(`/proc/${pid}/io`).catch(() => undefined)) ?? '';
  return Number(/^write_bytes: (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

async function measure(
  broker: Broker,
  load: (typeof LOADS)[number],
  round: string,
): Promise<Result> {
  const before = [await broker.logBytes(), await writtenBytes(broker.child.pid)];
  const { connections, window, messages } = load;
  const args = Object.entries({ port: broker.port, connections, window, messages, prefix: round });
  const loader = spawnNode(
    [here('./load.js'), ...args.flatMap(([name, value]) => [`--${name}`, String(value)])],
    process.env,
  );
  if ((await loader.ended) !== 0) throw new Error(`${broker.name}: ${loader.output()}`);
  const result = JSON.parse(loader.output()) as Result;
  const after = [await broker.logBytes(), await writtenBytes(broker.child.pid)];
  return {
    ...result,
    logBytes: (after[0] ?? 0) - (before[0] ?? 0),
    ioBytes: (after[1] ?? 0) - (before[1] ?? 0),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

async function compare(brokers: readonly Broker[], load: (typeof LOADS)[number]): Promise<void> {
  const results = new Map<Broker, Result[]>(brokers.map((broker) => [broker, []]));
  // The first round warms the compilers up and is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const broker of brokers) {
      const result = await measure(broker, load, `${load.connections}r${round}`);
      if (round > 0) results.get(broker)?.push(result);
    }
  }
  const [yardstick] = brokers;
  const base = yardstick === undefined ? [] : (results.get(yardstick) ?? []);
  print(
    `\n${load.name}, ${load.messages} readings of 130 bytes, median of ${ROUNDS} rounds in turns`,
  );
  print(`${' '.repeat(24)}readings/s   ratio (min–max)      p50 ms   p99 ms  bytes/byte  io/byte`);
  for (const [broker, own] of results) {
    const pick = (of: (r: Result) => number) => median(own.map(of));
    const ratios = own.map((r, i) => r.rate / (base[i]?.rate ?? Number.NaN)).sort((a, b) => a - b);
    const columns = [
      broker.name.padEnd(24),
      String(Math.round(pick((r) => r.rate))).padStart(9),
      median(ratios).toFixed(2).padStart(8),
      `(${(ratios[0] ?? 0).toFixed(2)}–${(ratios.at(-1) ?? 0).toFixed(2)})`.padEnd(13),
      (pick((r) => r.p50Us) / 1000).toFixed(1).padStart(8),
      (pick((r) => r.p99Us) / 1000).toFixed(1).padStart(8),
      pick((r) => r.logBytes / r.payloadBytes)
        .toFixed(2)
        .padStart(10),
      pick((r) => r.ioBytes / r.payloadBytes)
        .toFixed(2)
        .padStart(9),
    ];
    print(columns.join(' '));
  }
}

const HELP = [
  'usage: npm run bench',
  '',
  'Compares durable throughput with a bare broker in one run of some minutes. It takes no options.',
].join('\n');

/** A slip must not start minutes of load. */
function checkWords(): void {
  try {
    const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
    if (values.help !== true) return;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}\n`);
    process.exit(2);
  }
  print(HELP);
  process.exit(0);
}

checkWords();
const folder = await makeTemporaryFolder('headgate-bench-');
const brokers: Broker[] = [];
try {
  brokers.push(await startBare());
  brokers.push(
    await gatewayBroker('Headgate, no detection', `${folder}/a`, {
      HEADGATE_DETECT_ENABLED: 'false',
    }),
  );
  brokers.push(await gatewayBroker('Headgate as shipped', `${folder}/b`, {}));
  print(`Node ${process.version}, data in ${folder}`);
  for (const load of LOADS) await compare(brokers, load);
  print('\nParts, µs a reading');
  for (const [name, us] of measureParts()) print(`${name.padEnd(24)} ${us.toFixed(2).padStart(8)}`);
} finally {
  for (const { child } of brokers) {
    child.kill('SIGTERM');
    await child.ended;
  }
  await removeFolder(folder);
}
