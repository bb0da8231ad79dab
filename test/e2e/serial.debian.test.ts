import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FakeMcu, type McuOptions } from '../support/fake-mcu.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import {
  countsOf,
  endBridge,
  peakMegabytes,
  plugIn,
  pullOut,
  readingsOf,
  startBridge,
  untilSaid,
} from '../support/serial-bridge.ts';
import { until } from '../support/until.ts';

// The real program, the real daemon, and pseudo terminals of socat: a device that keeps what has no
// ack, over a line on which everything happens.

const SEED = Number(process.env['SEED'] ?? 1);
const LONG_MS = 180_000;
/** What the service is allowed: systemd/headgate-serial@.service. */
const MEMORY_MAX_MB = 160;

const mcus: FakeMcu[] = [];

afterEach(async () => {
  for (const mcu of mcus.splice(0)) await mcu.stop();
  await cleanUp();
});

async function plant(options: Pick<McuOptions, 'framing' | 'count' | 'bytesPerSecond'>, rest = {}) {
  const folder = temporaryFolder();
  const port = await freePort();
  const gateway = await GatewayProcess.start({ folder, port });
  const mcu = await FakeMcu.start({
    ...{ device: 'pump-3', boot: 7, ring: 32, noiseShare: 0.1, seed: SEED, ...options, ...rest },
  });
  mcus.push(mcu);
  const path = join(temporaryFolder(), 'ttyPump');
  const args = ['--port', path, '--framing', options.framing, '--url', gateway.url];
  return { folder, port, gateway, mcu, path, args: [...args, '--every', '1'] };
}

/** Waits until so many readings are acknowledged. */
const untilAcked = (mcu: FakeMcu, count: number) =>
  until(`${count} acks, of seed ${SEED}`, () => mcu.acked.size >= count, LONG_MS);

/** Each reading that the device counts as safe is in the log, once and under its own name. */
async function expectOnce(gateway: GatewayProcess, mcu: FakeMcu): Promise<void> {
  const stored = await readingsOf(gateway);
  const seqs = stored.map(({ payload }) => {
    const { id, seq } = JSON.parse(payload) as { id?: string; seq?: number };
    return seq ?? Number(id?.split('-')[1]);
  });
  expect(new Set(stored.map(({ topic }) => topic))).toEqual(
    new Set(['sensors/pump-3/temperature']),
  );
  const once = [...mcu.acked].sort((a, b) => a - b);
  expect(seqs.sort((a, b) => a - b)).toEqual(once);
  for (const { payload } of stored) {
    const { id, seq, value } = JSON.parse(payload) as { id?: string; seq?: number; value: number };
    expect(value).toBe(20 + ((seq ?? Number(id?.split('-')[1])) % 10));
  }
}

test.each(['json', 'cobs'] as const)(
  '%s: noise, half frames, unplugging, a gateway and a bridge that are killed',
  async (framing) => {
    const { folder, port, gateway, mcu, path, args } = await plant({
      ...{ framing, count: 900, bytesPerSecond: 30_000 },
    });
    const first = startBridge(args);
    // Not plugged in yet: that is said, and waited for.
    await untilSaid(first, 'SERIAL_PORT_MISSING');
    let line = plugIn(path, mcu.port);
    await untilAcked(mcu, 150);
    await pullOut(line);
    await untilSaid(first, 'the port is gone');
    line = plugIn(path, mcu.port);
    await untilSaid(first, 'the port is open', 2);
    await untilAcked(mcu, 300);
    await gateway.kill9();
    const again = await GatewayProcess.start({ folder, port });
    await untilAcked(mcu, 500);
    // Pulled out and back while there is no gateway, so that the port is not read.
    await again.kill9();
    await pullOut(line);
    line = plugIn(path, mcu.port);
    const third = await GatewayProcess.start({ folder, port });
    await untilAcked(mcu, 650);
    // What a bridge had when it was killed is nowhere: it must not have been acknowledged.
    await third.kill9();
    const sent = mcu.sentFrames;
    await until('the bridge has some that it cannot pass on', () => mcu.sentFrames > sent + 60);
    first.kill('SIGKILL');
    await first.ended;
    const fourth = await GatewayProcess.start({ folder, port });
    const second = startBridge(args);
    await untilAcked(mcu, 900);
    expect(await endBridge(second)).toBe(0);
    const counts = countsOf(second);
    expect(counts['damaged']).toBeGreaterThan(0);
    expect(counts['acked']).toBeGreaterThan(0);
    expect(mcu.damagedFrames).toBeGreaterThan(50);
    expect(mcu.naks).toBe(0);
    await expectOnce(fourth, mcu);
    await pullOut(line);
  },
);

test('a flood at the rate of 921,600 baud, with repeats of all that has no ack yet', async () => {
  const { gateway, mcu, path, args } = await plant(
    { framing: 'cobs', count: 8_000, bytesPerSecond: 92_160 },
    { ring: 256, noiseShare: 0.02, isRestless: true },
  );
  const line = plugIn(path, mcu.port);
  const bridge = startBridge([...args, '--baud', '921600']);
  await untilAcked(mcu, 500);
  const startMb = peakMegabytes(bridge.pid);
  await untilAcked(mcu, 8_000);
  const peakMb = peakMegabytes(bridge.pid);
  expect(await endBridge(bridge)).toBe(0);
  const counts = countsOf(bridge);
  const { duplicates } = await gateway.status();
  const memory = `${startMb.toFixed(0)} to ${peakMb.toFixed(0)} MB`;
  console.info(
    `seed ${SEED}: ${mcu.sentBytes} bytes, ${mcu.sentFrames} frames of 8000 readings; memory ` +
      `${memory}; ${duplicates} duplicates at the gateway; ${JSON.stringify(counts)}`,
  );
  expect(mcu.sentFrames).toBeGreaterThan(8_500);
  expect(counts['damaged']).toBeGreaterThan(0);
  expect(peakMb).toBeLessThan(MEMORY_MAX_MB);
  await expectOnce(gateway, mcu);
  await pullOut(line);
});

test('a port of another process is left to it, and its session at the gateway too', async () => {
  const { mcu, path, args } = await plant({ framing: 'json', count: 50, bytesPerSecond: 10_000 });
  const line = plugIn(path, mcu.port);
  const first = startBridge(args);
  await untilAcked(mcu, 5);
  const second = startBridge(args);
  await untilSaid(second, 'SERIAL_PORT_BUSY');
  await untilAcked(mcu, 50);
  expect(await endBridge(first)).toBe(0);
  await untilSaid(second, 'the port is open');
  expect(await endBridge(second)).toBe(0);
  expect(first.stdout.split('connected to the gateway').length).toBe(2);
  await pullOut(line);
});

test('what is wrong on the command line ends it with 2, and the words to mend it', async () => {
  const bridge = startBridge(['--framing', 'json']);
  expect(await bridge.ended).toBe(2);
  expect(bridge.stderr).toContain('--port is missing');
  const secret = startBridge(['--port', '/dev/null', '--password-file', '/none']);
  expect(await secret.ended).toBe(2);
  expect(secret.stderr).toContain('FILE_UNREADABLE: /none');
});
