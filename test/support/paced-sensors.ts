import { setTimeout as wait } from 'node:timers/promises';
import { DeviceClient } from '../../firmware-bridge/device/device-client.ts';
import { type Random, systemClock } from '../../src/base/clock.ts';

const WINDOW = 8;

export interface PacedOptions {
  readonly port: number;
  readonly devices: number;
  /** Of one device, from one reading to the next. */
  readonly everyMs: number;
  /** Part of the readings that are sent a second time, though nothing was lost. */
  readonly repeatShare: number;
  readonly random: Random;
}

/** Devices that send readings with ids until they are told to stop, over as many connections. */
export class PacedSensors {
  /** Payloads that were acknowledged, by id. */
  readonly acked = new Map<string, string>();
  /** Publishes beyond the first of each reading. */
  resent = 0;
  readonly #options: PacedOptions;
  readonly #all: Promise<unknown>;
  #isOver = false;

  constructor(options: PacedOptions) {
    this.#options = options;
    const devices = Array.from({ length: options.devices }, (_, i) => `dev-${i}`);
    this.#all = Promise.all(devices.map((device) => this.#run(device)));
  }

  /** Resolves when all that was sent is acknowledged. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#all;
  }

  async #run(device: string): Promise<void> {
    const { port, everyMs, repeatShare, random } = this.#options;
    const url = `mqtt://127.0.0.1:${port}`;
    const client = new DeviceClient({ url, clientId: device, reconnectMs: 50 });
    const inFlight = new Set<Promise<void>>();
    for (let n = 0; !this.#isOver; n++) {
      const id = `${device}-${n}`;
      const topic = `sensors/${device}/state`;
      // Some bytes that are no ASCII: lengths in characters and in bytes are not the same.
      const value = (20 + random()).toFixed(2);
      const payload = JSON.stringify({ id, ts: systemClock.wallMs(), value, unit: '°C' });
      const both = [client.publish(topic, payload)];
      if (random() < repeatShare) both.push(client.repeat(topic, payload));
      const done: Promise<void> = Promise.all(both).then(() => {
        this.acked.set(id, payload);
        inFlight.delete(done);
      });
      inFlight.add(done);
      await wait(everyMs * (0.5 + random()));
      if (inFlight.size >= WINDOW) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
    this.resent += client.resent;
    await client.close();
  }
}
