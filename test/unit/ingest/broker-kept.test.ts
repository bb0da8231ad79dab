import { describe, expect, test } from 'vitest';
import { RetainedBound } from '../../../src/ingest/retained-bound.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  LineLogger,
  PING,
  publishPacket,
  RawClient,
  Restarts,
  startBroker,
  subscribePacket,
} from './broker-fixture.ts';

// What the broker keeps for others, and how much of it.

const VERSIONS = [4, 5] as const;

describe.each(VERSIONS)('sessions that are kept, MQTT version %i', (version) => {
  const session = { version, clean: false, properties: { sessionExpiryInterval: 600 } };

  async function subscribes(port: number, clientId: string) {
    const client = await RawClient.connect(port, clientId, session);
    client.send(subscribePacket('home/#'));
    await client.hears('suback');
    return client;
  }

  test.each(['memory', 'store'])('are so many, in %s; one more is let in', async (where) => {
    const options = { maxSessions: 2 };
    const rig = await (where === 'memory' ? startBroker(options) : new Restarts(options).start());
    const { port, broker, logger, accepting } = rig;
    accepting.answer = accepted;
    for (const name of ['a', 'b']) (await subscribes(port, name)).socket.destroy();
    const third = await subscribes(port, 'c');
    const lines = logger.with('mqtt.maxSessions is reached').map(({ fields }) => fields);
    expect(lines).toMatchObject([{ clientId: 'c', maxSessions: 2 }]);
    if (version === 5) {
      const [connack] = third.all('connack');
      expect(connack?.properties).toMatchObject({ sessionExpiryInterval: 0 });
    }
    // It may publish and hear as any other.
    third.send(publishPacket('x', { messageId: 1 }));
    await third.hears('puback');
    await broker.publish('home/x', Buffer.from('x'), { retain: false, qos: 1 });
    await third.hears('publish');
    third.socket.destroy();
    await until('away', () => broker.connections() === 0);
    const back = await RawClient.connect(port, 'c', session);
    expect(back.all('connack')[0]?.sessionPresent).toBe(false);
    // Those that have one keep it.
    const first = await RawClient.connect(port, 'a', session);
    expect(first.all('connack')[0]?.sessionPresent).toBe(true);
    await first.hears('publish');
  });

  test('are counted across a restart, and one that ends makes room', async () => {
    const restarts = new Restarts({ maxSessions: 2 });
    const before = await restarts.start();
    for (const name of ['a', 'b']) await subscribes(before.port, name);
    const { port, broker, logger } = await restarts.start();
    (await subscribes(port, 'c')).socket.destroy();
    const warned = () => logger.with('mqtt.maxSessions is reached').length;
    expect(warned()).toBe(1);
    const a = await RawClient.connect(port, 'a', session);
    a.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['home/#'] }, PING);
    await a.pong();
    await a.hears('unsuback');
    a.socket.destroy();
    await until('away', () => broker.connections() === 0);
    await subscribes(port, 'c');
    expect(warned()).toBe(1);
    // A session that is begun afresh, and not to outlive its connection, is none.
    (await RawClient.connect(port, 'b', { version })).socket.destroy();
    await subscribes(port, 'd');
    expect(warned()).toBe(1);
    await subscribes(port, 'e');
    expect(warned()).toBe(2);
  });
});

test('the filters of one client are so long in all', async () => {
  const { port, logger } = await startBroker({ maxPacketBytes: 1_000_000 });
  const client = await RawClient.connect(port, 'c');
  const long = 'f'.repeat(60_000);
  client.send(subscribePacket(`a/${long}`), subscribePacket(`b/${long}`));
  await client.hears('suback', 2);
  client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [`b/${long}`] });
  await client.hears('unsuback');
  client.send(subscribePacket(`a/${long}`), subscribePacket(`c/${long}`));
  await client.hears('suback', 4);
  client.send(subscribePacket(`d/${long}`));
  await client.closed;
  expect(logger.with('cut off')[0]?.fields).toMatchObject({ error: 'too many subscriptions' });
});

describe.each(['memory', 'store'])('retained messages in %s', (where) => {
  const start = (options = {}) =>
    where === 'memory' ? startBroker(options) : new Restarts(options).start();

  /** What a newcomer hears at once, by topic. */
  async function retained(port: number): Promise<string[]> {
    const late = await RawClient.connect(port, 'late');
    late.send(subscribePacket('#', 'headgate/#'));
    await late.hears('suback');
    const before = await RawClient.connect(port, 'end');
    before.send(publishPacket('end', { topic: 'end', messageId: 1 }));
    await until('all heard', () => late.all('publish').some(({ topic }) => topic === 'end'));
    late.socket.destroy();
    const topics = late
      .all('publish')
      .flatMap(({ topic, retain }) => (retain ? [topic ?? ''] : []));
    return [...new Set(topics)].sort();
  }

  test('have a bound in all; one beyond it is passed on, and not retained', async () => {
    const { port, broker, logger } = await start({ maxRetainedBytes: 10_000 });
    const watcher = await RawClient.connect(port, 'watcher');
    watcher.send(subscribePacket('home/#'));
    await watcher.hears('suback');
    const client = await RawClient.connect(port, 'c');
    const text = 'x'.repeat(4_000);
    const publish = async (topic: string, payload = text) => {
      client.send(publishPacket(payload, { topic, retain: true, messageId: 1 }));
      await client.hears('puback', client.all('puback').length + 1);
    };
    for (const topic of ['home/a', 'home/b', 'home/c']) await publish(topic);
    await watcher.hears('publish', 3);
    expect(logger.with('one is not retained').map(({ fields }) => fields)).toMatchObject([
      { topic: 'home/c', maxBytes: 10_000 },
    ]);
    // What the gateway itself says has its place.
    await broker.publish('headgate/alerts/x', Buffer.from(text), { retain: true, qos: 1 });
    expect(await retained(port)).toEqual(['headgate/alerts/x', 'home/a', 'home/b']);
    // One that is taken back makes room, one that grows too large is not there any more.
    await publish('home/a', '');
    await publish('home/c');
    await publish('home/b', 'y'.repeat(7_000));
    expect(await retained(port)).toEqual(['headgate/alerts/x', 'home/c']);
  });

  test('count with what MQTT 5 adds to them', async () => {
    const { port, logger } = await start({ maxRetainedBytes: 10_000 });
    const client = await RawClient.connect(port, 'c', { version: 5 });
    const properties = { userProperties: { a: 'b'.repeat(11_000) } };
    client.send(publishPacket('x', { topic: 'home/a', retain: true, messageId: 1, properties }));
    await client.hears('puback');
    await until('said so', () => logger.with('one is not retained').length === 1);
  });
});

test('retained messages count across a restart', async () => {
  const restarts = new Restarts({ maxRetainedBytes: 10_000 });
  let { port, broker, logger } = await restarts.start();
  const publish = (topic: string, bytes: number) =>
    broker.publish(topic, Buffer.alloc(bytes, 'x'), { retain: true, qos: 1 });
  await publish('home/a', 6_000);
  await publish('headgate/alerts/x', 6_000);
  ({ port, broker, logger } = await restarts.start());
  await publish('home/b', 3_000);
  expect(logger.with('one is not retained')).toEqual([]);
  await publish('home/c', 3_000);
  expect(logger.with('one is not retained')).toHaveLength(1);
  expect(port).toBeGreaterThan(0);
});

test('the room of a retained message that could not be stored is free again', () => {
  const bound = new RetainedBound(1_000, new LineLogger());
  const packet = { topic: 'a', payload: Buffer.alloc(700) };
  expect(bound.take(packet)).toBe(true);
  expect(bound.take({ ...packet, topic: 'b' })).toBe(false);
  bound.count('a', 0);
  expect(bound.take({ ...packet, topic: 'b' })).toBe(true);
});

test('one retained message takes the room of the one before it on its topic', () => {
  const bound = new RetainedBound(1_000, new LineLogger());
  const sized = (topic: string, bytes: number) => ({ topic, payload: Buffer.alloc(bytes) });
  expect(bound.take(sized('a', 600))).toBe(true);
  expect(bound.take(sized('a', 800))).toBe(true);
  // It grows too large: neither the new one nor the old one is kept, so the room is free.
  expect(bound.take(sized('a', 1_200))).toBe(false);
  expect(bound.take(sized('b', 800))).toBe(true);
});
