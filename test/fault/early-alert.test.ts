import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../support/gateway-process.ts';
import { textOf } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { LocalGateway, stopAll } from './local-gateway.ts';

// A siren does not wait for the flash; whatever is stored or sent of it does.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const CONFIG = 'log: { lingerMs: 200 }\nalerts: { clearCount: 2 }\n';
const ALERT_TOPIC = 'headgate/alerts/boiler/temperature';

/** Something calm has been learnt; then nothing reaches the flash any more. */
async function held() {
  const gateway = await LocalGateway.start({ config: CONFIG });
  const client = await TestClient.connect(gateway.port);
  const sent = Array.from({ length: 40 }, (_, i) =>
    client.publish(
      'sensors/boiler/temperature',
      JSON.stringify({ id: `m-${i}`, value: 20 + i / 40 }),
    ),
  );
  await Promise.all(sent);
  const listener = await TestClient.connect(gateway.port);
  await listener.subscribe(ALERT_TOPIC);
  const release = gateway.files.hold('sync', '/telemetry/');
  const send = (id: string, value: number) =>
    client.publish('sensors/boiler/temperature', JSON.stringify({ id, value }));
  return { gateway, client, listener, release, send };
}

const lineIs = (gateway: LocalGateway, active: boolean) =>
  gateway.until('the line', ({ activeAlerts }) => activeAlerts > 0 === active);

it('an alert drives the line before the commit, and is stored and sent after it', async () => {
  const { gateway, client, listener, release, send } = await held();
  const anomaly = send('hot', 80);
  await lineIs(gateway, true);
  expect(gateway.said('an alert has begun')).toHaveLength(1);
  await until('a sync waits', () => gateway.files.held === 1);
  await listener.roundTrip();
  expect([client.acked.length, listener.heard.length]).toEqual([40, 0]);
  expect(await gateway.records('alerts')).toEqual([]);
  release();
  expect(await anomaly).toBe(true);
  await listener.hears(1);
  expect(await gateway.records('alerts')).toHaveLength(1);
  await Promise.all([client.end(), listener.end()]);
});

it('an alert of a reading that could not be stored is withdrawn, and stored nowhere', async () => {
  const { gateway, client, listener, release, send } = await held();
  const anomaly = send('hot', 80);
  await lineIs(gateway, true);
  await until('a sync waits', () => gateway.files.held === 1);
  gateway.files.break({ operations: ['write', 'sync'], path: '/telemetry/', code: 'EIO' });
  release();
  expect(await anomaly).toBe(false);
  await lineIs(gateway, false);
  expect(gateway.said('an alert is withdrawn')).toHaveLength(1);
  gateway.files.mend();
  await gateway.until('the log takes data', ({ health }) => health === 'ok');
  // Another reading gets the offset, and then the sensor sends its own again.
  const again = await TestClient.connect(gateway.port);
  const publish = (id: string, value: number) =>
    again.publish('sensors/boiler/temperature', JSON.stringify({ id, value }));
  expect(await publish('mild', 20.5)).toBe(true);
  expect(await publish('hot', 80)).toBe(true);
  await listener.hears(1);
  await lineIs(gateway, true);
  const alerts = (await gateway.records('alerts')).map(textOf).map((text) => JSON.parse(text));
  expect(alerts).toMatchObject([{ kind: 'begin', value: 80, cause: { stream: 'readings' } }]);
  const readings = await gateway.records();
  const cause = readings.find((r) => r.offset === alerts[0].cause.offset && r.device === 'boiler');
  expect(cause === undefined ? '' : textOf(cause)).toContain('"hot"');
  await Promise.all([client.end(), listener.end(), again.end()]);
});
