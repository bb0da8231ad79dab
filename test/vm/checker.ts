/**
 * Looks at one state of a disk after another, as a gateway that comes back would: mounts it, which
 * replays the journal of the file system, starts the gateway on it, lets the devices send what was
 * not acknowledged, and reads the log. Serves lines of JSON on a port; as root.
 *
 * node checker.js --port 7000 --mount /mnt
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { systemClock, systemRandom } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { Gateway } from '../../src/gateway.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { type Verified, verifyStore } from '../../src/log/verify.ts';
import { type DataFolder, dataFolder } from '../../src/ops/data-folder.ts';
import { loadConfig } from '../../src/ops/load-config.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { connectPacket, PacketReader, PUBACK, publishPacket } from '../bench/mqtt-packets.ts';
import { readAll } from '../support/journals.ts';
import type { CheckAnswer, CheckRequest } from './check-protocol.ts';
import { CHECK_CONFIG } from './lab-config.ts';
import { payloadOf } from './ledger.ts';
import { onLines } from './line-socket.ts';
import { numbersOf, runsOf } from './number-runs.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    mount: { type: 'string', default: '/mnt' },
  },
});

const RESEND_WITHIN_MS = 60_000;

function command(name: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

/** The next state comes under the same name: what is cached of another must not be seen then. */
function forget(device: string): void {
  if (device.startsWith('/dev/')) command('blockdev', '--flushbufs', device);
}

function mount({ device, fs }: CheckRequest): void {
  const isFile = !device.startsWith('/dev/');
  forget(device);
  command('mount', '-t', fs, ...(isFile ? ['-o', 'loop'] : []), device, values.mount);
}

function unmount({ device }: CheckRequest): void {
  command('umount', values.mount);
  forget(device);
}

async function startGateway(data: DataFolder): Promise<Gateway> {
  const loaded = loadConfig({
    text: CHECK_CONFIG,
    env: {},
    overrides: { port: 0, dataDir: data.root },
  });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'));
  const { config } = loaded;
  const [clock, random] = [systemClock, systemRandom];
  return Gateway.start({ config, data, files: nodeFiles, clock, random, logger: silentLogger });
}

/** One connection a device, as devices do; resolves when all is acknowledged. */
function resend(port: number, device: string, sequences: readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const packets = new PacketReader();
    const topic = Buffer.from(`sensors/${device}/t`);
    let open = sequences.length;
    const timer = setTimeout(() => fail(new Error('not acknowledged')), RESEND_WITHIN_MS);
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the gateway hung up')));
    socket.on('data', (bytes) => {
      for (const { kind } of packets.read(bytes)) if (kind === PUBACK) open -= 1;
      if (open > 0) return;
      clearTimeout(timer);
      socket.destroy();
      resolve();
    });
    const sent = sequences.map((sequence, i) =>
      publishPacket(topic, i + 1, payloadOf(device, sequence)),
    );
    socket.write(Buffer.concat([connectPacket(device), ...sent]));
  });
}

interface Read {
  readonly found: Record<string, string>;
  readonly changed: readonly string[];
}

async function readLog(folder: string): Promise<Read> {
  const found = new Map<string, number[]>();
  const changed: string[] = [];
  const view = await FolderView.open(nodeFiles, folder);
  for (const { device, payload } of await readAll(nodeFiles, view)) {
    const text = Buffer.from(payload).toString();
    const sequence = Number(/^\{"id":"[^"]*-(\d+)"/.exec(text)?.[1]);
    if (text !== payloadOf(device, sequence)) {
      changed.push(text.slice(0, 60));
      continue;
    }
    const all = found.get(device) ?? [];
    all.push(sequence);
    found.set(device, all);
  }
  return {
    found: Object.fromEntries([...found].map(([device, all]) => [device, runsOf(all)])),
    changed,
  };
}

async function verified({ telemetry, events }: DataFolder): Promise<Verified[]> {
  return [await verifyStore(nodeFiles, telemetry), await verifyStore(nodeFiles, events)];
}

const NOTHING: CheckAnswer = {
  found: {},
  foundAfter: {},
  changed: [],
  corruptBlocks: 0,
  lostOffsets: 0,
  startMs: 0,
};

async function checkMounted(request: CheckRequest): Promise<CheckAnswer> {
  const data = dataFolder(values.mount, {});
  const beganMs = systemClock.monoMs();
  const gateway = await startGateway(data);
  const startMs = systemClock.monoMs() - beganMs;
  let found: Read;
  try {
    found = await readLog(data.telemetry);
    const { port } = gateway.status().mqtt;
    const again = Object.entries(request.resend).filter(([, runs]) => runs !== '');
    await Promise.all(again.map(([device, runs]) => resend(port, device, numbersOf(runs))));
  } finally {
    await gateway.stop();
  }
  const after = await readLog(data.telemetry);
  const stores = await verified(data);
  const sum = (pick: (one: Verified) => number) => stores.reduce((all, one) => all + pick(one), 0);
  return {
    found: found.found,
    foundAfter: after.found,
    changed: [...found.changed, ...after.changed],
    corruptBlocks: sum((one) => one.corruptBlocks),
    lostOffsets: sum((one) => one.lostOffsets),
    startMs: Math.round(startMs),
  };
}

async function check(request: CheckRequest): Promise<CheckAnswer> {
  try {
    mount(request);
  } catch (error) {
    return { ...NOTHING, failed: messageOf(error) };
  }
  const answer = await checkMounted(request).catch((error) => ({
    ...NOTHING,
    failed: error instanceof Error ? `${error.message}\n${error.stack}` : messageOf(error),
  }));
  unmount(request);
  return answer;
}

mkdirSync(values.mount, { recursive: true });
const server = createServer((socket) => {
  let turn = Promise.resolve();
  onLines(socket, (line) => {
    turn = turn.then(async () => {
      const answer = await check(JSON.parse(line) as CheckRequest);
      socket.write(`${JSON.stringify(answer)}\n`);
    });
    turn.catch((error) => {
      process.stderr.write(`${messageOf(error)}\n`);
      process.exit(1);
    });
  });
  socket.write('ready\n');
  socket.on('error', () => socket.destroy());
  // One lab a checker: it goes when the lab does.
  socket.on('close', () => process.exit(0));
});
server.listen(Number(values.port), values.host, () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
});
