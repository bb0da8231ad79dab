import { expect, test } from 'vitest';
import { registerLiving } from '../../../src/ingest/client-register.ts';
import { until } from '../../support/until.ts';
import { connectPacket, PING, RawClient, Restarts, subscribePacket } from './broker-fixture.ts';

/** A broker whose store answers no `get` between `hold` and `release`. */
async function slowStore() {
  const rig = await new Restarts().start();
  const sessions = rig.level.sessions as unknown as Record<
    'get',
    (...args: unknown[]) => Promise<unknown>
  >;
  const get = sessions.get.bind(sessions);
  const held: Array<() => void> = [];
  const hold = () => {
    sessions.get = async (...args) => {
      await new Promise<void>((resolve) => held.push(resolve));
      return get(...args);
    };
  };
  const release = () => {
    sessions.get = get;
    for (const go of held.splice(0)) go();
  };
  return { ...rig, hold, release, held };
}

type Slow = Awaited<ReturnType<typeof slowStore>>;

/** A client that asks for a connection and is gone before the store has answered. */
async function comesAndGoes({ port, held, logger }: Slow, packet: object, version: 4 | 5 = 4) {
  const before = held.length;
  const gone = logger.with('a client was cut off').length;
  const client = await RawClient.dial(port, version);
  client.send(packet);
  await until('its CONNECT is at the store', () => held.length > before);
  client.socket.resetAndDestroy();
  await until('seen', () => logger.with('a client was cut off').length > gone);
}

test('a client that drops while it connects is not kept in the list', async () => {
  const rig = await slowStore();
  rig.hold();
  for (let i = 0; i < 20; i++) await comesAndGoes(rig, connectPacket(`c${i}`, 4));
  rig.release();
  // Behind them at the store.
  const last = await RawClient.connect(rig.port, 'last');
  last.send(PING);
  await last.pong();
  await until('only the last is here', () => rig.broker.connections() === 1, 2_000);
});

test('it neither ends nor strikes out the live connection of its name', async () => {
  const rig = await slowStore();
  const live = await RawClient.connect(rig.port, 'dev');
  rig.hold();
  await comesAndGoes(rig, connectPacket('dev', 4));
  rig.release();
  live.send(PING);
  await live.pong();
  expect(rig.broker.connections()).toBe(1);
  const next = await RawClient.connect(rig.port, 'dev');
  await live.closed;
  next.send(PING);
  await next.pong();
  expect(rig.broker.connections()).toBe(1);
});

test('5: it does not take the session of the live one along', async () => {
  const rig = await slowStore();
  const options = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const live = await RawClient.connect(rig.port, 'dev', { version: 5, ...options });
  live.send(subscribePacket('home/#'));
  await live.hears('suback');
  rig.hold();
  const passing = { clean: false, properties: { sessionExpiryInterval: 0 } };
  await comesAndGoes(rig, connectPacket('dev', 5, passing), 5);
  rig.release();
  live.socket.destroy();
  await until('away', () => rig.broker.connections() === 0);
  const back = await RawClient.connect(rig.port, 'dev', { version: 5, ...options });
  expect(back.all('connack')[0]?.sessionPresent).toBe(true);
});

/** What aedes does with its list, told step by step. */
function listOf(...listed: Array<{ id: string; closed: boolean }>) {
  const done: string[] = [];
  const clients = Object.fromEntries(listed.map((client) => [client.id, client]));
  const step = (name: string) => (client: { id: string; closed: boolean }) =>
    void done.push(`${name} ${client.id}`);
  const broker = {
    clients,
    _takingOver: new Set(['dev']),
    registerClient: step('register'),
    _finishRegisterClient: step('finish'),
    unregisterClient: step('unregister'),
    scheduleSessionExpiry: step('expire'),
  };
  registerLiving(broker);
  return { broker, done };
}

test('one that went while the connection before it was told to go leaves its session', () => {
  const { broker, done } = listOf();
  broker._finishRegisterClient({ id: 'dev', closed: true });
  expect(done).toEqual(['expire dev']);
  expect(broker._takingOver.size).toBe(0);
});

test('one before it that is closing already is struck out, not counted for good', () => {
  const closing = { id: 'dev', closed: true };
  const { broker, done } = listOf(closing);
  broker._finishRegisterClient({ id: 'dev', closed: false });
  expect(done).toEqual(['unregister dev', 'finish dev']);
});
