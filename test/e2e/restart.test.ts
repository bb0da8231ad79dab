import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DeviceClient } from '../../firmware-bridge/device/device-client.ts';
import { type Random, seededRandom } from '../../src/base/clock.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, headgate, temporaryFolder } from '../support/gateway-process.ts';
import { readAll, textOf } from '../support/journals.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// A gateway that is killed without a word, again and again, on one data folder and one port.

const SEED = Number(process.env['SEED'] ?? 4711);

function recordsOf(gateway: GatewayProcess, stream: string): Promise<LogRecord[]> {
  const { telemetry, events } = gateway.data;
  const store = stream === 'alerts' || stream === 'dead-letter' ? events : telemetry;
  return FolderView.open(nodeFiles, store).then((view) => readAll(nodeFiles, view, stream));
}

interface Sensors {
  /** Ids in the order in which each device first sent them. */
  readonly sent: Map<string, string[]>;
  acked: number;
}

interface Load {
  readonly port: number;
  readonly devices: number;
  readonly messages: number;
  readonly random: Random;
}

const WINDOW = 4;

/** One device: a window of messages in flight, all sent again until acknowledged, some twice. */
async function runDevice(index: number, load: Load, seen: Sensors): Promise<void> {
  const device = `dev-${index}`;
  const url = `mqtt://127.0.0.1:${load.port}`;
  const client = new DeviceClient({ url, clientId: device, reconnectMs: 20 });
  const ids: string[] = [];
  seen.sent.set(device, ids);
  const inFlight = new Set<Promise<void>>();
  for (let n = 0; n < load.messages; n++) {
    const id = `${device}-${n}`;
    ids.push(id);
    const payload = JSON.stringify({ id, value: n });
    const sent = client.publish(`sensors/${device}/count`, payload).then(() => {
      seen.acked += 1;
    });
    const both =
      load.random() < 0.2 ? [sent, client.repeat(`sensors/${device}/count`, payload)] : [sent];
    const done: Promise<void> = Promise.all(both).then(() => {
      inFlight.delete(done);
    });
    inFlight.add(done);
    if (inFlight.size >= WINDOW) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  await client.close();
}

afterAll(cleanUp);

describe(`kills under load, seed ${SEED}`, () => {
  const DEVICES = 8;
  const MESSAGES = 600;
  const env = {
    HEADGATE_GATEWAY_ID: 'kills',
    HEADGATE_UPLINK_RECONNECT_MIN_MS: '20',
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '200',
    HEADGATE_UPLINK_CHECKPOINT_MS: '50',
    HEADGATE_LOG_SEGMENT_BYTES: '1048576',
  };
  const random = seededRandom(SEED);
  const seen: Sensors = { sent: new Map(), acked: 0 };
  const cloud = new Cloud();
  let gateway: GatewayProcess;

  beforeAll(async () => {
    const port = await freePort();
    const folder = temporaryFolder();
    await cloud.open();
    const start = () =>
      GatewayProcess.start({ folder, port, env: { ...env, HEADGATE_UPLINK_URL: cloud.url } });
    gateway = await start();
    const load = { port, devices: DEVICES, messages: MESSAGES, random };
    const all = Promise.all(Array.from({ length: DEVICES }, (_, i) => runDevice(i, load, seen)));
    const kill = async () => {
      await gateway.kill9();
      gateway = await start();
    };
    const hears = async () => {
      const before = cloud.heard.length;
      await until('the cloud hears something', () => cloud.heard.length > before + 20);
    };
    const away = () => cloud.close();
    // And away once more, in the middle of what waited for it.
    const back = async () => {
      await cloud.open();
      await hears();
      await cloud.close();
      await cloud.open();
      await hears();
    };
    const plan = [kill, away, kill, back, kill, away, back, kill, kill];
    for (const [i, step] of plan.entries()) {
      // A moment counted in acknowledgements: others are always on their way just then.
      const at = Math.floor(((i + random()) / plan.length) * DEVICES * MESSAGES);
      await until(`${at} acknowledged`, () => seen.acked >= at, 30_000);
      await step();
    }
    await all;
    await gateway.until('the cloud has everything', ({ backlog }) => backlog === 0);
  });

  afterAll(async () => {
    await cloud.close();
  });

  it('has every acknowledged id in the log exactly once, in its device’s order', async () => {
    const readings = await recordsOf(gateway, 'readings');
    expect(seen.acked).toBe(DEVICES * MESSAGES);
    for (const [device, ids] of seen.sent) {
      const stored = readings.filter((record) => record.device === device);
      expect(stored.map(({ messageId }) => messageId?.text)).toEqual(ids);
    }
    expect(readings).toHaveLength(DEVICES * MESSAGES);
  });

  it('has a whole log: no offset is lost, no block is bad', async () => {
    const { code, stdout } = await headgate([
      ...['log', 'verify', '--json', '--data', gateway.data.root],
    ]);
    expect(code, stdout).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ corruptBlocks: 0, lostOffsets: 0 });
  });

  it('brought every record to a cloud that was away, each under one identity', async () => {
    const key = ({ stream, partition, offset }: LogRecord) => `${stream}/${partition}/${offset}`;
    const streams = await Promise.all(
      ['readings', 'alerts', 'dead-letter'].map((stream) => recordsOf(gateway, stream)),
    );
    const stored = new Map(streams.flat().map((record) => [key(record), textOf(record)]));
    // The books have a test of their own.
    const arrived = [...cloud.records().values()].filter(({ stream }) => stream !== 'audit');
    const { telemetry, events } = (await gateway.status()).log;
    for (const { log, stream } of arrived) {
      expect(log, stream).toBe(stream === 'readings' ? telemetry.id : events.id);
    }
    expect(arrived.every((envelope) => envelope.gateway === 'kills')).toBe(true);
    const byPlace = new Map(
      arrived.map(({ stream, partition, offset, payload }) => [
        `${stream}/${partition}/${offset}`,
        payload,
      ]),
    );
    expect(byPlace).toEqual(stored);
    expect(arrived).toHaveLength(stored.size);
  });

  it('balances the books of the last run, and ends well', async () => {
    const { received, stored, duplicates, deadLettered, rejected } = await gateway.status();
    expect(received).toBe(stored + duplicates + deadLettered + rejected);
    expect(stored).toBeLessThan(DEVICES * MESSAGES);
    expect(await gateway.stop()).toBe(0);
  });
});

describe('after a kill', () => {
  let folder = '';
  let gateway: GatewayProcess;

  beforeAll(() => {
    folder = temporaryFolder();
  });

  afterEach(async () => {
    await gateway.kill9();
  });

  async function restart(env: Record<string, string> = {}): Promise<void> {
    await gateway.kill9();
    gateway = await GatewayProcess.start({ folder, env });
  }

  it.each([
    { kind: 'ids', device: 'by-id', payload: '{"id":"once","v":1}' },
    { kind: 'sequences', device: 'by-seq', payload: '{"boot":"b1","seq":41,"v":1}' },
  ])('what was acknowledged is known: $kind', async ({ device, payload }) => {
    gateway = await GatewayProcess.start({ folder });
    const topic = `sensors/${device}/t`;
    const before = await TestClient.connect(gateway.port);
    expect(await before.publish(topic, payload)).toBe(true);
    await restart();
    const after = await TestClient.connect(gateway.port);
    expect(await after.publish(topic, payload, { dup: true })).toBe(true);
    expect(await gateway.status()).toMatchObject({ received: 1, duplicates: 1, stored: 0 });
    const records = (await recordsOf(gateway, 'readings')).filter((r) => r.device === device);
    expect(records.map(textOf)).toEqual([payload]);
    await after.end();
  });

  it('a session, what waits for it, and what is retained are still there', async () => {
    gateway = await GatewayProcess.start({ folder });
    const away = { clientId: 'away', clean: false };
    const first = await TestClient.connect(gateway.port, away);
    await first.subscribe('commands/#');
    await first.end();
    const sender = await TestClient.connect(gateway.port);
    const witness = await TestClient.connect(gateway.port);
    await witness.subscribe('commands/#');
    expect(await sender.publish('commands/valve', 'open')).toBe(true);
    expect(await sender.publish('commands/mode', 'night', { retain: true })).toBe(true);
    // Who listens hears it after it is kept for who is away.
    await witness.hears(2);
    await restart();
    const again = await TestClient.connect(gateway.port, away);
    expect(again.sessionPresent).toBe(true);
    const heard = await again.hears(2);
    expect(heard.map(({ topic, payload }) => `${topic} ${payload}`)).toEqual([
      'commands/valve open',
      'commands/mode night',
    ]);
    const newcomer = await TestClient.connect(gateway.port);
    await newcomer.subscribe('commands/mode');
    await newcomer.hears(1);
    expect(newcomer.heard).toEqual([{ topic: 'commands/mode', payload: 'night', retain: true }]);
    await Promise.all([again.end(), newcomer.end()]);
  });

  it('an alert is not raised again, though its readings are read again', async () => {
    // No checkpoint between the alert and the kill: each start detects it anew from the log.
    const env = { HEADGATE_DETECT_CHECKPOINT_MS: '3600000' };
    gateway = await GatewayProcess.start({ folder, env });
    const learnAndJump = async (device: string) => {
      const client = await TestClient.connect(gateway.port);
      for (let n = 0; n <= 60; n++) {
        const value = n === 60 ? 90 : 20 + (n % 5) / 10;
        await client.publish(`sensors/${device}/heat`, JSON.stringify({ id: `h-${n}`, value }));
      }
      await client.end();
    };
    const begun = async () => {
      const events = (await recordsOf(gateway, 'alerts')).map(
        (record) => JSON.parse(textOf(record)) as { kind: string; device: string },
      );
      return events.filter(({ kind }) => kind === 'begin').map(({ device }) => device);
    };
    const devices = ['oven-1', 'oven-2', 'oven-3'];
    for (const [i, device] of devices.entries()) {
      await learnAndJump(device);
      // One consumer reads in the order of the log: when it has come to the newest anomaly, it has
      // passed the older ones again.
      await until(`the alert of ${device}`, async () => (await begun()).includes(device));
      expect(await begun()).toEqual(devices.slice(0, i + 1));
      const { activeAlerts } = await gateway.status();
      expect(activeAlerts).toBe(i + 1);
      await restart(env);
    }
    const listener = await TestClient.connect(gateway.port);
    await listener.subscribe('headgate/alerts/#');
    const topics = () => new Set(listener.heard.map(({ topic }) => topic));
    await until('all alerts are heard', () => topics().size === devices.length);
    expect([...topics()].sort()).toEqual(devices.map((name) => `headgate/alerts/${name}/heat`));
    await listener.end();
  });
});
