import { describe, expect, test } from 'vitest';
import { TestClient } from '../../support/mqtt-clients.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  PING,
  publishPacket,
  RawClient,
  Restarts,
  startBroker,
  subscribePacket,
  texts,
} from './broker-fixture.ts';

const RESERVED = ['$SYS/x', 'headgate/alerts/d1/temperature'];

describe('reserved topics', () => {
  test.each(RESERVED)(
    '3.1.1: a publish to %s ends the connection without an ack',
    async (topic) => {
      const { port, logger } = await startBroker();
      const client = await RawClient.connect(port, 'c');
      client.send(publishPacket('x', { topic, messageId: 1 }));
      await client.closed;
      expect(client.all('puback')).toEqual([]);
      expect(logger.with('cut off')[0]?.fields).toMatchObject({
        clientId: 'c',
        code: 'TOPIC_RESERVED',
      });
    },
  );

  test.each(RESERVED)('5: a publish to %s is PUBACK 0x87, in its turn', async (topic) => {
    const { port, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c', { version: 5 });
    client.send(
      publishPacket('x', { messageId: 1 }),
      publishPacket('x', { messageId: 2, topic }),
      PING,
    );
    const [asked] = await accepting.count(1);
    await client.pong();
    expect(client.all('puback')).toEqual([]);
    asked?.settle();
    const acks = await client.hears('puback', 2);
    expect(acks.map(({ messageId, reasonCode }) => [messageId, reasonCode])).toEqual([
      [1, 0],
      [2, 0x87],
    ]);
  });

  test.each(RESERVED)('a will on %s is dropped, and said so', async (topic) => {
    const { port, accepting, logger } = await startBroker();
    accepting.answer = accepted;
    const subscriber = await RawClient.connect(port, 'sub');
    subscriber.send(subscribePacket(topic, 's/will'));
    await subscriber.hears('suback');
    const bad = await TestClient.connect(port, { clientId: 'bad', will: { topic, payload: 'x' } });
    bad.cut();
    await until('dropped', () => logger.with('a will was not published').length === 1);
    expect(logger.lines[0]?.fields).toMatchObject({ clientId: 'bad', code: 'TOPIC_RESERVED' });
    const will = { topic: 's/will', payload: 'y' };
    const good = await TestClient.connect(port, { clientId: 'good', will });
    good.cut();
    expect(texts(await subscriber.hears('publish'))).toEqual(['y']);
  });

  test('what is reserved is the option; a name that only starts alike is not', async () => {
    const { port } = await startBroker({ reserved: ['$SYS/'] });
    const client = await RawClient.connect(port, 'c');
    client.send(publishPacket('x', { topic: 'headgate/x', messageId: 1 }));
    await client.hears('puback');
    const { port: guarded } = await startBroker();
    const other = await RawClient.connect(guarded, 'c');
    other.send(publishPacket('x', { topic: 'headgates/x', messageId: 1 }));
    await other.hears('puback');
  });

  test('the gateway itself may publish there', async () => {
    const { port, broker } = await startBroker();
    const client = await TestClient.connect(port);
    await client.subscribe('headgate/#');
    await broker.publish('headgate/a', Buffer.from('live'), { retain: false, qos: 1 });
    await broker.publish('headgate/b', Buffer.from('kept'), { retain: true, qos: 1 });
    expect(await client.hears(2)).toMatchObject([{ payload: 'live' }, { payload: 'kept' }]);
    const late = await TestClient.connect(port);
    await late.subscribe('headgate/#');
    expect(await late.hears(1)).toEqual([{ topic: 'headgate/b', payload: 'kept', retain: true }]);
  });
});

describe.each([4, 5] as const)('an ordinary broker, MQTT version %i', (version) => {
  test('needs no handler: messages pass at every QoS', async () => {
    const { port } = await startBroker({ accept: () => false });
    const subscriber = await TestClient.connect(port, { version });
    await subscriber.subscribe('home/+/state');
    const client = await TestClient.connect(port, { version });
    for (const qos of [0, 1, 2] as const) {
      expect(await client.publish('home/lamp/state', `qos ${qos}`, { qos })).toBe(true);
    }
    const heard = await subscriber.hears(3);
    expect(heard.map(({ payload }) => payload)).toEqual(['qos 0', 'qos 1', 'qos 2']);
  });

  test('subscribers to # hear no $SYS topic', async () => {
    const { port } = await startBroker();
    const subscriber = await TestClient.connect(port, { version });
    await subscriber.subscribe('#');
    const client = await TestClient.connect(port, { version });
    await client.publish('home/x', 'x');
    expect((await subscriber.hears(1)).map(({ topic }) => topic)).toEqual(['home/x']);
  });

  test('a will is accepted like any message, and carries nothing of a will', async () => {
    const { port, accepting } = await startBroker();
    const subscriber = await RawClient.connect(port, 'sub', { version });
    subscriber.send(subscribePacket('s/#'));
    await subscriber.hears('suback');
    const properties = { willDelayInterval: 0, contentType: 'text' };
    const will = { topic: 's/will', payload: Buffer.from('gone'), qos: 1, retain: false };
    const client = await RawClient.connect(port, 'c', {
      version,
      will: version === 5 ? { ...will, properties } : will,
    });
    client.socket.destroy();
    const [asked] = await accepting.count(1);
    expect(asked?.message).toMatchObject({ clientId: 'c', topic: 's/will', qos: 1 });
    subscriber.send(PING);
    await subscriber.pong();
    expect(subscriber.all('publish')).toEqual([]);
    asked?.settle();
    const [heard] = await subscriber.hears('publish');
    expect(String(heard?.payload)).toBe('gone');
    if (version === 5) expect(heard?.properties).toEqual({ contentType: 'text' });
  });
});

describe.each([4, 5] as const)('the answer to a SUBSCRIBE, MQTT version %i', (version) => {
  const session = { version, clean: false, properties: { sessionExpiryInterval: 600 } };
  const subscribe = (...filters: Array<[topic: string, qos: number]>) => ({
    cmd: 'subscribe',
    messageId: 7,
    subscriptions: filters.map(([topic, qos]) => ({ topic, qos, rh: 0, rap: false, nl: false })),
  });

  test.each(['memory', 'store'])('has a code for each filter, in order; in %s', async (where) => {
    const { port, broker } = await (where === 'memory' ? startBroker() : new Restarts().start());
    await broker.publish('b', Buffer.from('kept'), { retain: true, qos: 1 });
    for (const clean of [true, false]) {
      const client = await RawClient.connect(port, `c-${clean}`, { ...session, clean });
      client.send(subscribe(['b', 1], ['1', 0], ['a', 2], ['b', 2], ['0', 1]));
      const [suback] = await client.hears('suback');
      expect(suback?.granted).toEqual([1, 0, 2, 2, 1]);
      // The last of two holds, and a message comes once.
      await broker.publish('1', Buffer.from('first'), { retain: false, qos: 1 });
      await broker.publish('b', Buffer.from('second'), { retain: false, qos: 1 });
      await broker.publish('a', Buffer.from('last'), { retain: false, qos: 1 });
      await until('the last', () => texts(client.all('publish')).includes('last'));
      const heard = client.all('publish').filter(({ retain }) => retain !== true);
      expect(texts(heard)).toEqual(['first', 'second', 'last']);
      expect(heard.map(({ qos }) => qos)).toEqual([0, 1, 1]);
      client.socket.destroy();
    }
    await until('away', () => broker.connections() === 0);
    await broker.publish('b', Buffer.from('away'), { retain: false, qos: 1 });
    const back = await RawClient.connect(port, 'c-false', session);
    await until('kept for it', () => texts(back.all('publish')).includes('away'));
  });
});
