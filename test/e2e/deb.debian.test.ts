import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BareRoot,
  buildPackages,
  pathsBelow,
  runProgram,
  unpack,
} from '../support/debian-package.ts';
import {
  cleanUp,
  GatewayProcess,
  headgate,
  Running,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

/** The package for Debian: what is in it, that it runs, and what its scripts do. */

/** e_machine and class of ELF, as elf(5) has them. */
const MACHINES = { amd64: [62, 2], arm64: [183, 2], armhf: [40, 1] } as const;
type Machine = keyof typeof MACHINES;
const ARCHITECTURES = Object.keys(MACHINES) as Machine[];

/** Of this machine. */
const OWN = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' }[process.arch as string] ?? 'none';

let folder: string;
let packages: Map<string, string>;

const fileOf = (architecture: string) => packages.get(architecture) ?? '';
const treeOf = (architecture: string) => join(folder, architecture);

beforeAll(() => {
  folder = temporaryFolder();
  packages = buildPackages(join(folder, 'out'));
  for (const [architecture, file] of packages) unpack(file, treeOf(architecture));
});

afterAll(cleanUp);

describe('what is in it', () => {
  it('is built for each architecture', () => {
    expect([...packages.keys()].sort()).toEqual([...ARCHITECTURES].sort());
  });

  it.each(ARCHITECTURES)('%s has its own native parts and no others', (architecture) => {
    const paths = pathsBelow(treeOf(architecture)).filter((path) => path.endsWith('.node'));
    const flavours = architecture === 'armhf' ? ['.armv6', ''] : [''];
    const wanted = ['classic-level', 'serialport-bindings-cpp'].flatMap((name) =>
      flavours.map((flavour) => `usr/lib/headgate/native/${name}${flavour}.node`),
    );
    expect(paths).toEqual(wanted);
    for (const path of paths) {
      const bytes = readFileSync(join(treeOf(architecture), path));
      expect([bytes.readUInt16LE(18), bytes[4]], path).toEqual(MACHINES[architecture]);
    }
  });

  it.each(ARCHITECTURES)('%s differs in nothing else', (architecture) => {
    const others = (one: string) => pathsBelow(treeOf(one)).filter((path) => !/\.node$/.test(path));
    expect(others(architecture)).toEqual(others('amd64'));
    for (const path of others('amd64').filter((one) => one.endsWith('.js'))) {
      const texts = ['amd64', architecture].map((one) => readFileSync(join(treeOf(one), path)));
      expect(texts[0]?.equals(texts[1] ?? Buffer.alloc(0)), path).toBe(true);
    }
  });

  it('has programs, units, pages and completions where Debian looks for them', () => {
    const paths = pathsBelow(treeOf('amd64'));
    const programs = paths.filter((path) => path.startsWith('usr/bin/'));
    const names = ['headgate', 'headgate-serial', 'headgate-sink'];
    expect(programs).toEqual(names.map((name) => `usr/bin/${name}`));
    for (const program of programs) {
      expect(paths).toContain(`usr/share/man/man1/${program.slice('usr/bin/'.length)}.1.gz`);
      expect(statSync(join(treeOf('amd64'), program)).mode & 0o777, program).toBe(0o755);
    }
    for (const path of [
      ...['systemd/system/headgate.service', 'systemd/system/headgate-serial@.service'],
      ...['systemd/system/headgate.target', 'systemd/system/headgate.service.d/gpio.conf'],
      ...['sysusers.d/headgate.conf', 'tmpfiles.d/headgate.conf', 'headgate/schema.sql'],
      'udev/rules.d/60-headgate.rules',
    ]) {
      expect(paths).toContain(`usr/lib/${path}`);
    }
    for (const path of [
      ...['man/man5/headgate.yaml.5.gz', 'bash-completion/completions/headgate'],
      ...['doc/headgate/copyright', 'doc/headgate/changelog.Debian.gz'],
    ]) {
      expect(paths).toContain(`usr/share/${path}`);
    }
    // What would have to be fetched, or compiled, is not there.
    expect(paths.filter((path) => /node_modules|onoff|epoll/.test(path))).toEqual([]);
  });

  it('is the same bytes again, whoever builds it where', () => {
    const mask = process.umask(0o077);
    const again = buildPackages(join(folder, 'again'), '--arch', 'amd64');
    process.umask(mask);
    expect(readFileSync(again.get('amd64') ?? '').equals(readFileSync(fileOf('amd64')))).toBe(true);
  });

  it('lintian has nothing to say, and the shell neither', () => {
    const args = ['--allow-root', '--fail-on', 'error,warning', ...packages.values()];
    expect(runProgram('lintian', args)).toEqual({ status: 0, text: '' });
    const scripts = ['postinst', 'prerm', 'postrm'].map((name) => `deploy/deb/control/${name}`);
    for (const script of scripts) {
      expect(runProgram('sh', ['-n', script])).toEqual({ status: 0, text: '' });
    }
    expect(runProgram('shellcheck', scripts)).toEqual({ status: 0, text: '' });
  });

  it('bash offers what comes next', () => {
    const file = join(treeOf('amd64'), 'usr/share/bash-completion/completions/headgate');
    const offers = (...words: string[]) => {
      const offered = '"$' + '{COMPREPLY[@]}"';
      const script =
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _headgate; ' +
        `printf "%s\\n" ${offered}`;
      const { status, text } = runProgram('bash', ['-c', script, 'bash', file, ...words]);
      expect(status).toBe(0);
      return text.split('\n').filter((line) => line !== '');
    };
    expect(offers('headgate', 'che')).toEqual(['check']);
    expect(offers('headgate', 'log', 've')).toEqual(['verify']);
    expect(offers('headgate', 'log', 'tail', '--fol')).toEqual(['--follow']);
    expect(offers('headgate', 'status', '--j')).toEqual(['--json']);
    expect(offers('headgate', 'check', '--config', '/etc/host')).toContain('/etc/hosts');
    expect(offers('headgate', 'log', 'tail', '--lines', '')).toEqual([]);
  });
});

describe('that it runs, without node_modules', () => {
  const main = () => join(treeOf(OWN), 'usr/bin/headgate');

  it('demo', async () => {
    const demo = await headgate(['demo'], {}, main());
    expect(demo.stderr).not.toContain('Error');
    expect(demo.stdout).toContain('The books balance.');
    expect(demo.code).toBe(0);
  });

  it('what was acknowledged is there after a kill', async () => {
    const data = join(folder, 'data');
    const gateway = await GatewayProcess.start({ folder: data, main: main() });
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/a/t', '{"id":"a-1","value":1}')).toBe(true);
    await gateway.kill9();
    const read = await headgate(['log', 'read', 'readings', '--data', data], {}, main());
    expect(read.lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { device: 'a', id: 'a-1' },
    ]);
  });

  it('each decoder, and each cloud', async () => {
    const configs = [
      ...['cbor', 'senml-cbor', 'sparkplug'].map(
        (format) => `streams: { readings: { topics: ['sensors/<device>'], format: ${format} } }`,
      ),
      ...['kafka', 'nats'].map((scheme) => `uplink: { url: '${scheme}://127.0.0.1:9' }`),
    ];
    for (const config of configs) {
      const gateway = await GatewayProcess.start({ config, main: main() });
      expect(await gateway.stop(), gateway.output()).toBe(0);
      expect(gateway.output(), config).not.toContain('UPLINK_CLIENT_MISSING');
    }
  });
});

describe('its other programs', () => {
  const start = (name: string, ...args: string[]) =>
    new Running(process.execPath, [join(treeOf(OWN), 'usr/bin', name), ...args]);

  it('headgate-serial asks its native part for the port', async () => {
    // It can be opened, and has no speed.
    const bridge = start('headgate-serial', '--port', '/dev/zero');
    await until('it is said', () => bridge.stdout.includes('SERIAL_PORT_UNUSABLE'), 20_000);
    expect(bridge.stdout).toContain('ioctl');
    bridge.kill('SIGKILL');
  });

  it.each(['mqtt', 'nats', 'kafka'])('headgate-sink has what it needs for %s', async (scheme) => {
    const from = ['--from', `${scheme}://127.0.0.1:9`, '--create-table'];
    const sink = start('headgate-sink', ...from, '--postgres', 'postgres://a@127.0.0.1:9/a');
    // The tables were read by then.
    await until('it tries', () => sink.stderr.includes('ECONNREFUSED'), 20_000);
    sink.kill('SIGKILL');
  });
});

describe('its scripts', () => {
  const at = (root: BareRoot, path: string) => join(root.folder, path);
  const text = (root: BareRoot, path: string) => readFileSync(at(root, path), 'utf8');

  it('install, upgrade, remove and purge', () => {
    const root = new BareRoot(join(folder, 'root'));
    const installed = root.dpkg('-i', fileOf('amd64'));
    expect(installed, installed.text).toMatchObject({ status: 0 });
    expect(installed.text).toContain('headgate status');
    expect(text(root, 'etc/passwd')).toContain('headgate:');
    expect(text(root, 'etc/group')).toMatch(/^gpio:/m);
    const wants = 'etc/systemd/system/headgate.target.wants/headgate.service';
    expect(pathsBelow(root.folder)).toContain(wants);
    expect(existsSync(at(root, 'var/lib/headgate'))).toBe(true);

    // What the site has made of it stays as it is.
    appendFileSync(at(root, 'etc/headgate/headgate.yaml'), '# ours\n');
    writeFileSync(at(root, 'var/lib/headgate/log'), 'readings');
    mkdirSync(at(root, 'etc/headgate/keys'), { recursive: true });
    writeFileSync(at(root, 'etc/headgate/keys/uplink.password'), 'secret');
    const newer = buildPackages(join(folder, 'newer'), '--arch', 'amd64', '--revision', '2');
    const upgraded = root.dpkg('-i', newer.get('amd64') ?? '');
    expect(upgraded, upgraded.text).toMatchObject({ status: 0 });
    expect(upgraded.text).not.toContain('headgate status');
    expect(text(root, 'etc/headgate/headgate.yaml')).toMatch(/# ours\n$/);
    expect(text(root, 'var/lib/headgate/log')).toBe('readings');

    expect(root.dpkg('-r', 'headgate')).toMatchObject({ status: 0 });
    expect(existsSync(at(root, 'usr/bin/headgate'))).toBe(false);
    expect(text(root, 'etc/headgate/headgate.yaml')).toMatch(/# ours\n$/);
    expect(text(root, 'etc/headgate/keys/uplink.password')).toBe('secret');
    expect(text(root, 'var/lib/headgate/log')).toBe('readings');
    expect(text(root, 'etc/passwd')).toContain('headgate:');

    const purged = root.dpkg('-P', 'headgate');
    expect(purged, purged.text).toMatchObject({ status: 0 });
    for (const path of ['etc/headgate', 'var/lib/headgate', wants]) {
      expect(existsSync(at(root, path)), path).toBe(false);
    }
    expect(text(root, 'etc/passwd')).not.toContain('headgate:');
    expect(text(root, 'etc/group')).not.toContain('headgate:');
  });
});

describe('wrong words', () => {
  it.each([
    [['--arch', 'riscv64'], 'there is no riscv64'],
    [['--revision', 'x'], '--revision'],
    [['--nothing'], 'nothing'],
  ])('%j', (args, said) => {
    const { status, text } = runProgram('node', ['dist/deploy/deb/main.js', ...args]);
    expect(status).toBe(2);
    expect(text).toContain(said);
  });
});
