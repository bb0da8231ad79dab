import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import type { Status } from '../../src/status.ts';
import { cleanUp, GatewayProcess, headgate } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { scraped } from '../support/scraped.ts';
import { getFrom } from '../support/socket-text.ts';
import { until } from '../support/until.ts';
import { ScriptedBroker } from '../unit/uplink/scripted-broker.ts';

// What Prometheus is told is what the command line tells.

let cloud: ScriptedBroker;

beforeEach(async () => {
  cloud = new ScriptedBroker();
  await cloud.open();
});

afterEach(() => cloud.close());
afterAll(cleanUp);

const configOf = () => `
gateway: { id: gw-1 }
uplink: { url: ${cloud.url}, reconnectMinMs: 10, reconnectMaxMs: 50 }
`;

async function statusOf({ data }: GatewayProcess): Promise<Status> {
  const { stdout } = await headgate(['status', '--json', '--data', data.root]);
  return JSON.parse(stdout) as Status;
}

async function valuesOf({ data }: GatewayProcess): Promise<Map<string, number>> {
  const { status, headers, text } = await getFrom(data.socket, '/metrics');
  expect(status).toBe(200);
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(headers['content-length']).toBe(String(Buffer.byteLength(text)));
  return scraped(text);
}

/** What only the readings of this test change: named as in the status, by hand. */
function steadyOf(status: Status): Record<string, number | undefined> {
  const { log, mqtt, uplink, detect, dedup, audit } = status;
  const { telemetry, events } = log;
  return {
    [`headgate_build_info{version=${status.version},gateway=gw-1}`]: 1,
    headgate_healthy: Number(status.health === 'ok'),
    headgate_received_total: status.received,
    headgate_stored_total: status.stored,
    headgate_duplicates_total: status.duplicates,
    headgate_dead_lettered_total: status.deadLettered,
    headgate_rejected_total: status.rejected,
    headgate_lost_after_ack_total: status.lostAfterAck,
    headgate_unrouted_total: status.unrouted,
    headgate_forwarded_total: status.forwarded,
    headgate_parked_total: status.parked,
    headgate_alerts_total: status.alerts,
    headgate_backlog_records: status.backlog,
    headgate_expired_total: status.expired,
    headgate_mqtt_connections: mqtt.connections,
    headgate_uplink_up: Number(uplink.link === 'up'),
    headgate_uplink_stuck_streams: uplink.stuck?.length,
    headgate_active_alerts: status.activeAlerts,
    headgate_detect_series: detect.series,
    headgate_dedup_ids: status.dedupIds,
    headgate_dedup_devices: dedup.devices,
    headgate_audit_closed_buckets_total: audit.closedBuckets,
    'headgate_log_segments{store=telemetry}': telemetry.segments,
    'headgate_log_size_bytes{store=telemetry}': telemetry.sizeBytes,
    'headgate_log_written_bytes_total{store=telemetry}': telemetry.bytesWritten,
    'headgate_log_written_bytes_total{store=events}': events.bytesWritten,
    'headgate_log_commits_total{store=telemetry}': telemetry.commits,
    'headgate_log_payload_bytes_total{store=telemetry}': telemetry.payloadBytes,
    [`headgate_log_info{store=telemetry,log=${telemetry.id}}`]: 1,
    [`headgate_log_info{store=events,log=${events.id}}`]: 1,
  };
}

it('agrees with `headgate status --json`', async () => {
  const gateway = await GatewayProcess.start({ config: configOf() });
  const client = await TestClient.connect(gateway.port, { clientId: 'boiler' });
  for (const id of ['a', 'b', 'b', 'c']) {
    await client.publish('sensors/boiler/temperature', `{"id":"${id}","value":21}`);
  }
  await client.publish('sensors/boiler/temperature', 'no reading');
  await client.publish('elsewhere/boiler', '1');
  await gateway.until('all is forwarded', ({ forwarded, backlog, received, unrouted }) => {
    return received === 5 && unrouted === 1 && forwarded >= 4 && backlog === 0;
  });
  let before = await statusOf(gateway);
  let values = await valuesOf(gateway);
  let after = await statusOf(gateway);
  // Detection and upkeep may still be at it.
  await until('nothing changes any more', async () => {
    if (isDeepStrictEqual(steadyOf(before), steadyOf(after))) return true;
    before = after;
    values = await valuesOf(gateway);
    after = await statusOf(gateway);
    return false;
  });
  expect(before).toMatchObject({ stored: 3, duplicates: 1, deadLettered: 1, unrouted: 1 });
  expect(Object.fromEntries(values)).toMatchObject(steadyOf(before));
  // These go on by themselves: what was said before and after lies around them.
  for (const [name, figure] of [
    ['headgate_uptime_seconds', ({ uptimeSeconds }: Status) => uptimeSeconds],
    ['headgate_uplink_state_seconds', ({ uplink }: Status) => uplink.sinceSeconds],
    ['headgate_uplink_sent_bytes_total', ({ uplink }: Status) => uplink.sentBytes],
    ['headgate_state_written_bytes_total', (status: Status) => status.stateBytesWritten],
  ] as const) {
    expect(values.get(name), name).toBeGreaterThanOrEqual(figure(before) ?? Number.NaN);
    expect(values.get(name), name).toBeLessThanOrEqual(figure(after) ?? Number.NaN);
  }
  await client.end();
});

it('says that the link is down, and has nothing of what is not known', async () => {
  await cloud.close();
  const gateway = await GatewayProcess.start({ config: configOf() });
  const client = await TestClient.connect(gateway.port, { clientId: 'boiler' });
  await client.publish('sensors/boiler/temperature', '{"id":"a","value":21}');
  await gateway.until('it waits for the cloud', ({ backlog }) => backlog === 1);
  const values = await valuesOf(gateway);
  expect(values.get('headgate_uplink_up')).toBe(0);
  expect(values.get('headgate_backlog_records')).toBe(1);
  expect(values.has('headgate_uplink_eta_seconds')).toBe(false);
  expect(values.has('headgate_uplink_bytes_per_record')).toBe(false);
  await client.end();
});

it('is there whatever the query, and nothing is below it', async () => {
  const gateway = await GatewayProcess.start();
  expect((await getFrom(gateway.data.socket, '/metrics?from=prometheus')).status).toBe(200);
  expect((await getFrom(gateway.data.socket, '/metrics/more')).status).toBe(404);
});
