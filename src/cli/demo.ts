import { setTimeout as wait } from 'node:timers/promises';
import { SimulatedSensor } from '../../firmware-bridge/device/simulated-sensor.ts';
import { systemClock } from '../base/clock.ts';
import type { LogRecord } from '../base/reading.ts';
import { StreamCursor } from '../log/log-reader.ts';
import type { DataFolder } from '../ops/data-folder.ts';
import type { Child } from '../os/child.ts';
import { nodeFiles } from '../os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../os/temporary-folder.ts';
import type { Command, Io } from './command.ts';
import type { DemoCloud } from './demo-cloud.ts';
import { DemoGateway } from './demo-gateway.ts';
import { receiptOf } from './demo-receipt.ts';
import { viewOfStream } from './stores.ts';

const SENSORS = 5;
const MESSAGES = 220;
const EVERY_MS = 50;
const ANOMALY_AT = 120;
const REPEAT_SHARE = 0.15;
const OUTAGE_FROM_MS = 3_000;
const OUTAGE_MS = 4_000;
const DRAIN_WITHIN_MS = 30_000;

interface Sensors {
  readonly acked: Map<string, string[]>;
  repeats: number;
}

async function runSensor(url: string, index: number, seen: Sensors): Promise<void> {
  const device = `sensor-${index + 1}`;
  const anomalies = index === 0 ? [ANOMALY_AT] : [];
  const sensor = new SimulatedSensor({
    device,
    seed: index + 1,
    anomalies,
    repeatShare: REPEAT_SHARE,
  });
  const { DeviceClient } = await import('../../firmware-bridge/device/device-client.ts');
  const client = new DeviceClient({ url, clientId: device });
  const acked: string[] = [];
  seen.acked.set(device, acked);
  for (let i = 0; i < MESSAGES; i++) {
    const { topic, payload, id, repeated } = sensor.next(systemClock.wallMs());
    await client.publish(topic, payload);
    acked.push(id);
    if (repeated) {
      await client.repeat(topic, payload);
      seen.repeats += 1;
    }
    await wait(EVERY_MS);
  }
  // One message that is no reading: it must neither be lost nor stop anybody.
  await client.publish(`sensors/${device}/temperature`, 'NaN');
  await client.close();
}

async function outage(cloud: DemoCloud, say: (what: string) => void): Promise<void> {
  await wait(OUTAGE_FROM_MS);
  say('the cloud goes away; readings wait in the log');
  await cloud.close();
  await wait(OUTAGE_MS);
  say('the cloud is back; the log drains');
  await cloud.open();
}

async function readStream(data: DataFolder, stream: string): Promise<LogRecord[]> {
  const view = await viewOfStream(data, stream);
  const cursor = new StreamCursor({ files: nodeFiles, view, stream, from: [] });
  const all: LogRecord[] = [];
  for (let some = await cursor.next(); some !== undefined; some = await cursor.next()) {
    all.push(...some);
  }
  await cursor.close();
  return all;
}

async function play(folder: string, io: Io, onChild: (child: Child) => void): Promise<number> {
  const startMs = systemClock.monoMs();
  const say = (what: string) => {
    io.print(`${((systemClock.monoMs() - startMs) / 1000).toFixed(1).padStart(5)} s  ${what}`);
  };
  const { DemoCloud } = await import('./demo-cloud.ts');
  const cloud = new DemoCloud();
  await cloud.open();
  const gateway = await DemoGateway.start(folder, cloud.url, onChild);
  const { mqtt } = await gateway.status();
  say(`a gateway listens on ${mqtt.host}:${mqtt.port}; its cloud is ${cloud.url}`);
  const seen: Sensors = { acked: new Map(), repeats: 0 };
  const url = `mqtt://127.0.0.1:${mqtt.port}`;
  say(`${SENSORS} sensors publish ${MESSAGES} readings each; one of seven is sent twice`);
  const sensors = Array.from({ length: SENSORS }, (_, i) => runSensor(url, i, seen));
  await Promise.all([...sensors, outage(cloud, say)]);
  say('the sensors are done');
  const drained = await gateway.until(({ backlog }) => backlog === 0, DRAIN_WITHIN_MS);
  const status = await gateway.status();
  say(drained ? 'the cloud has everything' : `the cloud still lacks ${status.backlog} records`);
  await gateway.stop();
  await cloud.close();
  const { lines, faults } = receiptOf({
    acked: seen.acked,
    repeats: seen.repeats,
    status,
    readings: await readStream(gateway.data, 'readings'),
    alerts: await readStream(gateway.data, 'alerts'),
    deadLetters: await readStream(gateway.data, 'dead-letter'),
    cloud: cloud.heard,
  });
  io.print('\nReceipt');
  for (const line of lines) io.print(line);
  for (const fault of faults) io.print(`  DOES NOT BALANCE: ${fault}`);
  io.print(faults.length === 0 ? '  The books balance.' : '  The books do not balance.');
  return faults.length === 0 ? 0 : 1;
}

export const demo: Command = {
  name: 'demo',
  usage: 'headgate demo',
  summary: 'sensors, retransmits, an anomaly, a cloud outage, and a receipt (about 15 s)',
  options: {},
  positionals: [0, 0],
  async run(_values, _positionals, io) {
    const folder = makeTemporaryFolder('headgate-demo-');
    let gateway: Child | undefined;
    const cleanUp = async () => {
      gateway?.kill('SIGKILL');
      await gateway?.ended;
      await removeFolder(await folder);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const leave = () => process.exit(130);
      process.once(signal, () => cleanUp().then(leave, leave));
    }
    try {
      return await play(await folder, io, (child) => {
        gateway = child;
      });
    } finally {
      await cleanUp();
    }
  },
};
