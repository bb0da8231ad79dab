import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { cleanUp, GatewayProcess, headgate } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { ScriptedBroker } from '../unit/uplink/scripted-broker.ts';

// The way back: what the cloud sends to devices, over the daemon as it is started.

let cloud: ScriptedBroker;
const clients: TestClient[] = [];

beforeEach(async () => {
  cloud = new ScriptedBroker();
  await cloud.open();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
  await cloud.close();
});

afterAll(cleanUp);

const ROUTES = `
downlink:
  allow: [commands/#, config/+]
  routes:
    commands: { from: 'headgate/{gateway}/down/#', to: 'commands/#' }
    config: { from: 'fleet/config/+', to: 'config/+', retain: true }
`;

const configOf = (more: string, version: 4 | 5 = 5) => `
gateway: { id: gw-1 }
uplink:
  url: ${cloud.url}
  protocolVersion: ${version}
  reconnectMinMs: 10
  reconnectMaxMs: 50
${more}`;

async function deviceOf({ port }: GatewayProcess, filter: string): Promise<TestClient> {
  const device = await TestClient.connect(port, { clientId: 'valve-3', clean: false });
  clients.push(device);
  await device.subscribe(filter);
  return device;
}

const subscribes = (count: number) =>
  until('the gateway listens', () => cloud.subscribed.length >= count);

it.each([4, 5] as const)('brings commands to devices, in order (MQTT %i)', async (version) => {
  const gateway = await GatewayProcess.start({ config: configOf(ROUTES, version) });
  await subscribes(2);
  const device = await deviceOf(gateway, 'commands/valve-3/#');
  for (let i = 0; i < 50; i++) await cloud.send('headgate/gw-1/down/valve-3/set', String(i));
  const heard = await device.hears(50);
  expect(heard.map(({ payload }) => payload)).toEqual(
    Array.from({ length: 50 }, (_, i) => String(i)),
  );
  expect(new Set(heard.map(({ topic }) => topic))).toEqual(new Set(['commands/valve-3/set']));
  await until('all are acknowledged', () => cloud.acked.length === 50);
  // It is no reading, and no publish of a device.
  expect(await gateway.status()).toMatchObject({
    ...{ downlinked: 50, downlinkRefused: 0, received: 0, unrouted: 0 },
  });
  const shown = await headgate(['status', '--data', gateway.data.root]);
  expect(shown.stdout).toMatch(/downlinked +50 /);
});

it('keeps commands for devices that are away, over a kill of the gateway', async () => {
  const config = configOf(ROUTES);
  const gateway = await GatewayProcess.start({ config });
  await subscribes(2);
  const before = await deviceOf(gateway, 'commands/valve-3/#');
  await before.end();
  await cloud.send('headgate/gw-1/down/valve-3', 'close');
  await until('it is acknowledged', () => cloud.acked.length === 1);
  await gateway.kill9();
  const again = await GatewayProcess.start({ config, folder: gateway.data.root });
  const device = await TestClient.connect(again.port, { clientId: 'valve-3', clean: false });
  clients.push(device);
  expect(await device.hears(1)).toMatchObject([{ topic: 'commands/valve-3', payload: 'close' }]);
});

it('gets what was sent while the link was down or the gateway was', async () => {
  const config = configOf(ROUTES);
  const gateway = await GatewayProcess.start({ config });
  await subscribes(2);
  const device = await deviceOf(gateway, 'commands/#');
  cloud.locked = true;
  cloud.cut();
  await until('a try has failed', () => cloud.refusals > 0);
  await cloud.send('headgate/gw-1/down/valve-3', 'while the link was down');
  cloud.locked = false;
  expect(await device.hears(1)).toMatchObject([{ payload: 'while the link was down' }]);
  await device.end();
  // Killed before it is acknowledged, the cloud would rightly send it again.
  await until('the first is acknowledged', () => cloud.acked.length === 1);
  await gateway.kill9();
  await cloud.send('headgate/gw-1/down/valve-3', 'while the gateway was down');
  const again = await GatewayProcess.start({ config, folder: gateway.data.root });
  const back = await TestClient.connect(again.port, { clientId: 'valve-3', clean: false });
  clients.push(back);
  // At least once: the kill may have come before the device's acknowledgement of the first was
  // stored, and then that one is here again, before the second.
  const payloads = () => back.heard.map(({ payload }) => payload);
  await until('the second is heard', () => payloads().includes('while the gateway was down'));
  const repeats = payloads().filter((payload) => payload !== 'while the gateway was down');
  expect(new Set([...repeats, 'while the link was down']).size).toBe(1);
  await until('both are acknowledged', () => cloud.acked.length >= 2);
});

it('keeps the last configuration for those who come later', async () => {
  const gateway = await GatewayProcess.start({ config: configOf(ROUTES) });
  await subscribes(2);
  await cloud.send('fleet/config/rate', '5');
  await cloud.send('fleet/config/rate', '10');
  await gateway.until('both are here', ({ downlinked }) => downlinked === 2);
  const device = await deviceOf(gateway, 'config/+');
  expect(await device.hears(1)).toEqual([{ topic: 'config/rate', payload: '10', retain: true }]);
});

it('counts and acknowledges what is not allowed', async () => {
  const more = ROUTES.replace('commands/#, ', 'commands/#, other/#, ').replace(
    'routes:',
    "routes:\n    deep: { from: 'deep/#', to: 'other/#' }",
  );
  const gateway = await GatewayProcess.start({
    config: configOf(`${more}\nmqtt: { maxPayloadBytes: 1000, maxTopicLevels: 3 }`),
  });
  await subscribes(3);
  const device = await deviceOf(gateway, '#');
  await cloud.send('deep/1/2/3', 'too many levels');
  await cloud.send('deep/1', Buffer.alloc(1_001));
  await cloud.send('deep/1', 'good');
  await until('all are acknowledged', () => cloud.acked.length === 3);
  expect(await device.hears(1)).toMatchObject([{ topic: 'other/1', payload: 'good' }]);
  expect(await gateway.status()).toMatchObject({ downlinked: 1, downlinkRefused: 2 });
  expect(gateway.output()).toContain('a message of the cloud was refused');
});

it('a route that was taken out leaves messages in the session: they are refused', async () => {
  const gateway = await GatewayProcess.start({ config: configOf(ROUTES) });
  await subscribes(2);
  await gateway.kill9();
  await cloud.send('fleet/config/rate', '5');
  const less = configOf(ROUTES.replace(/ {4}config:.*\n/, ''));
  const again = await GatewayProcess.start({ config: less, folder: gateway.data.root });
  await again.until('it is refused', ({ downlinkRefused }) => downlinkRefused === 1);
  await until('it is acknowledged', () => cloud.acked.length === 1);
});

it('without routes nothing is asked of the cloud, and no session', async () => {
  const gateway = await GatewayProcess.start({ config: configOf('') });
  const device = await TestClient.connect(gateway.port);
  clients.push(device);
  await device.publish('sensors/d1/t', '{"id":"1","value":1}');
  await gateway.until('it is forwarded', ({ forwarded }) => forwarded > 0);
  expect([cloud.subscribed, cloud.sessions]).toEqual([[], [false]]);
});
