import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DeviceClient, type DeviceOptions } from '../../../firmware-bridge/device/device-client.ts';
import { subscribe } from '../../support/subscriber.ts';
import { until } from '../../support/until.ts';
import { ScriptedBroker } from '../uplink/scripted-broker.ts';

let gateway: ScriptedBroker;
const clients: Array<{ close(): Promise<void> }> = [];

beforeEach(async () => {
  gateway = new ScriptedBroker();
  await gateway.open();
});

afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients.splice(0)) await client.close();
  await gateway.close();
});

function device(more: Partial<DeviceOptions> = {}): DeviceClient {
  const client = new DeviceClient({ url: gateway.url, clientId: 'd1', reconnectMs: 5, ...more });
  clients.push(client);
  return client;
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

/** Publishes all of them and notes, in order, which one was acknowledged. */
function publishAll(client: DeviceClient, payloads: readonly string[], acked: string[]) {
  return Promise.all(
    payloads.map(async (payload) => {
      await client.publish('sensors/d1/t', payload);
      acked.push(payload);
    }),
  );
}

describe.each([4, 5] as const)('a device, MQTT %i', (protocolVersion) => {
  test('resolves when the gateway has acknowledged it, not before', async () => {
    gateway.verdict = () => 'hold';
    const client = device({ protocolVersion });
    let acked = false;
    const published = client.publish('sensors/d1/t', '21.5').then(() => {
      acked = true;
    });
    await gateway.hears(1);
    expect(acked).toBe(false);
    expect(client.waiting).toBe(1);
    gateway.verdict = () => 'take';
    gateway.cut();
    await published;
    expect(gateway.heard()).toEqual(['21.5', '21.5']);
    expect(client.waiting).toBe(0);
    expect(client.resent).toBe(1);
  });

  test('over five cuts all are acknowledged once, in order on each connection', async () => {
    gateway.verdict = () => {
      const { connections } = gateway;
      if (connections.length > 5 || connections.at(-1)?.length !== 60) return 'take';
      gateway.cut();
      return 'hold';
    };
    const client = device({ protocolVersion });
    const acked: string[] = [];
    await publishAll(client, numbers(600), acked);
    expect([...acked].sort((a, b) => Number(a) - Number(b))).toEqual(numbers(600));
    expect(client.waiting).toBe(0);
    expect(client.resent).toBeGreaterThanOrEqual(5);
    expect(gateway.connections).toHaveLength(6);
    for (const heard of gateway.connections) {
      expect(heard).toEqual([...heard].sort((a, b) => Number(a) - Number(b)));
      expect(new Set(heard).size).toBe(heard.length);
    }
    // Each was acknowledged by its own acknowledgement.
    expect(new Set(acked.filter((payload) => !gateway.taken.has(payload)))).toEqual(new Set());
  });

  test('a gateway that is away at first, and refuses at next, gets everything', async () => {
    await gateway.close();
    const client = device({ protocolVersion });
    const acked: string[] = [];
    const all = publishAll(client, numbers(50), acked);
    gateway.locked = true;
    await gateway.open();
    await until('some tries were refused', () => gateway.refusals >= 2);
    expect(acked).toEqual([]);
    gateway.locked = false;
    await all;
    expect(acked).toEqual(numbers(50));
    // Sent for the first time, however many tries it took to connect.
    expect(client.resent).toBe(0);
  });

  test('a refused message is sent again until it is taken', async () => {
    let refusals = 3;
    gateway.verdict = (payload) => (payload === '4' && refusals-- > 0 ? 'refuse' : 'take');
    const client = device({ protocolVersion });
    const acked: string[] = [];
    await publishAll(client, numbers(10), acked);
    expect([...acked].sort()).toEqual(numbers(10));
    expect(gateway.connections).toHaveLength(4);
  });

  test('more messages than packet identifiers: each gets its own acknowledgement', async () => {
    const client = device({ protocolVersion });
    const acked: string[] = [];
    await publishAll(client, numbers(70_000), acked);
    expect(acked).toEqual(numbers(70_000));
    expect(gateway.heard()).toEqual(numbers(70_000));
  }, 30_000);

  test('sends a message once more when told to', async () => {
    const client = device({ protocolVersion });
    await client.publish('sensors/d1/t', 'x');
    await client.repeat('sensors/d1/t', 'x');
    expect(gateway.heard()).toEqual(['x', 'x']);
    expect(client.resent).toBe(1);
  });

  test('closes with messages that wait, connected or not, and twice', async () => {
    gateway.verdict = () => 'hold';
    const client = device({ protocolVersion });
    let settled = false;
    void client.publish('sensors/d1/t', 'x').then(() => {
      settled = true;
    });
    await gateway.hears(1);
    await Promise.all([client.close(), client.close()]);
    expect(client.waiting).toBe(1);
    await gateway.close();
    const lonely = device({ protocolVersion });
    void lonely.publish('sensors/d1/t', 'y');
    await lonely.close();
    await gateway.open();
    expect(lonely.waiting).toBe(1);
    expect(settled).toBe(false);
    expect(gateway.connections).toHaveLength(1);
  });
});

describe('how much is on its way', () => {
  test('256 messages at most, and another for each acknowledgement', async () => {
    // As bytes, since a broker takes in no more than it likes. All publishes are equally long.
    const head = Buffer.from('\x32\x14\x00\x0csensors/d1/t', 'latin1');
    const length = head.length + 2 + 4;
    let bytes = Buffer.alloc(0);
    let acks = 0;
    let most = 0;
    const server = createServer((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.of(0x20, 2, 0, 0));
        socket.on('data', (chunk) => {
          bytes = Buffer.concat([bytes, chunk]);
          const count = Math.floor(bytes.length / length);
          most = Math.max(most, count - acks);
          // None before the window is full, and then all but one: it never stands empty.
          for (; count >= 256 && acks < count - 1; acks++) {
            const id = bytes.subarray(acks * length + head.length).subarray(0, 2);
            socket.write(Buffer.concat([Buffer.of(0x40, 2), id]));
          }
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const client = device({ url: `mqtt://127.0.0.1:${port}` });
    const payloads = numbers(2_000).map((text) => text.padStart(4, '0'));
    for (const payload of payloads) void client.publish('sensors/d1/t', payload);
    await until('all but the last is acknowledged', () => client.waiting === 1);
    await client.close();
    await new Promise((resolve) => server.close(resolve));
    expect(most).toBe(256);
    const sent = payloads.map((_, i) =>
      bytes.subarray((i + 1) * length - 4).toString('latin1', 0, 4),
    );
    expect(sent).toEqual(payloads);
    expect(bytes.length).toBe(2_000 * length);
  });

  test('MQTT 5: as many as the gateway takes', async () => {
    await gateway.close();
    gateway = new ScriptedBroker({ receiveMaximum: 10 });
    await gateway.open();
    gateway.verdict = (payload) => (Number(payload) < 256 ? 'hold' : 'take');
    const client = device({ protocolVersion: 5 });
    for (const payload of numbers(40)) void client.publish('sensors/d1/t', payload);
    await gateway.hears(10);
    await device({ clientId: 'd2' }).publish('sensors/d2/t', '999');
    expect(gateway.count).toBe(11);
  });
});

test('MQTT 5: says what the gateway will never take, and sends the rest again', async () => {
  /** What came. Each is answered with the first reason of its payload, the next time the next. */
  const heard: string[] = [];
  const reasons: Record<string, number[]> = { bad: [0x99], later: [0x97, 0], good: [0] };
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      // CONNACK with a maximum packet size of 30 bytes.
      socket.write(Buffer.of(0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 30));
      socket.on('data', (chunk) => {
        for (let at = 0; chunk[at] === 0x32; at += 2 + (chunk[at + 1] ?? 0)) {
          const packet = chunk.subarray(at + 2, at + 2 + (chunk[at + 1] ?? 0));
          // A topic of one letter, the identifier, no properties, the payload.
          const payload = packet.subarray(6).toString();
          heard.push(payload);
          const reason = reasons[payload]?.shift() ?? 0;
          socket.write(Buffer.of(0x40, 3, packet[3] ?? 0, packet[4] ?? 0, reason));
        }
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = device({ url: `mqtt://127.0.0.1:${port}`, protocolVersion: 5 });
  const payloads = ['x'.repeat(20), 'x'.repeat(19), 'bad', 'later', 'good'];
  const fates = await Promise.all(
    payloads.map((payload) => client.deliver('t', Buffer.from(payload))),
  );
  expect(fates).toEqual(['refused', 'stored', 'refused', 'stored', 'stored']);
  expect(heard).not.toContain(payloads[0]);
  expect(heard.filter((payload) => payload === 'bad').length).toBe(1);
  expect(heard.filter((payload) => payload === 'later').length).toBe(2);
  expect(client.waiting).toBe(0);
  await client.close();
  await new Promise((resolve) => server.close(resolve));
});

describe('a subscriber', () => {
  test('hears what is published, over cuts too', async () => {
    const heard: string[] = [];
    const options = { url: gateway.url, clientId: 'far', reconnectMs: 5 };
    const subscription = await subscribe(options, 'sensors/#', (topic, payload) => {
      heard.push(`${topic} ${payload.toString()}`);
    });
    clients.push(subscription);
    const client = device();
    await client.publish('sensors/d1/t', '1');
    await until('the first is heard', () => heard.length === 1);
    gateway.cut();
    await client.publish('sensors/d1/t', '2');
    await until('the second is heard', () => heard.includes('sensors/d1/t 2'));
    expect(heard[0]).toBe('sensors/d1/t 1');
    await subscription.close();
  });

  test('rejects when the connection ends before it is granted', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    gateway.onSubscribe = () => gateway.cut();
    const options = { url: gateway.url, clientId: 'far', reconnectMs: 5 };
    await expect(subscribe(options, '#', () => {})).rejects.toThrow();
    // It has let go: nobody connects again.
    vi.advanceTimersByTime(1_000);
    await device().publish('sensors/d1/t', '1');
    expect(gateway.clientIds).toEqual(['far', 'd1']);
  });
});
