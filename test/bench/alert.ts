/**
 * `npm run bench:alert`: from a PUBLISH to the output line, beside readings that come in all the
 * time.
 *
 * node alert.js [--rate 1000] [--alerts 500] [--linger 2] [--linger 200]
 *
 * The line is an LED of the kernel as the daemon finds it, /sys/class/leds/siren/brightness, which
 * is a plain file here: what is written to it is what the kernel would be told. The daemon sees it
 * in a mount namespace of its own, so `unshare` and a kernel that allows it are needed. Each alert
 * is of a device of its own that passes a plain limit, at uneven times; the latency is counted from
 * just before the PUBLISH is written until inotify has told that the file says `1`, by one clock.
 */
import { mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { spawnNode } from '../../src/os/child.ts';
import { until } from '../support/until.ts';
import { startGateway } from './gateway-child.ts';
import { CONNACK, connectPacket, PacketReader, publishPacket } from './mqtt-packets.ts';
import { temporaryPlace, untilRemoved } from './temporary-place.ts';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '1000' },
    alerts: { type: 'string', default: '500' },
    linger: { type: 'string', multiple: true, default: ['2', '200'] },
  },
});
const RATE = Number(values.rate);
const ALERTS = Number(values.alerts);
const SEED = 1;
const WARM_MS = 10_000;
/** Between two alerts: longer than the pulse of the one before. */
const LEAST_MS = 60;
const SPREAD_MS = 60;
const PULSE_MS = 20;

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

const CONFIG = (lingerMs: number) => `
log: { lingerMs: ${lingerMs} }
logger: { level: error }
limits:
  siren: { device: siren-*, max: 90, severity: critical }
gpio:
  led: siren
  pattern:
    critical: { kind: pulse, onMs: ${PULSE_MS} }
    warning: { kind: pulse, onMs: ${PULSE_MS} }
    info: { kind: pulse, onMs: ${PULSE_MS} }
`;

/** The LED, in a folder that the daemon is shown as /sys/class. `lit`: when it was, each time. */
function led(folder: string): { readonly sysClass: string; lit(): number[]; close(): void } {
  const sysClass = join(folder, 'class');
  const siren = join(sysClass, 'leds', 'siren');
  mkdirSync(siren, { recursive: true });
  writeFileSync(join(siren, 'max_brightness'), '1\n');
  writeFileSync(join(siren, 'trigger'), 'none\n');
  const brightness = join(siren, 'brightness');
  writeFileSync(brightness, '0');
  const times: number[] = [];
  let level = '0';
  const watcher = watch(brightness, () => {
    const before = level;
    level = readFileSync(brightness, 'latin1').slice(0, 1);
    if (before === '0' && level === '1') times.push(systemClock.monoMs());
  });
  return { sysClass, lit: () => times, close: () => watcher.close() };
}

/** One connection that sends the readings that are alerts. */
async function sirenOf(port: number): Promise<(index: number) => number> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  const reader = new PacketReader();
  let accepted = false;
  socket.on('data', (bytes) => {
    for (const { kind } of reader.read(bytes)) if (kind === CONNACK) accepted = true;
  });
  socket.on('error', (error) => {
    throw error;
  });
  socket.write(connectPacket('sirens'));
  await until('the sirens are connected', () => accepted);
  untilRemoved(() => socket.destroy());
  return (index) => {
    const payload = `{"id":"s-${index}","temp":99}`;
    const packet = publishPacket(
      Buffer.from(`sensors/siren-${index}/t`),
      (index % 65_535) + 1,
      payload,
    );
    const sentMs = systemClock.monoMs();
    socket.write(packet);
    return sentMs;
  };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor((sorted.length - 1) * q)] ?? Number.NaN;
}

async function measure(lingerMs: number): Promise<void> {
  const place = temporaryPlace('/tmp', 'headgate-alert-');
  const { sysClass, lit, close } = led(place.folder);
  const config = join(place.folder, 'headgate.yaml');
  writeFileSync(config, CONFIG(lingerMs));
  const gateway = await startGateway(join(place.folder, 'data'), { HEADGATE_CONFIG: config }, [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount --bind "$0" /sys/class && exec "$@"',
    sysClass,
  ]);
  untilRemoved(() => gateway.child.kill('SIGKILL'));
  const line = (await gateway.status()).alertLine;
  if (line !== 'led siren') throw new Error(`the line is ${line}: ${gateway.child.output()}`);
  const script = fileURLToPath(new URL('./steady-load.js', import.meta.url));
  const load = spawnNode(
    [script, '--port', `${gateway.port}`, '--rate', `${RATE}`, '--file', '/dev/null'],
    process.env,
  );
  untilRemoved(() => load.kill('SIGKILL'));
  await until('the devices send', () => load.output().startsWith('ready'));
  const send = await sirenOf(gateway.port);
  await wait(WARM_MS);
  const random = seededRandom(SEED);
  const latencies: number[] = [];
  let unlit = 0;
  for (let i = 0; i < ALERTS; i++) {
    const before = lit().length;
    const sentMs = send(i);
    await wait(LEAST_MS + random() * SPREAD_MS);
    const litMs = lit()[before];
    if (litMs === undefined) unlit += 1;
    else latencies.push(litMs - sentMs);
  }
  const { stored } = await gateway.status();
  load.kill('SIGTERM');
  gateway.child.kill('SIGTERM');
  await Promise.all([load.ended, gateway.child.ended]);
  close();
  place.remove();
  latencies.sort((a, b) => a - b);
  const shown = [0.5, 0.9, 0.99, 1].map((q) => quantile(latencies, q).toFixed(2).padStart(8));
  print(
    `${String(lingerMs).padStart(8)} ${shown.join(' ')} ${String(unlit).padStart(8)}` +
      ` ${String(stored).padStart(9)}`,
  );
}

print(`Node ${process.version}; ${RATE} readings/s beside ${ALERTS} alerts, seed ${SEED}`);
print('PUBLISH to line, ms');
print('lingerMs      p50      p90      p99      max    unlit    stored');
for (const linger of values.linger) await measure(Number(linger));
