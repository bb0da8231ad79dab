import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CloudMessage } from '../../src/uplink/cloud-link.ts';
import { EVERY_CASE } from '../support/batch-records.ts';
import { cloudMessages, SHAPES } from '../support/cloud-messages.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { KafkaMock } from '../support/kafka-mock.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { addStream, NatsServer, natsClient } from '../support/nats-cluster.ts';
import { expectedRows, readings, SinkPlant, sendAll } from '../support/sink-plant.ts';
import { until } from '../support/until.ts';

/**
 * headgate-sink as it is built, between real far sides and a real database: what the uplink's own
 * drivers send is in the tables once, whoever is killed in between. The brokers of Kafka are those
 * of Debian's kcat: they know consumer groups, and forget everything when they end.
 */
const folder = temporaryFolder();
let plant: SinkPlant;

beforeAll(async () => {
  plant = await SinkPlant.start(folder);
});

afterEach(() => plant.clear());

afterAll(async () => {
  await plant?.postgres.stop('immediate');
  await cleanUp();
});

const rejected = () =>
  plant.postgres.query(`SELECT topic, encode(payload, 'escape') AS payload, reason
    FROM headgate_rejected ORDER BY topic`);

async function expectEveryShape(name: string): Promise<void> {
  for (const shape of SHAPES) {
    const as = { gateway: `${name} ${shape}`, shape };
    expect(await plant.rowsOf(as.gateway)).toEqual(expectedRows(EVERY_CASE, as));
  }
}

/** Messages of `sendEveryShape`: two shapes have one a record. */
const SENT_MESSAGES = 3 * (2 * EVERY_CASE.length + 2);
const SENT_RECORDS = 3 * SHAPES.length * EVERY_CASE.length;

describe('from an MQTT broker', () => {
  let far: Mosquitto;
  let url = '';

  beforeAll(async () => {
    far = new Mosquitto(join(folder, 'far'), await freePort(), ['max_queued_bytes 0']);
    await far.start();
    url = `mqtt://127.0.0.1:${far.port}`;
  });

  afterAll(() => far?.stop());

  it('stores what comes in any shape, however often, as one row each', async () => {
    const sink = await plant.startSink(url);
    const link = await plant.linkTo(url);
    await plant.sendEveryShape(link, 'mqtt');
    // Nothing is behind it: when it is there, the rest is too.
    await sendAll(link, cloudMessages(readings(0, 1), { gateway: 'mqtt last', shape: 'wrapper' }));
    await plant.untilStored('mqtt last', 1);
    await expectEveryShape('mqtt');
    const inserted = SHAPES.length * EVERY_CASE.length + 1;
    expect(await sink.stop()).toEqual({
      ...{ messages: SENT_MESSAGES + 1, inserted, repeated: SENT_RECORDS + 1 - inserted },
      ...{ rejected: 0, waiting: 0 },
    });
  });

  it('takes a record that comes in another shape for the same', async () => {
    await plant.startSink(url);
    const link = await plant.linkTo(url);
    for (const shape of SHAPES) {
      const historical = shape !== SHAPES[0];
      const as = { gateway: 'mixed', shape, historical };
      await sendAll(link, cloudMessages(EVERY_CASE, as));
      await plant.untilStored('mixed', EVERY_CASE.length);
    }
    await sendAll(link, cloudMessages(readings(0, 1), { gateway: 'mixed 2', shape: 'wrapper' }));
    await plant.untilStored('mixed 2', 1);
    const first = { gateway: 'mixed', shape: SHAPES[0], historical: false };
    expect(await plant.rowsOf('mixed')).toEqual(expectedRows(EVERY_CASE, first));
  });

  it('keeps what is no message of ours aside, once, and goes on', async () => {
    await plant.startSink(url);
    const link = await plant.linkTo(url);
    const other = (topic: string, payload: string): CloudMessage => ({
      ...{ topic: `headgate/other/${topic}`, payload: Buffer.from(payload), key: '', id: topic },
      properties: {},
    });
    const far = readings(0, 3).map((record, i) =>
      i === 1 ? { ...record, receivedAtMs: 8e15 } : record,
    );
    const [batch] = cloudMessages(far, { gateway: 'garbage', shape: 'plain batch' });
    if (batch === undefined) throw new Error('no batch');
    const [nul] = cloudMessages(readings(0, 1), { gateway: 'a\0b', shape: 'wrapper' });
    const garbage = [
      other('1-text', 'hello'),
      other('2-object', '{"temperature":21.5}'),
      { ...batch, topic: 'headgate/other/3-batch' },
      other('4-nul', Buffer.from(nul?.payload ?? []).toString()),
      other('5-empty', ''),
    ];
    await sendAll(link, garbage);
    await sendAll(link, garbage);
    await sendAll(link, cloudMessages(readings(7, 2), { gateway: 'garbage', shape: 'wrapper' }));
    await plant.untilStored('garbage', 4);
    expect((await plant.rowsOf('garbage')).map(({ offset }) => offset)).toEqual([
      '0',
      '2',
      '7',
      '8',
    ]);
    const kept = await rejected();
    expect(kept.map(({ topic }) => topic)).toEqual(garbage.map(({ topic }) => topic));
    expect(kept[0]).toMatchObject({ payload: 'hello' });
    expect(kept[2]?.['reason']).toMatch(/^1 of 3 records: offset 1: receivedAt 8000\d* is out of/);
    expect(kept[3]?.['reason']).toMatch('NUL in the identity');
  });

  it('keeps what another record has the identity of, with its own', async () => {
    const sink = await plant.startSink(url);
    const link = await plant.linkTo(url);
    const sent = readings(0, 3);
    const made = sent.slice(1, 2).map((record) => ({ ...record, payload: Buffer.from('666') }));
    const as = { gateway: 'twice', shape: 'properties' } as const;
    await sendAll(link, cloudMessages(made, as));
    await plant.untilStored('twice', 1);
    await sendAll(link, cloudMessages(sent, as));
    await plant.untilStored('twice', 3);
    const [kept, ...more] = await plant.postgres.query(`SELECT properties, reason,
      encode(payload, 'escape') AS payload FROM headgate_rejected WHERE properties ~ 'twice'`);
    expect(more).toEqual([]);
    expect(kept).toMatchObject({ payload: '{"value":1}' });
    expect(kept?.['reason']).toMatch(/^another record has this identity/);
    expect(JSON.parse(`${kept?.['properties']}`)).toMatchObject({ gateway: 'twice', offset: '1' });
    expect(await sink.stop()).toMatchObject({ inserted: 3, repeated: 0, rejected: 1 });
  });

  it('waits while a constraint of the table keeps a row out', async () => {
    const sink = await plant.startSink(url);
    const link = await plant.linkTo(url);
    await plant.postgres.query(`ALTER TABLE headgate_records
      ADD CONSTRAINT mine CHECK (gateway <> 'kept out' OR payload <> '{"value":1}')`);
    await sendAll(
      link,
      cloudMessages(readings(0, 3), { gateway: 'kept out', shape: 'properties' }),
    );
    await until('it says so', () => /PostgreSQL: .*mine.*; trying again/.test(sink.stderr));
    await plant.postgres.query('ALTER TABLE headgate_records DROP CONSTRAINT mine');
    await plant.untilStored('kept out', 3);
    expect(await sink.stop()).toMatchObject({ inserted: 3, rejected: 0 });
  });

  it('gets what was sent while it was stopped', async () => {
    const sink = await plant.startSink(url);
    await sink.stop();
    const link = await plant.linkTo(url);
    await sendAll(link, cloudMessages(readings(0, 50), { gateway: 'away', shape: 'wrapper' }));
    await plant.startSink(url);
    await plant.untilStored('away', 50);
  });

  it('loses nothing when it is killed before the commit', async () => {
    const sink = await plant.startSink(url);
    const link = await plant.linkTo(url);
    const held = await plant.holdTables();
    await sendAll(link, cloudMessages(readings(0, 50), { gateway: 'before', shape: 'wrapper' }));
    await held.waitedFor();
    await sink.kill9();
    await plant.postgres.endSessions('headgate-sink');
    await held.release();
    expect(await plant.storedOf('before')).toBe(0);
    const next = await plant.startSink(url);
    await plant.untilStored('before', 50);
    expect(await next.stop()).toMatchObject({ inserted: 50, repeated: 0 });
  });

  it('stores nothing twice when it is killed after the commit and before it says so', async () => {
    const sink = await plant.startSink(url);
    const link = await plant.linkTo(url);
    const held = await plant.holdTables();
    const [first, ...rest] = cloudMessages(readings(0, 50), { gateway: 'after', shape: 'wrapper' });
    if (first === undefined) throw new Error('no message');
    await sendAll(link, [first]);
    await held.waitedFor();
    sink.kill('SIGSTOP');
    await held.release();
    await plant.untilStored('after', 1);
    await sink.kill9();
    await sendAll(link, rest);
    const next = await plant.startSink(url);
    await plant.untilStored('after', 50);
    expect(await next.stop()).toMatchObject({ messages: 50, inserted: 49, repeated: 1 });
  });

  it.each(['fast', 'immediate'] as const)(
    'waits for a database that is stopped: %s',
    async (how) => {
      const sink = await plant.startSink(url);
      const link = await plant.linkTo(url);
      const gateway = `stopped ${how}`;
      await sendAll(link, cloudMessages(readings(0, 20), { gateway, shape: 'wrapper' }));
      await plant.untilStored(gateway, 20);
      const held = await plant.holdTables();
      await sendAll(link, cloudMessages(readings(20, 20), { gateway, shape: 'wrapper' }));
      await held.waitedFor();
      await plant.postgres.stop(how);
      await held.release();
      await sendAll(link, cloudMessages(readings(40, 20), { gateway, shape: 'wrapper' }));
      await until('it says so', () => /PostgreSQL: .*; trying again/.test(sink.stderr));
      await plant.postgres.start();
      await plant.untilStored(gateway, 60);
      expect(await sink.stop()).toEqual({
        ...{ messages: 60, inserted: 60, repeated: 0, rejected: 0, waiting: 0 },
      });
    },
  );
});

describe('from a stream of NATS', () => {
  let server: NatsServer;

  beforeAll(async () => {
    server = new NatsServer(join(folder, 'nats'), await freePort());
    await server.start();
    const client = await natsClient([server]);
    await addStream(client, 'plants', { subjects: ['headgate.>'] });
    await client.close();
  });

  afterAll(() => server?.kill9());

  it('stores what comes in any shape, however often, as one row each', async () => {
    const sink = await plant.startSink(server.url);
    const link = await plant.linkTo(server.url);
    await plant.sendEveryShape(link, 'nats');
    const last = cloudMessages(readings(0, 1), { gateway: 'nats last', shape: 'wrapper' });
    await sendAll(link, last);
    await plant.untilStored('nats last', 1);
    await expectEveryShape('nats');
    expect(await sink.stop()).toMatchObject({ messages: SENT_MESSAGES + 1, rejected: 0 });
  });

  it('loses nothing when it is killed before the commit', async () => {
    const sink = await plant.startSink(server.url);
    const link = await plant.linkTo(server.url);
    const held = await plant.holdTables();
    const gateway = 'nats before';
    await sendAll(link, cloudMessages(readings(0, 50), { gateway, shape: 'wrapper' }));
    await held.waitedFor();
    await sink.kill9();
    await plant.postgres.endSessions('headgate-sink');
    await held.release();
    await plant.startSink(server.url);
    await plant.untilStored(gateway, 50, 60_000);
  });

  it('outlives the server, with what it has taken and can not acknowledge', async () => {
    const sink = await plant.startSink(server.url);
    const held = await plant.holdTables();
    const gateway = 'nats outlived';
    const link = await plant.linkTo(server.url);
    await sendAll(link, cloudMessages(readings(0, 50), { gateway, shape: 'wrapper' }));
    await held.waitedFor();
    await server.kill9();
    await until('the sink sees it', () => /source: .*; trying again/.test(sink.stderr));
    await held.release();
    await plant.untilStored(gateway, 50);
    await server.start();
    await sink.connected(2);
    const again = await plant.linkTo(server.url);
    await sendAll(again, cloudMessages(readings(50, 50), { gateway, shape: 'wrapper' }));
    await plant.untilStored(gateway, 100);
    expect(await sink.stop()).toMatchObject({ inserted: 100, rejected: 0, waiting: 0 });
  });
});

describe('from topics of Kafka', () => {
  const topic = 'headgate/plants/readings';
  /** The mock ends the session of a member that has left, or was killed, only after 30 s. */
  const REJOIN_MS = 90_000;
  let kafka: KafkaMock;

  beforeAll(async () => {
    kafka = await KafkaMock.start();
  });

  afterAll(() => kafka?.kill9());

  it('stores what comes in any shape, also in topics that come later', async () => {
    const sink = await plant.startSink(kafka.url);
    expect(sink.stderr).toContain('no topic yet that fits');
    const link = await plant.linkTo(kafka.url);
    await plant.sendEveryShape(link, 'kafka', topic);
    await sendAll(link, cloudMessages(readings(0, 1), { gateway: 'kafka-2', shape: 'batch' }));
    await plant.untilStored('kafka-2', 1, REJOIN_MS);
    await expectEveryShape('kafka');
    expect(await sink.stop()).toMatchObject({ rejected: 0, waiting: 0 });
  });

  it('loses nothing when it is killed before the commit', async () => {
    const sink = await plant.startSink(kafka.url);
    const link = await plant.linkTo(kafka.url);
    const held = await plant.holdTables();
    const gateway = 'kafka-2';
    await sendAll(link, cloudMessages(readings(1, 49), { gateway, shape: 'batch' }));
    await held.waitedFor();
    await sink.kill9();
    await plant.postgres.endSessions('headgate-sink');
    await held.release();
    expect(await plant.storedOf(gateway)).toBe(1);
    await plant.startSink(kafka.url);
    await plant.untilStored(gateway, 50, REJOIN_MS);
  });
});
