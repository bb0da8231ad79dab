import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { Device } from './devices.ts';
import type { Guest } from './guest.ts';
import { guestConfig, PIN } from './lab-config.ts';
import { PACKAGE } from './lab-disk.ts';
import { HOT_DEVICE, type Ledger } from './ledger.ts';

/** What the lab does with a machine, step by step. */

const POLL_MS = 250;
const DATA = '/var/lib/headgate';
const DATA_DISK = '/dev/disk/by-id/virtio-data';
const PAYLOAD_DISK = '/dev/disk/by-id/virtio-payload';

async function untilTrue(
  what: string,
  reached: () => Promise<boolean>,
  withinMs: number,
): Promise<void> {
  const deadlineMs = systemClock.monoMs() + withinMs;
  while (!(await reached())) {
    if (systemClock.monoMs() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await wait(POLL_MS);
  }
}

export interface Installing {
  readonly ack: 'durable' | 'received';
  /** Whether the disk with the readings is there already. */
  readonly hasData: boolean;
}

/** What came on the third disk is in /opt/lab then. */
export async function unpack(guest: Guest): Promise<void> {
  await guest.must(`mkdir -p /opt/lab && tar -xf ${PAYLOAD_DISK} -C /opt/lab`);
}

/** Installs the package as a person would, with the settings of the lab. */
export async function install(guest: Guest, { ack, hasData }: Installing): Promise<string> {
  await unpack(guest);
  // Before the package is there: its folder then lies on the disk whose power is cut.
  await guest.must(
    `mkdir -p ${DATA} && echo '${DATA_DISK} ${DATA} auto nofail,x-systemd.device-timeout=60 0 0' ` +
      '>>/etc/fstab && systemctl daemon-reload',
  );
  if (hasData) await guest.must(`systemctl start $(systemd-escape -p --suffix=mount ${DATA})`);
  const said = await guest.must(`DEBIAN_FRONTEND=noninteractive dpkg -i /opt/lab/${PACKAGE}`);
  await untilTrue('the package has started the service', () => isActive(guest), 180_000);
  const config = Buffer.from(guestConfig(ack, await gpioSettings(guest))).toString('base64');
  await guest.must(`echo ${config} | base64 -d >/etc/headgate/headgate.yaml`);
  await guest.must('headgate check --config /etc/headgate/headgate.yaml');
  return said;
}

/** The newest way that this release has. */
async function gpioSettings(guest: Guest): Promise<string> {
  const config = `gpio: { pin: ${PIN}, backend: gpioset, chip: pinctrl-bcm2711 }`;
  const yaml = Buffer.from(config).toString('base64');
  const check = `echo ${yaml} | base64 -d >/tmp/g.yaml && headgate check --config /tmp/g.yaml`;
  return (await guest.run(check)).code === 0 ? config : `gpio: { pin: ${PIN} }`;
}

export async function isActive(guest: Guest): Promise<boolean> {
  return (await guest.run('systemctl is-active headgate')).text.trim() === 'active';
}

export interface Outside {
  readonly port: number;
  readonly names: readonly string[];
  readonly ledger: Ledger;
  /** Length of the record of the machine's disk. */
  readonly placeNow: () => number;
}

/** Resolves when the gateway has let all devices in; it started by itself. */
export async function letIn(guest: Guest, outside: Outside): Promise<Device[]> {
  const { port, names, ledger, placeNow } = outside;
  await untilTrue('the service is active', () => isActive(guest), 240_000).catch(async (error) => {
    const { text } = await guest.run('systemctl status headgate; journalctl -u headgate -n 50');
    throw new Error(`${error.message}\n${text}`);
  });
  const devices: Device[] = [];
  for (const name of names) {
    let device = new Device(name, ledger, placeNow);
    await untilTrue(
      `${name} is let in`,
      () =>
        device.connect(port).then(
          () => true,
          () => {
            device = new Device(name, ledger, placeNow);
            return false;
          },
        ),
      120_000,
    );
    devices.push(device);
  }
  return devices;
}

/** What the kernel has the line at, seen from the side of the simulated chip. */
export async function lineLevel(guest: Guest): Promise<string> {
  const file = `/sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio${PIN}/value`;
  return (await guest.must(`cat ${file}`)).trim();
}

/**
 * Leaves the line active: a reading beyond the limit, one that is not, one that is again. An alert
 * that was on when the power went is on again before the first of them.
 */
export async function setLine(guest: Guest, boiler: Device, ledger: Ledger): Promise<string[]> {
  const isHot = (sequence: number) => sequence % 2 === 1;
  const levels = [await lineLevel(guest)];
  const wasHot = isHot(ledger.sent(HOT_DEVICE));
  if (levels[0] !== (wasHot ? '1' : '0')) throw new Error(`the line began at ${levels[0]}`);
  for (let left = wasHot ? 2 : 3; left > 0; left--) {
    boiler.send();
    const level = isHot(ledger.sent(HOT_DEVICE)) ? '1' : '0';
    await untilTrue(
      `the line is at ${level}`,
      async () => (await lineLevel(guest)) === level,
      60_000,
    ).catch(async (error) => {
      const { text } = await guest.run(
        `headgate status --data ${DATA}; journalctl -u headgate -n 30; gpioinfo | head -40`,
      );
      throw new Error(`${error.message}\n${text}`);
    });
    levels.push(level);
  }
  return levels;
}
