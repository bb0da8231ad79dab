import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { TestClient } from '../../support/mqtt-clients.ts';
import { until } from '../../support/until.ts';
import {
  connectPacket,
  PING,
  publishPacket,
  RawClient,
  Restarts,
  startBroker,
  subscribePacket,
} from './broker-fixture.ts';

const VERSIONS = [4, 5] as const;

test('a port that is taken is PORT_IN_USE, and the broker can still be closed', async () => {
  const port = await freePort();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
  await expect(startBroker({ port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  await new Promise((resolve) => other.close(resolve));
  await expect(startBroker({ port })).resolves.toMatchObject({ port });
});

test('connections beyond the limit are closed and logged; a free place is taken', async () => {
  const { port, broker, logger } = await startBroker({ maxConnections: 2 });
  const first = await RawClient.connect(port, 'a');
  const second = await RawClient.connect(port, 'b');
  const third = await RawClient.dial(port);
  await third.closed;
  expect(logger.with('maxConnections')).toHaveLength(1);
  first.socket.destroy();
  await until('a place', () => broker.connections() === 1);
  await RawClient.connect(port, 'd');
  second.send(PING);
  await second.pong();
});

describe.each(VERSIONS)('limits, MQTT version %i', (version) => {
  test('the largest packet passes, one byte more ends the connection unacknowledged', async () => {
    const { port, accepting, logger } = await startBroker({ maxPacketBytes: 1_024 });
    const client = await RawClient.connect(port, 'c', { version });
    // Fixed header 3, topic 2 + 3, id 2, properties in MQTT 5: 1.
    const room = 1_024 - 10 - (version === 5 ? 1 : 0);
    client.send(publishPacket('x'.repeat(room), { messageId: 1 }));
    (await accepting.count(1))[0]?.settle();
    await client.hears('puback');
    client.send(publishPacket('x'.repeat(room + 1), { messageId: 2 }));
    await client.closed;
    expect(client.ids('puback')).toEqual([1]);
    expect(client.all('disconnect').map(({ reasonCode }) => reasonCode)).toEqual(
      version === 5 ? [0x95] : [],
    );
    expect(accepting.asked).toHaveLength(1);
    expect(logger.with('cut off')[0]?.fields).toMatchObject({ error: 'packet too large' });
  });

  test('one that only announces to be too large is cut off before it is buffered', async () => {
    const { port } = await startBroker({ maxPacketBytes: 1_024 });
    const client = await RawClient.connect(port, 'c', { version });
    // 268,435,455 bytes to come, the largest there is; two of them came.
    client.write(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x03]));
    await client.closed;
    const stranger = await RawClient.dial(port, version);
    stranger.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x04]));
    await stranger.closed;
  });

  test('topics and filters have at most as many levels', async () => {
    const { port } = await startBroker({ maxTopicLevels: 4 });
    const client = await RawClient.connect(port, 'c', { version });
    client.send(publishPacket('x', { messageId: 1, topic: 'a/b/c/d' }));
    await client.hears('puback');
    client.send(publishPacket('x', { messageId: 2, topic: 'a/b/c/d/e' }));
    await client.closed;
    expect(client.ids('puback')).toEqual([1]);
    const subscriber = await RawClient.connect(port, 'd', { version });
    subscriber.send(subscribePacket('a/+/c/d/#'));
    await subscriber.closed;
    const will = { topic: 'a/b/c/d/e', payload: Buffer.from('x'), qos: 1, retain: false };
    const willed = await RawClient.connect(port, 'e', { version, will });
    willed.socket.destroy();
    const next = await RawClient.connect(port, 'f', { version });
    next.send(PING);
    await next.pong();
  });

  test('a client id has at most 256 bytes', async () => {
    const { port, broker } = await startBroker();
    await RawClient.connect(port, 'ä'.repeat(128), { version });
    const client = await RawClient.dial(port, version);
    client.send(connectPacket('ä'.repeat(129), version));
    await client.closed;
    expect(client.got).toMatchObject([
      { cmd: 'connack', ...(version === 5 ? { reasonCode: 0x85 } : { returnCode: 2 }) },
    ]);
    expect(broker.connections()).toBe(1);
  });

  test('a client has at most as many subscriptions', async () => {
    const { port, logger } = await startBroker({ maxSubscriptions: 3 });
    const client = await RawClient.connect(port, 'c', { version });
    client.send(subscribePacket('a', 'b', 'c'));
    await client.hears('suback');
    client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a'] });
    await client.hears('unsuback');
    client.send(subscribePacket('d'));
    await client.hears('suback', 2);
    client.send(subscribePacket('e'));
    await client.closed;
    expect(logger.with('cut off')[0]?.fields).toMatchObject({ error: 'too many subscriptions' });
  });

  test('those it has may be asked for again, and no more in any number of packets', async () => {
    const options = { maxSubscriptions: 3 };
    const restarts = new Restarts(options);
    const { port } = await restarts.start();
    const session = { version, clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await RawClient.connect(port, 'c', session);
    first.send(subscribePacket('a', 'b', 'c'));
    await first.hears('suback');
    first.socket.destroy();
    const again = await RawClient.connect(port, 'c', session);
    again.send(subscribePacket('a', 'b', 'c'), PING);
    await again.pong();
    const many = await RawClient.connect(port, 'd', session);
    many.send(...[1, 2, 3, 4].map((n) => subscribePacket(`${n}/a`, `${n}/b`)));
    await many.closed;
    expect(many.all('suback').length).toBeLessThan(2);
  });

  test('a session that comes back has no more of them than before', async () => {
    const { port } = await new Restarts({ maxSubscriptions: 3 }).start();
    const session = { version, clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await RawClient.connect(port, 'c', session);
    first.send(subscribePacket('a', 'b', 'c'));
    await first.hears('suback');
    first.socket.destroy();
    const again = await RawClient.connect(port, 'c', session);
    again.send(subscribePacket('d'));
    await again.closed;
    expect(again.all('suback')).toEqual([]);
  });

  test('who never says CONNECT is let go', async () => {
    const { port, logger } = await startBroker({ connectTimeoutMs: 50 });
    const silent = await RawClient.dial(port, version);
    const half = await RawClient.dial(port, version);
    half.write(Buffer.from([0x10, 0x20, 0x00]));
    const fine = await RawClient.connect(port, 'fine', { version });
    await Promise.all([silent.closed, half.closed]);
    expect(logger.with('a connection was refused')).toHaveLength(2);
    fine.send(PING);
    await fine.pong();
  });

  test('a keepalive beyond the limit is not granted', async () => {
    const { port } = await startBroker({ keepaliveLimitSeconds: 60 });
    const client = await RawClient.dial(port, version);
    client.send(connectPacket('c', version, { keepalive: 61 }));
    const [connack] = await client.hears('connack');
    if (version === 5) expect(connack?.properties).toMatchObject({ serverKeepAlive: 60 });
    else await client.closed;
  });

  test('who falls silent beyond its keepalive is cut off, and its will published', async () => {
    const { port, accepting, logger } = await startBroker();
    const will = { topic: 's/will', payload: Buffer.from('silent'), qos: 1, retain: false };
    const client = await RawClient.connect(port, 'c', { version, keepalive: 1, will });
    await client.closed;
    expect(logger.with('fell silent')[0]?.fields).toMatchObject({ clientId: 'c' });
    await accepting.count(1);
    expect(accepting.texts).toEqual(['silent']);
  });
});

test('1,000 subscriptions of a session in one packet are stored at once', async () => {
  const restarts = new Restarts();
  const { port } = await restarts.start();
  const filters = Array.from({ length: 1_000 }, (_, i) => `home/${i}`);
  const client = await RawClient.connect(port, 'c', { clean: false });
  client.send(subscribePacket(...filters));
  const [suback] = await client.hears('suback');
  expect(suback?.granted).toEqual(filters.map(() => 1));
  const after = await restarts.start();
  const back = await RawClient.connect(after.port, 'c', { clean: false });
  await after.broker.publish('home/999', Buffer.from('x'), { retain: false, qos: 1 });
  expect((await back.hears('publish'))[0]?.topic).toBe('home/999');
});

test('a subscriber that stops reading is let go, and the others hear everything', async () => {
  const { port, broker, logger } = await startBroker({ drainTimeoutMs: 100 });
  const stuck = await RawClient.connect(port, 'stuck');
  stuck.send(subscribePacket('home/#'));
  await stuck.hears('suback');
  stuck.socket.pause();
  const reader = await TestClient.connect(port, { clientId: 'reader' });
  await reader.subscribe('home/#');
  const payload = Buffer.alloc(60_000, 'x');
  // Reader and broker share a process here: what one takes has to wait for the other.
  const group = 20;
  for (let heard = group; heard <= 400; heard += group) {
    const sent = Array.from({ length: group }, () =>
      broker.publish('home/x', payload, { retain: false, qos: 0 }),
    );
    await Promise.all(sent);
    await reader.hears(heard);
  }
  await until('let go', () => broker.connections() === 1);
  expect(logger.with('cut off').map(({ fields }) => fields['clientId'])).toContain('stuck');
});

describe('closing', () => {
  test('clients are let go, 5 with a reason; the port is free', async () => {
    const { port, broker } = await startBroker();
    const four = await RawClient.connect(port, 'four');
    const five = await RawClient.connect(port, 'five', { version: 5 });
    const stranger = await RawClient.dial(port);
    await broker.close();
    await Promise.all([four.closed, five.closed, stranger.closed]);
    expect(five.all('disconnect').map(({ reasonCode }) => reasonCode)).toEqual([0x8b]);
    expect(broker.connections()).toBe(0);
    await startBroker({ port });
  });

  test('it does not wait for a client that reads nothing, and can be asked twice', async () => {
    const { port, broker } = await startBroker();
    const stuck = await RawClient.connect(port, 'stuck', { version: 5 });
    stuck.send(subscribePacket('home/#'));
    await stuck.hears('suback');
    stuck.socket.pause();
    const sent = Array.from({ length: 200 }, () =>
      broker.publish('home/x', Buffer.alloc(60_000), { retain: false, qos: 0 }).catch(() => {}),
    );
    await broker.close();
    await Promise.all([broker.close(), ...sent]);
  });

  test('a message that is still on its way is not acknowledged', async () => {
    const { port, broker, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c');
    client.send(publishPacket('x', { messageId: 1 }));
    const [asked] = await accepting.count(1);
    await broker.close();
    asked?.settle();
    await client.closed;
    expect(client.all('puback')).toEqual([]);
  });
});
