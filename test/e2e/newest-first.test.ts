import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { LossyProxy } from '../support/lossy-proxy.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// A long outage, and then a link that is far too slow for what has waited.

const DEVICES = 20;
const EACH = 300;
const BYTES_PER_SECOND = 30_000;
const WITHIN_MS = 2_000;

const payloadOf = (n: number) => JSON.stringify({ id: `n-${n}`, value: n });
const deviceOf = (n: number) => `dev-${n % DEVICES}`;

const cloud = new Cloud();
let proxy: LossyProxy;
let gateway: GatewayProcess;
let client: TestClient;
let sent = 0;

async function send(count: number): Promise<void> {
  const acked = Array.from({ length: count }, () => {
    const n = sent++;
    return client.publish(`sensors/${deviceOf(n)}/count`, payloadOf(n));
  });
  expect(await Promise.all(acked)).toEqual(acked.map(() => true));
}

const arrivals = (payload: string) => cloud.heard.filter((one) => one.payload === payload);
const hasAll = (payloads: readonly string[]) =>
  payloads.every((payload) => arrivals(payload).length > 0);

/** How long until the cloud has them all, ms. */
async function within(payloads: readonly string[]): Promise<number> {
  const sinceMs = systemClock.monoMs();
  await until('they have arrived', () => hasAll(payloads), 60_000);
  return systemClock.monoMs() - sinceMs;
}

beforeAll(async () => {
  await cloud.open();
  const toPort = Number(new URL(cloud.url).port);
  const slow = { delayMs: 50, bytesPerSecond: BYTES_PER_SECOND };
  proxy = await LossyProxy.start({ toPort, ...slow });
  proxy.freeze('refused');
  const env = {
    HEADGATE_GATEWAY_ID: 'slow',
    HEADGATE_UPLINK_URL: `mqtt://127.0.0.1:${proxy.port}`,
    HEADGATE_UPLINK_RECONNECT_MIN_MS: '20',
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '50',
  };
  gateway = await GatewayProcess.start({ folder: temporaryFolder(), env });
  client = await TestClient.connect(gateway.port);
  await send(DEVICES * EACH);
});

afterAll(async () => {
  await client.end();
  expect(await gateway.stop()).toBe(0);
  await proxy.close();
  await cloud.close();
  await cleanUp();
});

describe('when the link is back after an outage', () => {
  it('the newest reading of each device is in the cloud within 2 s, as historical', async () => {
    const newest = Array.from({ length: DEVICES }, (_, i) => payloadOf(sent - 1 - i));
    proxy.thaw();
    await gateway.until('the link is up', ({ uplink }) => uplink.link === 'up');
    expect(await within(newest)).toBeLessThan(WITHIN_MS);
    for (const payload of newest) expect(arrivals(payload)[0]?.historical).toBe(true);
  });

  it('what comes in is there within 2 s of its acknowledgement, and not historical', async () => {
    for (let round = 0; round < 5; round++) {
      const from = sent;
      await send(DEVICES);
      const fresh = Array.from({ length: DEVICES }, (_, i) => payloadOf(from + i));
      expect(await within(fresh)).toBeLessThan(WITHIN_MS);
      for (const payload of fresh) expect(arrivals(payload)[0]?.historical).toBe(undefined);
    }
  });

  it('meanwhile the backlog drains, and the status says how fast and for how long', async () => {
    const drains = await gateway.until('it drains', ({ uplink }) => {
      return uplink.link === 'up' && (uplink.recordsPerSecond ?? 0) > 0;
    });
    expect(drains.backlog).toBeGreaterThan(1_000);
    expect(arrivals(payloadOf(0))).toHaveLength(1);
  });

  it('and all of it is there in the end, once each, the old ones in order', async () => {
    proxy.change({ bytesPerSecond: 0, delayMs: 0 });
    await gateway.until('the cloud has everything', ({ backlog }) => backlog === 0);
    const records = [...cloud.records().values()].filter(({ stream }) => stream === 'readings');
    expect(records).toHaveLength(sent);
    const offsets = new Map<number, number[]>();
    for (const { stream, partition, offset, historical } of cloud.heard) {
      if (stream !== 'readings' || historical !== true) continue;
      offsets.set(partition, [...(offsets.get(partition) ?? []), offset]);
    }
    for (const row of offsets.values()) {
      // The newest first, and from the oldest on: two rows, each in order.
      const falls = row.filter((offset, i) => i > 0 && offset < (row[i - 1] ?? 0));
      expect(new Set(row).size).toBe(row.length);
      expect(falls.length).toBeGreaterThan(0);
    }
  });
});
