import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/os/node-files.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp } from '../support/gateway-process.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { LocalGateway, stopAll } from './local-gateway.ts';

// Retention drops the oldest segments when the log has grown to its limit. What the cloud never had
// is then lost for it: that is counted and named, each reading once.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const DROPS = 'retention drops readings that the cloud never had';

function configFor(url: string, maxBytes = 4 * 1024 * 1024): string {
  return [
    'log:',
    '  segmentBytes: 1048576',
    `  retention: { maxBytes: ${maxBytes} }`,
    `uplink: { url: "${url}", reconnectMinMs: 20, reconnectMaxMs: 200, checkpointMs: 20 }`,
    '',
  ].join('\n');
}

/** A cloud that nobody answers for. */
async function nowhere(): Promise<string> {
  return `mqtt://127.0.0.1:${await freePort()}`;
}

let numbered = 0;

/** Readings that no compression makes smaller: 100 kB each. */
async function fill(gateway: LocalGateway, count: number): Promise<void> {
  const client = await TestClient.connect(gateway.port);
  for (let i = 0; i < count; i++) {
    const noise = randomBytes(75_000).toString('base64');
    const payload = JSON.stringify({ id: `f-${++numbered}`, noise });
    expect(await client.publish('sensors/camera/frame', payload)).toBe(true);
  }
  await client.end();
}

interface Dropped {
  readonly stream: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** The ranges that were named hold together and end where the log now begins. */
async function expectNamed(gateway: LocalGateway): Promise<void> {
  // A segment is counted, and then its file goes.
  const isDone = async () => (await gateway.records())[0]?.offset === gateway.status().expired;
  await expect.poll(isDone, { timeout: 5_000 }).toBe(true);
  const lines = gateway.said(DROPS);
  expect(lines.length).toBeGreaterThan(0);
  let next = 0;
  for (const { level, fields } of lines) {
    expect(level).toBe('error');
    const { stream, from, to } = fields as unknown as Dropped;
    expect({ stream, from }).toEqual({ stream: 'readings', from: next });
    next = to + 1;
  }
  expect(gateway.status().expired).toBe(next);
}

describe('retention', () => {
  it('names and counts the readings that it drops unforwarded', async () => {
    const gateway = await LocalGateway.start({ config: configFor(await nowhere()) });
    await fill(gateway, 70);
    await expectNamed(gateway);
    const { backlog, stored, expired, health } = gateway.status();
    expect({ backlog, health }).toEqual({ backlog: stored - expired, health: 'ok' });
  });

  it('says nothing of readings that the cloud has', async () => {
    const cloud = new Cloud();
    await cloud.open();
    const gateway = await LocalGateway.start({ config: configFor(cloud.url) });
    for (let i = 0; i < 7; i++) {
      await fill(gateway, 10);
      await gateway.until('the cloud has them', ({ backlog }) => backlog === 0);
    }
    expect(gateway.said('retention removed a segment').length).toBeGreaterThan(0);
    expect(gateway.said(DROPS)).toEqual([]);
    expect(gateway.status()).toMatchObject({ expired: 0, forwarded: 70 });
    await gateway.stop();
    await cloud.close();
  });

  it.each([
    ['rename', '.segment'],
    ['syncFolder', 'telemetry'],
  ] as const)('counts each once, though a %s fails', async (operation, path) => {
    const gateway = await LocalGateway.start({ config: configFor(await nowhere()) });
    await fill(gateway, 25);
    if (operation === 'syncFolder') {
      // The one after a file has got another name, not the one after a new one.
      gateway.files.breakAfter('rename', { operations: [operation], path, code: 'EIO', times: 1 });
    } else {
      gateway.files.break({ operations: [operation], path, code: 'EIO', times: 2 });
    }
    await fill(gateway, 65);
    const errors = gateway.said('the upkeep of the log met an error');
    expect(errors.length).toBeGreaterThan(0);
    await expectNamed(gateway);
    const names = await nodeFiles.list(gateway.data.telemetry);
    // Four that are kept, the next one, and the copy of a header.
    expect(names.length, names.join()).toBeLessThanOrEqual(6);
  });

  it.each([0, 2])(
    'names and counts what it drops at a start, %i removes failing',
    async (times) => {
      const url = await nowhere();
      const before = await LocalGateway.start({ config: configFor(url, 64 * 1024 * 1024) });
      await fill(before, 70);
      expect(before.status().expired).toBe(0);
      await before.stop();
      const files = new FaultyFiles();
      if (times > 0) files.break({ operations: ['remove'], path: '.segment', code: 'EIO', times });
      const config = configFor(url);
      const gateway = await LocalGateway.start({ config, folder: before.data.root, files });
      await fill(gateway, 25);
      expect(gateway.said('retention removed a segment').length).toBeGreaterThan(0);
      expect(gateway.said('the upkeep of the log met an error')).toHaveLength(times);
      await expectNamed(gateway);
      const names = await nodeFiles.list(gateway.data.telemetry);
      // Four that are kept, the next one, and the copy of a header.
      expect(names.length, names.join()).toBeLessThanOrEqual(6);
    },
  );

  it('does not count what was forwarded before the restart', async () => {
    const cloud = new Cloud();
    await cloud.open();
    const before = await LocalGateway.start({ config: configFor(cloud.url, 64 * 1024 * 1024) });
    await fill(before, 70);
    await before.until('the cloud has them', ({ backlog }) => backlog === 0);
    await before.stop();
    await cloud.close();
    const config = configFor(cloud.url);
    const gateway = await LocalGateway.start({ config, folder: before.data.root });
    expect(gateway.said('retention removed a segment').length).toBeGreaterThan(0);
    expect(gateway.said(DROPS)).toEqual([]);
    expect(gateway.status().expired).toBe(0);
  });

  it('keeps space free on a disk that others fill, and names what that costs', async () => {
    const floor = '{ maxBytes: 67108864, minFreeBytes: 4194304 }';
    const config = configFor(await nowhere()).replace(/\{ maxBytes: \d+ \}/, floor);
    const gateway = await LocalGateway.start({ config });
    gateway.files.roomBytes = 8 * 1024 * 1024;
    await fill(gateway, 150);
    await expectNamed(gateway);
    expect(gateway.status()).toMatchObject({ health: 'ok', stored: 150 });
    // Below the floor by what the next segments take until retention comes to it; the file of the
    // next one is no segment yet.
    expect(gateway.files.roomBytes).toBeGreaterThan(2 * 1024 * 1024);
    expect(gateway.status().log.telemetry.segments).toBeGreaterThanOrEqual(3);
  });
});
