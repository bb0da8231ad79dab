import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { DeviceClient } from '../../firmware-bridge/device/device-client.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { cleanUp } from '../support/gateway-process.ts';
import { textOf } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { isBalanced, LocalGateway, stopAll } from './local-gateway.ts';

// The flash takes no more: full, failing, or mounted read-only. Nothing is acknowledged that is not
// on it, it is said aloud, and it goes on by itself afterwards.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const STOPPED = 'the log takes no data';
const AGAIN = 'the log takes data again';

type Trouble = (gateway: LocalGateway) => void;

const TROUBLES: ReadonlyArray<{ what: string; code: string; begin: Trouble }> = [
  {
    what: 'a full disk',
    code: 'ENOSPC',
    begin: ({ files }) => {
      files.roomBytes = 0;
    },
  },
  {
    what: 'a disk that fills up in the middle of a block',
    code: 'ENOSPC',
    begin: ({ files }) => {
      files.roomBytes = 60;
    },
  },
  {
    what: 'a sync that goes on failing',
    code: 'EIO',
    begin: ({ files }) => files.break({ operations: ['sync'], path: '/log/', code: 'EIO' }),
  },
  {
    what: 'a file system that became read-only',
    code: 'EROFS',
    begin: ({ files }) =>
      files.break({
        operations: ['open', 'write', 'truncate', 'rename', 'remove'],
        path: '/log/',
        code: 'EROFS',
      }),
  },
];

/** Too little for a segment of full size, so that every commit needs room of its own. */
const LITTLE_ROOM_BYTES = 512 * 1024;

function start(): Promise<LocalGateway> {
  const files = new FaultyFiles();
  files.roomBytes = LITTLE_ROOM_BYTES;
  return LocalGateway.start({ files });
}

function payloadOf(device: string, n: number): string {
  return JSON.stringify({ id: `${device}-${n}`, value: n });
}

async function acknowledgedOn(gateway: LocalGateway): Promise<string[]> {
  return (await gateway.records()).map(textOf);
}

describe.each(TROUBLES)('$what', ({ code, begin }) => {
  it('3.1.1: the connection closes without an acknowledgement', async () => {
    const gateway = await start();
    const client = await TestClient.connect(gateway.port, { version: 4 });
    expect(await client.publish('sensors/a/t', payloadOf('a', 0))).toBe(true);
    begin(gateway);
    for (let n = 1; n < 10 && client.isConnected; n++) {
      await client.publish('sensors/a/t', payloadOf('a', n));
    }
    await client.closed;
    expect(await acknowledgedOn(gateway)).toEqual(client.acked);
    expect(gateway.status().rejected).toBeGreaterThan(0);
    expect(isBalanced(gateway.status())).toBe(true);
  });

  it('5: DISCONNECT 0x97 says why, and no acknowledgement', async () => {
    const gateway = await start();
    const client = await TestClient.connect(gateway.port, { version: 5 });
    expect(await client.publish('sensors/a/t', payloadOf('a', 0))).toBe(true);
    begin(gateway);
    for (let n = 1; n < 10 && client.isConnected; n++) {
      await client.publish('sensors/a/t', payloadOf('a', n));
    }
    await client.closed;
    expect(client.disconnectReason).toBe(0x97);
    expect(await acknowledgedOn(gateway)).toEqual(client.acked);
  });

  it('QoS 2: no PUBREC either', async () => {
    const gateway = await start();
    begin(gateway);
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', payloadOf('a', 0), { qos: 2 })).toBe(false);
    await client.closed;
    expect(await acknowledgedOn(gateway)).toEqual([]);
  });

  it('is said in the diagnostics and in the status, with its reason', async () => {
    const gateway = await start();
    expect(gateway.status().health).toBe('ok');
    begin(gateway);
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', payloadOf('a', 0))).toBe(false);
    const [line] = gateway.said(STOPPED);
    expect(line?.level).toBe('error');
    expect(line?.fields['code']).toBe('LOG_NOT_DURABLE');
    expect(String(line?.fields['error'])).toContain(code);
    expect(gateway.status().health).toContain('stopped');
    expect(gateway.status().health).toContain(code);
  });

  it('goes on by itself; what was acknowledged is in the log once and in order', async () => {
    const gateway = await start();
    const url = `mqtt://127.0.0.1:${gateway.port}`;
    const devices = ['a', 'b', 'c'];
    const clients = devices.map((clientId) => new DeviceClient({ url, clientId, reconnectMs: 20 }));
    let acked = 0;
    const publish = (from: number, to: number) =>
      clients.flatMap((client, i) =>
        Array.from({ length: to - from }, async (_, k) => {
          const device = devices[i] ?? '';
          await client.publish(`sensors/${device}/t`, payloadOf(device, from + k));
          acked += 1;
        }),
      );
    await Promise.all(publish(0, 5));
    begin(gateway);
    const after = publish(5, 40);
    await until('the log stops', () => gateway.said(STOPPED).length > 0);
    const whileStopped = acked;
    await gateway.until('clients try in vain', ({ rejected }) => rejected > 50);
    expect(acked).toBe(whileStopped);
    gateway.files.mend();
    await Promise.all(after);
    expect(gateway.said(AGAIN).length).toBeGreaterThan(0);
    expect(gateway.status().health).toBe('ok');
    expect(isBalanced(gateway.status())).toBe(true);
    const records = await gateway.records();
    for (const device of devices) {
      const own = records.filter((record) => record.device === device).map(textOf);
      expect(own).toEqual(Array.from({ length: 40 }, (_, n) => payloadOf(device, n)));
    }
    expect(records).toHaveLength(3 * 40);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('holds back dead letters as it does readings', async () => {
    const gateway = await start();
    begin(gateway);
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', 'no reading')).toBe(false);
    expect(await gateway.records('dead-letter')).toEqual([]);
    gateway.files.mend();
    await gateway.until('the log takes data', ({ health }) => health === 'ok');
    const again = await TestClient.connect(gateway.port);
    expect(await again.publish('sensors/a/t', 'no reading')).toBe(true);
    expect((await gateway.records('dead-letter')).map(textOf)).toEqual(['no reading']);
    await again.end();
  });
});

describe('a disk that fills up while a segment has room', () => {
  it('stops nothing until the segment is full: its file has its size already', async () => {
    const gateway = await LocalGateway.start({ config: 'log: { segmentBytes: 1048576 }' });
    const client = await TestClient.connect(gateway.port);
    gateway.files.roomBytes = 0;
    let acked = 0;
    for (let n = 0; n < 40; n++) {
      const noise = randomBytes(45_000).toString('base64');
      const isAcked = await client.publish('sensors/a/t', JSON.stringify({ id: `${n}`, noise }));
      if (!isAcked) break;
      acked += 1;
    }
    // A record is 60 kB, and its segment 1 MiB.
    expect(acked).toBeGreaterThan(10);
    expect(acked).toBeLessThan(40);
    expect(gateway.status().health).toContain('ENOSPC');
    expect(await acknowledgedOn(gateway)).toEqual(client.acked);
  });
});

describe('a sync that fails once', () => {
  it('is written again to a new segment, and no client notices', async () => {
    const gateway = await LocalGateway.start();
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', payloadOf('a', 0))).toBe(true);
    const { segments } = gateway.status().log.telemetry;
    const times = 1;
    gateway.files.break({ operations: ['sync'], path: '/telemetry/', code: 'EIO', times });
    const window = Array.from({ length: 20 }, (_, i) =>
      client.publish('sensors/a/t', payloadOf('a', i + 1)),
    );
    expect(await Promise.all(window)).not.toContain(false);
    expect(await client.publish('sensors/a/t', payloadOf('a', 21))).toBe(true);
    expect(gateway.status().log.telemetry.segments).toBe(segments + 1);
    expect(gateway.status()).toMatchObject({ health: 'ok', stored: 22, rejected: 0 });
    expect(gateway.said('log write failed')[0]?.fields['code']).toBe('EIO');
    const expected = Array.from({ length: 22 }, (_, n) => payloadOf('a', n));
    expect(await acknowledgedOn(gateway)).toEqual(expected);
    await gateway.stop();
    // The remains of the failed commit stay void after a restart.
    const again = await LocalGateway.start({ folder: gateway.data.root });
    expect(await acknowledgedOn(again)).toEqual(expected);
    await client.end();
  });
});
