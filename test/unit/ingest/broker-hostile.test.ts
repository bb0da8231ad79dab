import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/clock.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  connectPacket,
  PING,
  publishPacket,
  RawClient,
  Restarts,
  type Rig,
  startBroker,
  subscribePacket,
  type Version,
} from './broker-fixture.ts';

// An exception that nobody catches fails the run, as it would end the daemon.

/** A well-behaved client is served as ever. */
async function serves({ port, accepting }: Rig): Promise<void> {
  const before = accepting.asked.length;
  accepting.answer = accepted;
  const client = await RawClient.connect(port, 'honest');
  client.send(publishPacket('x', { messageId: 1 }));
  await client.hears('puback');
  expect(accepting.asked.length).toBe(before + 1);
  client.socket.destroy();
}

describe('what is no MQTT ends its connection, nothing else', () => {
  test.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['zeros', Buffer.alloc(100)],
    ['a TLS hello', Buffer.from('16030100a5010000a10303', 'hex')],
    ['a length that never ends', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['another protocol name', Buffer.from('100c00044d515454', 'hex').fill('X', 4)],
    ['MQTT 9', Buffer.from('100d00044d51545409020000000161', 'hex')],
    ['PUBLISH before CONNECT', generate(publishPacket('x', { messageId: 1 }) as Packet)],
    ['PINGREQ before CONNECT', Buffer.from([0xc0, 0x00])],
  ])('%s', async (_, bytes) => {
    const rig = await startBroker({ connectTimeoutMs: 200 });
    const client = await RawClient.dial(rig.port);
    client.write(bytes);
    await client.closed;
    expect(client.got.filter(({ cmd }) => cmd !== 'connack')).toEqual([]);
    expect(rig.accepting.asked).toEqual([]);
    await serves(rig);
  });

  test.each([4, 5] as const)('version %i: after CONNECT too', async (version) => {
    const rig = await startBroker();
    const options = { protocolVersion: version };
    const bytes = (packet: object) => generate(packet as Packet, options);
    const cases: Array<[string, Uint8Array]> = [
      ['CONNECT twice', bytes(connectPacket('c', version))],
      ['CONNACK', Buffer.from([0x20, 0x02, 0x00, 0x00])],
      ['packet type 0', Buffer.from([0x00, 0x00])],
      ['QoS 3', Buffer.from([0x36, 0x05, 0x00, 0x01, 0x61, 0x00, 0x01])],
      ['a wildcard in a topic', bytes(publishPacket('x', { topic: 's/a', messageId: 1 }))],
      ['SUBSCRIBE to nothing', Buffer.from([0x82, 0x02, 0x00, 0x01])],
      ['SUBSCRIBE with a bad filter', bytes(subscribePacket('a/#/b'))],
      ['a topic longer than its packet', Buffer.from([0x30, 0x03, 0xff, 0xff, 0x61])],
    ];
    const wild = cases.find(([name]) => name.startsWith('a wildcard'))?.[1];
    wild?.set(Buffer.from('s/#'), Buffer.from(wild).indexOf('s/a'));
    for (const [name, packet] of cases) {
      const client = await RawClient.connect(rig.port, 'c', { version });
      client.write(packet);
      await until(`${name} ends the connection`, () => client.isClosed, 2_000);
      expect(client.all('puback'), name).toEqual([]);
    }
    expect(rig.accepting.asked).toEqual([]);
    await serves(rig);
  });

  test('packets that come a byte at a time are packets like any other', async () => {
    const { port, accepting } = await startBroker();
    accepting.answer = accepted;
    const client = await RawClient.dial(port);
    const packets = [connectPacket('slow', 4), publishPacket('x', { messageId: 1 })];
    for (const packet of packets) {
      for (const byte of generate(packet as Packet)) {
        await new Promise<unknown>((resolve) => {
          client.socket.write(Buffer.from([byte]), resolve);
        });
      }
    }
    await client.hears('puback');
    expect(accepting.texts).toEqual(['x']);
  });

  test('a connection that ends within a packet leaves nothing of it', async () => {
    const rig = await startBroker();
    const client = await RawClient.connect(rig.port, 'c');
    const packet = generate(publishPacket('x'.repeat(1_000), { messageId: 1 }) as Packet);
    client.write(packet.subarray(0, 500));
    client.socket.end();
    await client.closed;
    expect(rig.accepting.asked).toEqual([]);
    await serves(rig);
  });
});

/** Names that every object has anyway. */
const INBORN = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];

describe.each(['memory', 'store'])('names that objects have anyway, sessions in %s', (where) => {
  test.each(INBORN)('%s is a name like any other', async (name) => {
    const rig = await (where === 'memory' ? startBroker() : new Restarts().start());
    const { port, broker, accepting } = rig;
    accepting.answer = accepted;
    const session = { clean: false };
    const client = await RawClient.connect(port, name, session);
    const filters = [name === '__proto__' ? '+' : name, `home/${name}`];
    client.send(...filters.map((filter) => subscribePacket(filter)));
    await client.hears('suback', 2);
    client.send(publishPacket('q2', { qos: 2, messageId: 1 }));
    await client.hears('pubrec');
    for (const topic of [name, `home/${name}`]) {
      await broker.publish(topic, Buffer.from(topic), { retain: true, qos: 1 });
    }
    const heard = await client.hears('publish', 2);
    expect(heard.map(({ topic, qos }) => [topic, qos])).toEqual([
      [name, 1],
      [`home/${name}`, 1],
    ]);
    client.socket.destroy();
    await until('gone', () => broker.connections() === 0);
    const back = await RawClient.connect(port, name, session);
    expect(back.all('connack')[0]?.sessionPresent).toBe(true);
    await back.hears('publish', 2);
    await serves(rig);
  });

  test('a filter named __proto__ ends the connection, and can be left out afterwards', async () => {
    const rig = await (where === 'memory' ? startBroker() : new Restarts().start());
    const client = await RawClient.connect(rig.port, 'c', { clean: false });
    client.send(subscribePacket('a'));
    await client.hears('suback');
    client.send(subscribePacket('__proto__'));
    await client.closed;
    const back = await RawClient.connect(rig.port, 'c', { clean: false });
    expect(back.all('connack')[0]?.sessionPresent).toBe(true);
    await serves(rig);
  });
});

/** Valid packets of every kind, as a client could send them. */
function packets(version: Version): object[] {
  const will = { topic: 's/w', payload: Buffer.from('w'), qos: 1, retain: true };
  const properties = { userProperties: { a: 'b' }, contentType: 'x', messageExpiryInterval: 9 };
  const rich = version === 5 ? { properties } : {};
  return [
    connectPacket('fuzz', version, { will, clean: false, username: 'u', password: 'p' }),
    publishPacket('{"value":1}', { messageId: 1, ...rich }),
    publishPacket('x', { qos: 2, messageId: 2, retain: true, topic: 'home/x' }),
    publishPacket('x', { qos: 0, topic: 'home/y', ...rich }),
    subscribePacket('home/#', '+/x', '#'),
    { cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['home/#'] },
    { cmd: 'pubrel', messageId: 2 },
    { cmd: 'pubrec', messageId: 2 },
    { cmd: 'pubcomp', messageId: 2 },
    { cmd: 'puback', messageId: 1 },
    PING,
    { cmd: 'disconnect', ...(version === 5 ? { reasonCode: 4 } : {}) },
  ];
}

/** Some bytes changed, cut out, doubled or put in. */
function damage(bytes: Buffer, random: Random): Buffer {
  let damaged = bytes;
  for (let left = 1 + Math.floor(random() * 4); left > 0; left--) {
    const at = Math.floor(random() * damaged.length);
    const end = at + Math.floor(random() * 8);
    const kind = random();
    if (kind < 0.6) damaged = damaged.with(at, Math.floor(random() * 256)) as Buffer;
    else if (kind < 0.8) damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(end)]);
    else damaged = Buffer.concat([damaged.subarray(0, end), damaged.subarray(at)]);
    if (damaged.length === 0) return bytes;
  }
  return Buffer.from(damaged);
}

test.each([4, 5] as const)('version %i: 200 damaged conversations', async (version) => {
  const rig = await new Restarts({ connectTimeoutMs: 300 }).start();
  rig.accepting.answer = accepted;
  const seed = Number(process.env['SEED'] ?? 20_261_124);
  const random = seededRandom(seed);
  const parts = packets(version).map((packet) =>
    generate(packet as Packet, { protocolVersion: version }),
  );
  const whole = Buffer.concat(parts);
  const connect = parts[0] ?? Buffer.alloc(0);
  const rest = Buffer.concat(parts.slice(1));
  const clients: RawClient[] = [];
  for (let i = 0; i < 200; i++) {
    const client = await RawClient.dial(rig.port, version);
    // Half of them get past CONNECT.
    const bytes =
      i % 2 === 0 ? damage(whole, random) : Buffer.concat([connect, damage(rest, random)]);
    client.write(bytes);
    client.socket.end();
    clients.push(client);
    if (clients.length >= 50) {
      await Promise.all(clients.splice(0).map(({ closed }) => closed));
    }
  }
  await serves(rig).catch((error: unknown) => {
    throw new Error(`seed ${seed}`, { cause: error });
  });
});
