/**
 * `npm run bench:uplink`: how fast a backlog goes to the cloud, and how many bytes that takes,
 * beside Debian's mosquitto with its own bridge. All of it in one run on one machine: read the
 * ratios.
 *
 * node uplink.js [--records 500000] [--delay 0 --delay 25] [--only bridge] [--direct]
 *
 * Each row starts with an empty far broker, and a gateway that can't reach it: its attempts are
 * reset. The gateway is given the same readings with QoS 1 until it has acknowledged all. Then the
 * link opens. The time runs from the first connection of the gateway that goes through to the last
 * reading at a subscriber of the far broker, so that nobody is charged for the wait between two
 * attempts. What arrives is decoded when it is all there. Bytes are those of TCP's payload both
 * ways, connecting and acknowledgements included: a proxy in the middle counts them, which takes a
 * good part of a processor.
 *
 * With `--direct` nothing stands between the gateway and the far broker, and no bytes are counted.
 * The gateway is halted while the far broker starts and somebody subscribes there; the time runs
 * from the first reading at that subscriber to the last.
 */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { nodeFiles } from '../../src/os/node-files.ts';
import { freePort } from '../support/free-port.ts';
import { LossyProxy } from '../support/lossy-proxy.ts';
import { until } from '../support/until.ts';
import { type BridgeSettings, bridge } from './bridge.ts';
import { ClimateLoad, publishAll } from './climate-load.ts';
import { farCounter, type Process, startBroker, startFarBroker } from './far-side.ts';
import { startGateway } from './gateway-child.ts';
import { temporaryPlace, untilRemoved } from './temporary-place.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '500000' },
    delay: { type: 'string', multiple: true, default: ['0', '25'] },
    only: { type: 'string', default: '' },
    direct: { type: 'boolean', default: false },
  },
});
const RECORDS = Number(values.records);
const SEED = 1;
const QUIET_MS = 500;
/** What Linux counts processor time in, on all machines that Node runs on. */
const TICK_US = 10_000;

interface Contender {
  readonly name: string;
  /** Of what arrives. */
  readonly shape: 'raw' | 'batch';
  readonly filter: string;
  start(folder: string, farPort: number): Promise<Process>;
}

interface Row {
  readonly rate: number;
  /** Processor time of the gateway, µs a reading. */
  readonly processorUs: number;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly payloadBytes: number;
  readonly publishes: number;
  readonly repeats: number;
}

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

function bridgeContender(settings: BridgeSettings): Contender {
  const { inflight, persistence } = settings;
  const stored = persistence ? ', stored' : '';
  return {
    name: `bridge, ${inflight === 0 ? 'no limit' : inflight} in flight${stored}`,
    shape: 'raw',
    filter: 'sensors/#',
    start: async (folder, farPort) =>
      startBroker(bridge(folder, { port: await freePort(), farPort }, settings)),
  };
}

function headgateContender(name: string, env: NodeJS.ProcessEnv): Contender {
  const shape = env['HEADGATE_UPLINK_SHAPE'] === 'batch' ? 'batch' : 'raw';
  return {
    name,
    shape,
    filter: 'headgate/#',
    start: async (folder, farPort) => {
      const { port, child } = await startGateway(folder, {
        HEADGATE_UPLINK_URL: `mqtt://127.0.0.1:${farPort}`,
        HEADGATE_UPLINK_RECONNECT_MAX_MS: '1000',
        ...env,
      });
      const remove = untilRemoved(() => child.kill('SIGKILL'));
      const stop = async () => {
        child.kill('SIGTERM');
        await child.ended;
        remove();
      };
      return { pid: child.pid, port, stop };
    },
  };
}

const CONTENDERS: readonly Contender[] = [
  bridgeContender({ inflight: 20, persistence: false }),
  bridgeContender({ inflight: 0, persistence: false }),
  bridgeContender({ inflight: 20, persistence: true }),
  bridgeContender({ inflight: 0, persistence: true }),
  headgateContender('Headgate raw', { HEADGATE_UPLINK_SHAPE: 'raw' }),
  headgateContender('Headgate raw, properties', {
    HEADGATE_UPLINK_SHAPE: 'raw',
    HEADGATE_UPLINK_IDENTITY: 'properties',
    HEADGATE_UPLINK_PROTOCOL_VERSION: '5',
  }),
  headgateContender('Headgate batch', { HEADGATE_UPLINK_SHAPE: 'batch' }),
].filter(({ name }) => name.includes(values.only));

/** Bytes on the link once the last acknowledgements have passed as well. */
async function settledBytes(proxy: LossyProxy) {
  for (let before = -1; before !== proxy.passed.down; await wait(QUIET_MS)) {
    before = proxy.passed.down;
  }
  return proxy.passed;
}

/** Processor time that a process has used, all its threads, in µs. */
async function processorUs(pid: number): Promise<number> {
  const stat = await nodeFiles.readText(`/proc/${pid}/stat`);
  // The name of the program stands in parentheses and may hold anything.
  const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

async function measure({ filter, shape, start }: Contender, delayMs: number): Promise<Row> {
  const place = temporaryPlace('/tmp', 'headgate-uplink-');
  const folder = (name: string) => join(place.folder, name);
  const far = await startFarBroker(folder('far'));
  const proxy = await LossyProxy.start({ toPort: far.port, delayMs });
  proxy.freeze('refused');
  const sender = await start(folder('gateway'), proxy.port);
  const load = new ClimateLoad(SEED);
  await until('it tries the link', () => proxy.refused > 0, 60_000);
  await publishAll(sender.port, load, RECORDS);
  const counter = await farCounter(far.port, { count: RECORDS, filter, shape });
  const usedUs = await processorUs(sender.pid);
  proxy.thaw();
  const { lastMonoMs, publishes, readings } = await counter.counted();
  const openedMonoMs = proxy.connections[0]?.openedMonoMs ?? Number.NaN;
  const { up, down } = await settledBytes(proxy);
  const nowUsedUs = await processorUs(sender.pid);
  await sender.stop();
  await proxy.close();
  await far.stop();
  place.remove();
  return {
    rate: (RECORDS * 1000) / (lastMonoMs - openedMonoMs),
    processorUs: (nowUsedUs - usedUs) / RECORDS,
    upBytes: up / RECORDS,
    downBytes: down / RECORDS,
    payloadBytes: load.payloadBytes / RECORDS,
    publishes,
    repeats: readings - RECORDS,
  };
}

/** The same without a proxy. */
async function measureDirect({ filter, shape, start }: Contender): Promise<Row> {
  const place = temporaryPlace('/tmp', 'headgate-uplink-');
  const folder = (name: string) => join(place.folder, name);
  const farPort = await freePort();
  const sender = await start(folder('gateway'), farPort);
  const load = new ClimateLoad(SEED);
  await publishAll(sender.port, load, RECORDS);
  process.kill(sender.pid, 'SIGSTOP');
  const far = await startFarBroker(folder('far'), farPort);
  const counter = await farCounter(far.port, { count: RECORDS, filter, shape });
  const usedUs = await processorUs(sender.pid);
  process.kill(sender.pid, 'SIGCONT');
  const { firstMonoMs, lastMonoMs, publishes, readings } = await counter.counted();
  const nowUsedUs = await processorUs(sender.pid);
  await sender.stop();
  await far.stop();
  place.remove();
  return {
    rate: (RECORDS * 1000) / (lastMonoMs - firstMonoMs),
    processorUs: (nowUsedUs - usedUs) / RECORDS,
    ...{ upBytes: Number.NaN, downBytes: Number.NaN },
    payloadBytes: load.payloadBytes / RECORDS,
    publishes,
    repeats: readings - RECORDS,
  };
}

const HEAD =
  `${' '.repeat(34)}readings/s  of bridge   CPU µs  B/reading up+down     all  of bridge  ` +
  'of raw  readings/publish';

async function compare(delayMs: number): Promise<void> {
  const rows = new Map<string, Row>();
  for (const contender of CONTENDERS) {
    const row = values.direct ? await measureDirect(contender) : await measure(contender, delayMs);
    const { rate, upBytes, downBytes, payloadBytes, publishes, repeats } = row;
    if (rows.size === 0) {
      print(`\n${delayMs} ms each way; payloads of ${payloadBytes.toFixed(1)} bytes`);
      print(HEAD);
    }
    rows.set(contender.name, row);
    const all = upBytes + downBytes;
    // The fastest bridge so far: it comes before us.
    const bridges = [...rows].filter(([name]) => name.startsWith('bridge')).map(([, it]) => it);
    const best = Math.max(...bridges.map((it) => it.rate));
    const [plain] = bridges;
    const raw = rows.get('Headgate raw');
    const ofBridge = plain === undefined ? Number.NaN : all / (plain.upBytes + plain.downBytes);
    const ofRaw = raw === undefined ? Number.NaN : all / (raw.upBytes + raw.downBytes);
    print(
      [
        contender.name.padEnd(34),
        String(Math.round(rate)).padStart(9),
        (rate / best).toFixed(2).padStart(10),
        row.processorUs.toFixed(1).padStart(8),
        `${upBytes.toFixed(1)} + ${downBytes.toFixed(1)}`.padStart(18),
        all.toFixed(1).padStart(7),
        ofBridge.toFixed(3).padStart(10),
        ofRaw.toFixed(3).padStart(7),
        (RECORDS / publishes).toFixed(1).padStart(9),
        repeats > 0 ? `  ${repeats} came twice` : '',
      ].join(' '),
    );
  }
}

print(`Node ${process.version}; ${RECORDS} readings; of bridge: of the fastest one so far`);
for (const delay of values.direct ? ['0'] : values.delay) await compare(Number(delay));
