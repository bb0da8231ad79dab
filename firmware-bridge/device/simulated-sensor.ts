import { type Random, seededRandom } from '../../src/base/clock.ts';

export interface SimulatedSensorOptions {
  readonly device: string;
  readonly seed: number;
  /** Steps at which the value is far off. */
  readonly anomalies?: readonly number[];
  /** Share of messages that are sent twice, 0 to 1. */
  readonly repeatShare?: number;
  /** Prefix of message ids, so that two runs do not look like one. */
  readonly boot?: string;
}

export interface SimulatedMessage {
  readonly topic: string;
  readonly payload: string;
  readonly id: string;
  /** Sent a second time, as after a lost acknowledgement. */
  readonly repeated: boolean;
  readonly anomaly: boolean;
}

/**
 * A temperature sensor that never was: a slow wave and some noise, the same for the same seed.
 * Pure.
 */
export class SimulatedSensor {
  readonly device: string;
  readonly #options: SimulatedSensorOptions;
  readonly #random: Random;
  #step = 0;

  constructor(options: SimulatedSensorOptions) {
    this.device = options.device;
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  /** The next message; `wallMs` goes into it as the device's time. */
  next(wallMs: number): SimulatedMessage {
    const { anomalies = [], repeatShare = 0, boot = 'sim' } = this.#options;
    const step = this.#step++;
    const anomaly = anomalies.includes(step);
    // Three draws make a noise that is near enough to normal.
    const noise = this.#random() + this.#random() + this.#random() - 1.5;
    const value = 21 + 2 * Math.sin(step / 60) + 0.2 * noise + (anomaly ? 35 : 0);
    const id = `${boot}-${this.device}-${step}`;
    const body = { id, ts: Math.round(wallMs), value: Number(value.toFixed(3)) };
    return {
      topic: `sensors/${this.device}/temperature`,
      payload: JSON.stringify(body),
      id,
      repeated: this.#random() < repeatShare,
      anomaly,
    };
  }
}
