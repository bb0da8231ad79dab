import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CloudLink, CloudMessage } from '../../src/uplink/cloud-link.ts';
import { type KafkaOptions, kafkaTopicOf } from '../../src/uplink/kafka-link.ts';
import { openCloud } from '../../src/uplink/open-cloud.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp } from '../support/gateway-process.ts';
import { KafkaMock } from '../support/kafka-mock.ts';
import { ScriptedKafka } from '../support/scripted-kafka.ts';

// The driver for Kafka alone, against the brokers in Debian's kcat.

const NEVER = new AbortController().signal;
const links: CloudLink[] = [];
const brokers: ScriptedKafka[] = [];
let kafka: KafkaMock;

beforeAll(async () => {
  kafka = await KafkaMock.start();
});

afterEach(async () => {
  for (const link of links.splice(0)) await link.close();
  for (const broker of brokers.splice(0)) broker.close();
});

afterAll(async () => {
  await kafka?.kill9();
  await cleanUp();
});

async function open(more: Partial<KafkaOptions> = {}, signal = NEVER): Promise<CloudLink> {
  const start = await openCloud({
    url: kafka.url,
    clientId: 'headgate-test',
    username: '',
    password: undefined,
    saslMechanism: 'plain',
    protocolVersion: 4,
    keepaliveSeconds: 30,
    connectTimeoutMs: 2000,
    ackTimeoutMs: 20_000,
    clock: systemClock,
    tls: {},
    ...more,
  });
  const link = await start(signal);
  links.push(link);
  return link;
}

let next = 0;

function message(topic: string, more: Partial<CloudMessage> = {}): CloudMessage {
  next += 1;
  const payload = Buffer.from(`payload ${next}`);
  return { topic, payload, key: 'd1', id: `gw/a1b2/readings/0/${next}`, properties: {}, ...more };
}

it.each([
  ['headgate/gw/readings', 'headgate.gw.readings'],
  ['a b/ü/c:d', 'a_b._.c_d'],
  ['..', '.._'],
  [`t/${'x'.repeat(300)}`, `t.${'x'.repeat(247)}`],
])('makes of topic %s the topic %s', (topic, name) => {
  expect(kafkaTopicOf(topic)).toBe(name);
});

describe('a publish', () => {
  it('has its key, payload and properties', async () => {
    const link = await open();
    const properties = { device: 'Kessel übér', id: 'two\nlines', offset: '7' };
    await link.publish(message('one/gw', { key: 'Kessel übér', properties }));
    expect(await kafka.messages('one.gw')).toMatchObject([
      { key: 'Kessel übér', payload: `payload ${next}`, headers: properties },
    ]);
  });

  it('stays in the order of its key, with many on their way', async () => {
    const link = await open();
    const all = Array.from({ length: 500 }, (_, i) => message('many/gw', { key: `d${i % 7}` }));
    await Promise.all(all.map((one) => link.publish(one)));
    const found = await kafka.messages('many.gw');
    expect(found).toHaveLength(all.length);
    expect(new Set(found.map(({ partition }) => partition)).size).toBeGreaterThan(1);
    for (const key of ['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6']) {
      const own = (list: readonly { key: string }[]) => list.filter((one) => one.key === key);
      expect(own(found)).toMatchObject(
        own(all).map((one) => ({ payload: String((one as CloudMessage).payload) })),
      );
    }
  });

  it('is as large as was foretold', async () => {
    const link = await open();
    const properties = { device: 'ü', text: 'z'.repeat(200), offset: '1' };
    for (const sent of [
      message('size/gw', { payload: Buffer.alloc(0), key: '' }),
      message('size/gw', { payload: Buffer.from('x'), key: 'k' }),
      message('size/gw', { payload: Buffer.alloc(63), key: 'k'.repeat(64) }),
      message('size/gw', { payload: Buffer.alloc(8192), key: 'ü'.repeat(100), properties }),
    ]) {
      expect(link.sizeOf(sent)).toBe(await encodedBytes(sent));
    }
  });
});

const inside = createRequire(import.meta.url);

/** As the client itself writes a batch of this record alone. */
async function encodedBytes({ key, payload, properties }: CloudMessage): Promise<number> {
  const { RecordBatch } = inside('kafkajs/src/protocol/recordBatch/v0/index.js') as {
    RecordBatch: (batch: object) => Promise<{ size(): number }>;
  };
  const encode = inside('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (
    record: object,
  ) => unknown;
  const value = Buffer.from(payload);
  const times = { timestampDelta: 0, offsetDelta: 0 };
  const records = [encode({ ...times, key, value, headers: properties })];
  const batch = { compression: 0, firstTimestamp: 0, maxTimestamp: 0, firstSequence: 0 };
  return (await RecordBatch({ ...batch, partition: 0, records })).size();
}

describe('a link', () => {
  it('is made through the broker of several that answers', async () => {
    const url = `kafka://127.0.0.1:${await freePort()},${kafka.brokers[1]}`;
    for (let i = 0; i < 4; i++) {
      const link = await open({ url });
      await link.publish(message('several/gw'));
    }
    expect(await kafka.messages('several.gw')).toHaveLength(4);
  });

  it('is not made where nobody listens', async () => {
    const url = `kafka://127.0.0.1:${await freePort()}`;
    await expect(open({ url })).rejects.toThrow(/ECONNREFUSED/);
  });

  it('is given up at once when the uplink stops', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const stop = new AbortController();
    const opening = open({ url: `kafka://127.0.0.1:${port}` }, stop.signal);
    opening.catch(() => {});
    setImmediate(() => stop.abort());
    await expect(opening).rejects.toThrow('stopped');
    silent.close();
  });

  it('ends when it is closed', async () => {
    const link = await open();
    const waiting = link.publish(message('closed/gw'));
    waiting.catch(() => {});
    await link.close();
    await expect(waiting).rejects.toThrow('the connection was closed');
    expect(await link.ended).toBe('the connection was closed');
    await expect(link.publish(message('closed/gw'))).rejects.toThrow('the connection was closed');
  });
});

describe('a refusal', () => {
  const settled = async (all: ReadonlyArray<Promise<void>>) =>
    (await Promise.allSettled(all)).map((one) =>
      one.status === 'fulfilled' ? 'taken' : (one.reason as { kind?: string }).kind,
    );

  async function refusing(errorOf: ScriptedKafka['errorOf']) {
    const broker = await ScriptedKafka.start();
    broker.errorOf = errorOf;
    const link = await open({ url: `kafka://127.0.0.1:${broker.port}` });
    brokers.push(broker);
    return { broker, link };
  }

  it('is of the one record that is too large, and not of those that went with it', async () => {
    const { broker, link } = await refusing(({ bytes }) => (bytes > 1000 ? 10 : 0));
    const large = message('t', { payload: Buffer.alloc(1000) });
    const all = [message('t'), large, message('t')].map((one) => link.publish(one));
    expect(await settled(all)).toEqual(['taken', 'too-large', 'taken']);
    expect(broker.requests.map(([first]) => first?.records)).toEqual([3, 1, 1, 1]);
  });

  it('is of the topic without the right to it, and not of another', async () => {
    const { link } = await refusing(({ topic }) => (topic === 'forbidden' ? 29 : 0));
    const all = ['t', 'forbidden', 't'].map((topic) => link.publish(message(topic)));
    expect(await settled(all)).toEqual(['taken', 'never', 'taken']);
  });

  it.each([
    ['no replica in sync', 19],
    ['another leader', 6],
    ['no such topic', 3],
    ['an error that is not known', 999],
  ])('is for now: %s', async (_, code) => {
    const { broker, link } = await refusing(() => code);
    const all = [message('t'), message('t')].map((one) => link.publish(one));
    expect(await settled(all)).toEqual(['later', 'later']);
    // Not tried again within the link, and the link is as good as before.
    expect(broker.requests).toHaveLength(1);
    broker.errorOf = () => 0;
    expect(await settled([link.publish(message('t'))])).toEqual(['taken']);
  });
});

it('sends one request at a time, with all that came meanwhile, up to a size', async () => {
  const broker = await ScriptedKafka.start();
  const link = await open({ url: `kafka://127.0.0.1:${broker.port}` });
  brokers.push(broker);
  const payload = Buffer.alloc(100_000);
  await Promise.all(Array.from({ length: 5 }, () => link.publish(message('t', { payload }))));
  expect(broker.requests.map(([first]) => first?.records)).toEqual([2, 2, 1]);
});

describe('brokers that go away', () => {
  it('end a link on which nothing is on its way', async () => {
    const other = await KafkaMock.start();
    const link = await open({ url: other.url });
    await link.publish(message('gone/gw'));
    await other.kill9();
    expect(await link.ended).toMatch(/closed|ECONNRESET/);
    await expect(link.publish(message('gone/gw'))).rejects.toThrow();
  });

  it('end a link on which acknowledgements stop coming', async () => {
    const other = await KafkaMock.start();
    const link = await open({ url: other.url, ackTimeoutMs: 300 });
    await link.publish(message('mute/gw'));
    await other.freeze();
    const waiting = [message('mute/gw'), message('mute/gw')].map((one) => link.publish(one));
    const said = await Promise.allSettled(waiting);
    expect(said).toMatchObject(said.map(() => ({ status: 'rejected' })));
    expect(await link.ended).toMatch(/no acknowledgement within 300 ms|timed out/);
    await other.kill9();
  });
});
