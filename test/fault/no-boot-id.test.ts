import { afterEach, expect, it } from 'vitest';
import { callControl } from '../../src/ops/control-client.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { recordsOf } from '../support/local-socket.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { LocalGateway, stopAll } from './local-gateway.ts';

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const HOUR_MS = 3_600_000;

/** Of a kernel that has none: each process is then a boot by itself. */
class NoBootId extends FaultyFiles {
  override readText(path: string): Promise<string | undefined> {
    return path.endsWith('/boot_id') ? Promise.resolve(undefined) : super.readText(path);
  }
}

async function publish({ port }: LocalGateway, payload: string): Promise<void> {
  const client = await TestClient.connect(port);
  expect(await client.publish('sensors/a/t', payload)).toBe(true);
  await client.end();
}

it('readers know the time of a clock that was never set by the boot that the log has', async () => {
  const folder = temporaryFolder();
  const clock = new FakeClock();
  const start = () => LocalGateway.start({ folder, clock, files: new NoBootId() });
  const before = await start();
  await publish(before, '1');
  await before.stop();
  clock.wall = 0;
  const gateway = await start();
  await publish(gateway, '2');
  clock.advance(HOUR_MS);
  await publish(gateway, '3');
  const path = '/streams/readings/records?from=10m';
  const recent = recordsOf(await callControl(gateway.data.socket, { path }));
  expect(recent.map(({ payload }) => payload)).toEqual(['3']);
});
