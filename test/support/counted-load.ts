import { DeviceClient } from '../../firmware-bridge/device/device-client.ts';
import { type Random, systemClock } from '../../src/base/clock.ts';

/** Sensors that count what they do, to be compared with the books. */
export class CountedLoad {
  /** Readings that were acknowledged at least once. */
  readonly ids = new Set<string>();
  /** Publishes that were acknowledged, repeats among them. */
  acked = 0;
  /** Publishes that went out again for want of an answer. */
  resent = 0;
  repeats = 0;
  readonly #random: Random;
  #numbered = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Each device sends `messages` readings, a fifth of them twice, some with an older time. */
  async run(port: number, devices: number, messages: number): Promise<void> {
    await Promise.all(
      Array.from({ length: devices }, () => this.#device(port, messages, ++this.#numbered)),
    );
  }

  async #device(port: number, messages: number, number: number): Promise<void> {
    const device = `dev-${number}`;
    const url = `mqtt://127.0.0.1:${port}`;
    const client = new DeviceClient({ url, clientId: device, reconnectMs: 20 });
    const inFlight = new Set<Promise<void>>();
    let repeats = 0;
    for (let n = 0; n < messages; n++) {
      const id = `${device}-${n}`;
      const agoMs = this.#random() < 0.1 ? 300_000 : 0;
      const ts = systemClock.wallMs() - agoMs;
      const topic = `sensors/${device}/count`;
      const payload = JSON.stringify({ id, ts, value: n });
      const both = [client.publish(topic, payload)];
      if (this.#random() < 0.2) {
        both.push(client.repeat(topic, payload));
        repeats += 1;
      }
      const done: Promise<void> = Promise.all(
        both.map((one) =>
          one.then(() => {
            this.acked += 1;
          }),
        ),
      ).then(() => {
        this.ids.add(id);
        inFlight.delete(done);
      });
      inFlight.add(done);
      if (inFlight.size >= 4) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
    await client.close();
    this.repeats += repeats;
    this.resent += client.resent - repeats;
  }
}
