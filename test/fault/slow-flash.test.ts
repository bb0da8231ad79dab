import { afterEach, describe, expect, it } from 'vitest';
import { cleanUp } from '../support/gateway-process.ts';
import { textOf } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { isBalanced, LocalGateway, stopAll } from './local-gateway.ts';

// A sync that takes its time, and one that takes its time and fails: what waits for it is not
// acknowledged before it, and a repeat never before the message that it repeats.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const payloadOf = (n: number) => JSON.stringify({ id: `m-${n}`, value: n });

/** On a connection of its own: one whose messages wait for the flash may be read no further. */
async function gatewayHasTurned(gateway: LocalGateway): Promise<void> {
  const bystander = await TestClient.connect(gateway.port);
  await bystander.roundTrip();
  await bystander.end();
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('a slow sync', () => {
  it.each([4 as const, 5 as const])('holds acknowledgements back, MQTT %i', async (version) => {
    const gateway = await LocalGateway.start();
    const client = await TestClient.connect(gateway.port, { version });
    const release = gateway.files.hold('sync', '/telemetry/');
    const sent = numbers(50).map((n) => client.publish('sensors/a/t', payloadOf(n)));
    await gateway.until('all came in', ({ received }) => received === 50);
    await until('a sync is under way', () => gateway.files.held === 1);
    await gatewayHasTurned(gateway);
    expect(client.acked).toEqual([]);
    expect(gateway.status()).toMatchObject({ stored: 0, health: 'ok' });
    release();
    expect(await Promise.all(sent)).not.toContain(false);
    expect(client.acked).toEqual(numbers(50).map(payloadOf));
    expect((await gateway.records()).map(textOf)).toEqual(numbers(50).map(payloadOf));
    await client.end();
  });

  it('holds PUBREC back, and a QoS 2 message is stored once', async () => {
    const gateway = await LocalGateway.start();
    const client = await TestClient.connect(gateway.port);
    const release = gateway.files.hold('sync', '/telemetry/');
    const sent = client.publish('sensors/a/t', '21.5', { qos: 2 });
    await until('a sync is under way', () => gateway.files.held === 1);
    await gatewayHasTurned(gateway);
    expect(client.acked).toEqual([]);
    release();
    expect(await sent).toBe(true);
    expect((await gateway.records()).map(textOf)).toEqual(['21.5']);
    await client.end();
  });

  it('keeps the order of one connection, though dead letters are on another store', async () => {
    const gateway = await LocalGateway.start();
    const client = await TestClient.connect(gateway.port);
    const release = gateway.files.hold('sync', '/telemetry/');
    const payloads = ['{"id":"r-1"}', 'no reading', '{"id":"r-2"}', 'nor this'];
    const sent = payloads.map((payload) => client.publish('sensors/a/t', payload));
    await gateway.until('dead letters are durable', ({ deadLettered }) => deadLettered === 2);
    await gatewayHasTurned(gateway);
    expect(client.acked).toEqual([]);
    release();
    expect(await Promise.all(sent)).not.toContain(false);
    expect(client.acked).toEqual(payloads);
    await client.end();
  });

  it('lets subscribers hear a reading only once it is durable', async () => {
    const gateway = await LocalGateway.start();
    const listener = await TestClient.connect(gateway.port);
    await listener.subscribe('sensors/#');
    const client = await TestClient.connect(gateway.port);
    const release = gateway.files.hold('sync', '/telemetry/');
    const sent = client.publish('sensors/a/t', payloadOf(1));
    await until('a sync is under way', () => gateway.files.held === 1);
    await listener.roundTrip();
    expect(listener.heard).toEqual([]);
    release();
    await sent;
    await listener.hears(1);
    await Promise.all([listener.end(), client.end()]);
  });

  it('lets what is on its way be stored when the gateway is asked to stop', async () => {
    const gateway = await LocalGateway.start();
    const client = await TestClient.connect(gateway.port);
    const release = gateway.files.hold('sync', '/telemetry/');
    void client.publish('sensors/a/t', payloadOf(1));
    await until('a sync is under way', () => gateway.files.held === 1);
    const stopped = gateway.stop();
    await client.closed;
    release();
    await stopped;
    expect((await gateway.records()).map(textOf)).toEqual([payloadOf(1)]);
  });
});

describe('a repeat of a message that is on its way', () => {
  async function twoInFlight() {
    const gateway = await LocalGateway.start();
    const first = await TestClient.connect(gateway.port);
    const second = await TestClient.connect(gateway.port);
    const release = gateway.files.hold('sync', '/telemetry/');
    const one = first.publish('sensors/a/t', payloadOf(1));
    await until('a sync is under way', () => gateway.files.held === 1);
    const two = second.publish('sensors/a/t', payloadOf(1), { dup: true });
    await gateway.until('both came in', ({ received }) => received === 2);
    await gatewayHasTurned(gateway);
    expect([...first.acked, ...second.acked]).toEqual([]);
    return { gateway, first, second, one, two, release };
  }

  it('is acknowledged when the first one is durable, and stored once', async () => {
    const { gateway, first, second, one, two, release } = await twoInFlight();
    release();
    expect(await Promise.all([one, two])).toEqual([true, true]);
    expect((await gateway.records()).map(textOf)).toEqual([payloadOf(1)]);
    expect(gateway.status()).toMatchObject({ stored: 1, duplicates: 1 });
    await Promise.all([first.end(), second.end()]);
  });

  it('is not acknowledged when the commit fails, and is new when it comes again', async () => {
    const { gateway, first, second, one, two, release } = await twoInFlight();
    gateway.files.break({ operations: ['sync'], path: '/telemetry/', code: 'EIO' });
    release();
    expect(await Promise.all([one, two])).toEqual([false, false]);
    await Promise.all([first.closed, second.closed]);
    expect(gateway.status()).toMatchObject({ stored: 0, duplicates: 0, rejected: 2 });
    expect(isBalanced(gateway.status())).toBe(true);
    gateway.files.mend();
    await gateway.until('the log takes data', ({ health }) => health === 'ok');
    const again = await TestClient.connect(gateway.port);
    expect(await again.publish('sensors/a/t', payloadOf(1), { dup: true })).toBe(true);
    expect((await gateway.records()).map(textOf)).toEqual([payloadOf(1)]);
    expect(gateway.status()).toMatchObject({ stored: 1, duplicates: 0 });
    await again.end();
  });
});

describe('more than may wait for the flash', () => {
  it('is refused without an acknowledgement; what waits is stored', async () => {
    const config = 'log: { maxPendingBytes: 1048576 }\nmqtt: { maxPacketBytes: 524288 }\n';
    const gateway = await LocalGateway.start({ config });
    const clients = await Promise.all(
      numbers(4).map((n) => TestClient.connect(gateway.port, { version: n % 2 === 0 ? 4 : 5 })),
    );
    const release = gateway.files.hold('sync', '/telemetry/');
    const fill = 'x'.repeat(100_000);
    const sent = clients.flatMap((client, c) =>
      numbers(5).map((n) =>
        client.publish(`sensors/d${c}/t`, JSON.stringify({ id: `${n}`, fill })),
      ),
    );
    await gateway.until('some are refused', ({ rejected }) => rejected > 0);
    expect(gateway.status().log.telemetry.pendingBytes).toBeLessThanOrEqual(1_048_576);
    release();
    const acked = (await Promise.all(sent)).filter((one) => one).length;
    await gateway.until('all is settled', isBalanced);
    expect(acked).toBeGreaterThan(0);
    expect(gateway.status().stored).toBeGreaterThanOrEqual(acked);
    expect(gateway.status().health).toBe('ok');
    expect(await gateway.records()).toHaveLength(gateway.status().stored);
    await Promise.all(clients.map((client) => client.end()));
  });
});
