import { afterAll, expect, it } from 'vitest';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';

// More ids than memory may hold, in a log that holds less than the window, over kills.

const CONFIG = `
dedup: { maxIds: 1000 }
log: { segmentBytes: 1048576, retention: { maxBytes: 4194304 } }
mqtt: { maxPayloadBytes: 100000, maxPacketBytes: 200000 }
streams:
  readings:
    topics: [sensors/<device>/#]
    partitions: 2
    dedup: { windowIds: 100000, windowMs: 31536000000 }
`;

const TOTAL = 6_000;
const AT_ONCE = 200;
const DEVICES = 30;
/** That does not compress: of the log, a part must be dropped on the way. */
const filler = (n: number) =>
  Array.from({ length: 150 }, (_, i) => Math.imul(n * 151 + i, 0x9e3779b1).toString(36)).join('');

async function sendAll({ port }: GatewayProcess): Promise<void> {
  const client = await TestClient.connect(port);
  for (let n = 0; n < TOTAL; n += AT_ONCE) {
    const sent = Array.from({ length: AT_ONCE }, (_, i) => {
      const [number, device] = [n + i, `d${(n + i) % DEVICES}`];
      const seq = Math.floor(number / DEVICES);
      // The one half by ids, the other by numbers.
      const id = number % 2 === 0 ? { id: `i${number}` } : { boot: 'b', seq };
      const payload = JSON.stringify({ ...id, filler: filler(number) });
      return client.publish(`sensors/${device}/t`, payload);
    });
    expect(await Promise.all(sent)).not.toContain(false);
  }
  await client.end();
}

afterAll(cleanUp);

it('knows what it acknowledged: beyond memory, beyond the log, and over kills', async () => {
  const folder = temporaryFolder();
  const first = await GatewayProcess.start({ folder, config: CONFIG });
  await sendAll(first);
  expect(await first.status()).toMatchObject({ stored: TOTAL, duplicates: 0 });
  for (const how of ['killed', 'stopped'] as const) {
    if (how === 'killed') await first.kill9();
    const gateway = await GatewayProcess.start({ folder, config: CONFIG });
    const { dedup, dedupIds, log } = await gateway.status();
    expect(dedupIds).toBeLessThanOrEqual(1_000);
    expect(dedup.storedIds + dedupIds).toBeGreaterThanOrEqual(TOTAL / 2);
    expect(log.telemetry.segments).toBeLessThanOrEqual(5);
    await sendAll(gateway);
    expect(await gateway.status(), how).toMatchObject({ stored: 0, duplicates: TOTAL });
    await gateway.stop();
  }
});
