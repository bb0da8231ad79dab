import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'cborg';
import { connectAsync } from 'mqtt';
import { afterAll, expect, it } from 'vitest';
import { cleanUp, GatewayProcess, headgate, temporaryFolder } from '../support/gateway-process.ts';
import { sparkplugBytes } from '../support/sparkplug-messages.ts';

// Other formats than JSON, from a client of MQTT 5 to `headgate log read --decode`.

const T = 1_700_000_000_000;
const CONFIG = `
streams:
  packed:
    topics: [cbor/<device>/#]
    format: cbor
    metrics: [/samples/*/t]
    dedup: { idFrom: "property:msg-id" }
  plant:
    topics: [spBv1.0/+/+/<device>/#]
    format: sparkplug
  lines:
    topics: [lines/<device>]
    format: influx
  packs:
    topics: [packs/<device>]
    format: senml
`;

afterAll(cleanUp);

it('what was measured is read back from the bytes as they came', async () => {
  const gateway = await GatewayProcess.start({ config: CONFIG });
  const file = join(temporaryFolder(), 'headgate.yaml');
  writeFileSync(file, CONFIG);
  const client = await connectAsync(gateway.url, { protocolVersion: 5, reconnectPeriod: 0 });
  const send = (topic: string, payload: Uint8Array | string, id = '') =>
    client.publishAsync(topic, Buffer.from(payload), {
      qos: 1,
      properties: id === '' ? {} : { userProperties: { 'msg-id': id } },
    });
  const packed = encode({
    samples: [
      { ts: T, t: 1.5 },
      { ts: T + 1, t: 2 },
    ],
  });
  await send('cbor/a/in', packed, 'm-1');
  await send('cbor/a/in', packed, 'm-1');
  await send('cbor/a/in', packed, 'm-2');
  await send('cbor/a/in', '{}');
  const metrics = [{ name: 'Temp', alias: 1, datatype: 3, int: 20 }];
  await send('spBv1.0/p/NBIRTH/edge', sparkplugBytes({ timestamp: T, seq: 0, metrics }));
  const data = { timestamp: T + 5, seq: 3, metrics: [{ alias: 1, int: -7 }] };
  await send('spBv1.0/p/NDATA/edge', sparkplugBytes(data));
  await send('lines/b', `cpu load=3i ${T + 9}000000\nmem free=1`);
  await send('packs/c', '[{"n":"a","v":1,"t":-5},{"n":"a","v":2}]');
  await client.endAsync();
  const { received, stored, duplicates, deadLettered, sparkplugGaps } = await gateway.status();
  expect({ received, stored, duplicates, deadLettered, sparkplugGaps }).toEqual({
    ...{ received: 8, stored: 6, duplicates: 1, deadLettered: 1, sparkplugGaps: 2 },
  });
  const shown = await headgate(['status', '--data', gateway.data.root]);
  expect(shown.stdout).toMatch(/sparkplugGaps +2 /);
  const decoded = async (stream: string, ...more: string[]) => {
    const where = ['--data', gateway.data.root, '--config', file];
    const { code, lines, stderr } = await headgate([
      'log',
      'read',
      stream,
      '--decode',
      ...more,
      ...where,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const sample = { stream: 'packed', device: 'a', metric: 'in.samples.t' };
  const both = [
    { ...sample, value: 1.5, time: T },
    { ...sample, value: 2, time: T + 1 },
  ];
  expect(await decoded('packed')).toMatchObject([...both, ...both]);
  expect(await decoded('packed', '--limit', '1')).toMatchObject(both);
  expect(await decoded('plant')).toMatchObject([
    { device: 'edge', metric: 'Temp', value: 20, time: T },
    { device: 'edge', metric: 'Temp', value: -7, time: T + 5 },
  ]);
  const [line, ...others] = await decoded('lines');
  // The point without a time has that of its message, as far as the device said one.
  expect(others).toMatchObject([{ metric: 'mem.free', value: 1, time: T + 9 }]);
  expect(Object.keys(line ?? {})).toEqual([
    ...['stream', 'partition', 'offset', 'device', 'metric', 'value', 'time'],
  ]);
  expect(line).toMatchObject({ metric: 'cpu.load', value: 3, time: T + 9 });
  const { lines: records } = await headgate(['log', 'read', 'packs', '--data', gateway.data.root]);
  const { receivedAt } = JSON.parse(records[0] ?? '') as { receivedAt: number };
  const [before, now] = await decoded('packs');
  expect([before?.['time'], now?.['time']]).toEqual([receivedAt - 5_000, receivedAt]);
  // With another format than the bytes are of, nothing is there, and that is said.
  const other = await headgate(['log', 'read', 'lines', '--decode', '--data', gateway.data.root]);
  expect(other).toMatchObject({ code: 0, stdout: '' });
  expect(other.stderr).toContain('of 1 records none has a sample in format auto');
  const text = ['log', 'read', 'lines', '--decode', '--format', 'text'];
  expect(await headgate([...text, '--data', gateway.data.root])).toMatchObject({ code: 2 });
  expect(await gateway.stop()).toBe(0);
});
