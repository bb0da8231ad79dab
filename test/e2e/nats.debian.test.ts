import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../src/base/reading.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { readAll } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import {
  addStream,
  jetStream,
  type NatsServer,
  natsClient,
  natsCluster,
  streamMessages,
} from '../support/nats-cluster.ts';
import { Relay } from '../support/relay.ts';
import { until } from '../support/until.ts';

/**
 * A cloud that is a cluster of three NATS servers. The one that the gateway speaks to is killed
 * under load, the line to another is cut, and the gateway itself is killed before it has stored its
 * progress: in the end the stream holds each record once.
 */
const SENSORS = 4;

const folder = temporaryFolder();
let nodes: NatsServer[] = [];
let client: NatsConnection;
let gateway: GatewayProcess;
/** The gateway's lines to the nodes. */
const relays: Relay[] = [];

async function startGateway(): Promise<void> {
  gateway = await GatewayProcess.start({
    folder: join(folder, 'data'),
    env: {
      HEADGATE_GATEWAY_ID: 'plant',
      HEADGATE_UPLINK_URL: `nats://${relays.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
      HEADGATE_UPLINK_RECONNECT_MAX_MS: '500',
      HEADGATE_UPLINK_ACK_TIMEOUT_MS: '2000',
      // A kill finds nothing stored: everything is sent again.
      HEADGATE_UPLINK_CHECKPOINT_MS: '3600000',
    },
  });
}

/** Of repeats that the stream refused, as its answers said. */
const duplicates = () =>
  relays.reduce((sum, { answers }) => sum + answers.split('"duplicate": true').length - 1, 0);

const forwarded = async () => (await gateway.status()).forwarded;

beforeAll(async () => {
  nodes = await natsCluster(join(folder, 'nats'), 3);
  await Promise.all(nodes.map((node) => node.start()));
  client = await natsClient(nodes);
  await addStream(client, 'plants', { subjects: ['headgate.>'], num_replicas: 3 });
  for (const { port } of nodes) relays.push(await Relay.start(port));
  await startGateway();
});

afterAll(async () => {
  await client?.close();
  for (const relay of relays) relay.close();
  await Promise.all(nodes.map((node) => node.kill9()));
  await cleanUp();
});

describe('a cluster that loses a server, and a gateway that is killed', () => {
  let readings: LogRecord[] = [];
  let repeatsBefore = 0;

  it('goes through it', async () => {
    let isOver = false;
    const sensors = Array.from({ length: SENSORS }, async (_, index) => {
      const sensor = await TestClient.connect(gateway.port, { clientId: `sensor-${index}` });
      for (let id = 0; !isOver; id++) {
        const payload = JSON.stringify({ id: `${id}`, value: id });
        expect(await sensor.publish(`sensors/device ${index}/t.c`, payload)).toBe(true);
      }
      await sensor.end();
    });
    const flows = async () => {
      const before = await forwarded();
      await until('records flow', async () => (await forwarded()) > before + 50, 20_000);
    };
    await flows();
    const used = relays.findIndex(({ connections }) => connections > 0);
    await nodes[used]?.kill9();
    await gateway.until('a new link is made', ({ uplink }) => uplink.lastError !== undefined);
    await gateway.until('it is up', ({ uplink }) => uplink.link === 'up');
    await flows();
    await nodes[used]?.start();
    for (const relay of relays) relay.cut();
    await flows();
    isOver = true;
    await Promise.all(sensors);
    repeatsBefore = duplicates();
    await gateway.kill9();
    await startGateway();
    await until('backlog 0', async () => (await gateway.status()).backlog === 0, 60_000);
    expect(await gateway.stop()).toBe(0);
    const view = await FolderView.open(nodeFiles, gateway.data.telemetry);
    readings = await readAll(nodeFiles, view, 'readings');
    expect(readings.length).toBeGreaterThan(150);
  });

  it('had records sent again, and refused by the stream', () => {
    expect(duplicates() - repeatsBefore).toBeGreaterThan(100);
  });

  it('has each record in the stream once, under its identity', async () => {
    const found = (await streamMessages(client, 'plants')).filter(
      ({ subject }) => subject.split('.')[2] === 'readings',
    );
    const log = (JSON.parse(String(found[0]?.payload)) as Envelope).log;
    const wanted = readings.map((r) => `plant/${log}/readings/${r.partition}/${r.offset}`);
    expect(found.map(({ id }) => id).sort()).toEqual(wanted.sort());
    for (const { id, subject, payload } of found) {
      const envelope = JSON.parse(payload.toString()) as Envelope;
      expect(id).toBe(`plant/${log}/readings/${envelope.partition}/${envelope.offset}`);
      expect(subject).toBe(`headgate.plant.readings.${envelope.device.replace(' ', '_')}`);
    }
  });

  it('has it on all three servers', async () => {
    const whole = async () => {
      const { cluster } = (await jetStream(client, 'STREAM.INFO.plants')) as {
        cluster: { replicas: Array<{ current: boolean }> };
      };
      return cluster.replicas.length === 2 && cluster.replicas.every(({ current }) => current);
    };
    await until('the replicas are current', whole, 20_000);
  });
});
