/**
 * Readings as the sensors of a building send them: JSON of about 130 bytes from several devices and
 * metrics. Ids, times and values vary, so that what compression saves here it saves there too.
 */
import { type Random, seededRandom } from '../../src/base/clock.ts';
import type { Reading } from '../../src/base/reading.ts';
import { parseReading } from '../../src/ingest/parse-reading.ts';
import { partitionOf } from '../../src/log/partition.ts';
import { autoRules } from '../support/reading-rules.ts';

export interface SensorReading {
  readonly partition: number;
  readonly reading: Reading;
}

interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly start: number;
  /** What it changes by from one reading to the next, at most. */
  readonly step: number;
  readonly decimals: number;
}

const METRICS: readonly Metric[] = [
  { name: 'temperature', unit: 'C', start: 21, step: 0.08, decimals: 2 },
  { name: 'humidity', unit: '%', start: 45, step: 0.3, decimals: 1 },
  { name: 'pressure', unit: 'hPa', start: 1013, step: 0.05, decimals: 2 },
  { name: 'co2', unit: 'ppm', start: 620, step: 6, decimals: 0 },
  { name: 'vibration', unit: 'mm/s', start: 1.2, step: 0.2, decimals: 4 },
  { name: 'power', unit: 'W', start: 840, step: 25, decimals: 1 },
];
const DEVICES = 20;
/** From the measurement to the arrival, ms, at most. */
const MAX_DELAY_MS = 400;
const RULES = autoRules(65_536);

interface Device {
  readonly name: string;
  count: number;
  battery: number;
  readonly rssi: number;
  readonly values: number[];
}

export class SensorLoad {
  readonly #random: Random;
  readonly #partitions: number;
  readonly #devices: Device[];
  /** Of all payloads so far. */
  payloadBytes = 0;

  constructor({ seed, partitions }: { seed: number; partitions: number }) {
    const random = seededRandom(seed);
    this.#random = random;
    this.#partitions = partitions;
    this.#devices = Array.from({ length: DEVICES }, (_, i) => ({
      name: `hall-3-node-${String(i).padStart(2, '0')}`,
      count: Math.floor(random() * 100_000),
      battery: 3 + random(),
      rssi: -50 - Math.floor(random() * 30),
      values: METRICS.map(({ start }) => start * (0.9 + 0.2 * random())),
    }));
  }

  /** One reading that arrives at these times. */
  next(wallMs: number, monoMs: number): SensorReading {
    const device = this.#devices[Math.floor(this.#random() * DEVICES)];
    const at = Math.floor(this.#random() * METRICS.length);
    const metric = METRICS[at];
    if (device === undefined || metric === undefined) throw new RangeError('no such sensor');
    const topic = `sensors/${device.name}/${metric.name}`;
    const payload = Buffer.from(this.#text(device, at, wallMs));
    this.payloadBytes += payload.length;
    const message = { device: device.name, topic, payload, monoMs };
    // As the gateway stores it: with the id and the device's time taken out of the payload.
    const parsed = parseReading(message, RULES);
    if (!parsed.ok) throw new Error(parsed.code);
    return { partition: partitionOf(device.name, this.#partitions), reading: parsed.reading };
  }

  many(count: number, wallMs: number, monoMs: number): SensorReading[] {
    return Array.from({ length: count }, () => this.next(wallMs, monoMs));
  }

  #text(device: Device, at: number, wallMs: number): string {
    const random = this.#random;
    const { name, unit, step, decimals } = METRICS[at] ?? { step: 0 };
    device.count += 1;
    device.battery -= random() * 0.000_01;
    const value = (device.values[at] ?? 0) + (2 * random() - 1) * (step ?? 0);
    device.values[at] = value;
    return JSON.stringify({
      id: `${device.name}-${device.count}`,
      ts: Math.floor(wallMs - random() * MAX_DELAY_MS),
      metric: name,
      value: Number(value.toFixed(decimals)),
      unit,
      battery: Number(device.battery.toFixed(3)),
      rssi: device.rssi + Math.floor(random() * 7) - 3,
      fw: '2.4',
    });
  }
}
