import { afterAll, expect, it } from 'vitest';
import type { AlertMessage } from '../../src/alert/alert-message.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import type { AlertRow } from '../../src/ops/alert-routes.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { cleanUp, GatewayProcess, headgate, temporaryFolder } from '../support/gateway-process.ts';
import { readAll, textOf } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// Alerts as whoever is woken meets them: on MQTT, on the command line, over a kill.

afterAll(cleanUp);

const CONFIG = `
alerts: { clearCount: 1 }
limits:
  hot: { metric: heat, max: 60, severity: critical }
  alive: { device: pump, silenceSeconds: 2 }
`;

async function eventsOf(gateway: GatewayProcess): Promise<AlertMessage[]> {
  const view = await FolderView.open(nodeFiles, gateway.data.events);
  const records = await readAll(nodeFiles, view, 'alerts');
  return records.map((record) => JSON.parse(textOf(record)) as AlertMessage);
}

async function rowsOf(folder: string): Promise<AlertRow[]> {
  const { stdout } = await headgate(['alerts', 'ls', '--data', folder, '--json']);
  return JSON.parse(stdout) as AlertRow[];
}

async function publish(gateway: GatewayProcess, topic: string, value: number): Promise<void> {
  const client = await TestClient.connect(gateway.port);
  await client.publish(topic, JSON.stringify({ value }));
  await client.end();
}

it('an alert is acknowledged once, and a kill does not take that back', async () => {
  const folder = temporaryFolder();
  let gateway = await GatewayProcess.start({ folder, config: CONFIG });
  await publish(gateway, 'sensors/oven/heat', 61);
  await gateway.until('the alert is active', ({ activeAlerts }) => activeAlerts === 1);
  await until('the alert is stored', async () => (await eventsOf(gateway)).length === 1);
  const [row] = await rowsOf(folder);
  expect(row).toMatchObject({ severity: 'critical', fault: 'range', device: 'oven', count: 1 });
  expect(row).toMatchObject({ source: 'limit:hot', value: 61, expected: [null, 60], score: 1 });
  expect(row?.cause).toMatchObject({ stream: 'readings', offset: 0 });
  expect(row?.acknowledged).toBeUndefined();
  const listed = await headgate(['alerts', 'ls', '--data', folder]);
  expect(listed.lines[0]).toBe('SINCE                SEVERITY WHAT, AND THE NAME OF THE ALERT');
  expect(listed.lines[1]).toMatch(/^\d{4}-\S+Z critical heat of oven /);
  expect(listed.stdout).toContain('heat of oven is 61, too high, allowed 60 at most (limit hot)');
  const name = row?.alert ?? '';
  // A person types what the limit is called.
  const typed = name.replace('%3A', ':');
  expect(typed).not.toBe(name);
  const acked = await headgate(['alerts', 'ack', typed, '--data', folder]);
  expect([acked.code, acked.stdout]).toEqual([0, `${name} acknowledged\n`]);
  await gateway.kill9();

  gateway = await GatewayProcess.start({ folder, config: CONFIG });
  expect((await rowsOf(folder))[0]).toMatchObject({ alert: name });
  expect((await rowsOf(folder))[0]?.acknowledged).toBeGreaterThan(0);
  const again = await headgate(['alerts', 'ack', name, '--data', folder]);
  expect([again.code, again.stdout]).toEqual([0, `${name} was acknowledged before\n`]);
  const all = await headgate(['alerts', 'ack', '--all', '--data', folder]);
  expect(all.stdout).toBe('no alerts\n');
  const listener = await TestClient.connect(gateway.port);
  await listener.subscribe('headgate/alerts/oven/heat');
  await listener.hears(1);
  expect(JSON.parse(listener.heard[0]?.payload ?? '')).toMatchObject({
    alert: name,
    kind: 'begin',
    acknowledged: expect.any(Number),
  });
  await listener.end();
  await publish(gateway, 'sensors/oven/heat', 20);
  await until('it has ended', async () => (await eventsOf(gateway)).length === 3);
  expect((await eventsOf(gateway)).map(({ kind }) => kind)).toEqual(['begin', 'ack', 'end']);
  const gone = await headgate(['alerts', 'ack', name, '--data', folder]);
  expect(gone.code).toBe(1);
  expect(gone.stdout).toBe(`${name}: there is no such alert now (see headgate alerts ls)\n`);
  await gateway.stop();
});

it('a device that falls silent is an alert, over a kill, until it is heard again', async () => {
  const folder = temporaryFolder();
  let gateway = await GatewayProcess.start({ folder, config: CONFIG });
  await publish(gateway, 'sensors/pump/flow', 5);
  await publish(gateway, 'sensors/other/flow', 5);
  await until('the silence is stored', async () => (await eventsOf(gateway)).length === 1);
  const [begun] = await eventsOf(gateway);
  expect(begun).toMatchObject({
    kind: 'begin',
    fault: 'silence',
    source: 'silence:alive',
    device: 'pump',
    expected: [0, 2],
    cause: { stream: 'readings' },
  });
  expect(begun?.value).toBeGreaterThanOrEqual(2);
  // What the alert says is saved at once: the kill comes before any checkpoint by time.
  await gateway.kill9();
  gateway = await GatewayProcess.start({ folder, config: CONFIG });
  expect((await rowsOf(folder)).map(({ alert }) => alert)).toEqual([begun?.alert]);
  await publish(gateway, 'sensors/pump/flow', 5);
  await until('it is heard again', async () => (await eventsOf(gateway)).length >= 2);
  const [, end] = await eventsOf(gateway);
  expect(end).toMatchObject({ kind: 'end', alert: begun?.alert.replace('begin:', 'end:') });
  expect(end?.reason).toMatch(/^pump is heard again, after \d+ s$/);
  await gateway.stop();
});

it('whoever names no alert is told how', async () => {
  const { code, stderr } = await headgate(['alerts', 'ack', '--data', temporaryFolder()]);
  expect(code).toBe(2);
  expect(stderr).toContain('name an alert, or give --all\n');
  const both = await headgate(['alerts', 'ack', '--all', 'begin:x', '--data', temporaryFolder()]);
  expect(both.code).toBe(2);
  expect(both.stderr).toContain('name an alert, or give --all: not both');
});
