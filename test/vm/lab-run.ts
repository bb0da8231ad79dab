import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Random, systemClock } from '../../src/base/clock.ts';
import { freePort } from '../support/free-port.ts';
import type { CheckAnswer } from './check-protocol.ts';
import { Checker } from './checker-client.ts';
import { Guest, type GuestOptions } from './guest.ts';
import { DEVICES } from './lab-config.ts';
import { startProgram } from './lab-disk.ts';
import { type Installing, install, letIn, setLine, unpack } from './lab-guest.ts';
import {
  chooseStates,
  diskOf,
  faultsOf,
  nameText,
  requestOf,
  type StateName,
  type Stretch,
} from './lab-states.ts';
import { HOT_DEVICE, Ledger } from './ledger.ts';
import { NbdServer } from './nbd-server.ts';
import type { Tally } from './tally.ts';

/** What a stretch begins with. */
export type Beginning = Omit<Stretch, 'record' | 'loadedFrom'>;

export type FileSystem = 'ext4' | 'f2fs';

export interface LabOptions {
  readonly image: string;
  /** Folder of this run. */
  readonly work: string;
  /** Tars, for machines' third disks. */
  readonly packagePayload: string;
  readonly checkerPayload: () => string;
  readonly ack: Installing['ack'];
  readonly random: Random;
  readonly tally: Tally;
  readonly say: (text: string) => void;
  /** Acknowledgements of a stretch, before its power is cut. */
  readonly acks: number;
  /** How long the disk takes over a flush. */
  readonly flushMs: number;
}

const MQTT = 1883;
const CHECKER = 7000;
const IN_FLIGHT = 2;
const LOAD_WITHIN_MS = 900_000;

type Root = GuestOptions['root'];

/** The steps of the lab, each with what it says. */
export class LabRun {
  readonly #options: LabOptions;
  #machines = 0;
  #failures: string[] = [];

  constructor(options: LabOptions) {
    this.#options = options;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  blank(fs: FileSystem): Buffer {
    return readFileSync(join(this.#options.image, `blank.${fs}`));
  }

  async #boot(root: Root, more: Partial<GuestOptions>): Promise<Guest> {
    const { image, work, say } = this.#options;
    this.#machines += 1;
    const beganMs = systemClock.monoMs();
    const name = `machine-${this.#machines}`;
    const guest = await Guest.boot({
      ...{ image, root, work, name, forward: new Map() },
      ...more,
    });
    say(`  ${name}: its agent answers after ${since(beganMs)} s`);
    return guest;
  }

  /** Installs on a root disk that keeps it. */
  async installOn(file: string): Promise<void> {
    const { ack, packagePayload: payload, say } = this.#options;
    const root: Root = { file, format: 'raw', isKept: true };
    const guest = await this.#boot(root, { payload });
    const beganMs = systemClock.monoMs();
    await install(guest, { ack, hasData: false });
    say(`  installed, started by itself, in ${since(beganMs)} s`);
    await guest.shutDown();
  }

  /** All in one boot: install, publish, the line, load, and a cut. */
  async installAndCut(file: string, fs: FileSystem): Promise<Stretch> {
    const { ack, say } = this.#options;
    const base = this.blank(fs);
    return this.#withMachine(base, file, async (guest, port, server) => {
      const beganMs = systemClock.monoMs();
      await install(guest, { ack, hasData: true });
      say(`  installed, started by itself, in ${since(beganMs)} s`);
      await guest.must('systemctl restart headgate');
      return this.#load({ number: 0, base, ledger: new Ledger() }, { guest, port, server });
    });
  }

  /** Boots on a disk with what is installed, lets the devices send, and cuts the power. */
  async stretch(file: string, before: Beginning): Promise<Stretch> {
    return this.#withMachine(before.base, file, (guest, port, server) =>
      this.#load(before, { guest, port, server }),
    );
  }

  async #withMachine(
    base: Buffer,
    file: string,
    use: (guest: Guest, port: number, server: NbdServer) => Promise<Stretch>,
  ): Promise<Stretch> {
    const { work, flushMs } = this.#options;
    const port = await freePort();
    const socket = join(work, `disk-${this.#machines}.sock`);
    const server = await NbdServer.listen(socket, Buffer.from(base), flushMs);
    const root: Root = { file, format: 'raw', isKept: false };
    const forward = new Map([[port, MQTT]]);
    const { packagePayload: payload } = this.#options;
    const guest = await this.#boot(root, { forward, payload, dataSocket: socket });
    try {
      return await use(guest, port, server);
    } finally {
      await guest.cutPower();
      await server.close();
    }
  }

  async #load(
    { number, base, ledger }: Beginning,
    { guest, port, server }: { guest: Guest; port: number; server: NbdServer },
  ): Promise<Stretch> {
    const { acks, say } = this.#options;
    const { record } = server;
    const placeNow = () => record.length;
    const beganMs = systemClock.monoMs();
    const names = [HOT_DEVICE, ...DEVICES];
    const [boiler, ...devices] = await letIn(guest, { port, names, ledger, placeNow });
    if (boiler === undefined) throw new Error('no boiler');
    say(`  the gateway lets devices in after ${since(beganMs)} s`);
    const levels = await setLine(guest, boiler, ledger);
    say(`  the line, as the kernel has it: ${levels.join(', ')}`);
    const loadedFrom = record.length;
    const loadMs = systemClock.monoMs();
    const before = ledger.acks;
    for (const device of devices) device.keepSending(IN_FLIGHT);
    while (ledger.acks < before + acks) {
      if (systemClock.monoMs() - loadMs > LOAD_WITHIN_MS) {
        throw new Error(`only ${ledger.acks} acknowledgements`);
      }
      await wait(10);
    }
    await guest.cutPower();
    for (const device of [boiler, ...devices]) device.hangUp();
    const flushes = record.entries.filter(({ kind }) => kind === 'flush').length;
    say(
      `  power cut after ${since(loadMs)} s of load: ${ledger.acks} acknowledgements, ` +
        `${record.length - flushes} writes (${(record.bytesWritten / 2 ** 20).toFixed(1)} MiB), ` +
        `${flushes} flushes`,
    );
    return { number, base, record, ledger, loadedFrom };
  }

  /** On this machine, whose kernel has ext4. */
  async checkHere(stretch: Stretch, count: number): Promise<void> {
    const { work, say } = this.#options;
    const port = Number(await startProgram('checker.js', ['--mount', join(work, 'mnt')]));
    const checker = await Checker.connect(port);
    const device = join(work, 'state.img');
    say(`  ${count} states of stretch ${stretch.number}`);
    await this.#checkAll(stretch, count, 'ext4', async (state) => {
      writeFileSync(device, diskOf(stretch, state));
      return checker.check(requestOf(stretch, state, { device, fs: 'ext4' }));
    });
    checker.close();
  }

  /** In a machine whose disk is another one each time. */
  async checkInside(
    file: string,
    fs: FileSystem,
    stretches: readonly Stretch[],
    count: number,
  ): Promise<void> {
    const { work, say } = this.#options;
    const port = await freePort();
    const socket = join(work, 'checked.sock');
    const server = await NbdServer.listen(socket, this.blank(fs));
    const guest = await this.#boot(
      { file, format: 'raw', isKept: false },
      {
        forward: new Map([[port, CHECKER]]),
        dataSocket: socket,
        payload: this.#options.checkerPayload(),
        kernelWords: 'systemd.mask=headgate.service systemd.mask=var-lib-headgate.mount',
      },
    );
    await unpack(guest);
    await guest.must(
      'systemd-run -q --unit=lab-checker node /opt/lab/dist/test/vm/checker.js ' +
        `--host 0.0.0.0 --port ${CHECKER} --mount /mnt`,
    );
    const checker = await Checker.connect(port);
    const device = '/dev/disk/by-id/virtio-data';
    for (const [i, stretch] of stretches.entries()) {
      const share = Math.floor((count + i) / stretches.length);
      say(`  ${share} states of stretch ${stretch.number}`);
      await this.#checkAll(stretch, share, fs, (state) => {
        server.insert(diskOf(stretch, state));
        return checker.check(requestOf(stretch, state, { device, fs }));
      });
    }
    checker.close();
    await guest.cutPower();
    await server.close();
  }

  async #checkAll(
    stretch: Stretch,
    count: number,
    fs: FileSystem,
    check: (state: StateName) => Promise<CheckAnswer>,
  ): Promise<void> {
    const { random, tally, say } = this.#options;
    for (const state of chooseStates(stretch, count, random)) {
      const answer = await check(state);
      const faults = faultsOf(stretch, state, answer);
      const open = stretch.record.unflushedAt(state.cut);
      tally.state(fs, state.kind, { open, isFaulty: faults.length > 0 });
      for (const fault of faults) {
        const text = `${fs}, ${nameText(state)}: ${fault}`;
        this.#failures.push(text);
        say(`  FAULT ${text}`);
      }
      if (faults.length > 0) this.#keep(stretch, state, fs);
    }
  }

  /** A disk that shows a fault is kept for whoever looks for its cause; the first few. */
  #keep(stretch: Stretch, state: StateName, fs: FileSystem): void {
    if (this.#failures.length > 5) return;
    const name = `fault-${fs}-${state.stretch}-${state.kind}-${state.cut}-${state.seed}.img`;
    writeFileSync(join(this.#options.work, name), diskOf(stretch, state));
  }
}

function since(ms: number): string {
  return ((systemClock.monoMs() - ms) / 1000).toFixed(1);
}
