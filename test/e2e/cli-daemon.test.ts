import { readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { RecordJson } from '../../src/base/record-json.ts';
import type { Problem } from '../../src/ops/load-config.ts';
import {
  cleanUp,
  GatewayProcess,
  headgate,
  startHeadgate,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// How the daemon starts, does not start, and stops.

afterEach(cleanUp);

function fileWith(text: string): string {
  const file = join(temporaryFolder(), 'headgate.yaml');
  writeFileSync(file, text);
  return file;
}

const BROKEN = [
  'mqtt:', // 1
  '  port: 99999', // 2
  '  hots: 127.0.0.1', // 3
  'log:', // 4
  '  segmentBytes: 1000', // 5
  'detect:', // 6
  '  threshold: high', // 7
  '',
].join('\n');

describe('check', () => {
  it('shows every problem of a file at once, each with its line, and ends with 1', async () => {
    const file = fileWith(BROKEN);
    const { code, lines } = await headgate(['check', '--config', file]);
    expect(code).toBe(1);
    expect(lines).toHaveLength(4);
    for (const [i, line] of [2, 3, 5, 7].entries()) {
      expect(lines[i]).toMatch(new RegExp(`^${file}:${line}:\\d+: `));
    }
    expect(lines[0]).toContain('65535');
    expect(lines[1]).toContain('did you mean host?');
  });

  it('--json gives the same', async () => {
    const { code, lines } = await headgate(['check', '--config', fileWith(BROKEN), '--json']);
    expect(code).toBe(1);
    const answer = JSON.parse(lines[0] ?? '') as { ok: boolean; problems: Problem[] };
    expect(answer.ok).toBe(false);
    expect(answer.problems.map(({ line }) => line)).toEqual([2, 3, 5, 7]);
    expect(answer.problems.map(({ path }) => path)).toEqual([
      ...['mqtt.port', 'mqtt.hots', 'log.segmentBytes', 'detect.threshold'],
    ]);
  });

  it.each(['/nowhere/headgate.yaml', '/'])(
    '--json of a file that cannot be read: %s',
    async (file) => {
      const { code, lines } = await headgate(['check', '--config', file, '--json']);
      expect(code).toBe(1);
      const answer = JSON.parse(lines[0] ?? '') as { ok: boolean; problems: Problem[] };
      expect(answer).toMatchObject({ ok: false, problems: [{ path: '' }] });
      expect(answer.problems[0]?.message).toMatch(/^CONFIG_UNREADABLE: /);
    },
  );

  it('says of a sound file what would run', async () => {
    const file = fileWith('mqtt:\n  port: 2883\n');
    const said = await headgate(['check', '--config', file, '--data', '/tmp/somewhere']);
    expect(said.code).toBe(0);
    expect(said.stdout).toContain('127.0.0.1:2883');
    expect(said.stdout).toContain('readings: sensors/<device>/#');
    const limits = 'limits:\n  hot: { device: boiler-*, max: 90, severity: critical }\n';
    const limited = await headgate(['check', '--config', fileWith(limits)]);
    expect(limited.stdout).toContain('limit          hot: device boiler-*, max 90: critical\n');
    const json = await headgate(['check', '--config', file, '--port', '3883', '--json']);
    const answer = JSON.parse(json.stdout) as { config: { mqtt: { port: number } } };
    expect(answer).toMatchObject({ ok: true, problems: [], config: { mqtt: { port: 3883 } } });
  });

  it('says what a preset comes to, and what it refuses', async () => {
    const uplink = 'uplink:\n  preset: emqx-cloud\n  url: a.emqxsl.com\n  username: u\n';
    const bare = await headgate(['check', '--config', fileWith(uplink)]);
    expect(bare.code).toBe(1);
    expect(bare.lines[0]).toContain('uplink.username and uplink.passwordFile');
    const file = fileWith(`${uplink}  passwordFile: ${fileWith('secret')}\n`);
    const { code, stdout } = await headgate(['check', '--config', file]);
    expect(code).toBe(0);
    expect(stdout).toContain('emqx-cloud: mqtts://a.emqxsl.com:8883');
    expect(stdout).toContain('10 publishes/s');
    expect(stdout).toContain('note         10 publishes a second are 10 records');
    const json = await headgate(['check', '--config', file, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      uplink: { preset: 'emqx-cloud', limits: { publishesPerSecond: 10 } },
      config: { uplink: { url: 'mqtts://a.emqxsl.com:8883', protocolVersion: 5 } },
    });
  });

  it('lets the environment override the file', async () => {
    const env = { HEADGATE_MQTT_PORT: '4883', HEADGATE_CONFIG: fileWith('mqtt:\n  port: 2883\n') };
    expect((await headgate(['check'], env)).stdout).toContain('127.0.0.1:4883');
    const slip = await headgate(['check'], { HEADGATE_MQTT_PROT: '1' });
    expect(slip.code).toBe(1);
    expect(slip.stdout).toContain('HEADGATE_MQTT_PORT');
  });
});

const UPLINK = 'uplink:\n  url: mqtt://127.0.0.1:1\n  username: u\n  passwordFile: ';

describe('a file that the configuration names', () => {
  it.each([
    ['is not there', '/nowhere/password', 'there is no file /nowhere/password'],
    ['is a folder', '/', '/ is a folder'],
    ['is empty', '/dev/null', 'there is nothing in /dev/null'],
  ])('%s: check and run say so', async (_, path, says) => {
    const file = fileWith(UPLINK + path);
    const checked = await headgate(['check', '--config', file]);
    expect(checked.code).toBe(1);
    expect(checked.lines).toHaveLength(1);
    expect(checked.stdout).toContain(`${file}:4:17: uplink.passwordFile: `);
    expect(checked.stdout).toContain(says);
    const folder = temporaryFolder();
    const run = await headgate(['run', '--config', file, '--data', folder]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^headgate: FILE_UNREADABLE: uplink\.passwordFile: /);
    expect(run.stderr).toContain(says);
    // Nothing is changed for the next start: the name of the gateway, for one.
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a file that is not there, beside other problems', () => {
  it('check and run show all of them, in the order of the file', async () => {
    const more = '/nowhere/password\n  streams: [radings]\n  caFile: /nowhere/ca.pem\n  window: 0';
    const file = fileWith(UPLINK.replace('mqtt:', 'mqtts:') + more);
    const paths = ['passwordFile', 'streams[0]', 'caFile', 'window'].map(
      (name) => `uplink.${name}`,
    );
    const checked = await headgate(['check', '--config', file, '--json']);
    expect(checked.code).toBe(1);
    const { problems } = JSON.parse(checked.stdout) as { problems: Problem[] };
    expect(problems.map(({ line, path }) => [line, path])).toEqual(
      paths.map((path, i) => [4 + i, path]),
    );
    const run = await headgate(['run', '--config', file, '--data', temporaryFolder()]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^headgate: CONFIG_INVALID: 4 in /);
    expect(run.stderr).toContain('there is no file /nowhere/ca.pem');
  });
});

describe('a file that systemd hands over at the start', () => {
  it('is no problem before, and is missed by whoever starts without it', async () => {
    const file = fileWith(`${UPLINK}/run/credentials/headgate.service/none`);
    const checked = await headgate(['check', '--config', file]);
    expect(checked.code).toBe(0);
    expect(checked.stdout).toContain('not looked at  uplink.passwordFile');
    const run = await headgate(['run', '--config', file, '--data', temporaryFolder()]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^headgate: FILE_UNREADABLE: uplink\.passwordFile: there is no/);
  });
});

describe('run does not start', () => {
  it('with a broken configuration: every problem is on standard error', async () => {
    const folder = temporaryFolder();
    const { code, stderr } = await headgate([
      'run',
      '--config',
      fileWith(BROKEN),
      '--data',
      folder,
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^headgate: CONFIG_INVALID: 4 in /);
    expect(stderr.match(/headgate\.yaml:\d+:\d+: /g)).toHaveLength(4);
  });

  it('with a configuration that is not there', async () => {
    const { code, stderr } = await headgate(['run', '--config', '/nowhere/headgate.yaml']);
    expect(code).toBe(1);
    expect(stderr).toContain('CONFIG_UNREADABLE: no file /nowhere/headgate.yaml');
  });

  it('on a port that another program has: PORT_IN_USE, with the port and what to do', async () => {
    const other: Server = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const folder = temporaryFolder();
    const args = ['run', '--data', folder, '--port', String(port)];
    const { code, stderr } = await headgate(args);
    expect(code).toBe(1);
    expect(stderr).toContain(`headgate: PORT_IN_USE: 127.0.0.1:${port}\n`);
    expect(stderr).toContain('choose another port with --port');
    await new Promise((resolve) => other.close(resolve));
    // Nothing is left behind that would keep the next one from it.
    const gateway = await GatewayProcess.start({ folder, port });
    expect(await gateway.stop()).toBe(0);
  });

  it('in a folder that cannot be made: the error is one line, marked for journald', async () => {
    const args = ['run', '--data', '/dev/null/data', '--port', '0'];
    const plain = await headgate(args);
    expect(plain).toMatchObject({ code: 1 });
    expect(plain.stderr).toMatch(/^headgate: ENOTDIR: .*\n$/);
    const nowhere = await headgate(['run', '--data', '/proc/x', '--port', '0']);
    expect(nowhere).toMatchObject({ code: 1 });
    expect(nowhere.stderr).toMatch(/^headgate: ENOENT: .*mkdir '\/proc\/x.*\n$/);
    const underSystemd = await headgate(args, { JOURNAL_STREAM: '8:1' });
    expect(underSystemd.stderr).toMatch(/^<3>headgate: ENOTDIR: .*\n$/);
  });

  it('on the data folder of another daemon: DATA_IN_USE, and the other one lives on', async () => {
    const gateway = await GatewayProcess.start();
    const { root } = gateway.data;
    const { code, stderr } = await headgate(['run', '--data', root, '--port', '0']);
    expect(code).toBe(1);
    expect(stderr).toContain('headgate: DATA_IN_USE: ');
    expect(stderr).toContain('--data');
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', '1')).toBe(true);
    // Its control socket is still its own, too.
    expect((await headgate(['status', '--data', root])).code).toBe(0);
    await client.end();
    expect(await gateway.stop()).toBe(0);
  });
});

describe('run', () => {
  it('logs JSON lines to standard output, and nothing to standard error', async () => {
    const gateway = await GatewayProcess.start();
    expect(await gateway.stop()).toBe(0);
    const lines = gateway.output().trimEnd().split('\n');
    const said = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(said[0]).toBe('headgate starts');
    expect(said).toContain('ready');
    expect(said.at(-1)).toBe('everything is on flash and closed');
  });

  it('takes its settings from a file', async () => {
    const config = [
      'gateway: { id: shed }',
      'streams:',
      '  climate: { topics: ["house/+/<device>/climate"], partitions: 2 }',
      '',
    ].join('\n');
    const gateway = await GatewayProcess.start({ config });
    const client = await TestClient.connect(gateway.port);
    await client.publish('house/upstairs/bath/climate', '{"id":"b1","rh":61}');
    await client.publish('sensors/bath/t', '1');
    const { code, lines } = await headgate(['log', 'read', 'climate', '--data', gateway.data.root]);
    expect(code).toBe(0);
    expect(lines.map((line) => (JSON.parse(line) as RecordJson).device)).toEqual(['bath']);
    expect(await gateway.status()).toMatchObject({ gateway: 'shed', received: 1, stored: 1 });
    await client.end();
    expect(await gateway.stop()).toBe(0);
  });

  it.each(['idle', 'under load'])(
    'on SIGTERM, %s, ends with 0 within 5 s; all that was acknowledged is readable',
    async (load) => {
      const gateway = await GatewayProcess.start({ env: { HEADGATE_LOG_LINGER_MS: '50' } });
      const clients = await Promise.all(
        Array.from({ length: 4 }, () => TestClient.connect(gateway.port)),
      );
      let sent = 0;
      const publishOn = async (client: TestClient) => {
        while (client.isConnected) {
          const n = sent++;
          await client.publish(`sensors/d${n % 7}/t`, JSON.stringify({ id: `m-${n}` }));
        }
      };
      const window = Array.from({ length: 20 }, () => clients).flat();
      const busy = load === 'idle' ? [] : window.map(publishOn);
      const acked = () => clients.flatMap((client) => client.acked);
      if (load !== 'idle') await until('many acks', () => acked().length > 300);
      const startMs = systemClock.monoMs();
      expect(await gateway.stop()).toBe(0);
      expect(systemClock.monoMs() - startMs).toBeLessThan(5_000);
      await Promise.all([...busy, ...clients.map((client) => client.closed)]);
      const { lines } = await headgate(['log', 'read', 'readings', '--data', gateway.data.root]);
      const stored = lines.map((line) => (JSON.parse(line) as RecordJson).payload);
      expect(new Set(stored).size).toBe(stored.length);
      expect(acked().filter((payload) => !stored.includes(payload))).toEqual([]);
    },
  );
});

describe('demo', () => {
  it.each(['SIGINT', 'SIGHUP'] as const)('leaves nothing behind after %s', async (signal) => {
    const folder = temporaryFolder();
    const demo = startHeadgate(['demo'], { TMPDIR: folder });
    await until('its gateway runs', () => demo.stdout.includes('a gateway listens on'));
    demo.kill(signal);
    expect(await demo.ended).toBe(130);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('plays an outage and prints a receipt in which nothing is lost', async () => {
    // The settings of whoever runs it must not reach it.
    const { code, stdout, stderr } = await headgate(['demo'], { HEADGATE_MQTT_HOST: 'nowhere' });
    expect(code, stdout + stderr).toBe(0);
    const count = (name: string) =>
      Number(new RegExp(`^  ${name} +(\\d+) `, 'm').exec(stdout)?.[1] ?? Number.NaN);
    expect(count('received')).toBeGreaterThan(1_100);
    expect(count('stored')).toBe(1_100);
    expect(count('duplicate')).toBeGreaterThan(100);
    expect(count('dead letters')).toBe(5);
    expect(count('received')).toBe(count('stored') + count('duplicate') + count('dead letters'));
    expect(count('alerts')).toBeGreaterThan(0);
    expect(count('lost')).toBe(0);
    expect(stdout).toContain('The books balance.');
  });
});
