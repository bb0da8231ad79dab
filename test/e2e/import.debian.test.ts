import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, headgate, temporaryFolder } from '../support/gateway-process.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Starts mosquitto with the file, as it would be started: does it take it? */
async function mosquittoTakes(config: string, port: number): Promise<void> {
  const child = spawn('mosquitto', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const isUp = async () => {
    if (child.exitCode !== null) throw new Error(said);
    return TestClient.connect(port).then(
      (client) => client.end().then(() => true),
      () => false,
    );
  };
  await until('mosquitto takes the file', isUp);
  child.kill('SIGTERM');
  await ended;
}

test('a bridge that mosquitto takes is imported, and a reading goes over it', async () => {
  const folder = temporaryFolder();
  const [here, there] = [await freePort(), await freePort()];
  const cloud = new Mosquitto(join(folder, 'cloud'), there);
  await cloud.start();
  mkdirSync(join(folder, 'conf.d'));
  const conf = join(folder, 'mosquitto.conf');
  const bridge = [
    'connection cloud',
    `address 127.0.0.1:${there}`,
    'remote_clientid site-7',
    'remote_username site7',
    'remote_password s3cr3t',
    'cleansession false',
    'notifications false',
    'restart_timeout 1 5',
    'topic + out 1 sensors/ plant/7/sensors/',
    'topic # in 1 commands/ plant/7/commands/',
  ];
  writeFileSync(join(folder, 'conf.d', 'bridge.conf'), bridge.join('\r\n'));
  const main = [
    `listener ${here} 127.0.0.1`,
    'allow_anonymous true',
    'user root',
    `include_dir ${join(folder, 'conf.d')}`,
  ];
  writeFileSync(conf, `${main.join('\n')}\n`);
  await mosquittoTakes(conf, here);

  const [yaml, password] = [join(folder, 'headgate.yaml'), join(folder, 'password')];
  writeFileSync(password, 's3cr3t\n', { mode: 0o600 });
  const made = await headgate(['import', conf, '--out', yaml, '--password-file', password]);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  expect(made.stdout).not.toContain('s3cr3t');
  expect(readFileSync(yaml, 'utf8')).not.toContain('s3cr3t');
  expect(await headgate(['check', '--config', yaml])).toMatchObject({ code: 0 });

  const far = await TestClient.connect(there);
  await far.subscribe('plant/7/sensors/#');
  const config = readFileSync(yaml, 'utf8');
  const gateway = await GatewayProcess.start({ config, port: here });
  expect(gateway.port).toBe(here);
  const client = await TestClient.connect(here);
  expect(await client.publish('sensors/boiler', '{"id":"b-1","value":21.5}')).toBe(true);
  const [reading] = await far.hears(1);
  expect(reading?.topic).toBe('plant/7/sensors/boiler');
  const { payload } = JSON.parse(reading?.payload ?? '') as { payload: string };
  expect(payload).toBe('{"id":"b-1","value":21.5}');

  const valve = await TestClient.connect(here);
  await valve.subscribe('commands/#');
  const operator = await TestClient.connect(there);
  await operator.publish('plant/7/commands/valve/set', '{"open":true}');
  const [command] = await valve.hears(1);
  expect(command?.topic).toBe('commands/valve/set');
  await Promise.all([client.end(), operator.end(), far.end(), valve.end()]);
  await gateway.stop();
  await cloud.stop();
});
