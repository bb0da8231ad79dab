import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type AuditReport, reportOf } from '../../src/audit/report.ts';
import { findBooks } from '../../src/cli/audit-source.ts';
import { segmentFileName } from '../../src/log/format.ts';
import { configOf } from '../support/config-loading.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp } from '../support/gateway-process.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { LocalGateway, stopAll } from './local-gateway.ts';

// The books while retention drops, the card breaks and the log takes no data.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const AUDIT = 'audit: { bucketMs: 1000, lateMs: 100 }';
const uplinkTo = (url: string) =>
  `uplink: { url: "${url}", reconnectMinMs: 20, reconnectMaxMs: 200, checkpointMs: 20 }`;

async function auditOf({ data }: LocalGateway): Promise<AuditReport> {
  const config = configOf(AUDIT);
  const problemAt = () => ({ path: '', message: '' });
  return reportOf(await findBooks({ config, data, file: undefined, warnings: [], problemAt }));
}

const sumsOf = ({ totals }: AuditReport) => totals['readings'];

async function publish(gateway: LocalGateway, payloads: readonly string[]): Promise<void> {
  const client = await TestClient.connect(gateway.port);
  for (const payload of payloads) expect(await client.publish('sensors/a/t', payload)).toBe(true);
  await client.end();
}

let numbered = 0;

/** Readings that no compression makes smaller: 100 kB each. */
const frames = (count: number) =>
  Array.from({ length: count }, () => {
    const noise = randomBytes(75_000).toString('base64');
    return JSON.stringify({ id: `f-${++numbered}`, noise });
  });
const small = (count: number) =>
  Array.from({ length: count }, () => JSON.stringify({ id: `s-${++numbered}` }));

describe('retention', () => {
  const log = 'log: { segmentBytes: 1048576, retention: { maxBytes: 4194304 } }';

  it('drops into the books what the cloud never had, and the rest balances', async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    const config = [AUDIT, log, uplinkTo(url), ''].join('\n');
    const gateway = await LocalGateway.start({ config });
    await publish(gateway, frames(70));
    const isDone = async () => (await gateway.records())[0]?.offset === gateway.status().expired;
    await expect.poll(isDone, { timeout: 5_000 }).toBe(true);
    const report = await auditOf(gateway);
    expect(report.unbalanced).toEqual([]);
    const { expired, backlog, stored } = sumsOf(report) ?? {};
    expect(expired).toBe(gateway.status().expired);
    expect(expired).toBeGreaterThan(0);
    expect({ stored, backlog }).toEqual({ stored: 70, backlog: 70 - (expired ?? 0) });
    await gateway.stop();
    // Nobody counts it again.
    const again = await LocalGateway.start({ config, folder: gateway.data.root });
    expect(sumsOf(await auditOf(again))).toMatchObject({ expired, backlog, stored });
  });
});

describe('a damaged block that the cloud never had', () => {
  it('is named as what the books lack, and then as lost', async () => {
    const nowhere = `mqtt://127.0.0.1:${await freePort()}`;
    const before = await LocalGateway.start({ config: [AUDIT, uplinkTo(nowhere), ''].join('\n') });
    await publish(before, small(9));
    await before.stop();
    const path = join(before.data.telemetry, segmentFileName(1));
    const bytes = readFileSync(path);
    // Page 0 is the header, page n + 1 the block of reading n: this hits readings 3 and 4.
    for (const page of [4, 5]) bytes[page * 4096 + 70] = (bytes[page * 4096 + 70] ?? 0) ^ 0x10;
    writeFileSync(path, bytes);
    const stopped = await auditOf(before);
    const missing = stopped.unbalanced.reduce((sum, { difference }) => sum + difference, 0);
    expect(missing).toBe(2);
    expect(stopped.unbalanced[0]?.reason).toContain('lost 2 offsets');

    const cloud = new Cloud();
    await cloud.open();
    const config = [AUDIT, uplinkTo(cloud.url), ''].join('\n');
    const gateway = await LocalGateway.start({ config, folder: before.data.root });
    await gateway.until('the cloud has the rest', () => cloud.heard.length >= 7);
    const isLost = async () => sumsOf(await auditOf(gateway))?.lost === 2;
    await until('it is written off', isLost);
    const report = await auditOf(gateway);
    expect(sumsOf(report)).toMatchObject({ stored: 9, cloudAcked: 7, lost: 2, backlog: 0 });
    expect(report.balanced).toBe(false);
    expect(report.unbalanced[0]).toMatchObject({ equation: 'stored', stream: 'readings' });
    expect(report.unbalanced[0]?.reason).toMatch(/in the log no more; the log has lost 2/);
    await gateway.stop();
    await cloud.close();
  });
});

describe('a log that takes no data', () => {
  it('is in the books with what it refused and what it lost', async () => {
    const streams = 'streams: { readings: { topics: ["sensors/<device>/#"], ack: received } }';
    const gateway = await LocalGateway.start({ config: [AUDIT, streams, ''].join('\n') });
    const client = await TestClient.connect(gateway.port);
    const release = gateway.files.hold('sync', '/telemetry/');
    const [first = '', second = '', third = ''] = small(3);
    expect(await client.publish('sensors/a/t', first)).toBe(true);
    expect(await client.publish('sensors/a/t', first)).toBe(true);
    expect(await client.publish('sensors/a/t', second)).toBe(true);
    await until('a sync is under way', () => gateway.files.held === 1);
    gateway.files.break({ operations: ['sync'], path: '/telemetry/', code: 'EIO' });
    release();
    await gateway.until('the loss is known', ({ lostAfterAck }) => lostAfterAck === 2);
    expect(await client.publish('sensors/a/t', third)).toBe(false);
    const report = await auditOf(gateway);
    expect(report.unbalanced).toEqual([]);
    expect(sumsOf(report)).toMatchObject({
      ...{ received: 4, stored: 0, duplicates: 1, refused: 1, lostAfterAck: 2 },
    });
    expect(report.process).toMatchObject({ received: 4, answered: 4, booked: 4, inFlight: 0 });
    gateway.files.mend();
    await gateway.until('the log takes data', ({ health }) => health === 'ok');
  });
});
