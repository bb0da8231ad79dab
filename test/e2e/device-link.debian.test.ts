import { constants, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditOf } from '../support/audited.ts';
import {
  answer,
  compile,
  DEVICE,
  endFirmware,
  FIRMWARE,
  Firmware,
  openPort,
  type Port,
  ROUGH,
  SANITIZED,
} from '../support/firmware.ts';
import {
  cleanUp,
  GatewayProcess,
  headgate,
  Running,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { LossyProxy } from '../support/lossy-proxy.ts';
import { until } from '../support/until.ts';

/**
 * What firmware copies, run here, against the real daemon over a line that loses, changes and cuts
 * bytes in both directions. What counts is what `headgate log read` has in the end.
 */
const SEED = Number(process.env['SEED'] ?? 20261125);
const BRIDGE = join(import.meta.dirname, '../../dist/firmware-bridge/serial/main.js');

const folder = temporaryFolder();
const linkProgram = join(folder, 'link');
let gateway: GatewayProcess;
let ports = 0;

beforeAll(async () => {
  console.info(`seed ${SEED}`);
  compile('link.c', linkProgram, SANITIZED);
  gateway = await GatewayProcess.start();
});

afterAll(async () => {
  endFirmware();
  await cleanUp();
});

/** A serial port, with `headgate-serial` at the gateway's end of it. */
async function startBridge(path = join(folder, `port-${++ports}`)): Promise<[Port, Running]> {
  const port = openPort(path);
  await until('the port is there', () => existsSync(path));
  // As a UART is: there, whoever has it open or not.
  openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  return [port, runBridge(path)];
}

function runBridge(path: string): Running {
  const args = ['--port', path, '--framing', 'cobs', '--url', gateway.url, '--every', '1'];
  return new Running(process.execPath, [BRIDGE, ...args]);
}

type Stored = { boot: number; seq: number; value: number };

/** What the log has of a device, in its order. */
async function storedOf(device: string, what = 'level'): Promise<Stored[]> {
  const { lines, stderr } = await headgate([
    'log',
    'read',
    'readings',
    '--data',
    gateway.data.root,
  ]);
  expect(stderr).toBe('');
  const records = lines.map((line) => JSON.parse(line) as { topic: string; payload: string });
  return records
    .filter(({ topic }) => topic === `sensors/${device}/${what}`)
    .map(({ payload }) => (typeof payload === 'string' ? JSON.parse(payload) : payload) as Stored);
}

/** What the books have of repeats so far, none of which is stored. */
async function duplicates(): Promise<number> {
  const { code, report } = await auditOf(gateway.data.root);
  expect(code).toBe(0);
  return report.totals['readings']?.duplicates ?? 0;
}

const names = (stored: readonly Stored[]) => stored.map(({ boot, seq }) => `${boot}/${seq}`);

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

/** Each device by its program and the arguments before those of link.c. */
const C = () => ({ program: linkProgram, before: [] as string[] });
const PYTHON = () => ({ program: 'python3', before: [join(FIRMWARE, 'link.py')] });
process.env['PYTHONPATH'] = DEVICE;
process.env['PYTHONDONTWRITEBYTECODE'] = '1';

function startDevice(kind: typeof C, name: string, args: Readonly<Record<string, unknown>>) {
  const { program, before } = kind();
  const given = { device: name, boot: join(folder, `${name}.boot`), seed: SEED, ...args };
  return new Firmware(program, [...before, ...Object.entries(given).flat().map(String)]);
}

describe.each([
  ['headgate.h', C],
  ['headgate.py', PYTHON],
])('%s over a bad serial line', (language, kind) => {
  it('each reading once, in its order', async () => {
    const name = `${language}-1`;
    const [port, bridge] = await startBridge();
    const before = await duplicates();
    const device = startDevice(kind, name, { count: 300 });
    device.join(port, ROUGH, SEED);
    const counts = await device.counts();
    expect(counts).toMatchObject({ put: 300, sent: 300, acked: 300, nacked: 0, dropped: 0 });
    // The line was as bad as it was meant to be: frames were lost both ways.
    expect(counts.resent).toBeGreaterThan(10);
    const stored = await storedOf(name);
    expect(stored.map(({ value }) => value)).toEqual(upTo(300));
    expect(stored.map(({ seq }) => seq)).toEqual(upTo(300));
    expect(await duplicates()).toBeGreaterThan(before);
    bridge.kill('SIGTERM');
    expect(await bridge.ended, bridge.stderr).toBe(0);
    console.info(`${name}: ${JSON.stringify(counts)}`);
  });

  it('each reading once, with many on their way at a time', async () => {
    const name = `${language}-8`;
    const [port, bridge] = await startBridge();
    const device = startDevice(kind, name, { count: 600, window: 8, memory: 2048 });
    device.join(port, ROUGH, SEED + 2);
    const counts = await device.counts();
    expect(counts).toMatchObject({ put: 600, acked: 600, nacked: 0, dropped: 0 });
    expect(counts.resent).toBeGreaterThan(10);
    const values = (await storedOf(name)).map(({ value }) => value);
    expect(values.toSorted((a, b) => a - b)).toEqual(upTo(600));
    bridge.kill('SIGTERM');
    await bridge.ended;
  });

  it('a reset that empties the ring loses what was in it, and nothing else', async () => {
    const name = `${language}-reset`;
    const [port, bridge] = await startBridge();
    const first = startDevice(kind, name, { count: 100_000 });
    first.join(port, ROUGH, SEED + 4);
    await until('readings of the first boot', () => first.taken.length > 100, 60_000);
    await first.reset();
    const second = startDevice(kind, name, { count: 100 });
    second.join(port, ROUGH, SEED + 6);
    const counts = await second.counts();
    const stored = await storedOf(name);
    const ofSecond = stored.filter(({ boot }) => boot === counts.boot);
    expect(ofSecond.map(({ seq }) => seq)).toEqual(upTo(100));
    const ofFirst = stored.slice(0, -100);
    expect(ofFirst.every(({ boot }) => boot === counts.boot - 1)).toBe(true);
    expect(ofFirst.length).toBeGreaterThan(10);
    expect(ofFirst.map(({ seq }) => seq)).toEqual(upTo(ofFirst.length));
    bridge.kill('SIGTERM');
    await bridge.ended;
  });

  it('a host that is killed and comes back', async () => {
    const name = `${language}-host`;
    const path = join(folder, `port-${++ports}`);
    const [port, bridge] = await startBridge(path);
    const device = startDevice(kind, name, { count: 400, window: 4, every: 5 });
    device.join(port, ROUGH, SEED + 8);
    await until('readings', () => device.taken.length > 100, 60_000);
    bridge.kill('SIGKILL');
    await bridge.ended;
    const next = runBridge(path);
    await device.counts();
    const values = (await storedOf(name)).map(({ value }) => value);
    expect(values.toSorted((a, b) => a - b)).toEqual(upTo(400));
    next.kill('SIGTERM');
    await next.ended;
  });
});

describe('headgate.h', () => {
  it('resets that leave the ring alone lose nothing', async () => {
    const name = 'kept';
    const [port, bridge] = await startBridge();
    const kept = join(folder, 'kept.ring');
    const taken: string[] = [];
    for (let reset = 0; reset < 5; reset++) {
      const device = startDevice(C, name, { count: 100_000, window: 3, kept });
      device.join(port, ROUGH, SEED + 10 + reset);
      await until('readings', () => device.taken.length > 40, 60_000);
      await device.reset();
      taken.push(...device.taken);
    }
    const last = startDevice(C, name, { count: 50, window: 3, kept });
    last.join(port, ROUGH, SEED + 20);
    const counts = await last.counts();
    expect(counts.recovered).toBeGreaterThan(0);
    taken.push(...last.taken);
    const stored = names(await storedOf(name));
    expect(new Set(stored).size).toBe(stored.length);
    expect(taken.filter((one) => !stored.includes(one))).toEqual([]);
    // One more for each reset: a reading that was taken, and the process killed before it said so.
    expect(stored.length).toBeLessThanOrEqual(taken.length + 5);
    bridge.kill('SIGTERM');
    await bridge.ended;
  });

  it('a ring that is too small drops the oldest, and the rest is there', async () => {
    const name = 'small';
    const [port, bridge] = await startBridge();
    const device = startDevice(C, name, { count: 2000, every: 1, memory: 160, full: 'drop' });
    device.join(port, ROUGH, SEED + 30);
    const counts = await device.counts();
    expect(counts.dropped).toBeGreaterThan(0);
    expect(counts.put).toBe(2000);
    const stored = await storedOf(name);
    expect(new Set(names(stored)).size).toBe(stored.length);
    expect(stored.length).toBeGreaterThanOrEqual(counts.acked);
    const seqs = stored.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(stored.at(-1)?.seq).toBe(1999);
    bridge.kill('SIGTERM');
    await bridge.ended;
  });

  it('over MQTT, cut off again and again', async () => {
    const name = 'mqtt';
    const proxy = await LossyProxy.start({ toPort: gateway.port, seed: SEED });
    const client = await connectAsync(`mqtt://127.0.0.1:${proxy.port}`, {
      clientId: name,
      clean: true,
      reconnectPeriod: 50,
      queueQoSZero: false,
    });
    client.on('error', () => {});
    const before = await duplicates();
    const device = startDevice(C, name, { count: 1000, window: 16, mqtt: 1 });
    let published = 0;
    // A client that forgets at once what the connection takes with it: the device is to know.
    for await (const line of createInterface({ input: device.stdout })) {
      const [boot, seq, topic, payload = ''] = line.split(' ');
      published += 1;
      if (published % 100 === 0) proxy.dropAnswers();
      if (published % 100 === 15) proxy.cut();
      if (!client.connected) continue;
      client.publish(`sensors/${name}/${topic}`, payload, { qos: 1 }, (error) => {
        if (!error) device.tell(`${boot} ${seq}\n`);
      });
    }
    const counts = await device.counts();
    expect(counts).toMatchObject({ put: 1000, acked: 1000 });
    const values = (await storedOf(name)).map(({ value }) => value);
    expect(values.toSorted((a, b) => a - b)).toEqual(upTo(1000));
    expect(await duplicates()).toBeGreaterThan(before);
    await client.endAsync(true);
    await proxy.close();
    console.info(`mqtt: ${JSON.stringify(counts)}`);
  });
});

/** An example as the Arduino IDE would compile it, but for the board. */
function compileSketch(name: string, flags: readonly string[]): string {
  const program = join(folder, `${name}${flags.join('')}`);
  const arduino = join(FIRMWARE, 'arduino');
  const sketch = join(DEVICE, 'examples', name, `${name}.ino`);
  const strict = ['-std=c++11', '-Wall', '-Wextra', '-Werror', ...flags];
  const where = [`-I${arduino}`, `-I${DEVICE}`, `-DSKETCH="${sketch}"`, '-DSTUB_US_PER_MS=20'];
  answer('g++', [...strict, ...where, join(arduino, 'main.cpp'), '-o', program]);
  return program;
}

describe('the examples', () => {
  it.each([
    ['Uno', []],
    ['ESP32', ['-DESP32']],
  ])('headgate_serial on an %s', async (_, flags) => {
    const program = compileSketch('headgate_serial', flags);
    const before = (await storedOf('pump-3', 'temperature')).length;
    const [port, bridge] = await startBridge();
    const isConnected = () => bridge.stdout.includes('connected to the gateway');
    await until('the bridge is at work', isConnected);
    const sketch = new Firmware(program, []);
    sketch.join(port, ROUGH, SEED + 40);
    let stored: Stored[] = [];
    const some = async () => {
      stored = (await storedOf('pump-3', 'temperature')).slice(before);
      return stored.length > 20;
    };
    await until('readings of the sketch', some, 60_000);
    await sketch.reset();
    expect(stored.map(({ seq }) => seq)).toEqual(upTo(stored.length));
    expect(stored.every(({ value }) => value === 21.5)).toBe(true);
    bridge.kill('SIGTERM');
    await bridge.ended;
  });

  it('headgate_mqtt publishes again what got no PUBACK', () => {
    const lines = answer(compileSketch('headgate_mqtt', ['-DESP32']))
      .trimEnd()
      .split('\n');
    const seqs = lines.map((line) => {
      const [topic, payload = '', qos] = line.split(' ');
      expect([topic, qos]).toEqual(['sensors/pump-3/temperature', '1']);
      return (JSON.parse(payload) as Stored).seq;
    });
    expect(seqs).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  });
});
