import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../src/base/reading.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { readAll } from '../support/journals.ts';
import { type KafkaMessage, KafkaMock } from '../support/kafka-mock.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { Relay } from '../support/relay.ts';
import { until } from '../support/until.ts';

/**
 * A gateway that sends to Kafka: what arrives there, and what is taken for arrived when the brokers
 * die. Those of the test forget everything when they do, which shows whatever was not sent again.
 */
const SENSORS = 5;
const TOPIC = 'headgate.plant.readings';

const folder = temporaryFolder();
let kafka: KafkaMock;
/** The one address that the gateway is given: brokers that come back have other ports. */
let door: Relay;
let gateway: GatewayProcess;

async function startGateway(): Promise<void> {
  gateway = await GatewayProcess.start({
    folder: join(folder, 'data'),
    config: `gateway: { id: plant }
uplink:
  url: kafka://127.0.0.1:${door.port}
  topic: headgate/{gateway}/{stream}
  identity: properties
  reconnectMaxMs: 500
  ackTimeoutMs: 2000
  # A kill finds nothing stored: everything is sent again.
  checkpointMs: 3600000
`,
  });
}

let published = 0;

async function publish(perSensor: number): Promise<void> {
  const from = published;
  published += perSensor;
  const sensors = Array.from({ length: SENSORS }, async (_, index) => {
    const sensor = await TestClient.connect(gateway.port, { clientId: `sensor-${index}` });
    for (let id = from; id < from + perSensor; id++) {
      const payload = JSON.stringify({ id: `${id}`, value: id });
      expect(await sensor.publish(`sensors/device ${index}/t`, payload)).toBe(true);
    }
    await sensor.end();
  });
  await Promise.all(sensors);
}

async function stored(): Promise<LogRecord[]> {
  const view = await FolderView.open(nodeFiles, gateway.data.telemetry);
  return readAll(nodeFiles, view, 'readings');
}

const noBacklog = () => gateway.until('backlog 0', ({ backlog }) => backlog === 0);

const placeOf = (r: { partition: number | string; offset: number | string }) =>
  `${r.partition}/${r.offset}`;

/** Every record, once, as the log has it. */
function expectAll(found: readonly KafkaMessage[], records: readonly LogRecord[]): void {
  const byPlace = new Map(records.map((record) => [placeOf(record), record]));
  const places = found.map(({ headers }) =>
    placeOf(headers as { partition: string; offset: string }),
  );
  expect(places.sort()).toEqual([...byPlace.keys()].sort());
  for (const { key, payload, headers } of found) {
    const place = placeOf(headers as { partition: string; offset: string });
    const record = byPlace.get(place);
    expect(key).toBe(record?.device);
    expect(payload).toBe(Buffer.from(record?.payload ?? []).toString());
    expect(headers).toMatchObject({
      gateway: 'plant',
      stream: 'readings',
      device: record?.device,
      id: record?.messageId?.text,
      topic: record?.topic,
    });
  }
}

beforeAll(async () => {
  kafka = await KafkaMock.start();
  door = await Relay.start(kafka.port);
  await startGateway();
});

afterAll(async () => {
  await kafka?.kill9();
  door?.close();
  await cleanUp();
});

describe('a gateway that sends to Kafka', () => {
  it('brings all records, each device in its order', async () => {
    await publish(40);
    await noBacklog();
    const found = await kafka.messages(TOPIC);
    expectAll(found, await stored());
    for (let index = 0; index < SENSORS; index++) {
      const own = found.filter(({ key }) => key === `device ${index}`);
      expect(own.map(({ headers }) => headers['id'])).toEqual(
        Array.from({ length: 40 }, (_, id) => `${id}`),
      );
    }
  });

  it('takes nothing for arrived while the brokers are dead', async () => {
    const { forwarded } = await gateway.status();
    await kafka.kill9();
    await gateway.until('the link is down', ({ uplink }) => uplink.link === 'down');
    await publish(20);
    const status = await gateway.until(
      'tried again',
      ({ uplink }) => uplink.lastError !== undefined,
    );
    expect(status.forwarded).toBe(forwarded);
    expect(status.backlog).toBe(SENSORS * 20);
  });

  it('sends what waited to the brokers that come', async () => {
    kafka = await KafkaMock.start();
    door.target = kafka.port;
    await noBacklog();
    const records = await stored();
    expect(records).toHaveLength(SENSORS * 60);
    const waited = records.filter(({ messageId }) => Number(messageId?.text) >= 40);
    expectAll(await kafka.messages(TOPIC), waited);
  });

  it('sends everything again if it was killed before its progress was stored', async () => {
    await gateway.kill9();
    await kafka.kill9();
    kafka = await KafkaMock.start();
    door.target = kafka.port;
    await startGateway();
    await noBacklog();
    expectAll(await kafka.messages(TOPIC), await stored());
  });

  it('loses nothing when the brokers die under load', async () => {
    let isOver = false;
    const load = (async () => {
      while (!isOver) await publish(5);
    })();
    const before = (await gateway.status()).forwarded;
    await until('records flow', async () => (await gateway.status()).forwarded > before + 50);
    await kafka.kill9();
    await gateway.until('the link is down', ({ uplink }) => uplink.link === 'down');
    const { forwarded } = await gateway.status();
    isOver = true;
    await load;
    const total = (await stored()).length;
    expect((await gateway.status()).forwarded).toBe(forwarded);
    kafka = await KafkaMock.start();
    door.target = kafka.port;
    await noBacklog();
    // All that was not acknowledged by the brokers that died, and nothing skipped: in each
    // partition an unbroken row up to the last record.
    const found = await kafka.messages(TOPIC);
    expect(found.length).toBeGreaterThanOrEqual(total - forwarded);
    const last = new Map<number, number>();
    for (const { partition, offset } of await stored()) last.set(partition, offset);
    for (const [partition, end] of last) {
      const own = found.filter(({ headers }) => headers['partition'] === String(partition));
      const offsets = own.map(({ headers }) => Number(headers['offset'])).sort((a, b) => a - b);
      if (offsets.length === 0) continue;
      const first = Math.min(...offsets);
      expect(offsets).toEqual(Array.from({ length: end - first + 1 }, (_, i) => first + i));
    }
    expect(await gateway.stop()).toBe(0);
  });
});
