import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CloudLink, type CloudMessage, CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { type CloudOptions, mqttCloud } from '../../../src/uplink/mqtt-link.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-port.ts';
import { until } from '../../support/until.ts';
import { FakeSource, settle, uplinkOver } from './fakes.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const clock = new FakeClock();
const never = new AbortController().signal;
let broker: ScriptedBroker;
const links: CloudLink[] = [];

beforeEach(async () => {
  broker = new ScriptedBroker();
  await broker.open();
});

afterEach(async () => {
  vi.useRealTimers();
  for (const link of links.splice(0)) await link.close();
  await broker.close();
});

function cloudAt(url: string, more: Partial<CloudOptions> = {}) {
  return mqttCloud({
    url,
    clientId: 'gw',
    username: '',
    password: undefined,
    protocolVersion: 4,
    keepaliveSeconds: 60,
    connectTimeoutMs: 5_000,
    ackTimeoutMs: 5_000,
    clock,
    tls: {},
    ...more,
  });
}

async function openLink(more: Partial<CloudOptions> = {}): Promise<CloudLink> {
  const link = await cloudAt(broker.url, more)(never);
  links.push(link);
  return link;
}

const of = (topic: string, payload: Uint8Array, properties = {}): CloudMessage => {
  return { topic, payload, key: 'd', id: 'i', properties };
};

const bytes = (text: string) => new TextEncoder().encode(text);

/** How it ended, for several at once. A rejection is looked at as soon as it can come. */
function outcomes(publishes: readonly Promise<void>[]): Promise<string[]> {
  return Promise.all(
    publishes.map((publish) =>
      publish.then(
        () => 'acknowledged',
        (error: Error) => error.message,
      ),
    ),
  );
}

describe('a link', () => {
  test('carries bytes and topics as they are, and resolves at the acknowledgement', async () => {
    const link = await openLink();
    const inner = Buffer.from('--körper--').subarray(2, -2);
    await link.publish(of('headgate/gw/readings/d1', inner));
    expect(broker.heard()).toEqual(['körper']);
    expect(broker.topics).toEqual(['headgate/gw/readings/d1']);
    expect(link.receiveMaximum).toBeUndefined();
  });

  test('resolves each publish by its own acknowledgement', async () => {
    broker.verdict = (payload) => (payload === 'b' ? 'hold' : 'take');
    const link = await openLink();
    const done: string[] = [];
    const all = ['a', 'b', 'c'].map((text) =>
      link.publish(of('t', bytes(text))).then(
        () => done.push(text),
        () => done.push(`not ${text}`),
      ),
    );
    await Promise.all([all[0], all[2]]);
    expect(done).toEqual(['a', 'c']);
    await link.close();
    await Promise.all(all);
    expect(done).toEqual(['a', 'c', 'not b']);
  });

  test('many in flight are all acknowledged', async () => {
    const link = await openLink();
    const all = Array.from({ length: 1_000 }, (_, i) => link.publish(of('t', bytes(String(i)))));
    await Promise.all(all);
    expect(broker.heard()).toEqual(Array.from({ length: 1_000 }, (_, i) => String(i)));
  });

  test('MQTT 5: the receive maximum of the broker is told', async () => {
    await broker.close();
    broker = new ScriptedBroker({ receiveMaximum: 7 });
    await broker.open();
    expect((await openLink({ protocolVersion: 5 })).receiveMaximum).toBe(7);
  });

  test('MQTT 5: a refusing acknowledgement rejects that one, and the link goes on', async () => {
    broker.verdict = (payload) => (payload === 'bad' ? 'refuse' : 'take');
    const link = await openLink({ protocolVersion: 5 });
    const [good, bad, better] = ['good', 'bad', 'better'].map((text) =>
      link.publish(of('t', bytes(text))),
    );
    await expect(bad).rejects.toEqual(
      new CloudRefusal('never', 'the cloud refused a record with reason 0x87'),
    );
    await expect(bad).rejects.toBeInstanceOf(CloudRefusal);
    await Promise.all([good, better, link.publish(of('t', bytes('later')))]);
  });
});

describe('a link that ends', () => {
  test('rejects what is unacknowledged and says why', async () => {
    broker.verdict = () => 'hold';
    const link = await openLink();
    const held = outcomes([link.publish(of('t', bytes('1'))), link.publish(of('t', bytes('2')))]);
    await broker.hears(2);
    await broker.close();
    const reason = await link.ended;
    expect(reason).not.toBe('');
    expect(await held).toEqual([reason, reason]);
    await expect(link.publish(of('t', bytes('3')))).rejects.toThrow(reason);
  });

  test('never comes back by itself; the next one on the same port begins empty', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    broker.verdict = () => 'hold';
    const link = await openLink();
    const held = outcomes([link.publish(of('t', bytes('old')))]);
    await broker.hears(1);
    await broker.close();
    await link.ended;
    await held;
    broker.verdict = () => 'take';
    await broker.open();
    vi.advanceTimersByTime(100_000);
    const next = await openLink();
    await next.publish(of('t', bytes('new')));
    expect(broker.heard()).toEqual(['old', 'new']);
    expect(broker.connections).toHaveLength(2);
  });

  test('when acknowledgements stop coming', async () => {
    broker.verdict = (payload) => (payload === 'held' ? 'hold' : 'take');
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const link = await openLink({ ackTimeoutMs: 100 });
    await link.publish(of('t', bytes('taken')));
    vi.advanceTimersByTime(1_000);
    const held = outcomes([link.publish(of('t', bytes('held')))]);
    await broker.hears(2);
    // Others that are acknowledged meanwhile do not hide the one that is not.
    clock.advance(60);
    await link.publish(of('t', bytes('taken too')));
    clock.advance(39);
    vi.advanceTimersByTime(100);
    await link.publish(of('t', bytes('and this')));
    clock.advance(1);
    vi.advanceTimersByTime(25);
    expect(await link.ended).toBe('no acknowledgement within 100 ms');
    expect(await held).toEqual(['no acknowledgement within 100 ms']);
  });

  test('not while each comes in time after the one before it', async () => {
    broker.verdict = () => 'hold';
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const link = await openLink({ ackTimeoutMs: 100 });
    const all = ['1', '2', '3'].map((text) => link.publish(of('t', bytes(text))));
    await broker.hears(3);
    for (const one of all) {
      clock.advance(90);
      vi.advanceTimersByTime(25);
      broker.release();
      await one;
    }
  });

  test('not while nothing is on its way, however long that is', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const link = await openLink({ ackTimeoutMs: 1_000 });
    await link.publish(of('t', bytes('1')));
    clock.advance(1_000_000);
    vi.advanceTimersByTime(10_000);
    await link.publish(of('t', bytes('2')));
    expect(broker.connections).toHaveLength(1);
  });

  test('when the cloud answers no ping', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    broker.verdict = () => 'hold';
    const link = await openLink({ keepaliveSeconds: 60 });
    const held = outcomes([link.publish(of('t', bytes('1')))]);
    // No time for an answer between one look at the keepalive and the next.
    vi.advanceTimersByTime(200_000);
    expect(await link.ended).toBe('Keepalive timeout');
    expect(await held).toEqual(['Keepalive timeout']);
  });

  test('close rejects what is unacknowledged, and may be called again', async () => {
    broker.verdict = () => 'hold';
    const link = await openLink();
    const held = outcomes([link.publish(of('t', bytes('1'))), link.publish(of('t', bytes('2')))]);
    await Promise.all([link.close(), link.close()]);
    await link.close();
    expect(await held).toEqual(['the connection was closed', 'the connection was closed']);
    expect(await outcomes([link.publish(of('t', bytes('3')))])).toEqual([
      'the connection was closed',
    ]);
  });

  test.each([
    ['the cloud', () => broker.cut()],
    ['the gateway', (link: CloudLink) => void link.close()],
  ])('publishes at the very moment at which %s ends it are settled too', async (_, end) => {
    const link = await openLink();
    const all: Promise<string[]>[] = [];
    let over = false;
    const ended = link.ended.then(() => {
      over = true;
    });
    for (let i = 0; !over; i++) {
      all.push(outcomes([link.publish(of('t', bytes(`<${i}>`)))]));
      if (i === 20) end(link);
      await settle(1);
    }
    await ended;
    all.push(outcomes([link.publish(of('t', bytes('too late')))]));
    const ends = (await Promise.all(all)).flat();
    expect(ends).toContain('acknowledged');
    expect(ends.at(-1)).not.toBe('acknowledged');
    for (const [i, how] of ends.entries()) {
      if (how === 'acknowledged') expect(broker.heard()).toContain(`<${i}>`);
    }
  });

  test('a client of the same name puts it out', async () => {
    const link = await openLink();
    await openLink();
    expect(await link.ended).not.toBe('');
    const fifth = await openLink({ protocolVersion: 5, clientId: 'gw5' });
    await openLink({ protocolVersion: 5, clientId: 'gw5' });
    expect(await fifth.ended).toBe('the cloud ended it with reason 0x8e');
  });
});

describe('no link', () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) {
      server.close();
      await once(server, 'close');
    }
  });

  /** Something that listens and is no broker. */
  async function listener(onSocket: (socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      onSocket(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('nobody listens', async () => {
    const port = await freePort();
    await expect(cloudAt(`mqtt://127.0.0.1:${port}`)(never)).rejects.toThrow('ECONNREFUSED');
    // A name with several addresses.
    const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
    const lookup = (_host: string, _options: object, done: (...answer: unknown[]) => void) =>
      done(null, addresses);
    vi.spyOn(dns, 'lookup').mockImplementationOnce(lookup as unknown as typeof dns.lookup);
    await expect(cloudAt(`mqtt://cloud.test:${port}`)(never)).rejects.toThrow('ECONNREFUSED');
  });

  test('a port that is none', async () => {
    await expect(cloudAt('mqtt://127.0.0.1:99999')(never)).rejects.toThrow();
  });

  test('the broker refuses', async () => {
    broker.locked = true;
    await expect(cloudAt(broker.url)(never)).rejects.toThrow('Connection refused');
    broker.locked = false;
    await openLink();
  });

  test('it hangs up at once', async () => {
    const url = await listener((socket) => socket.end());
    await expect(cloudAt(url)(never)).rejects.toThrow('the connection was closed');
  });

  test('it says nothing', async () => {
    const url = await listener(() => {});
    await expect(cloudAt(url, { connectTimeoutMs: 50 })(never)).rejects.toThrow('connack timeout');
  });

  test('it speaks something else', async () => {
    const url = await listener((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expect(cloudAt(url, { connectTimeoutMs: 60_000 })(never)).rejects.toThrow();
  });

  test('the gateway stops meanwhile', async () => {
    const stop = new AbortController();
    const url = await listener(() => stop.abort());
    await expect(cloudAt(url, { connectTimeoutMs: 60_000 })(stop.signal)).rejects.toThrow(
      'stopped',
    );
    await expect(cloudAt(broker.url)(stop.signal)).rejects.toThrow();
    expect(broker.connections).toHaveLength(0);
  });

  test('bytes that are no MQTT end a link that was up', async () => {
    const url = await listener((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.of(0x20, 2, 0, 0));
        socket.once('data', () => socket.write(Buffer.alloc(64, 0xff)));
      });
    });
    const link = await cloudAt(url)(never);
    const held = outcomes([link.publish(of('t', bytes('1')))]);
    const reason = await link.ended;
    expect(reason).not.toBe('the connection was closed');
    expect(await held).toEqual([reason]);
  });
});

describe('the uplink over real links', () => {
  test.each([4, 5] as const)('MQTT %i: five cuts, nothing lost, order kept', async (version) => {
    // The broker acknowledges by itself, so there is no book of what it has.
    const stream = new FakeSource('readings', { acked: { has: () => true }, doubted: new Set() });
    const open = cloudAt(broker.url, { protocolVersion: version });
    const { uplink, counters } = uplinkOver({ open }, [stream]);
    uplink.start();
    for (let i = 1; i <= 5; i++) {
      stream.append(100);
      await broker.hears(broker.count + 20);
      if (i % 2 === 0) {
        await broker.close();
        await broker.open();
      } else broker.cut();
    }
    await until('all is forwarded', () => stream.backlog() === 0);
    await uplink.stop();
    const payloads = broker.heard().map((text) => JSON.parse(text).payload as string);
    const firsts = [...new Set(payloads)];
    expect(firsts).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
    expect(counters.forwarded).toBe(500);
    expect(broker.connections.length).toBeGreaterThanOrEqual(6);
  });
});
