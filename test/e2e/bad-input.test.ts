import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RecordJson, recordJson } from '../../src/base/record-json.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { cleanUp, GatewayProcess, headgate } from '../support/gateway-process.ts';
import { readAll } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';

// Whatever a client sends on a stream's topic is stored, or kept as a dead letter with its reason.
// It is acknowledged either way, and neither the client nor the daemon is the worse for it.

let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await GatewayProcess.start();
});

afterAll(cleanUp);

/** The newest record of a stream, from the files of the running gateway. */
async function lastOf(stream: 'readings' | 'dead-letter'): Promise<RecordJson | undefined> {
  const { telemetry, events } = gateway.data;
  const view = await FolderView.open(nodeFiles, stream === 'readings' ? telemetry : events);
  const last = (await readAll(nodeFiles, view, stream)).at(-1);
  return last === undefined ? undefined : recordJson(last);
}

/** Text as it came, or the bytes in base64. */
function payloadOf(bytes: Buffer): Pick<RecordJson, 'payload' | 'encoding'> {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes)
    ? { payload: text }
    : { payload: bytes.toString('base64'), encoding: 'base64' };
}

interface Case {
  readonly what: string;
  readonly payload: Buffer;
  readonly topic?: string;
  /** Without one it is a reading. */
  readonly reason?: string;
  readonly id?: string;
  /** Of the record, if it is not the one in the topic. */
  readonly device?: string;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const text = (value: string) => Buffer.from(value);

function casesFor(name: string): readonly Case[] {
  const notReading = 'PAYLOAD_NOT_A_READING';
  const idInvalid = 'PAYLOAD_ID_INVALID';
  return [
    { what: 'a reading with an id', payload: json({ id: `${name}-a`, v: 1 }), id: `${name}-a` },
    { what: 'JSON without an id', payload: text(' { "temperature" : 21.50 } ') },
    { what: 'a plain number', payload: text('21.5') },
    { what: 'JSON that is no object', payload: text('[1, "two", null]') },
    {
      what: 'UTF-8 beyond ASCII',
      payload: json({ id: `${name}-é`, room: 'Küche' }),
      id: `${name}-é`,
    },
    { what: 'a whole number as id', payload: json({ id: 7001 }), id: '7001' },
    { what: 'text that is not JSON', payload: text('hello'), reason: notReading },
    { what: 'JSON that is cut off', payload: text('{"id":"x","v":'), reason: notReading },
    { what: 'NaN', payload: text('NaN'), reason: notReading },
    { what: 'Infinity', payload: text('-Infinity'), reason: notReading },
    { what: 'a number beyond all numbers', payload: text('1e999'), reason: notReading },
    { what: 'binary', payload: Buffer.from([0, 255, 254, 128, 10]), reason: notReading },
    { what: 'NUL characters', payload: Buffer.alloc(16), reason: notReading },
    { what: 'no payload', payload: Buffer.alloc(0), reason: 'PAYLOAD_EMPTY' },
    {
      what: '1,000,000 bytes',
      payload: Buffer.alloc(1_000_000, 'x'),
      reason: 'PAYLOAD_TOO_LARGE',
    },
    { what: 'an object as id', payload: json({ id: { a: 1 } }), reason: idInvalid },
    { what: 'a truth value as id', payload: json({ id: true }), reason: idInvalid },
    { what: 'a list as id', payload: json({ id: ['a'] }), reason: idInvalid },
    { what: 'an empty id', payload: json({ id: '' }), reason: idInvalid },
    { what: 'an id of 257 bytes', payload: json({ id: 'i'.repeat(257) }), reason: idInvalid },
    {
      what: 'a device without a name',
      topic: 'sensors//temperature',
      payload: text('1'),
      reason: 'DEVICE_INVALID',
      device: 'unknown',
    },
    {
      what: 'a device name of 129 bytes',
      topic: `sensors/${'d'.repeat(129)}/temperature`,
      payload: text('1'),
      reason: 'DEVICE_INVALID',
      device: 'unknown',
    },
    {
      what: 'a device name with control characters',
      topic: 'sensors/a\u0007b\u001bc/temperature',
      payload: text('1'),
      reason: 'DEVICE_INVALID',
      device: 'unknown',
    },
    {
      what: 'a device name of 128 bytes',
      topic: `sensors/${'d'.repeat(128)}/temperature`,
      payload: json({ id: name }),
      device: 'd'.repeat(128),
      id: name,
    },
  ];
}

describe.each([
  { version: 4 as const, name: 'three' },
  { version: 5 as const, name: 'five' },
])('MQTT $name: whatever is sent is kept and acknowledged', ({ version, name }) => {
  let client: TestClient;
  let sent = 0;

  beforeAll(async () => {
    client = await TestClient.connect(gateway.port, { version, clientId: `bad-${name}` });
  });

  it.each(casesFor(name))('$what', async ({ payload, topic, reason, id, device }) => {
    const to = topic ?? `sensors/bad-${name}/temperature`;
    const before = await gateway.status();
    expect(await client.publish(to, payload)).toBe(true);
    sent += 1;
    const record = await lastOf(reason === undefined ? 'readings' : 'dead-letter');
    expect(record).toMatchObject({
      topic: to,
      device: device ?? `bad-${name}`,
      ...payloadOf(payload),
    });
    expect(record?.reason).toBe(reason);
    expect(record?.id).toBe(id);
    const after = await gateway.status();
    expect(after.received - before.received).toBe(1);
    expect(after.stored - before.stored).toBe(reason === undefined ? 1 : 0);
    expect(after.deadLettered - before.deadLettered).toBe(reason === undefined ? 0 : 1);
    expect(client.isConnected).toBe(true);
  });

  it('on the one connection that was there from the start', async () => {
    expect(client.isConnected).toBe(true);
    expect(client.acked).toHaveLength(sent);
    expect(sent).toBe(casesFor(name).length);
    await client.end();
  });
});

describe('what is no reading and no dead letter', () => {
  it('passes other topics on to subscribers and counts nothing', async () => {
    const before = await gateway.status();
    const listener = await TestClient.connect(gateway.port);
    await listener.subscribe('commands/#');
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('commands/pump', 'NaN')).toBe(true);
    await listener.hears(1);
    expect(listener.heard[0]).toMatchObject({ topic: 'commands/pump', payload: 'NaN' });
    expect((await gateway.status()).received).toBe(before.received);
    await Promise.all([listener.end(), client.end()]);
  });

  it.each(['headgate/alerts/pump/temperature', '$SYS/broker/uptime'])(
    'takes nothing for %s and harms nobody else',
    async (topic) => {
      const bystander = await TestClient.connect(gateway.port);
      const liar = await TestClient.connect(gateway.port);
      expect(await liar.publish(topic, '{"kind":"begin"}', { retain: true })).toBe(false);
      expect(await bystander.publish('sensors/bystander/t', '1')).toBe(true);
      await bystander.subscribe(topic);
      await bystander.roundTrip();
      expect(bystander.heard).toEqual([]);
      await bystander.end();
    },
  );

  it('cuts off the sender of a packet beyond mqtt.maxPacketBytes, and nobody else', async () => {
    const bystander = await TestClient.connect(gateway.port);
    const client = await TestClient.connect(gateway.port);
    const payload = Buffer.alloc(2 * 1024 * 1024 + 1024, '1');
    expect(await client.publish('sensors/huge/t', payload)).toBe(false);
    await client.closed;
    expect(await bystander.publish('sensors/bystander/t', '2')).toBe(true);
    await bystander.end();
  });
});

describe('after all that', () => {
  it('the same daemon runs and its books balance', async () => {
    expect(gateway.isRunning).toBe(true);
    const { health, received, stored, duplicates, deadLettered, rejected } = await gateway.status();
    expect(health).toBe('ok');
    expect(deadLettered).toBeGreaterThan(20);
    expect(rejected).toBe(0);
    expect(received).toBe(stored + duplicates + deadLettered + rejected);
  });

  it('the log is whole and holds exactly what was counted', async () => {
    const { stored, deadLettered } = await gateway.status();
    const { code, lines } = await headgate(['log', 'ls', '--json', '--data', gateway.data.root]);
    expect(code).toBe(0);
    const rows = JSON.parse(lines[0] ?? '') as Array<{ stream: string; records: number }>;
    const records = Object.fromEntries(rows.map((row) => [row.stream, row.records]));
    expect(records).toMatchObject({ readings: stored, 'dead-letter': deadLettered });
    const verified = await headgate(['log', 'verify', '--data', gateway.data.root]);
    expect(verified.code, verified.stdout).toBe(0);
  });
});
