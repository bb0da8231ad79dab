import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { ackedByEntries, allClosed, auditOf, cloudBooks, sumsOf } from '../support/audited.ts';
import { CountedLoad } from '../support/counted-load.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { type Subscription, subscribe } from '../support/subscriber.ts';
import { until } from '../support/until.ts';

/**
 * The books with real parts: sensors that send a fifth of their readings twice, a gateway that is
 * stopped and killed under load, and Debian's mosquitto as a cloud that comes and goes, with a
 * subscriber that counts for itself.
 */
const SEED = Number(process.env['SEED'] ?? 20261125);
const BUCKET_MS = 5_000;
const DEVICES = 20;

const folder = temporaryFolder();
const random = seededRandom(SEED);
const load = new CountedLoad(random);
const heard: Envelope[] = [];
let mosquitto: Mosquitto;
let collector: Subscription;
let gateway: GatewayProcess;
let port = 0;

async function startGateway(): Promise<void> {
  const env = {
    HEADGATE_GATEWAY_ID: 'books',
    HEADGATE_UPLINK_URL: `mqtt://127.0.0.1:${mosquitto.port}`,
    HEADGATE_UPLINK_RECONNECT_MIN_MS: '50',
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '500',
    HEADGATE_AUDIT_BUCKET_MS: String(BUCKET_MS),
    HEADGATE_AUDIT_LATE_MS: '1000',
    HEADGATE_LOG_SEGMENT_BYTES: '1048576',
  };
  gateway = await GatewayProcess.start({ folder: join(folder, 'data'), port, env });
}

beforeAll(async () => {
  console.info(`seed ${SEED}`);
  mosquitto = new Mosquitto(join(folder, 'mosquitto'), await freePort());
  await mosquitto.start();
  port = await freePort();
  collector = await subscribe(
    { url: `mqtt://127.0.0.1:${mosquitto.port}`, clientId: 'collector' },
    'headgate/#',
    (_, payload) => heard.push(JSON.parse(payload.toString()) as Envelope),
  );
  await startGateway();
});

afterAll(async () => {
  await collector?.close();
  await mosquitto?.stop();
  await cleanUp();
});

async function cloudHas(records: number): Promise<void> {
  const acked = () => [...ackedByEntries(heard).values()].reduce((sum, one) => sum + one, 0);
  await until(`entries of ${records} records`, () => acked() >= records, 60_000);
}

describe('the books, the sensors and the cloud', () => {
  it('agree to the last delivery while nothing is killed', async () => {
    await load.run(port, DEVICES, 100);
    const sums = sumsOf(await allClosed(gateway.data.root));
    expect(load.resent).toBe(0);
    expect(sums.stored).toBe(load.ids.size);
    expect(sums.received).toBe(load.acked);
    expect(sums.stored + sums.duplicates).toBe(load.acked);
    await cloudHas(sums.cloudAcked);
    const { deliveries, unique, byBucket } = cloudBooks(heard, BUCKET_MS);
    expect({ deliveries, unique }).toEqual({ deliveries: sums.forwarded, unique: sums.cloudAcked });
    expect(ackedByEntries(heard)).toEqual(byBucket);
  });

  it('agree after stops, kills and outages under load', async () => {
    const MESSAGES = 250;
    const before = load.ids.size;
    const running = load.run(port, DEVICES, MESSAGES);
    const kill = () => gateway.kill9();
    const stop = async () => {
      expect(await gateway.stop()).toBe(0);
    };
    const plan = [stop, kill, kill, stop, kill, kill, stop];
    for (const [i, end] of plan.entries()) {
      // A moment counted in acknowledgements: others are always on their way just then.
      const at = before + Math.floor(((i + random()) / plan.length) * DEVICES * MESSAGES);
      await until(`${at} acknowledged`, () => load.ids.size >= at, 60_000);
      if (i === 1 || i === 4) {
        await mosquitto.stop();
        await gateway.until('the link is down', ({ uplink }) => uplink.link === 'down');
      }
      await end();
      const { code, report } = await auditOf(gateway.data.root);
      expect({ code, faults: report.unbalanced }).toEqual({ code: 0, faults: [] });
      await startGateway();
      if (i === 2 || i === 5) await mosquitto.start();
    }
    await running;
    const sums = sumsOf(await allClosed(gateway.data.root));
    expect(sums.stored).toBe(load.ids.size);
    expect(sums.duplicates).toBeLessThanOrEqual(load.repeats + load.resent);
    expect(sums).toMatchObject({ cloudAcked: sums.stored, backlog: 0, expired: 0, lost: 0 });
    await cloudHas(sums.cloudAcked);
    const { deliveries, unique, byBucket } = cloudBooks(heard, BUCKET_MS);
    expect(unique).toBe(sums.cloudAcked);
    expect(deliveries).toBeGreaterThanOrEqual(unique);
    expect(ackedByEntries(heard)).toEqual(byBucket);
  });

  it('are the same once the gateway is stopped', async () => {
    const live = await auditOf(gateway.data.root);
    expect(await gateway.stop()).toBe(0);
    const stopped = await auditOf(gateway.data.root);
    expect(stopped.code).toBe(0);
    expect(stopped.report.totals).toEqual(live.report.totals);
  });
});
