import { afterEach, describe, expect, it } from 'vitest';
import { cleanUp } from '../support/gateway-process.ts';
import { textOf } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { isBalanced, LocalGateway, stopAll } from './local-gateway.ts';

// A stream whose owner chose speed: acknowledged from memory. What that costs is counted and named;
// what the log refuses is refused; streams beside it keep the promise.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const CONFIG = [
  'streams:',
  '  readings: { topics: ["sensors/<device>/#"], ack: received }',
  '  meters: { topics: ["meters/<device>"] }',
  'log: { maxPendingBytes: 1048576, segmentBytes: 1048576 }',
  'mqtt: { maxPacketBytes: 524288 }',
  '',
].join('\n');

const LOST = 'a reading that was acknowledged could not be stored and is lost';
const payloadOf = (n: number) => JSON.stringify({ id: `m-${n}`, value: n });
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

async function start() {
  const gateway = await LocalGateway.start({ config: CONFIG });
  const client = await TestClient.connect(gateway.port);
  return { gateway, client };
}

describe('ack: received', () => {
  it('acknowledges while nothing is on flash yet, in order, repeats too', async () => {
    const { gateway, client } = await start();
    const release = gateway.files.hold('sync', '/telemetry/');
    const sent = [0, 1, 1, 2].map((n) => client.publish('sensors/a/t', payloadOf(n)));
    expect(await Promise.all(sent)).not.toContain(false);
    expect(client.acked).toEqual([0, 1, 1, 2].map(payloadOf));
    expect(gateway.status()).toMatchObject({ received: 4, stored: 0, duplicates: 1 });
    release();
    await gateway.until('all is stored', isBalanced);
    expect((await gateway.records()).map(textOf)).toEqual([0, 1, 2].map(payloadOf));
    await client.end();
  });

  it('leaves a stream beside it as it was, and the order of the connection', async () => {
    const { gateway, client } = await start();
    const release = gateway.files.hold('sync', '/telemetry/');
    const meter = client.publish('meters/a', payloadOf(0));
    await until('a sync is under way', () => gateway.files.held === 1);
    const reading = client.publish('sensors/a/t', payloadOf(1));
    await gateway.until('both came in', ({ received }) => received === 2);
    const other = await TestClient.connect(gateway.port);
    expect(await other.publish('sensors/b/t', payloadOf(2))).toBe(true);
    expect(client.acked).toEqual([]);
    release();
    expect(await Promise.all([meter, reading])).toEqual([true, true]);
    expect(client.acked).toEqual([payloadOf(0), payloadOf(1)]);
    await Promise.all([client.end(), other.end()]);
  });

  it('counts and names what a commit that fails has lost; the books balance', async () => {
    const { gateway, client } = await start();
    const release = gateway.files.hold('sync', '/telemetry/');
    const sent = numbers(3).map((n) => client.publish('sensors/a/t', payloadOf(n)));
    expect(await Promise.all(sent)).not.toContain(false);
    await until('a sync is under way', () => gateway.files.held === 1);
    gateway.files.break({ operations: ['sync'], path: '/telemetry/', code: 'EIO' });
    release();
    await gateway.until('the loss is known', ({ lostAfterAck }) => lostAfterAck === 3);
    expect(isBalanced(gateway.status())).toBe(true);
    expect(gateway.status()).toMatchObject({ received: 3, stored: 0, rejected: 0 });
    const [line] = gateway.said(LOST);
    expect(line?.level).toBe('error');
    const named = { code: 'LOG_NOT_DURABLE', stream: 'readings', device: 'a', id: 'm-0' };
    expect(line?.fields).toMatchObject(named);
    expect(gateway.said(LOST)).toHaveLength(3);

    // While the log is stopped it is refused, as on any stream.
    expect(await client.publish('sensors/a/t', payloadOf(9))).toBe(false);
    await client.closed;
    expect(gateway.status()).toMatchObject({ received: 4, rejected: 1, lostAfterAck: 3 });

    // What was lost is new when it comes again.
    gateway.files.mend();
    await gateway.until('the log takes data', ({ health }) => health === 'ok');
    const again = await TestClient.connect(gateway.port);
    expect(await again.publish('sensors/a/t', payloadOf(0))).toBe(true);
    await gateway.until('it is stored', ({ stored }) => stored === 1);
    expect((await gateway.records()).map(textOf)).toEqual([payloadOf(0)]);
    expect(gateway.status().duplicates).toBe(0);
    await again.end();
  });

  it('waits for the flash when the log falls behind, so that little can be lost', async () => {
    const { gateway, client } = await start();
    const release = gateway.files.hold('sync', '/telemetry/');
    const fill = 'x'.repeat(200_000);
    const payloads = numbers(5).map((n) => JSON.stringify({ id: `${n}`, fill }));
    const sent = payloads.map((payload) => client.publish('sensors/a/t', payload));
    await gateway.until('all came in', ({ received }) => received === 5);
    await until('a sync is under way', () => gateway.files.held === 1);
    await until('the first ones are acknowledged', () => client.acked.length >= 2);
    const other = await TestClient.connect(gateway.port);
    const last = other.publish('sensors/b/t', payloadOf(1));
    await gateway.until('that, too', ({ received }) => received === 6);
    await client.roundTrip();
    await other.roundTrip();
    expect(client.acked.length).toBeLessThan(5);
    expect(other.acked).toEqual([]);
    release();
    expect(await Promise.all([...sent, last])).not.toContain(false);
    expect(client.acked).toEqual(payloads);
    await gateway.until('all is stored', ({ stored }) => stored === 6);
    await Promise.all([client.end(), other.end()]);
  });

  it('keeps dead letters durable before they are acknowledged', async () => {
    const { gateway, client } = await start();
    const release = gateway.files.hold('sync', '/events/');
    const sent = client.publish('sensors/a/t', 'no reading');
    await until('a sync is under way', () => gateway.files.held === 1);
    const bystander = await TestClient.connect(gateway.port);
    await bystander.roundTrip();
    expect(client.acked).toEqual([]);
    release();
    expect(await sent).toBe(true);
    await Promise.all([client.end(), bystander.end()]);
  });
});

describe('a stop', () => {
  it('stores what was acknowledged from memory', async () => {
    const config = CONFIG.replace('ack: received', 'ack: received, lingerMs: 10000');
    const gateway = await LocalGateway.start({ config });
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', payloadOf(1))).toBe(true);
    expect(await gateway.records()).toEqual([]);
    await gateway.stop();
    expect((await gateway.records()).map(textOf)).toEqual([payloadOf(1)]);
  });
});
