import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, Running, temporaryFolder } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { getFrom } from '../support/socket-text.ts';
import { until } from '../support/until.ts';
import { ScriptedBroker } from '../unit/uplink/scripted-broker.ts';

// Prometheus's own judgement of the metrics, and Prometheus reading them as docs/metrics.md says.

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');

/** The only code block of the page with these words in it. */
function blockWith(words: string): string {
  const blocks = PAGE.split('```').filter((_, i) => i % 2 === 1);
  const [block, ...more] = blocks.filter((one) => one.includes(words));
  if (block === undefined || more.length > 0) throw new Error(`not one block with ${words}`);
  return block.replace(/^\w*\n/, '');
}

function promtool(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  return { status, stdout, stderr };
}

let cloud: ScriptedBroker;

beforeEach(async () => {
  cloud = new ScriptedBroker();
  await cloud.open();
});

afterEach(async () => {
  await cleanUp();
  await cloud.close();
});

async function metricsOf({ data }: GatewayProcess): Promise<string> {
  return (await getFrom(data.socket, '/metrics')).text;
}

async function publish({ port }: GatewayProcess, count: number): Promise<void> {
  const client = await TestClient.connect(port, { clientId: 'boiler' });
  for (let i = 0; i < count; i++) {
    await client.publish('sensors/boiler/temperature', `{"id":"${i}","value":21}`);
  }
  await client.end();
}

const accepted = { status: 0, stdout: '', stderr: '' };

it('promtool has no word against them, much known or little', async () => {
  const config = `
gateway: { id: gw-1 }
flash: { budgetMBPerDay: 100 }
uplink: { url: ${cloud.url} }
`;
  const full = await GatewayProcess.start({ config });
  await publish(full, 10);
  await full.until('all is forwarded', ({ forwarded }) => forwarded >= 10);
  const bare = await GatewayProcess.start();
  for (const gateway of [full, bare]) {
    const text = await metricsOf(gateway);
    expect(text).toContain('headgate_stored_total');
    expect(promtool(['check', 'metrics'], text)).toEqual(accepted);
  }
});

it('promtool takes the rules of the page, which name only metrics that there are', async () => {
  const file = join(temporaryFolder(), 'rules.yml');
  const rules = blockWith('alert: HeadgateTakesNoData');
  writeFileSync(file, rules);
  expect(promtool(['check', 'rules', file])).toMatchObject({ status: 0, stderr: '' });
  const named = [...rules.matchAll(/headgate_\w+/g)].map(([name]) => name);
  expect(named.length).toBeGreaterThan(4);
  for (const name of named) expect(PAGE).toContain(`| \`${name}\` |`);
});

it('Prometheus scrapes them over the bridge of the page, and gets nothing else there', async () => {
  const gateway = await GatewayProcess.start();
  await publish(gateway, 7);
  const [port, ownPort] = [await freePort(), await freePort()];
  const line = blockWith('TCP-LISTEN')
    .replace('9464', String(port))
    .replace('data/headgate.sock', gateway.data.socket);
  new Running('sh', ['-c', `exec ${line}`]);
  const folder = temporaryFolder();
  const file = join(folder, 'prometheus.yml');
  const config = blockWith('job_name').replace('9464', String(port));
  writeFileSync(file, `global: { scrape_interval: 1s }\n${config}`);
  const prometheus = new Running('prometheus', [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${ownPort}`,
  ]);
  const answerTo = async (query: string) => {
    if (prometheus.hasEnded) throw new Error(`prometheus ended: ${prometheus.stderr}`);
    const url = `http://127.0.0.1:${ownPort}/api/v1/query?query=${encodeURIComponent(query)}`;
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok !== true) return undefined;
    const { data } = (await answer.json()) as Found;
    return data.result[0]?.value[1];
  };
  const stored = 'headgate_stored_total{job="headgate"}';
  await until('they are scraped', async () => (await answerTo(stored)) === '7', 60_000);
  expect(await answerTo('up{job="headgate"}')).toBe('1');
  expect(await answerTo('headgate_healthy == 0')).toBe(undefined);
  const other = await fetch(`http://127.0.0.1:${port}/streams/readings/records`);
  expect(await other.text()).toMatch(/^# HELP headgate_build_info /);
  await gateway.stop();
  const isUp = () => answerTo('up{job="headgate"}');
  await until('its end is seen', async () => (await isUp()) === '0', 60_000);
});

interface Found {
  readonly data: { readonly result: ReadonlyArray<{ readonly value: readonly [number, string] }> };
}
