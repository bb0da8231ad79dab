import { afterAll, expect, it } from 'vitest';
import { cleanUp, GatewayProcess, headgate } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { getFrom } from '../support/socket-text.ts';
import { until } from '../support/until.ts';

// Last values and windows of a real daemon: over HTTP, MQTT and on the command line.

afterAll(cleanUp);

const VALUES = Array.from({ length: 100 }, (_, i) => 20 + i / 10);

interface Series {
  readonly device: string;
  readonly metric: string;
  readonly last: { readonly value: number; readonly at: number; readonly ageMs: number };
  readonly windows: Record<'1m' | '15m' | '1h', Record<string, number>>;
  readonly late: number;
}

async function stateOf({ data }: GatewayProcess, path: string): Promise<Series> {
  const { status, text } = await getFrom(data.socket, path);
  expect([status, path]).toEqual([200, path]);
  return JSON.parse(text) as Series;
}

async function has(gateway: GatewayProcess, count: number): Promise<void> {
  await until(`${count} values are in the windows`, async () => {
    const { status, text } = await getFrom(gateway.data.socket, '/state/boiler/temperature');
    if (status !== 200) return false;
    const { rebuilding, windows } = JSON.parse(text) as Series & { rebuilding: boolean };
    return !rebuilding && windows['1h']['count'] === count;
  });
}

const EXACT = { min: 20, max: 29.9, p50: 24.9, p90: 28.9, p99: 29.8 };

function check({ last, windows, late }: Series): void {
  expect([last.value, late]).toEqual([29.9, 0]);
  expect(last.ageMs).toBeLessThan(60_000);
  const hour = windows['1h'];
  const { min, max, mean, p50 = 0, p90 = 0, p99 = 0, relativeError = 1 } = hour;
  expect([min, max]).toEqual([EXACT.min, EXACT.max]);
  expect(mean).toBeCloseTo(24.95, 9);
  expect(relativeError).toBeLessThan(0.05);
  for (const [found, exact] of [
    [p50, EXACT.p50],
    [p90, EXACT.p90],
    [p99, EXACT.p99],
  ] as const) {
    expect(Math.abs(found - exact)).toBeLessThanOrEqual(relativeError * exact);
  }
}

it('are told in all three ways, and outlive a kill without being written', async () => {
  const config = 'windows: { publish: true, publishMs: 1000 }';
  const gateway = await GatewayProcess.start({ config });
  const listener = await TestClient.connect(gateway.port);
  await listener.subscribe('headgate/state/boiler/#');
  const sensor = await TestClient.connect(gateway.port);
  for (const [i, value] of VALUES.entries()) {
    await sensor.publish('sensors/boiler/temperature', JSON.stringify({ id: `${i}`, value }));
  }
  await sensor.publish('sensors/hall%2F1/humidity', '40');
  await has(gateway, VALUES.length);
  check(await stateOf(gateway, '/state/boiler/temperature'));

  const all = (await stateOf(gateway, '/state')) as unknown as { series: Series[] };
  const names = all.series.map(({ device, metric }) => `${device} ${metric}`).sort();
  expect(names).toEqual(['boiler temperature', 'hall%2F1 humidity']);
  const one = (await stateOf(gateway, '/state/boiler')) as unknown as { series: Series[] };
  expect(one.series.map(({ device }) => device)).toEqual(['boiler']);
  const missing = await getFrom(gateway.data.socket, '/state/boiler/humidity');
  expect([missing.status, missing.text]).toEqual([404, expect.stringContaining('STATE_UNKNOWN')]);
  const cause = 'there is no last value of nosuch: none came, or there was no room for it';
  const typed = await headgate(['state', 'nosuch', '--json', '--data', gateway.data.root]);
  expect([typed.code, JSON.parse(typed.stdout)]).toMatchObject([
    2,
    { error: { code: 'STATE_UNKNOWN', cause } },
  ]);
  expect(typed.stderr).toContain(`headgate: STATE_UNKNOWN: ${cause}\n`);

  const heard = () => listener.heard.map(({ payload }) => JSON.parse(payload) as Series);
  const isWhole = (state: Series | undefined) => state?.windows['1h']['count'] === VALUES.length;
  await until('the state is published', () => isWhole(heard().at(-1)));
  check(heard().at(-1) as Series);
  expect(listener.heard.at(-1)?.topic).toBe('headgate/state/boiler/temperature');
  const later = await TestClient.connect(gateway.port);
  await later.subscribe('headgate/state/boiler/temperature');
  const [retained] = await later.hears(1);
  expect(retained?.retain).toBe(true);
  await Promise.all([listener.end(), sensor.end(), later.end()]);

  const folder = gateway.data.root;
  await gateway.kill9();
  const again = await GatewayProcess.start({ folder, config });
  await has(again, VALUES.length);
  check(await stateOf(again, '/state/boiler/temperature'));
  expect((await again.status()).windows).toMatchObject({ series: 2, idle: 0, unkept: 0, late: 0 });

  const json = await headgate(['state', 'boiler', 'temperature', '--json', '--data', folder]);
  expect(json.code).toBe(0);
  check(JSON.parse(json.stdout) as Series);
  const { lines } = await headgate(['state', 'boiler', '--data', folder]);
  expect(lines[0]?.split(/ +/)).toEqual([
    ...[
      'DEVICE',
      'METRIC',
      'LAST',
      'AGE',
      'LEARNED',
      'WINDOW',
      'COUNT',
      'MIN',
      'MEAN',
      'P99',
      'MAX',
    ],
  ]);
  expect(lines[1]).toMatch(/^boiler +temperature +29\.9 +\d+ s +\d+% +1m /);
  expect(lines[3]).toMatch(/^ +1h +100 +20 +24\.95 +29\.\d+ +29\.9$/);
  expect(lines).toHaveLength(4);
  const unknown = await headgate(['state', 'boiler', 'humidity', '--data', folder]);
  expect([unknown.code, unknown.stdout]).toEqual([2, '']);
  // Detection has its checkpoint now, so nothing of this comes from it.
  await again.stop();
  const third = await GatewayProcess.start({ folder, config });
  await has(third, VALUES.length);
  check(await stateOf(third, '/state/boiler/temperature'));
  await third.stop();
});
