/** Short readings of a hundred devices in turn, as the backlog of a gateway holds them. */
import { connect } from 'node:net';
import { type Random, seededRandom } from '../../src/base/clock.ts';
import { connectPacket, PacketReader, PUBACK, publishPacket } from './mqtt-packets.ts';

export const DEVICES = 100;
const START_MS = 1_795_528_656_303;
/** From one reading to the next, of all devices, on average. */
const INTERVAL_MS = 10;
/** Unacknowledged at one time while a backlog is made. */
const WINDOW = 500;

const NAMES = Array.from({ length: DEVICES }, (_, i) => `dev-${String(i).padStart(3, '0')}`);
const TOPICS = NAMES.map((name) => Buffer.from(`sensors/${name}/climate`));

export interface ClimateReading {
  readonly topic: Buffer;
  readonly payload: string;
}

export class ClimateLoad {
  readonly #random: Random;
  readonly #temperatures: number[];
  readonly #humidities: number[];
  #wallMs = START_MS;
  #count: number;
  payloadBytes = 0;

  /** `first`: the number of the first one; no two of the same number are sent to one gateway. */
  constructor(seed: number, first = 0) {
    const random = seededRandom(seed);
    this.#random = random;
    this.#count = first;
    this.#temperatures = NAMES.map(() => 15 + 10 * random());
    this.#humidities = NAMES.map(() => 35 + 30 * random());
  }

  /** `wallMs`: what the device's clock says; without it, a clock that runs by itself. */
  next(wallMs?: number): ClimateReading {
    const number = this.#count++;
    const device = number % DEVICES;
    const random = this.#random;
    this.#wallMs += 2 * INTERVAL_MS * random();
    const temperature = (this.#temperatures[device] ?? 0) + (random() - 0.5) * 0.2;
    const humidity = (this.#humidities[device] ?? 0) + (random() - 0.5) * 0.6;
    this.#temperatures[device] = temperature;
    this.#humidities[device] = humidity;
    const id = `${NAMES[device]}-${Math.floor(number / DEVICES)}`;
    const ts = Math.round(wallMs ?? this.#wallMs);
    const values = `"temp":${temperature.toFixed(2)},"rh":${humidity.toFixed(1)}`;
    const payload = `{"id":"${id}","ts":${ts},${values}}`;
    this.payloadBytes += payload.length;
    return { topic: TOPICS[device] ?? Buffer.alloc(0), payload };
  }
}

const ID = /dev-(\d{3})-(\d+)/;

/** The number of the reading whose text this is, whatever stands around it; -1 if it is none. */
export function numberIn(text: string): number {
  const found = ID.exec(text);
  return found === null ? -1 : Number(found[1]) + Number(found[2]) * DEVICES;
}

/** Publishes so many with QoS 1; resolves when all are acknowledged. */
export function publishAll(port: number, load: ClimateLoad, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const reader = new PacketReader();
    let sent = 0;
    let acked = 0;
    const fill = () => {
      const packets: Buffer[] = [];
      for (; sent < count && sent - acked < WINDOW; sent++) {
        const { topic, payload } = load.next();
        packets.push(publishPacket(topic, (sent % 65_535) + 1, payload));
      }
      if (packets.length > 0) socket.write(Buffer.concat(packets));
    };
    socket.setNoDelay(true);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed by the broker at ${acked}`)));
    socket.on('data', (bytes) => {
      for (const { kind } of reader.read(bytes)) if (kind === PUBACK) acked += 1;
      if (acked < count) fill();
      else {
        resolve();
        socket.destroy();
      }
    });
    socket.write(connectPacket('backlog'));
  });
}
