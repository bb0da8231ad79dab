import { describe, expect, test } from 'vitest';
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

const qos2 = (text: string, messageId: number, dup = false) =>
  publishPacket(text, { qos: 2, messageId, dup });
const pubrel = (messageId: number) => ({ cmd: 'pubrel', messageId });

/** The same in memory and on a store. */
describe.each(['memory', 'store'])('QoS 2, sessions in %s', (where) => {
  const start = () => (where === 'memory' ? startBroker() : new Restarts().start());

  test('a message that comes again before its PUBREL is taken once', async () => {
    const { port, accepting } = await start();
    accepting.answer = accepted;
    const subscriber = await RawClient.connect(port, 'sub');
    subscriber.send(subscribePacket('s/#'));
    await subscriber.hears('suback');
    const client = await RawClient.connect(port, 'c', { clean: false });
    client.send(qos2('x', 5));
    await client.hears('pubrec');
    client.send(qos2('x', 5, true));
    await client.hears('pubrec', 2);
    client.socket.destroy();
    const again = await RawClient.connect(port, 'c', { clean: false });
    again.send(qos2('x', 5, true));
    await again.hears('pubrec');
    again.send(pubrel(5));
    await again.hears('pubcomp');
    expect(accepting.texts).toEqual(['x']);
    expect(texts(await subscriber.hears('publish'))).toEqual(['x']);
  });

  test('one that comes again while the first is on its way is answered after it', async () => {
    const { port, accepting } = await start();
    const client = await RawClient.connect(port, 'c', { clean: false });
    client.send(qos2('x', 5));
    const [asked] = await accepting.count(1);
    // The same client, back on another connection.
    const again = await RawClient.connect(port, 'c', { clean: false });
    again.send(qos2('x', 5, true), PING);
    await again.pong();
    expect(again.all('pubrec')).toEqual([]);
    asked?.settle();
    await again.hears('pubrec');
    expect(accepting.texts).toEqual(['x']);
  });

  test('one that comes again is not answered if the first is refused', async () => {
    const { port, accepting } = await start();
    const client = await RawClient.connect(port, 'c', { clean: false });
    client.send(qos2('x', 5));
    const [asked] = await accepting.count(1);
    const again = await RawClient.connect(port, 'c', { clean: false });
    again.send(qos2('x', 5, true), PING);
    await again.pong();
    asked?.settle(new Error('no'));
    await again.closed;
    expect(again.all('pubrec')).toEqual([]);
  });

  test('after PUBREL its id is free', async () => {
    const { port, accepting } = await start();
    accepting.answer = accepted;
    const client = await RawClient.connect(port, 'c');
    for (const text of ['x', 'y']) {
      client.send(qos2(text, 5));
      await client.hears('pubrec', text === 'x' ? 1 : 2);
      client.send(pubrel(5));
      await client.hears('pubcomp', text === 'x' ? 1 : 2);
    }
    expect(accepting.texts).toEqual(['x', 'y']);
  });

  test.each([
    ['a clean session begins with no message open', true, true],
    ['a session that begins afresh begins with no message open', false, true],
    ['a sender that starts over with its ids is not taken for a repeat', false, false],
  ])('%s', async (_, cleanBefore, cleanAfter) => {
    const { port, accepting, broker } = await start();
    accepting.answer = accepted;
    const subscriber = await RawClient.connect(port, 'sub');
    subscriber.send(subscribePacket('s/#'));
    await subscriber.hears('suback');
    // Its power fails before PUBREL, and it knows nothing of it afterwards.
    for (const [text, clean] of [
      ['before', cleanBefore],
      ['after', cleanAfter],
    ] as const) {
      const client = await RawClient.connect(port, 'c', { clean });
      client.send(qos2(text, 1));
      await client.hears('pubrec');
      client.socket.destroy();
      await until('gone', () => broker.connections() === 1);
    }
    expect(accepting.texts).toEqual(['before', 'after']);
    expect(texts(await subscriber.hears('publish', 2))).toEqual(['before', 'after']);
  });

  test('PUBREL twice is answered twice, and PUBREL for nothing too', async () => {
    const { port, accepting } = await start();
    accepting.answer = accepted;
    const client = await RawClient.connect(port, 'c');
    client.send(qos2('x', 1));
    await client.hears('pubrec');
    client.send(pubrel(1), pubrel(1), pubrel(77));
    await client.hears('pubcomp', 3);
    client.send(qos2('y', 1));
    await client.hears('pubrec', 2);
  });
});

test('an open message is known after a restart', async () => {
  const restarts = new Restarts();
  const before = await restarts.start();
  before.accepting.answer = accepted;
  const client = await RawClient.connect(before.port, 'c/:%', { clean: false });
  client.send(qos2('x', 300));
  await client.hears('pubrec');
  const { port, accepting } = await restarts.start();
  accepting.answer = accepted;
  const again = await RawClient.connect(port, 'c/:%', { clean: false });
  again.send(qos2('x', 300, true), qos2('y', 301));
  await again.hears('pubrec', 2);
  expect(accepting.texts).toEqual(['y']);
});

test('clean sessions leave no open message in the store', async () => {
  const restarts = new Restarts();
  const { port, accepting } = await restarts.start();
  const answered = await RawClient.connect(port, 'answered');
  answered.send(qos2('x', 1));
  (await accepting.count(1))[0]?.settle();
  await answered.hears('pubrec');
  answered.socket.destroy();
  const gone = await RawClient.connect(port, 'gone');
  gone.send(qos2('y', 1));
  const asked = await accepting.count(2);
  gone.socket.destroy();
  // Another connection under the name of each: the broker knows that they are gone.
  for (const name of ['answered', 'gone']) {
    const other = await RawClient.connect(port, name, { clean: false });
    other.socket.destroy();
  }
  asked[1]?.settle();
  const after = await restarts.start();
  after.accepting.answer = accepted;
  for (const name of ['answered', 'gone']) {
    const client = await RawClient.connect(after.port, name, { clean: false });
    client.send(qos2(name, 1, true));
    await client.hears('pubrec');
  }
  expect(after.accepting.texts).toEqual(['answered', 'gone']);
});
