import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadgateError } from '../../../src/base/errors.ts';
import { AckQueue } from '../../../src/ingest/ack-queue.ts';
import {
  accepted,
  PING,
  publishPacket,
  RawClient,
  startBroker,
  subscribePacket,
  texts,
} from './broker-fixture.ts';

const VERSIONS = [4, 5] as const;

describe.each(VERSIONS)('acknowledgements, MQTT version %i', (version) => {
  test.each([
    [1, 'puback'],
    [2, 'pubrec'],
  ])('QoS %i: %s waits until the message is accepted', async (qos, ack) => {
    const { port, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c', { version });
    client.send(publishPacket('1', { qos, messageId: 7 }), PING);
    const [asked] = await accepting.count(1);
    await client.pong();
    expect(client.all(ack)).toEqual([]);
    asked?.settle();
    await client.hears(ack);
    expect(client.ids(ack)).toEqual([7]);
  });

  test('200 messages in one chunk are asked about at once and acknowledged in order', async () => {
    const { port, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c', { version });
    const ids = Array.from({ length: 200 }, (_, i) => i + 1);
    client.send(...ids.map((messageId) => publishPacket(`${messageId}`, { messageId })), PING);
    const asked = await accepting.count(200);
    expect(accepting.texts).toEqual(ids.map(String));
    // The last is durable first: all wait for the one that came first.
    for (const { settle } of asked.slice(1).toReversed()) settle();
    await client.pong();
    expect(client.ids('puback')).toEqual([]);
    asked[0]?.settle();
    await client.hears('puback', 200);
    expect(client.ids('puback')).toEqual(ids);
  });

  test('what is not a reading waits its turn too', async () => {
    const { port, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c', { version });
    client.send(
      publishPacket('reading', { messageId: 1 }),
      publishPacket('other', { messageId: 2, topic: 'other' }),
      PING,
    );
    const [asked] = await accepting.count(1);
    await client.pong();
    expect(client.ids('puback')).toEqual([]);
    asked?.settle();
    await client.hears('puback', 2);
    expect(client.ids('puback')).toEqual([1, 2]);
  });

  test('messages are asked about in the order of arrival, whatever their QoS', async () => {
    const { port, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c', { version });
    const packets = Array.from({ length: 60 }, (_, i) =>
      publishPacket(`${i}`, { qos: i % 3, ...(i % 3 === 0 ? {} : { messageId: i }) }),
    );
    client.send(...packets);
    await accepting.count(60);
    expect(accepting.texts).toEqual(packets.map((_, i) => `${i}`));
  });

  test('a subscriber hears a message once it is accepted, not before', async () => {
    const { port, accepting } = await startBroker();
    const subscriber = await RawClient.connect(port, 'sub', { version });
    subscriber.send(subscribePacket('s/#'));
    await subscriber.hears('suback');
    const client = await RawClient.connect(port, 'c', { version });
    client.send(publishPacket('1', { messageId: 1 }));
    const [asked] = await accepting.count(1);
    subscriber.send(PING);
    await subscriber.pong();
    expect(subscriber.all('publish')).toEqual([]);
    asked?.settle();
    expect(texts(await subscriber.hears('publish'))).toEqual(['1']);
  });

  test('one client that waits holds up no other', async () => {
    const { port, accepting } = await startBroker();
    const held = await RawClient.connect(port, 'held', { version });
    held.send(publishPacket('held', { messageId: 1 }));
    await accepting.count(1);
    const client = await RawClient.connect(port, 'free', { version });
    client.send(publishPacket('free', { messageId: 1 }));
    (await accepting.count(2))[1]?.settle();
    await client.hears('puback');
    expect(held.all('puback')).toEqual([]);
  });
});

describe('a message that is not accepted', () => {
  const full = () => new HeadgateError('LOG_NOT_DURABLE', 'no space');

  test('3.1.1: what came before is acknowledged, it and what comes after is not', async () => {
    const { port, accepting, logger } = await startBroker();
    const client = await RawClient.connect(port, 'c');
    client.send(...[1, 2, 3].map((messageId) => publishPacket('x', { messageId })));
    const asked = await accepting.count(3);
    asked[2]?.settle();
    asked[1]?.settle(full());
    asked[0]?.settle();
    await client.closed;
    expect(client.ids('puback')).toEqual([1]);
    expect(
      logger.with('cut off').map(({ fields }) => [fields['clientId'], fields['code']]),
    ).toEqual([['c', 'LOG_NOT_DURABLE']]);
  });

  test.each([
    [full(), 0x97],
    [new Error('something else'), 0x83],
  ])('5: %s is DISCONNECT %i, and no PUBACK', async (error, reasonCode) => {
    const { port, accepting } = await startBroker();
    const client = await RawClient.connect(port, 'c', { version: 5 });
    client.send(...[1, 2, 3].map((messageId) => publishPacket('x', { messageId })));
    const asked = await accepting.count(3);
    asked[0]?.settle();
    asked[1]?.settle(error);
    asked[2]?.settle();
    await client.closed;
    expect(client.ids('puback')).toEqual([1]);
    expect(client.all('disconnect').map((packet) => packet.reasonCode)).toEqual([reasonCode]);
  });

  test.each(VERSIONS)('version %i: what comes after it is not taken', async (version) => {
    const asked: string[] = [];
    let settleFirst: () => void = () => {};
    const { port } = await startBroker({
      accept: ({ payload }, settle) => {
        asked.push(Buffer.from(payload).toString());
        if (asked.length === 1) settleFirst = () => settle(undefined);
        // Its turn to be answered has not come: 3 would be in the log before it.
        else settle(full());
        return true;
      },
    });
    const client = await RawClient.connect(port, 'c', { version });
    client.send(...[1, 2, 3].map((id) => publishPacket(`${id}`, { messageId: id })), PING);
    await client.pong();
    expect(asked).toEqual(['1', '2']);
    settleFirst();
    await client.closed;
    expect(client.ids('puback')).toEqual([1]);
  });

  test.each(VERSIONS)('version %i: it reaches no subscriber, and can be sent again', async (v) => {
    const { port, accepting } = await startBroker();
    const subscriber = await RawClient.connect(port, 'sub');
    subscriber.send(subscribePacket('s/#'));
    await subscriber.hears('suback');
    const answers = [full(), undefined];
    accepting.answer = () => answers.shift();
    const session = { version: v, clean: false, properties: { sessionExpiryInterval: 60 } };
    const client = await RawClient.connect(port, 'c', session);
    client.send(publishPacket('x', { qos: 2, messageId: 1 }));
    await client.closed;
    const again = await RawClient.connect(port, 'c', session);
    again.send(publishPacket('x', { qos: 2, messageId: 1, dup: true }));
    await again.hears('pubrec');
    expect(accepting.texts).toEqual(['x', 'x']);
    expect(texts(await subscriber.hears('publish'))).toEqual(['x']);
  });

  test('an exception in the handler ends the connection that it came from, only', async () => {
    const { port, logger } = await startBroker({
      accept: ({ topic }) => {
        if (topic === 's/bad') throw new Error('a defect');
        return false;
      },
    });
    const other = await RawClient.connect(port, 'other');
    const client = await RawClient.connect(port, 'c');
    client.send(publishPacket('x', { messageId: 1, topic: 's/bad' }));
    await client.closed;
    expect(client.all('puback')).toEqual([]);
    expect(logger.with('could not be handled')).toHaveLength(1);
    other.send(publishPacket('y', { messageId: 2 }));
    await other.hears('puback');
  });
});

test('50 clients with 200 in flight each: everyone gets every ack, in order', async () => {
  const { port, accepting, broker } = await startBroker();
  accepting.answer = accepted;
  const clients = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      RawClient.connect(port, `c${i}`, { version: i % 2 === 0 ? 4 : 5 }),
    ),
  );
  expect(broker.connections()).toBe(50);
  const ids = Array.from({ length: 200 }, (_, i) => i + 1);
  for (const [i, client] of clients.entries()) {
    client.send(...ids.map((messageId) => publishPacket(`${i}:${messageId}`, { messageId })));
  }
  await Promise.all(clients.map((client) => client.hears('puback', 200)));
  for (const client of clients) expect(client.ids('puback')).toEqual(ids);
  expect(new Set(accepting.texts).size).toBe(10_000);
  for (const [i] of clients.entries()) {
    const own = accepting.texts.filter((text) => text.startsWith(`${i}:`));
    expect(own).toEqual(ids.map((id) => `${i}:${id}`));
  }
});

test('the queue answers in the order of arrival, up to the first that is refused', () => {
  const runs = fc.array(fc.record({ refused: fc.boolean(), turn: fc.nat() }), { maxLength: 30 });
  fc.assert(
    fc.property(runs, (messages) => {
      const answered: number[] = [];
      const refused: number[] = [];
      const errors = messages.map((_, i) => new Error(String(i)));
      const queue = new AckQueue((error) => refused.push(errors.indexOf(error)));
      const settles = messages.map((_, i) => queue.add(() => answered.push(i)));
      const order = messages.map(({ turn }, i) => ({ turn, i })).sort((a, b) => a.turn - b.turn);
      for (const { i } of order) settles[i]?.(messages[i]?.refused ? errors[i] : undefined);
      const first = messages.findIndex((message) => message.refused);
      const count = first === -1 ? messages.length : first;
      expect(answered).toEqual(Array.from({ length: count }, (_, i) => i));
      expect(refused).toEqual(first === -1 ? [] : [first]);
    }),
  );
});

test('user properties are handed over with the message, however they are named', async () => {
  const { port, accepting } = await startBroker();
  const client = await RawClient.connect(port, 'c', { version: 5 });
  const userProperties = { 'msg-id': 'm-1', toString: ['a', 'b'] };
  client.send(publishPacket('1', { messageId: 7, properties: { userProperties } }));
  client.send(publishPacket('2', { messageId: 8 }));
  const asked = await accepting.count(2);
  const [first, second] = asked.map(({ message }) => message.userProperties);
  expect({ ...first }).toEqual(userProperties);
  expect(second).toBeUndefined();
});
