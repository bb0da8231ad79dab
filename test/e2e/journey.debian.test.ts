import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceClient } from '../../firmware-bridge/device/device-client.ts';
import { SimulatedSensor } from '../../firmware-bridge/device/simulated-sensor.ts';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { verifyStore } from '../../src/log/verify.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { readAll } from '../support/journals.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { type Subscription, subscribe } from '../support/subscriber.ts';
import { until } from '../support/until.ts';

/**
 * The whole journey with real parts: 50 sensors that send again what was not acknowledged, a
 * gateway that is killed ten times under load, and Debian's mosquitto as a cloud that is away
 * twice.
 */
const SEED = Number(process.env['SEED'] ?? 20261124);
const CLIENTS = 50;
const WINDOW = 4;
const KILLS = 10;
const MIN_MESSAGES = 100;
const ANOMALIES = new Map([
  ['sensor-3', 60],
  ['sensor-17', 75],
  ['sensor-42', 90],
]);

const folder = temporaryFolder();
const random = seededRandom(SEED);
let mosquitto: Mosquitto;
let port = 0;
let gateway: GatewayProcess;
let collector: Subscription;
const heard: Envelope[] = [];

async function startGateway(): Promise<void> {
  const env = {
    HEADGATE_GATEWAY_ID: 'journey',
    HEADGATE_UPLINK_URL: `mqtt://127.0.0.1:${mosquitto.port}`,
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '1000',
    HEADGATE_LOG_SEGMENT_BYTES: '1048576',
    HEADGATE_DETECT_CHECKPOINT_MS: '500',
  };
  gateway = await GatewayProcess.start({ folder: join(folder, 'data'), port, env });
}

interface Sent {
  readonly ids: readonly string[];
  /** Messages that went out again because no acknowledgement came. */
  readonly resent: number;
}

/** Publishes until told to stop; returns the ids in the order of sending, all acknowledged. */
async function runSensor(index: number, isOver: () => boolean): Promise<Sent> {
  const device = `sensor-${index}`;
  const at = ANOMALIES.get(device);
  const sensor = new SimulatedSensor({
    device,
    seed: SEED + index,
    repeatShare: 0.1,
    anomalies: at === undefined ? [] : [at],
  });
  const client = new DeviceClient({ url: `mqtt://127.0.0.1:${port}`, clientId: device });
  const ids: string[] = [];
  const all: Promise<void>[] = [];
  let inFlight = 0;
  let repeats = 0;
  while (!isOver() || ids.length < MIN_MESSAGES) {
    if (inFlight >= WINDOW) {
      await wait(5);
      continue;
    }
    const { topic, payload, id, repeated } = sensor.next(systemClock.wallMs());
    ids.push(id);
    inFlight += 1;
    const sent = client.publish(topic, payload).then(() => {
      inFlight -= 1;
    });
    all.push(sent);
    if (repeated) {
      repeats += 1;
      all.push(client.repeat(topic, payload));
    }
    await wait(20);
  }
  await Promise.all(all);
  await client.close();
  return { ids, resent: client.resent - repeats };
}

async function readStream(store: string, stream: string): Promise<LogRecord[]> {
  return readAll(nodeFiles, await FolderView.open(nodeFiles, store), stream);
}

beforeAll(async () => {
  console.info(`seed ${SEED}`);
  mosquitto = new Mosquitto(join(folder, 'mosquitto'), await freePort());
  await mosquitto.start();
  port = await freePort();
  collector = await subscribe(
    { url: `mqtt://127.0.0.1:${mosquitto.port}`, clientId: 'collector' },
    'headgate/#',
    (_, payload) => {
      const envelope = JSON.parse(payload.toString()) as Envelope;
      // The books have a test of their own.
      if (envelope.stream !== 'audit') heard.push(envelope);
    },
  );
  await startGateway();
});

afterAll(async () => {
  await collector?.close();
  await mosquitto?.stop();
  await cleanUp();
});

describe('fifty sensors, ten kills, two outages of the cloud', () => {
  const sent = new Map<string, Sent>();
  let readings: LogRecord[] = [];
  let alerts: LogRecord[] = [];

  it('goes through it', async () => {
    let over = false;
    const sensors = Array.from({ length: CLIENTS }, async (_, i) => {
      sent.set(`sensor-${i}`, await runSensor(i, () => over));
    });
    for (let kill = 1; kill <= KILLS; kill++) {
      // Back, all of them, and at work: then a moment at random.
      await gateway.until('all are back', ({ mqtt }) => mqtt.connections === CLIENTS);
      const { received } = await gateway.status();
      await gateway.until('they send', (status) => status.received > received + CLIENTS);
      await wait(random() * 900);
      if (kill === 3 || kill === 7) {
        await mosquitto.stop();
        await gateway.until('the link is down', ({ uplink }) => uplink.link === 'down');
      }
      await gateway.kill9();
      await startGateway();
      if (kill === 4 || kill === 8) {
        await mosquitto.start();
        await gateway.until('the link is up', ({ uplink }) => uplink.link === 'up');
      }
    }
    over = true;
    await Promise.all(sensors);
    await until('backlog 0', async () => (await gateway.status()).backlog === 0, 60_000);
    expect(await gateway.stop()).toBe(0);
    readings = await readStream(gateway.data.telemetry, 'readings');
    alerts = await readStream(gateway.data.events, 'alerts');
    expect(sent.size).toBe(CLIENTS);
    const resent = [...sent.values()].reduce((sum, one) => sum + one.resent, 0);
    expect(resent).toBeGreaterThan(CLIENTS);
  });

  it('has every acknowledged id in the log once, in its device’s order', () => {
    for (const [device, { ids }] of sent) {
      const stored = readings.filter((r) => r.device === device).map((r) => r.messageId?.text);
      expect(stored).toEqual(ids);
    }
  });

  it('has a whole log', async () => {
    const found = await verifyStore(nodeFiles, gateway.data.telemetry);
    expect(found).toMatchObject({ corruptBlocks: 0, lostOffsets: 0, records: readings.length });
  });

  it('brought every record to the cloud, each under one identity', async () => {
    const key = (r: { stream: string; partition: number; offset: number }) =>
      `${r.stream}/${r.partition}/${r.offset}`;
    const expected = new Set([...readings, ...alerts].map(key));
    const arrived = () => new Set(heard.map(key)).size;
    await until('the cloud has all', () => arrived() >= expected.size, 30_000);
    const byIdentity = new Map<string, string>();
    for (const envelope of heard) {
      expect(expected.has(key(envelope))).toBe(true);
      const identity = `${envelope.gateway}/${envelope.log}/${key(envelope)}`;
      const what = `${envelope.device} ${envelope.id ?? ''} ${envelope.payload}`;
      expect(byIdentity.get(identity) ?? what).toBe(what);
      byIdentity.set(identity, what);
    }
    expect(byIdentity.size).toBe(expected.size);
  });

  it('raised each anomaly that was put in, once, and nothing else', () => {
    const begun = alerts
      .map((r) => JSON.parse(Buffer.from(r.payload).toString()) as { kind: string; device: string })
      .filter(({ kind }) => kind === 'begin');
    expect(begun.map(({ device }) => device).sort()).toEqual([...ANOMALIES.keys()].sort());
  });
});
