import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { TestClient } from '../../support/mqtt-clients.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  PING,
  RawClient,
  Restarts,
  startBroker,
  subscribePacket,
  texts,
} from './broker-fixture.ts';

const VERSIONS = [4, 5] as const;

type Write = (...args: unknown[]) => Promise<unknown>;

describe.each(VERSIONS)('across a restart, MQTT version %i', (version) => {
  test('retained messages are still there, and those taken back are not', async () => {
    const restarts = new Restarts();
    const { port } = await restarts.start();
    const client = await TestClient.connect(port, { version });
    await client.publish('home/ä', 'kept', { retain: true });
    await client.publish('home/b', 'taken back', { retain: true });
    await client.publish('home/b', '', { retain: true });
    const after = await restarts.start();
    const late = await TestClient.connect(after.port, { version });
    await late.subscribe('home/#');
    await late.hears(1);
    await after.broker.publish('home/end', Buffer.from('end'), { retain: false, qos: 1 });
    expect(await late.hears(2)).toEqual([
      { topic: 'home/ä', payload: 'kept', retain: true },
      { topic: 'home/end', payload: 'end', retain: false },
    ]);
  });

  test('a session gets what was published while it was away, and while it was down', async () => {
    const restarts = new Restarts();
    const before = await restarts.start();
    const session = { version, clean: false, clientId: 'app' };
    const app = await TestClient.connect(before.port, session);
    await app.subscribe('home/#');
    await app.end();
    const client = await TestClient.connect(before.port);
    await client.publish('home/x', '1');
    await client.publish('home/x', 'not kept', { qos: 0 });
    await client.publish('home/x', '2');
    const after = await restarts.start();
    const publish = (text: string) =>
      after.broker.publish('home/x', Buffer.from(text), { retain: false, qos: 1 });
    for (const text of ['3', '4', '5', '6', '7', '8', '9']) await publish(text);
    const back = await TestClient.connect(after.port, session);
    expect(back.sessionPresent).toBe(true);
    await back.hears(9);
    await publish('10');
    const heard = await back.hears(10);
    expect(heard.map(({ payload }) => Number(payload))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await back.end();
    // What was delivered is not delivered again.
    const again = await TestClient.connect(after.port, session);
    await publish('11');
    expect((await again.hears(1)).map(({ payload }) => payload)).toEqual(['11']);
  });

  test('a will is published if its client does not come back in time', async () => {
    const restarts = new Restarts({ willGraceMs: 1_000 });
    const before = await restarts.start();
    const will = (payload: string) => ({ topic: 's/will', payload });
    for (const clientId of ['dead', 'back', 'back and gone']) {
      const options = { clientId, version, will: will(clientId) };
      await TestClient.connect(before.port, options);
    }
    const asked = () => [...before.accepting.asked];
    const after = await restarts.start();
    expect(asked()).toEqual([]);
    after.accepting.answer = accepted;
    const watcher = await TestClient.connect(after.port, { version });
    await watcher.subscribe('s/#');
    await TestClient.connect(after.port, { clientId: 'back', version });
    const gone = await TestClient.connect(after.port, { clientId: 'back and gone', version });
    await gone.end();
    expect((await watcher.hears(1)).map(({ payload }) => payload)).toEqual(['dead']);
    expect(after.accepting.asked[0]?.message.clientId).toBe(undefined);
    // Not once more after the next restart.
    const last = await restarts.start({ willGraceMs: 0 });
    last.accepting.answer = accepted;
    const witness = await TestClient.connect(last.port, { clientId: 'w', will: will('witness') });
    await restarts.stop();
    await witness.closed;
    const end = await restarts.start({ willGraceMs: 0 });
    await end.accepting.count(1);
    end.accepting.answer = accepted;
    expect(end.accepting.texts).toEqual(['witness']);
    expect(last.accepting.texts).toEqual([]);
  });
});

describe('wills', () => {
  const will = { topic: 's/will', payload: Buffer.from('x'), qos: 1, retain: false };

  test('one that cannot be stored is kept, and published after the next start', async () => {
    const restarts = new Restarts({ willGraceMs: 0 });
    const before = await restarts.start();
    before.accepting.answer = () => new Error('disk full');
    const client = await RawClient.connect(before.port, 'c', { will });
    client.socket.destroy();
    await until('refused', () => before.logger.with('a will was not published').length === 1);
    const middle = await restarts.start();
    middle.accepting.answer = () => new Error('still full');
    await until('refused', () => middle.logger.with('could not be published').length === 1);
    const { accepting } = await restarts.start();
    await accepting.count(1);
    accepting.answer = accepted;
    expect(accepting.texts).toEqual(['x']);
  });

  test('one that a broker of another name left is published too', async () => {
    const restarts = new Restarts({ willGraceMs: 0 });
    const before = await restarts.start({ id: 'old-name' });
    await RawClient.connect(before.port, 'c', { will });
    const { accepting } = await restarts.start({ id: 'new-name' });
    await accepting.count(1);
    accepting.answer = accepted;
    expect(accepting.texts).toEqual(['x']);
  });

  test('5: a client that came back and died anew has the delay that it asked for', async () => {
    const restarts = new Restarts({ willGraceMs: 500 });
    const before = await restarts.start();
    await RawClient.connect(before.port, 'back', { will });
    await RawClient.connect(before.port, 'dead', { will: { ...will, payload: 'dead' } });
    const { port, accepting } = await restarts.start();
    accepting.answer = accepted;
    const again = await RawClient.connect(port, 'back', {
      version: 5,
      properties: { sessionExpiryInterval: 60 },
      will: { ...will, payload: 'delayed', properties: { willDelayInterval: 60 } },
    });
    again.socket.destroy();
    // Wills are published by the name of their clients: 'back' has had its turn.
    await accepting.count(1);
    expect(accepting.texts).toEqual(['dead']);
  });

  test('one that takes over keeps its own, not that of the connection before', async () => {
    const restarts = new Restarts({ willGraceMs: 0 });
    const before = await restarts.start();
    before.accepting.answer = accepted;
    await RawClient.connect(before.port, 'c', { will: { ...will, payload: 'first' } });
    await RawClient.connect(before.port, 'c', { will: { ...will, payload: 'second' } });
    await before.accepting.count(1);
    expect(before.accepting.texts).toEqual(['first']);
    const { accepting } = await restarts.start();
    await accepting.count(1);
    accepting.answer = accepted;
    expect(accepting.texts).toEqual(['second']);
  });

  test('a client that says goodbye has none', async () => {
    const restarts = new Restarts({ willGraceMs: 0 });
    const before = await restarts.start();
    const polite = await RawClient.connect(before.port, 'polite', { will });
    polite.send({ cmd: 'disconnect' });
    await polite.closed;
    await RawClient.connect(before.port, 'rude', { will: { ...will, payload: 'rude' } });
    const { accepting } = await restarts.start();
    await accepting.count(1);
    accepting.answer = accepted;
    expect(accepting.texts).toEqual(['rude']);
  });
});

test('what is acknowledged and not yet stored is stored before the broker is down', async () => {
  const restarts = new Restarts();
  const before = await restarts.start();
  const client = await TestClient.connect(before.port);
  await client.publish('home/a', 'taken back', { retain: true });
  // The store is slow: aedes acknowledges without waiting for it.
  const sessions = before.level.sessions as unknown as Record<'del' | 'put', Write>;
  for (const name of ['del', 'put'] as const) {
    const write = sessions[name].bind(sessions);
    sessions[name] = async (...args) => {
      await wait(50);
      return write(...args);
    };
  }
  expect(await client.publish('home/a', '', { retain: true })).toBe(true);
  expect(await client.publish('home/b', 'kept', { retain: true })).toBe(true);
  const after = await restarts.start();
  const late = await TestClient.connect(after.port);
  await late.subscribe('home/#');
  await late.hears(1);
  await after.broker.publish('home/end', Buffer.from('end'), { retain: false, qos: 1 });
  expect((await late.hears(2)).map(({ topic }) => topic)).toEqual(['home/b', 'home/end']);
});

test('what waited when the broker went down still counts against the bound', async () => {
  const restarts = new Restarts({ maxOfflinePerSession: 3 });
  const session = { clean: false, clientId: 'app' };
  let { broker, port, logger } = await restarts.start();
  const app = await TestClient.connect(port, session);
  await app.subscribe('home/#');
  await app.end();
  const publish = (text: string) =>
    broker.publish('home/x', Buffer.from(text), { retain: false, qos: 1 });
  for (const text of ['1', '2']) await publish(text);
  ({ broker, port, logger } = await restarts.start());
  for (const text of ['3', '4']) await publish(text);
  expect(logger.with('the queue of a session is full')).toHaveLength(1);
  const back = await TestClient.connect(port, session);
  expect((await back.hears(3)).map(({ payload }) => payload)).toEqual(['1', '2', '3']);
});

/** In memory and on a store. */
describe.each(['memory', 'store'])('sessions in %s', (where) => {
  const start = (options = {}) =>
    where === 'memory' ? startBroker(options) : new Restarts(options).start();
  const session = { clean: false, clientId: 'app' };

  test('what is kept for one that is away is bounded, and the loss is logged', async () => {
    const { port, broker, logger } = await start({ maxOfflinePerSession: 3 });
    const app = await TestClient.connect(port, session);
    await app.subscribe('home/#');
    await app.end();
    const publish = (text: string) =>
      broker.publish('home/x', Buffer.from(text), { retain: false, qos: 1 });
    for (const text of ['1', '2', '3', '4', '5']) await publish(text);
    const lines = logger.with('the queue of a session is full');
    expect(lines.map(({ fields }) => fields)).toMatchObject([{ clientId: 'app', messages: 3 }]);
    const back = await TestClient.connect(port, session);
    await back.hears(3);
    await until('all acknowledged', () => logger.with('missed messages').length === 1);
    expect(logger.with('missed messages')[0]?.fields).toMatchObject({ refused: 2 });
    await publish('6');
    expect((await back.hears(4)).map(({ payload }) => payload)).toEqual(['1', '2', '3', '6']);
  });

  test('the places of a session that begins afresh are free again', async () => {
    const { port, broker, logger } = await start({ maxOfflinePerSession: 2 });
    for (const [first, second] of ['12', '34']) {
      // Clean, then persistent: whatever waited is gone.
      await (await TestClient.connect(port, { clientId: 'app' })).end();
      const app = await TestClient.connect(port, session);
      await app.subscribe('home/#');
      await app.end();
      for (const text of [first, second]) {
        await broker.publish('home/x', Buffer.from(text ?? ''), { retain: false, qos: 1 });
      }
    }
    expect(logger.with('queue of a session')).toEqual([]);
    const back = await TestClient.connect(port, session);
    expect((await back.hears(2)).map(({ payload }) => payload)).toEqual(['3', '4']);
  });

  test('what is kept for one, and for all, is bounded in bytes', async () => {
    const bounds = { maxOfflineBytes: 10_000, maxOfflineTotalBytes: 15_000 };
    const { port, broker, logger } = await start(bounds);
    for (const clientId of ['app', 'other']) {
      const client = await TestClient.connect(port, { ...session, clientId });
      await client.subscribe('home/#');
      await client.end();
    }
    const text = 'x'.repeat(2_000);
    for (let i = 0; i < 20; i++) {
      await broker.publish('home/x', Buffer.from(text), { retain: false, qos: 1 });
    }
    const full = logger.with('the queue of a session is full').map(({ fields }) => fields);
    const sum = full.reduce((bytes, fields) => bytes + Number(fields['bytes']), 0);
    expect(full).toHaveLength(2);
    expect(sum).toBeGreaterThan(12_000);
    expect(sum).toBeLessThanOrEqual(15_000);
    for (const { bytes } of full as Array<{ bytes: number }>) expect(bytes).toBeLessThan(10_001);
  });

  test('one that is here and slow to acknowledge is not cut off at the bound', async () => {
    const { port, broker } = await start({ maxOfflinePerSession: 3 });
    const app = await RawClient.connect(port, 'app', { clean: false });
    app.send(subscribePacket('home/#'));
    await app.hears('suback');
    for (const text of ['1', '2', '3', '4', '5']) {
      await broker.publish('home/x', Buffer.from(text), { retain: false, qos: 1 });
    }
    expect(texts(await app.hears('publish', 5))).toEqual(['1', '2', '3', '4', '5']);
    app.send(...app.ids('publish').map((messageId) => ({ cmd: 'puback', messageId })), PING);
    await app.pong();
  });

  test('filters that overlap take one place a message', async () => {
    const { port, broker, logger } = await start({ maxOfflinePerSession: 4 });
    const app = await RawClient.connect(port, 'app', { clean: false });
    app.send(subscribePacket('home/#', 'home/x', 'home/+'));
    await app.hears('suback');
    for (let i = 1; i <= 12; i++) {
      await broker.publish('home/x', Buffer.from(`${i}`), { retain: false, qos: 1 });
      const sent = await app.hears('publish', i);
      app.send({ cmd: 'puback', messageId: sent[i - 1]?.messageId }, PING);
      await app.pong(i);
    }
    expect(logger.with('queue of a session')).toEqual([]);
  });

  test.each<[string, ReadonlyArray<readonly [filter: string, qos: number]>]>([
    ['a narrower one with QoS 0', [['home/y', 0]]],
    ['one with another QoS', [['home/x', 2]]],
    ['a wider one, given up again', [['#', 1]]],
    ['the same one again', [['home/#', 1]]],
  ])('a filter counts whatever else is subscribed to: %s', async (name, others) => {
    const { port, broker } = await start();
    const app = await RawClient.connect(port, 'app', { clean: false });
    const filters = [['home/#', 1], ...others] as const;
    for (const [topic, qos] of filters) {
      app.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] });
    }
    await app.hears('suback', filters.length);
    if (name.includes('given up')) {
      app.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['#'] });
      await app.hears('unsuback');
    }
    await broker.publish('home/x', Buffer.from('here'), { retain: false, qos: 1 });
    const [sent] = await app.hears('publish');
    app.send({ cmd: 'puback', messageId: sent?.messageId }, PING);
    await app.pong();
    app.socket.destroy();
    await until('away', () => broker.connections() === 0);
    await broker.publish('home/x', Buffer.from('away'), { retain: false, qos: 1 });
    const back = await RawClient.connect(port, 'app', { clean: false });
    await back.hears('publish');
    back.send(PING);
    await back.pong();
    const heard = texts(back.all('publish'));
    // A copy for each filter is allowed [MQTT-3.3.5-1]; in memory there is one.
    expect(where === 'store' ? heard : [...new Set(heard)]).toEqual(['away']);
  });

  test('a session that begins afresh leaves no message and no filter behind', async () => {
    const { port, broker } = await start();
    const app = await TestClient.connect(port, session);
    await app.subscribe('home/#');
    await app.end();
    await broker.publish('home/x', Buffer.from('old'), { retain: false, qos: 1 });
    const fresh = await TestClient.connect(port, { clientId: 'app' });
    expect(fresh.sessionPresent).toBe(false);
    await fresh.end();
    const back = await RawClient.connect(port, 'app', { clean: false });
    back.send(subscribePacket('home/#'));
    await back.hears('suback');
    await broker.publish('home/x', Buffer.from('new'), { retain: false, qos: 1 });
    expect(texts(await back.hears('publish'))).toEqual(['new']);
  });

  test('5: a session whose time is over is gone with its queue', async () => {
    const { port, broker, logger } = await start();
    const properties = { sessionExpiryInterval: 1 };
    const five = { version: 5, clean: false, properties } as const;
    const app = await RawClient.connect(port, 'app', five);
    app.send(subscribePacket('home/#'));
    await app.hears('suback');
    app.send({ cmd: 'disconnect', reasonCode: 0 });
    await app.closed;
    await broker.publish('home/x', Buffer.from('old'), { retain: false, qos: 1 });
    await until('expired', () => logger.with('the time of a session is over').length === 1);
    const back = await RawClient.connect(port, 'app', five);
    back.send(subscribePacket('home/#'));
    await back.hears('suback');
    await broker.publish('home/x', Buffer.from('new'), { retain: false, qos: 1 });
    expect(texts(await back.hears('publish'))).toEqual(['new']);
  });

  test('a client that comes on a second connection takes over from the first', async () => {
    const { port, broker } = await start();
    const first = await RawClient.connect(port, 'app', { version: 5 });
    const second = await RawClient.connect(port, 'app', { version: 5 });
    await first.closed;
    expect(first.all('disconnect')[0]?.reasonCode).toBe(0x8e);
    second.send(PING);
    await second.pong();
    expect(broker.connections()).toBe(1);
  });
});
