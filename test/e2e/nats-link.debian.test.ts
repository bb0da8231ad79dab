import { once } from 'node:events';
import { createServer } from 'node:net';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CloudLink, CloudMessage } from '../../src/uplink/cloud-link.ts';
import { type NatsOptions, subjectOf } from '../../src/uplink/nats-link.ts';
import { openCloud } from '../../src/uplink/open-cloud.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { addStream, NatsServer, natsClient, streamMessages } from '../support/nats-cluster.ts';
import { Relay } from '../support/relay.ts';
import { until } from '../support/until.ts';

// The driver for NATS alone, against Debian's nats-server.

const NEVER = new AbortController().signal;
let server: NatsServer;
let client: NatsConnection;

beforeAll(async () => {
  server = new NatsServer(temporaryFolder(), await freePort(), [
    'max_payload: 65536',
    'no_auth_user: plant',
    'authorization { users: [',
    '  { user: plant, password: "correct horse" }',
    '  { user: narrow, password: p, permissions: {',
    '    publish: ["headgate.allowed", "$JS.API.>"], subscribe: ["_INBOX.>"] } }',
    '  { user: deaf, password: p, permissions: { publish: ">", subscribe: "nothing" } }',
    '] }',
  ]);
  await server.start();
  client = await natsClient([server]);
  await addStream(client, 'all', { subjects: ['headgate.>'] });
  await addStream(client, 'small', { subjects: ['small.>'], max_msg_size: 200 });
  await addStream(client, 'full', { subjects: ['full.>'], max_msgs: 1, discard: 'new' });
});

afterAll(async () => {
  await client?.close();
  await server?.stop();
  await cleanUp();
});

async function open(more: Partial<NatsOptions> = {}, signal = NEVER): Promise<CloudLink> {
  const start = await openCloud({
    url: server.url,
    clientId: 'headgate-test',
    username: '',
    password: undefined,
    protocolVersion: 4,
    saslMechanism: 'plain',
    keepaliveSeconds: 30,
    connectTimeoutMs: 2000,
    ackTimeoutMs: 20_000,
    clock: systemClock,
    tls: {},
    ...more,
  });
  return start(signal);
}

let next = 0;

function message(more: Partial<CloudMessage> = {}): CloudMessage {
  next += 1;
  const payload = Buffer.from(`payload ${next}`);
  const id = `gw/a1b2/readings/0/${next}`;
  return { topic: 'headgate/gw', payload, key: 'd1', id, properties: {}, ...more };
}

const refusalOf = (link: CloudLink, topic: string, payload = Buffer.from('x')) =>
  link.publish(message({ topic, payload })).catch((error: unknown) => error);

it.each([
  ['headgate/gw/readings/boiler-7', 'headgate.gw.readings.boiler-7'],
  ['a b/c.d/e*/f>', 'a_b.c_d.e_.f_'],
  ['/a//b/', '_.a._.b._'],
  ['$JS/api', '_JS.api'],
])('makes of topic %s the subject %s', (topic, subject) => {
  expect(subjectOf(topic)).toBe(subject);
});

describe('a publish', () => {
  it('is in the stream, once, with its payload, identity and properties', async () => {
    const link = await open();
    const properties = { device: 'Kessel übér', id: 'two\nlines', offset: '7' };
    const sent = message({ topic: 'headgate/gw/readings/one', properties });
    await link.publish(sent);
    // Again, as after a lost acknowledgement: that is acknowledged as well.
    await link.publish(sent);
    const found = (await streamMessages(client, 'all')).filter(({ id }) => id === sent.id);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      subject: 'headgate.gw.readings.one',
      payload: sent.payload,
      headers: { device: 'Kessel übér', id: 'two_lines', offset: '7' },
    });
    await link.close();
    expect(await link.ended).toBe('the connection was closed');
  });

  it('is one of many on their way', async () => {
    const link = await open();
    const all = Array.from({ length: 500 }, () => message({ topic: 'headgate/many' }));
    await Promise.all(all.map((one) => link.publish(one)));
    const ids = (await streamMessages(client, 'all'))
      .filter(({ subject }) => subject === 'headgate.many')
      .map(({ id }) => id);
    expect(ids).toEqual(all.map(({ id }) => id));
    await link.close();
  });

  it('takes the bytes that were foretold', async () => {
    let received = '';
    const taker = createServer((socket) => {
      socket.write('INFO {"version":"2.9.10","headers":true,"max_payload":4096,"proto":1}\r\n');
      socket.on('data', (data) => {
        received += data.toString();
        if (received.endsWith('PING\r\n')) socket.write('PONG\r\n');
      });
      socket.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await once(taker, 'listening');
    const { port } = taker.address() as { port: number };
    const link = await open({ url: `nats://127.0.0.1:${port}` });
    expect(link.maximumSizeBytes).toBe(4096);
    const sent = message({ properties: { device: 'ü', offset: '1' } });
    const ended = link.publish(sent).catch((error: Error) => error.message);
    await until('it has come', () => received.includes(`payload ${next}\r\n`));
    const [line] = /HPUB.*$/s.exec(received) ?? [''];
    expect(link.sizeOf(sent)).toBe(Buffer.byteLength(line));
    await link.close();
    expect(await ended).toBe('the connection was closed');
    taker.close();
  });
});

describe('a refusal', () => {
  it('says that no stream takes the subject', async () => {
    const link = await open();
    expect(await refusalOf(link, 'elsewhere/gw')).toMatchObject({
      kind: 'later',
      message: 'no JetStream stream takes subject elsewhere.gw',
    });
    await link.close();
  });

  it('says what is too large, for the server or for the stream', async () => {
    const link = await open();
    expect(link.maximumSizeBytes).toBe(65_536);
    const large = await refusalOf(link, 'headgate/gw', Buffer.alloc(65_536));
    expect(large).toMatchObject({ kind: 'too-large' });
    const ofStream = await refusalOf(link, 'small/gw', Buffer.alloc(300));
    expect(ofStream).toMatchObject({
      kind: 'too-large',
      message: expect.stringMatching(/maximum allowed/),
    });
    // The link is as good as before.
    await link.publish(message());
    await link.close();
  });

  it('of a full stream is for now', async () => {
    const link = await open();
    await link.publish(message({ topic: 'full/gw' }));
    const refusal = await refusalOf(link, 'full/gw');
    expect(refusal).toMatchObject({
      kind: 'later',
      message: expect.stringMatching(/maximum messages/),
    });
    await link.close();
  });

  it('of a user without the right is for good, and touches nothing else', async () => {
    const link = await open({ username: 'narrow', password: 'p' });
    const refusal = await refusalOf(link, 'headgate/forbidden');
    expect(refusal).toMatchObject({
      kind: 'never',
      message: expect.stringMatching(/headgate\.forbidden/),
    });
    await link.publish(message({ topic: 'headgate/allowed' }));
    await link.close();
  });

  it('of every answer ends the link', async () => {
    const link = await open({ username: 'deaf', password: 'p' });
    await expect(link.publish(message())).rejects.toThrow(/permission/i);
    expect(await link.ended).toMatch(/permission/i);
  });

  it('is what something that is no stream answers', async () => {
    client.subscribe('chat.room', { callback: (_, asked) => void asked.respond('hello') });
    await client.flush();
    const link = await open();
    const refusal = await refusalOf(link, 'chat/room');
    expect(refusal).toMatchObject({
      kind: 'later',
      message: expect.stringMatching(/no JetStream stream/),
    });
    await link.close();
  });
});

describe('a link', () => {
  it('is not made with a wrong password', async () => {
    await expect(open({ username: 'plant', password: 'wrong' })).rejects.toThrow(
      /authorization violation/i,
    );
  });

  it('is not made to a server without TLS if the address says tls://', async () => {
    const url = server.url.replace('nats:', 'tls:');
    await expect(open({ url })).rejects.toThrow(/tls/i);
  });

  it('is made to the server of several that answers', async () => {
    const url = `nats://127.0.0.1:${await freePort()},127.0.0.1:${server.port}`;
    for (let i = 0; i < 4; i++) {
      const link = await open({ url });
      await link.publish(message());
      await link.close();
    }
  });

  it('is given up at once when the uplink stops', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const stop = new AbortController();
    const opening = open(
      { url: `nats://127.0.0.1:${port}`, connectTimeoutMs: 60_000 },
      stop.signal,
    );
    opening.catch(() => {});
    setImmediate(() => stop.abort());
    await expect(opening).rejects.toThrow('stopped');
    silent.close();
  });

  it('ends when acknowledgements stop coming', async () => {
    const relay = await Relay.start(server.port);
    const link = await open({ url: `nats://127.0.0.1:${relay.port}`, ackTimeoutMs: 300 });
    await link.publish(message());
    relay.isMute = true;
    const waiting = [message(), message()].map((one) => link.publish(one));
    const said = await Promise.allSettled(waiting);
    expect(said).toMatchObject(said.map(() => ({ status: 'rejected' })));
    expect(await link.ended).toBe('no acknowledgement within 300 ms');
    await expect(link.publish(message())).rejects.toThrow('within 300 ms');
    relay.close();
  });

  it('ends when it is cut, and what the stream has is acknowledged the next time', async () => {
    const relay = await Relay.start(server.port);
    const link = await open({ url: `nats://127.0.0.1:${relay.port}` });
    await link.publish(message());
    relay.isMute = true;
    const sent = message();
    const waiting = link.publish(sent).catch((error: Error) => error.message);
    const copies = async () =>
      (await streamMessages(client, 'all')).filter(({ id }) => id === sent.id).length;
    await until('the stream has it', async () => (await copies()) === 1);
    relay.cut();
    const reason = await link.ended;
    expect(reason).toMatch(/ECONNRESET|closed/);
    expect(await waiting).toBe(reason);
    relay.close();
    const after = await open();
    await after.publish(sent);
    expect(await copies()).toBe(1);
    await after.close();
  });
});
