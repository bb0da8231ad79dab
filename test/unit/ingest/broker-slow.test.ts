import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { PublisherPressure } from '../../../src/ingest/publisher-pressure.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  connectPacket,
  PING,
  publishPacket,
  RawClient,
  startBroker,
  subscribePacket,
} from './broker-fixture.ts';

// Who reads slowly, sends half, or is kept waiting.

const VERSIONS = [4, 5] as const;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe.each(VERSIONS)('version %i: a subscriber that stops reading', (version) => {
  const large = 'x'.repeat(20_000);

  async function stuck(port: number) {
    const client = await RawClient.connect(port, 'stuck', { version });
    client.send(subscribePacket('s/#'));
    await client.hears('suback');
    client.socket.pause();
    return client;
  }

  test('holds up no publisher and no other subscriber, and is cut off at the bound', async () => {
    const options = { maxUnreadBytes: 1_000_000, drainTimeoutMs: 600_000 };
    const { port, broker, accepting, logger } = await startBroker(options);
    accepting.answer = accepted;
    await stuck(port);
    const reader = await RawClient.connect(port, 'reader', { version });
    reader.send(subscribePacket('s/#'));
    await reader.hears('suback');
    const publisher = await RawClient.connect(port, 'pub', { version });
    // Far more than the kernel takes for a socket that nobody reads.
    for (let at = 0; at < 600; at += 100) {
      publisher.send(...numbers(100).map((n) => publishPacket(large, { messageId: at + n })));
      await publisher.hears('puback', at + 100);
    }
    await reader.hears('publish', 600);
    await until('cut off', () => broker.connections() === 2);
    const [line] = logger.with('cut off');
    expect(line?.fields).toMatchObject({ clientId: 'stuck' });
    expect(line?.fields['error']).toContain('reads too slowly');
  });

  test('is cut off when its socket stays full', async () => {
    const { port, broker, accepting, logger } = await startBroker({ drainTimeoutMs: 50 });
    accepting.answer = accepted;
    await stuck(port);
    const publisher = await RawClient.connect(port, 'pub', { version });
    for (let at = 0; at < 300; at += 100) {
      publisher.send(...numbers(100).map((n) => publishPacket(large, { messageId: at + n })));
      await publisher.hears('puback', at + 100);
    }
    await until('cut off', () => broker.connections() === 1);
    const [line] = logger.with('cut off');
    expect(line?.fields).toMatchObject({ clientId: 'stuck', error: 'drain timeout' });
  });
});

test('a new subscriber that reads slowly gets all retained messages', async () => {
  const { port, broker } = await startBroker({ maxUnreadBytes: 500_000 });
  const text = 'x'.repeat(10_000);
  for (const n of numbers(500)) {
    await broker.publish(`home/${n}`, Buffer.from(text), { retain: true, qos: 1 });
  }
  const client = await RawClient.connect(port, 'c');
  client.socket.pause();
  client.send(subscribePacket('home/#'));
  client.socket.resume();
  expect(await client.hears('publish', 500)).toHaveLength(500);
});

test('who waits for an acknowledgement is not taken for silent', async () => {
  const { port, accepting, logger } = await startBroker();
  const will = { topic: 's/will', payload: Buffer.from('silent'), qos: 1, retain: false };
  const client = await RawClient.connect(port, 'c', { keepalive: 1, will });
  client.send(publishPacket('1', { messageId: 1 }), PING);
  const [asked] = await accepting.count(1);
  const startMs = performance.now();
  // Another one that owes its silence to nobody tells when the time is over, twice.
  for (let i = 0; i < 2; i++)
    await (await RawClient.connect(port, 'silent', { keepalive: 1 })).closed;
  expect(performance.now() - startMs).toBeGreaterThan(2_900);
  expect(client.isClosed).toBe(false);
  asked?.settle();
  await client.hears('puback');
  await client.closed;
  expect(logger.with('fell silent').map(({ fields }) => fields['clientId'])).toEqual([
    ...['silent', 'silent', 'c'],
  ]);
});

test('a publisher is paused while much of what it sent is on its way', () => {
  const calls: string[] = [];
  const client = { pause: () => calls.push('pause'), resume: () => calls.push('resume') };
  const pressure = new PublisherPressure();
  const packet = { payload: Buffer.alloc(400 * 1024) };
  pressure.begin(null, packet);
  for (let i = 0; i < 4; i++) pressure.begin(client, packet);
  expect(calls).toEqual(['pause']);
  for (let i = 0; i < 2; i++) pressure.end(client, packet);
  expect(calls).toEqual(['pause']);
  pressure.end(client, packet);
  expect(calls).toEqual(['pause', 'resume']);
  pressure.end(client, packet);
  expect(calls).toHaveLength(2);
});

describe.each(VERSIONS)('version %i: names that are no text', (version) => {
  test.each([
    ['NUL', 0x00],
    ['a byte that is no UTF-8', 0xff],
  ])('%s in a topic or a filter ends the connection', async (_, byte) => {
    const { port, accepting } = await startBroker();
    for (const packet of [
      publishPacket('x', { messageId: 1, topic: 's/a?b' }),
      subscribePacket('s/a?b'),
      { cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['s/a?b'] },
    ]) {
      const client = await RawClient.connect(port, 'c', { version });
      const bytes = generate(packet as unknown as Packet, { protocolVersion: version });
      bytes[bytes.indexOf('?')] = byte;
      client.write(bytes);
      await client.closed;
      const said = client.got.map(({ cmd }) => cmd).filter((cmd) => cmd !== 'disconnect');
      expect(said).toEqual(['connack']);
    }
    expect(accepting.asked).toEqual([]);
  });

  test.each([['s/+/x'], ['s/#'], ['s/a\0b']])(
    'a will on %j is refused with its CONNECT',
    async (topic) => {
      const { port } = await startBroker();
      const client = await RawClient.dial(port, version);
      const will = { topic, payload: Buffer.from('x'), qos: 1, retain: false };
      client.send(connectPacket('c', version, { will }));
      await client.closed;
      expect(client.all('connack')).toEqual([]);
    },
  );
});
