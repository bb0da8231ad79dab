import { afterAll, expect, it } from 'vitest';
import { cleanUp, GatewayProcess } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { ScriptedBroker } from '../unit/uplink/scripted-broker.ts';

const broker = new ScriptedBroker();

afterAll(async () => {
  await broker.close();
  await cleanUp();
});

it('a gateway says its own id where {gateway} stands in its client id and user name', async () => {
  await broker.open();
  const gateway = await GatewayProcess.start({
    config: `gateway: { id: plant-4 }
uplink:
  url: ${broker.url}
  clientId: 'device-{gateway}'
  username: 'hub/{gateway}/?api-version=1'
`,
  });
  await until('it is there', () => broker.clientIds.length > 0);
  expect(broker.clientIds).toEqual(['device-plant-4']);
  expect(broker.logins[0]?.user).toBe('hub/plant-4/?api-version=1');
  expect(await gateway.stop()).toBe(0);
});
