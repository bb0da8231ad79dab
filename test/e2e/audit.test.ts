import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import { segmentFileName } from '../../src/log/format.ts';
import { ackedByEntries, allClosed, auditOf, cloudBooks, sumsOf } from '../support/audited.ts';
import { CountedLoad } from '../support/counted-load.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, headgate, temporaryFolder } from '../support/gateway-process.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// `headgate audit` against what the sensors and the cloud counted themselves.

const SEED = Number(process.env['SEED'] ?? 4711);
const BUCKET_MS = 2_000;
const DEVICES = 6;

function envFor(cloud: Cloud) {
  return {
    HEADGATE_GATEWAY_ID: 'books',
    HEADGATE_UPLINK_URL: cloud.url,
    HEADGATE_UPLINK_RECONNECT_MIN_MS: '20',
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '200',
    HEADGATE_UPLINK_CHECKPOINT_MS: '100',
    HEADGATE_AUDIT_BUCKET_MS: String(BUCKET_MS),
    HEADGATE_AUDIT_LATE_MS: '300',
  };
}

/** The audit stream comes to the cloud after what it is about. */
async function entriesHeard(cloud: Cloud, records: number): Promise<void> {
  const heard = () => [...ackedByEntries(cloud.heard).values()].reduce((sum, one) => sum + one, 0);
  await until(`entries of ${records} records`, () => heard() >= records, 20_000);
}

afterAll(cleanUp);

describe(`nothing is killed, seed ${SEED}`, () => {
  const cloud = new Cloud();
  const load = new CountedLoad(seededRandom(SEED));
  let gateway: GatewayProcess;

  beforeAll(async () => {
    await cloud.open();
    gateway = await GatewayProcess.start({ env: envFor(cloud) });
  });

  afterAll(async () => {
    await cloud.close();
  });

  it('agrees to the last message, and with every delivery', async () => {
    const sender = await TestClient.connect(gateway.port);
    for (let i = 0; i < 3; i++) await sender.publish('sensors/dev-0/count', 'no reading');
    await sender.end();
    await load.run(gateway.port, DEVICES, 200);
    const report = await allClosed(gateway.data.root);
    const sums = sumsOf(report);
    expect(load.resent).toBe(0);
    expect(sums.stored).toBe(load.ids.size);
    expect(sums.stored + sums.duplicates).toBe(load.acked);
    expect(sums.received).toBe(load.acked + 3);
    expect(sums).toMatchObject({ deadLettered: 3, refused: 0, expired: 0, backlog: 0, lost: 0 });
    expect(sums.duplicates).toBe(load.repeats);
    const { deliveries, unique } = cloudBooks(cloud.heard, BUCKET_MS);
    expect({ deliveries, unique }).toEqual({ deliveries: sums.forwarded, unique: sums.cloudAcked });
    expect(sumsOf(report, 'dead-letter')).toMatchObject({ stored: 3, cloudAcked: 3 });
    expect(report.process).toMatchObject({ received: load.acked + 3, inFlight: 0 });
  });

  it('agrees while the link comes and goes, and the cloud by its own buckets', async () => {
    const running = load.run(gateway.port, DEVICES, 300);
    for (let i = 0; i < 3; i++) {
      const before = cloud.heard.length;
      await until('the cloud hears something', () => cloud.heard.length > before + 50);
      await cloud.close();
      await gateway.until('the link is down', ({ uplink }) => uplink.link === 'down');
      const { code, report } = await auditOf(gateway.data.root);
      expect({ code, faults: report.unbalanced }).toEqual({ code: 0, faults: [] });
      await cloud.open();
    }
    await running;
    const sums = sumsOf(await allClosed(gateway.data.root));
    expect(sums.stored).toBe(load.ids.size);
    expect(sums.stored + sums.duplicates).toBe(load.acked);
    const { deliveries, unique, byBucket } = cloudBooks(cloud.heard, BUCKET_MS);
    expect(unique).toBe(sums.cloudAcked);
    expect(sums.cloudAcked).toBe(sums.stored);
    // Some were put on a wire that led nowhere any more.
    expect(deliveries).toBeLessThanOrEqual(sums.forwarded);
    await entriesHeard(cloud, sums.cloudAcked);
    expect(ackedByEntries(cloud.heard)).toEqual(byBucket);
  });

  it('says the same when it is stopped, and of a part of it', async () => {
    const live = await auditOf(gateway.data.root);
    expect(await gateway.stop()).toBe(0);
    const stopped = await auditOf(gateway.data.root);
    expect(stopped.code).toBe(0);
    expect(stopped.report.totals).toEqual(live.report.totals);
    const since = await auditOf(gateway.data.root, ['--since', '4m', '--stream', 'readings']);
    expect(since.code).toBe(0);
    expect(Object.keys(since.report.totals)).toEqual(['readings']);
    const [first] = since.report.buckets;
    expect(first?.bucketStart).toBeGreaterThan(stopped.report.buckets[0]?.bucketStart ?? 0);
    const text = await headgate(['audit', '--data', gateway.data.root]);
    expect(text.stdout).toContain('the books balance');
    const unknown = await headgate(['audit', '--stream', 'metres', '--data', gateway.data.root]);
    expect(unknown.code).toBe(2);
  });
});

describe(`restarts and kills under load, seed ${SEED}`, () => {
  const MESSAGES = 400;
  const cloud = new Cloud();
  const load = new CountedLoad(seededRandom(SEED));

  afterAll(async () => {
    await cloud.close();
  });

  it('balances after each, and every reading is there once, here and in the cloud', async () => {
    const port = await freePort();
    const folder = temporaryFolder();
    await cloud.open();
    const start = () => GatewayProcess.start({ folder, port, env: envFor(cloud) });
    let gateway = await start();
    const running = load.run(port, DEVICES, MESSAGES);
    const kill = () => gateway.kill9();
    const stop = async () => {
      expect(await gateway.stop()).toBe(0);
    };
    const plan = [stop, kill, kill, stop, kill];
    for (const [i, end] of plan.entries()) {
      const at = Math.floor(((i + 0.5) / plan.length) * DEVICES * MESSAGES);
      await until(`${at} acknowledged`, () => load.ids.size >= at, 30_000);
      if (i === 1) await cloud.close();
      await end();
      // As it lies there, with what was never saved.
      const { code, report } = await auditOf(folder);
      expect({ code, faults: report.unbalanced }).toEqual({ code: 0, faults: [] });
      gateway = await start();
      if (i === 2) await cloud.open();
    }
    await running;
    const sums = sumsOf(await allClosed(folder));
    expect(load.ids.size).toBe(DEVICES * MESSAGES);
    expect(sums.stored).toBe(load.ids.size);
    // A kill forgets repeats since the last save, and no reading.
    expect(sums.duplicates).toBeLessThanOrEqual(load.repeats + load.resent);
    expect(sums.duplicates).toBeGreaterThan(load.repeats / 2);
    const { deliveries, unique, byBucket } = cloudBooks(cloud.heard, BUCKET_MS);
    expect(unique).toBe(sums.cloudAcked);
    expect(sums.cloudAcked).toBe(sums.stored);
    expect(deliveries).toBeGreaterThanOrEqual(unique);
    await entriesHeard(cloud, sums.cloudAcked);
    expect(ackedByEntries(cloud.heard)).toEqual(byBucket);
    expect(await gateway.stop()).toBe(0);
    expect(sumsOf((await auditOf(folder)).report)).toEqual(sums);
  });
});

it('exits with 1 and names the bucket and the reason where a block is damaged', async () => {
  const nowhere = `mqtt://127.0.0.1:${await freePort()}`;
  const gateway = await GatewayProcess.start({ env: { HEADGATE_UPLINK_URL: nowhere } });
  const client = await TestClient.connect(gateway.port);
  // A commit each, so a block and a page each.
  for (let i = 0; i < 5; i++) await client.publish('sensors/a/t', `{"id":"m-${i}"}`);
  await client.end();
  expect(await gateway.stop()).toBe(0);
  const path = join(gateway.data.telemetry, segmentFileName(1));
  const bytes = readFileSync(path);
  bytes[3 * 4096 + 70] = (bytes[3 * 4096 + 70] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
  const { code, stdout } = await headgate(['audit', '--data', gateway.data.root]);
  expect(code).toBe(1);
  expect(stdout).toContain('the books do not balance: 1 fault');
  expect(stdout).toMatch(/ {2}readings \S+: 1 in stored against .*the log has lost 1 offset/);
  const { report } = await auditOf(gateway.data.root);
  expect(report.lostOffsets).toMatchObject([{ stream: 'readings', offset: 2, count: 1 }]);
});
