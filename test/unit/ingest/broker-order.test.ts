import { describe, expect, test } from 'vitest';
import { PublishOrder } from '../../../src/ingest/publish-order.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  connectPacket,
  PING,
  publishPacket,
  RawClient,
  Restarts,
  startBroker,
  subscribePacket,
  texts,
} from './broker-fixture.ts';

// In order [MQTT-4.6.0]: what one client publishes, to the gateway and to subscribers.

const VERSIONS = [4, 5] as const;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe.each(VERSIONS)('version %i', (version) => {
  test('a subscriber hears all, in order, whether it is retained or not', async () => {
    const { port } = await new Restarts().start();
    const subscriber = await RawClient.connect(port, 'sub', { version });
    subscriber.send(subscribePacket('home/#'));
    await subscriber.hears('suback');
    const [a, b] = await Promise.all(
      ['a', 'b'].map((name) => RawClient.connect(port, name, { version })),
    );
    const topic = (name: string) => ({ topic: `home/${name}` });
    for (let at = 0; at < 300; at += 20) {
      const ids = numbers(20).map((n) => at + n);
      // Retained ones are stored before they are told, the others need not wait for that.
      a?.send(
        ...ids.map((n) =>
          publishPacket(`${n}`, { messageId: n, retain: n % 2 === 0, ...topic('a') }),
        ),
      );
      b?.send(...ids.map((n) => publishPacket(`${n}`, { messageId: n, ...topic('b') })));
    }
    await Promise.all([a?.hears('puback', 300), b?.hears('puback', 300)]);
    const heard = await subscriber.hears('publish', 600);
    for (const name of ['a', 'b']) {
      const own = heard.filter((packet) => packet.topic === `home/${name}`);
      expect(texts(own), name).toEqual(numbers(300).map(String));
    }
  });

  test('a session that is here hears all in order, with another one away', async () => {
    const { port } = await new Restarts().start();
    const session =
      version === 5
        ? { clean: false, version, properties: { sessionExpiryInterval: 600 } }
        : { clean: false, version };
    for (const name of ['away', 'here']) {
      const client = await RawClient.connect(port, name, session);
      client.send(subscribePacket('home/#'));
      await client.hears('suback');
      client.socket.destroy();
      await client.closed;
    }
    const here = await RawClient.connect(port, 'here', session);
    const publisher = await RawClient.connect(port, 'pub', { version });
    publisher.send(
      ...numbers(300).map((n) => publishPacket(`${n}`, { messageId: n, topic: 'home/x' })),
    );
    await publisher.hears('puback', 300);
    expect(texts(await here.hears('publish', 300))).toEqual(numbers(300).map(String));
  });

  test('what a client publishes before it is connected is taken first', async () => {
    const { port, accepting, broker } = await new Restarts().start();
    accepting.answer = accepted;
    const session =
      version === 5
        ? { clean: false, properties: { sessionExpiryInterval: 600 } }
        : { clean: false };
    const before = await RawClient.connect(port, 'c', { version, ...session });
    before.send(subscribePacket('home/#'));
    await before.hears('suback');
    before.socket.destroy();
    await before.closed;
    await until('away', () => broker.connections() === 0);
    // Its queue takes a while to empty, and CONNACK goes out before.
    for (const n of numbers(300)) {
      await broker.publish('home/x', Buffer.from(`${n}`), { retain: false, qos: 1 });
    }
    const client = await RawClient.dial(port, version);
    client.send(
      connectPacket('c', version, session),
      ...numbers(60).map((n) => publishPacket(`${n}`, { messageId: n })),
    );
    await client.hears('connack');
    client.send(...numbers(60).map((n) => publishPacket(`${60 + n}`, { messageId: 60 + n })));
    await client.hears('puback', 120);
    expect(accepting.texts).toEqual(numbers(120).map(String));
    expect(client.ids('puback')).toEqual(numbers(120));
  });
});

test('of two retained messages the later one stays', async () => {
  const { port, broker } = await new Restarts().start();
  const sent = numbers(200).map((n) =>
    broker.publish('home/x', Buffer.from(`${n}`), { retain: true, qos: 1 }),
  );
  await Promise.all(sent);
  const client = await RawClient.connect(port, 'c');
  client.send(subscribePacket('home/#'), PING);
  await client.pong();
  expect(texts(await client.hears('publish'))).toEqual(['200']);
});

test('a publish that fails holds up nothing', () => {
  const order = new PublishOrder();
  const emitted: number[] = [];
  const ready = (counter: number) => order.ready(counter, () => emitted.push(counter));
  const [first, second, third] = [1, 2, 3].map((counter) => order.begin(counter));
  ready(3);
  ready(9);
  expect(emitted).toEqual([9]);
  if (first !== undefined) order.end(1, first);
  expect(emitted).toEqual([9]);
  ready(2);
  expect(emitted).toEqual([9, 2, 3]);
  // The end of one that was emitted, and one whose number is another's by now.
  if (second !== undefined && third !== undefined) for (const t of [second, third]) order.end(2, t);
  const again = order.begin(4);
  ready(4);
  order.end(4, again);
  expect(emitted).toEqual([9, 2, 3, 4]);
});

test('a server with one id for many at one moment keeps one connection', async () => {
  const { port, broker } = await startBroker();
  for (let round = 0; round < 5; round++) {
    const clients = await Promise.all(numbers(6).map(() => RawClient.dial(port)));
    for (const client of clients) client.send(connectPacket('same', 4));
    await until('one is left', () => clients.filter(({ isClosed }) => !isClosed).length === 1);
    const [left] = clients.filter(({ isClosed }) => !isClosed);
    await left?.hears('connack');
    left?.send(PING);
    await left?.pong();
    expect(broker.connections()).toBe(1);
  }
});
