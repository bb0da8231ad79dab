import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { checkpointKey } from '../../src/log/checkpoint.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { DETECT } from '../../src/log/own-consumers.ts';
import { openLevelStore } from '../../src/os/level-store.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, Running, temporaryFolder } from '../support/gateway-process.ts';
import { readAll, textOf } from '../support/journals.ts';
import { NotifySocket } from '../support/notify-socket.ts';
import { PacedSensors } from '../support/paced-sensors.ts';
import { until } from '../support/until.ts';

// What the daemon tells systemd, with systemd's own program and a socket like systemd's: when it is
// ready, how it is, whether it gets somewhere, that it stops.

const WATCHDOG_MS = 1_500;
const SEED = Number(process.env['SEED'] ?? 4711);

afterEach(cleanUp);

interface Plant {
  readonly gateway: GatewayProcess;
  readonly socket: NotifySocket;
  readonly port: number;
}

async function start(more: Readonly<Record<string, string>> = {}): Promise<Plant> {
  const port = await freePort();
  const socket = await NotifySocket.open(port);
  const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: String(WATCHDOG_MS * 1_000), ...more };
  return { gateway: await GatewayProcess.start({ port, env }), socket, port };
}

const DEVICES = 10;
/** Of all devices: each has up to 8 readings on their way, some of them twice. */
const MAX_IN_FLIGHT = 8 * DEVICES;

function sensors(port: number): PacedSensors {
  const random = seededRandom(SEED);
  return new PacedSensors({ port, devices: DEVICES, everyMs: 20, repeatShare: 0.1, random });
}

/** How often the watchdog is fed while this long passes. */
async function fedWithin(socket: NotifySocket, ms: number): Promise<number> {
  const before = socket.fed;
  const untilMs = systemClock.monoMs() + ms;
  await until('the time has passed', () => systemClock.monoMs() > untilMs, ms + 5_000);
  return socket.fed - before;
}

async function isFed(socket: NotifySocket): Promise<void> {
  const before = socket.fed;
  await until('the watchdog is fed three times', () => socket.fed >= before + 3);
}

describe('the service', () => {
  it('is ready when it listens, says how it is, feeds the watchdog, and stops', async () => {
    const { gateway, socket, port } = await start();
    await until('it is ready', () => socket.said().some(({ listens }) => listens !== undefined));
    const ready = socket.said().filter(({ lines }) => lines.includes('READY=1'));
    expect(ready).toMatchObject([{ listens: true }]);
    // Idle: nothing is committed, and all is well.
    await isFed(socket);
    expect(socket.status).toBe('0 readings/s, no uplink, 0 alerts');
    const load = sensors(port);
    await until('the load is seen', () => /^[1-9]\d+ readings\/s/.test(socket.status));
    await isFed(socket);
    await load.stop();
    expect(await gateway.stop()).toBe(0);
    await until('it says that it stops', () =>
      socket.said().some(({ lines }) => lines.includes('STOPPING=1')),
    );
    const order = socket
      .said()
      .flatMap(({ lines }) => lines.filter((one) => /^[A-Z]+=1$/.test(one)));
    expect(order[0]).toBe('READY=1');
    expect(order.indexOf('STOPPING=1')).toBe(order.length - 1);
  });

  it('does without a program to speak with: said once, and the gateway serves', async () => {
    const { gateway, socket, port } = await start({ PATH: temporaryFolder() });
    const load = sensors(port);
    await gateway.until('readings come in', ({ stored }) => stored > 50);
    await load.stop();
    expect(gateway.output().match(/systemd can not be told/g)).toHaveLength(1);
    expect(socket.said()).toEqual([]);
    expect(await gateway.stop()).toBe(0);
  });

  it('feeds no watchdog while the event loop does not turn', async () => {
    const { gateway, socket } = await start();
    await isFed(socket);
    const { pid } = await gateway.status();
    process.kill(pid, 'SIGSTOP');
    // One may be on its way; then there is none in three times the watchdog's time.
    await fedWithin(socket, WATCHDOG_MS);
    expect(await fedWithin(socket, 3 * WATCHDOG_MS)).toBe(0);
    process.kill(pid, 'SIGCONT');
    await isFed(socket);
  });
});

describe('on a flash that does not answer', () => {
  async function startOn(variable: 'HOLD_SYNC' | 'FAIL_SYNC') {
    const folder = temporaryFolder();
    const [library, gate] = [join(folder, 'held-sync.so'), join(folder, 'gate')];
    const source = join(import.meta.dirname, '../support/held-sync.c');
    const built = spawnSync('gcc', ['-shared', '-fPIC', '-O', '-o', library, source, '-ldl']);
    expect(built.status, String(built.stderr)).toBe(0);
    const plant = await start({ LD_PRELOAD: library, [variable]: gate });
    return { ...plant, gate };
  }

  it('feeds no watchdog while a commit does not end, and says so', async () => {
    const { socket, port, gate } = await startOn('HOLD_SYNC');
    const load = sensors(port);
    await isFed(socket);
    writeFileSync(gate, '');
    await until('it is stuck', () => socket.status.startsWith('no commit ends for'));
    expect(await fedWithin(socket, 3 * WATCHDOG_MS)).toBe(0);
    expect(socket.status).toMatch(/^no commit ends for \d+ s, watchdog is not fed, /);
    rmSync(gate);
    await isFed(socket);
    expect(socket.status).toMatch(/^\d/);
    await load.stop();
  });

  it('feeds it while each commit fails: the daemon tries again, and says why', async () => {
    const { gateway, socket, port, gate } = await startOn('FAIL_SYNC');
    const load = sensors(port);
    await isFed(socket);
    writeFileSync(gate, '');
    await until('it has failed', () =>
      socket.status.startsWith('nothing is acknowledged: stopped'),
    );
    await isFed(socket);
    await isFed(socket);
    expect(socket.status).toContain('EIO');
    rmSync(gate);
    await gateway.until('it takes data again', ({ health }) => health === 'ok');
    await load.stop();
  });
});

describe('SIGTERM under load', () => {
  it('ends it within 5 s, with all that was acknowledged committed and checkpointed', async () => {
    const { gateway, port } = await start();
    const load = sensors(port);
    await gateway.until('it works', ({ stored }) => stored > 500);
    const startedMs = systemClock.monoMs();
    expect(await gateway.stop(15_000)).toBe(0);
    expect(systemClock.monoMs() - startedMs).toBeLessThan(5_000);
    expect(gateway.output()).toContain('everything is on flash and closed');
    const { telemetry, state: folder } = gateway.data;
    const view = await FolderView.open(nodeFiles, telemetry);
    const records = await readAll(nodeFiles, view, 'readings');
    const stored = new Set(records.map((record) => JSON.parse(textOf(record)).id as string));
    const acked = [...load.acked.keys()];
    expect(acked.length).toBeGreaterThan(400);
    expect(acked.filter((id) => !stored.has(id))).toEqual([]);
    const level = await openLevelStore({ folder, files: nodeFiles, logger: silentLogger });
    const text = await level.state.get(checkpointKey(DETECT, 'readings'));
    await level.close();
    const offsets = (JSON.parse(String(text)) as { offsets: number[] }).offsets;
    // Detection stops before what is on its way is committed, and takes that up at the next start.
    const behind = records.length - offsets.reduce((sum, one) => sum + one, 0);
    expect(behind).toBeGreaterThanOrEqual(0);
    expect(behind).toBeLessThanOrEqual(MAX_IN_FLIGHT);
    // The sensors, which wait for their acknowledgements, get them from the next one.
    const next = await GatewayProcess.start({ folder: gateway.data.root, port });
    await load.stop();
    expect((await next.status()).log.telemetry.tornBytes).toBe(0);
  });
});

it('the socket of the tests tells a port on which nobody listens', async () => {
  const socket = await NotifySocket.open(await freePort());
  const { PATH = '' } = process.env;
  const env = { PATH, NOTIFY_SOCKET: socket.path };
  await new Running('systemd-notify', ['READY=1'], env).ended;
  await until('it came', () => socket.said().length > 0);
  expect(socket.said()).toMatchObject([{ listens: false, lines: ['READY=1'] }]);
});
