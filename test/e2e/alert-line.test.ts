import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Check } from '../../src/ops/doctor.ts';
import {
  answerOf,
  cleanUp,
  GatewayProcess,
  headgate,
  Running,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { FakeTools } from '../unit/gpio/fake-tools.ts';

// The alert line of a whole gateway: the daemon holds it by a gpioset that writes down its levels.

afterAll(cleanUp);

const tools: FakeTools[] = [];
afterEach(() => {
  for (const one of tools.splice(0)) one.remove();
});

const CONFIG = `
gpio: { backend: gpioset, pin: 17, latch: true }
alerts: { clearCount: 1, coolDownMs: 0 }
limits: { hot: { max: 60, severity: critical } }
`;

function bench(version = '1.6.3') {
  const fake = new FakeTools(version);
  tools.push(fake);
  const env = { PATH: `${fake.folder}:${process.env['PATH']}` };
  const last = (level: string) => until(`the line is ${level}`, () => fake.levels.at(-1) === level);
  return { fake, env, last };
}

async function publish(gateway: GatewayProcess, value: number): Promise<void> {
  const client = await TestClient.connect(gateway.port);
  await client.publish('sensors/oven/heat', JSON.stringify({ value }));
  await client.end();
}

describe('the alert line', () => {
  it('is latched over a kill until it is acknowledged, and inactive after a stop', async () => {
    const { fake, env, last } = bench();
    const folder = temporaryFolder();
    let gateway = await GatewayProcess.start({ folder, config: CONFIG, env });
    expect(new Set(fake.levels)).toEqual(new Set(['0 17=0']));
    await publish(gateway, 61);
    await last('0 17=1');
    await publish(gateway, 20);
    await gateway.until('the alert has ended', ({ activeAlerts }) => activeAlerts === 0);
    await until('its end is stored', async () => (await listed(folder)).includes('ended'));
    expect(fake.levels.at(-1)).toBe('0 17=1');
    await gateway.kill9();
    fake.write('levels', '');

    gateway = await GatewayProcess.start({ folder, config: CONFIG, env });
    await last('0 17=1');
    await headgate(['alerts', 'ack', '--all', '--data', folder]);
    await last('0 17=0');
    expect(await listed(folder)).toBe('no alerts\n');
    await publish(gateway, 70);
    await last('0 17=1');
    await gateway.stop();
    expect(fake.levels.at(-1)).toBe('0 17=0');
  });

  it('is shown by gpio test, which leaves a line that a daemon drives alone', async () => {
    const { fake, env } = bench('2.2.1');
    const folder = temporaryFolder();
    const gateway = await GatewayProcess.start({ folder, config: CONFIG, env });
    const settings = { ...env, HEADGATE_GPIO_BACKEND: 'gpioset', HEADGATE_GPIO_PIN: '17' };
    const refused = await headgate(['gpio', 'test', '--data', folder], settings);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('GPIO_IN_USE')]);
    const barred = await headgate(['gpio', 'safe', '--data', folder], settings);
    expect([barred.code, barred.stderr]).toEqual([1, expect.stringContaining('GPIO_IN_USE')]);
    await gateway.stop();

    fake.write('levels', '');
    const shown = await headgate(['gpio', 'test', '--seconds', '1', '--data', folder], settings);
    expect(shown.lines).toEqual([
      'gpio 17 (gpioset 2, gpiochip0 line 17): active means that the wire is high ' +
        '(3.3 V on a Raspberry Pi).',
      'info, warning, critical: steady, for 1 s',
      'The line is inactive again.',
    ]);
    expect(fake.changes()).toEqual([true, false]);
    const safe = await headgate(['gpio', 'safe', '--data', folder], settings);
    expect([safe.code, fake.levels.at(-1)]).toEqual([0, '0 17=0']);
  });
});

async function listed(folder: string): Promise<string> {
  return (await headgate(['alerts', 'ls', '--data', folder])).stdout;
}

describe('headgate doctor', () => {
  it('says what it has seen, for people and for programs', async () => {
    const { env } = bench();
    const folder = temporaryFolder();
    const settings = { ...env, HEADGATE_GPIO_BACKEND: 'gpioset', HEADGATE_GPIO_PIN: '99' };
    const args = ['doctor', '--data', folder];
    const { code, lines } = await headgate(args, settings);
    const wrong = lines.filter((line) => line.startsWith('fail'));
    expect([code, wrong]).toEqual([1, [expect.stringContaining('has 58 lines, and no line 99')]]);
    const { ok, checks } = JSON.parse((await headgate([...args, '--json'], settings)).stdout);
    expect(ok).toBe(false);
    expect(checks).toContainEqual({ check: 'config', state: 'ok', says: 'the embedded default' });
    expect((await headgate(args)).code).toBe(0);
  });

  it('is there where the native parts are not, and says how to get them', async () => {
    const copy = temporaryFolder();
    const root = join(import.meta.dirname, '../..');
    const packages = join(copy, 'node_modules');
    mkdirSync(packages);
    const lacking = ['classic-level', 'onoff', 'epoll'];
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (lacking.includes(name)) continue;
      symlinkSync(join(root, 'node_modules', name), join(packages, name));
    }
    for (const name of ['dist', 'package.json']) symlinkSync(join(root, name), join(copy, name));
    const flags = ['--preserve-symlinks', '--preserve-symlinks-main'];
    const main = join(copy, 'dist/src/main.js');
    const args = [...flags, main, 'doctor', '--json', '--data', join(copy, 'data')];
    const { code, stdout } = await answerOf(new Running(process.execPath, args));
    expect(code).toBe(1);
    const { checks } = JSON.parse(stdout) as { checks: Check[] };
    const of = (name: string) => checks.find(({ check }) => check === name);
    const install = `npm --prefix ${copy} install --no-save`;
    expect(of('classic-level')).toMatchObject({
      state: 'fail',
      mend: expect.stringContaining(`${install} classic-level@3.0.0`),
    });
    expect(of('onoff')).toMatchObject({
      state: 'warn',
      mend: expect.stringContaining(`${install} onoff@6.0.3`),
    });
  });
});
