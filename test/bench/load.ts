/**
 * A closed-loop MQTT 3.1.1 load generator on plain sockets: each connection keeps a number of QoS 1
 * publishes in flight. Much cheaper than a client library, so that what is measured is the broker.
 * Prints one JSON line.
 *
 * node load.js --port 1883 --connections 50 --window 20 --messages 200000 --size 130
 */
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { connectPacket, publishPacket } from './mqtt-packets.ts';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    connections: { type: 'string', default: '50' },
    window: { type: 'string', default: '20' },
    messages: { type: 'string', default: '100000' },
    size: { type: 'string', default: '130' },
    prefix: { type: 'string', default: 'dev' },
    repeats: { type: 'string', default: '0' },
  },
});

const CONNECTIONS = Number(values.connections);
const WINDOW = Number(values.window);
const MESSAGES = Number(values.messages);
const SIZE = Number(values.size);
/** Percent of messages that are sent a second time, as a retransmit. */
const REPEATS = Number(values.repeats);

let sent = 0;
let acked = 0;
let payloadBytes = 0;
const latenciesUs: number[] = [];

const PAD = 'x'.repeat(SIZE);

class Connection {
  readonly #socket: Socket;
  readonly #device: string;
  readonly #topic: Buffer;
  readonly #sentAt = new Float64Array(65_536);
  #packetId = 0;
  #inFlight = 0;
  #number = 0;
  #last = '';
  #rest: Buffer = Buffer.alloc(0);
  readonly #done: () => void;

  constructor(index: number, done: () => void) {
    this.#done = done;
    this.#device = `${values.prefix}-${index}`;
    this.#topic = Buffer.from(`sensors/${this.#device}/temperature`);
    this.#socket = connect(Number(values.port), values.host);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (bytes) => this.#read(bytes));
    this.#socket.on('error', fail);
    this.#socket.on('close', () => {
      if (acked < sent || sent < MESSAGES) fail(new Error(`closed by the broker at ${acked}`));
    });
    this.#socket.write(connectPacket(this.#device));
  }

  end(): void {
    this.#socket.destroy();
  }

  fill(): void {
    const packets: Buffer[] = [];
    while (this.#inFlight < WINDOW && sent < MESSAGES) {
      packets.push(this.#publish());
      sent += 1;
      this.#inFlight += 1;
    }
    if (packets.length > 0) this.#socket.write(Buffer.concat(packets));
  }

  #payload(): string {
    if (REPEATS > 0 && this.#last !== '' && (sent * 7_919) % 100 < REPEATS) return this.#last;
    const value = (
      20 +
      2 * Math.sin(this.#number / 50) +
      ((this.#number * 37) % 100) / 200
    ).toFixed(3);
    const ts = Math.round(systemClock.wallMs());
    const start = `{"id":"${this.#device}-${this.#number}","ts":${ts},"value":${value},"pad":"`;
    this.#number += 1;
    this.#last = `${start}${PAD.slice(0, Math.max(0, SIZE - start.length - 2))}"}`;
    return this.#last;
  }

  #publish(): Buffer {
    const payload = this.#payload();
    this.#packetId = (this.#packetId % 65_535) + 1;
    payloadBytes += payload.length;
    this.#sentAt[this.#packetId] = systemClock.monoMs();
    return publishPacket(this.#topic, this.#packetId, payload);
  }

  #read(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const nowMs = systemClock.monoMs();
    let at = 0;
    // CONNACK and PUBACK of 3.1.1 are four bytes each.
    for (; at + 4 <= all.length; at += 4) {
      if (all[at] === 0x20) {
        if (all[at + 3] !== 0) fail(new Error(`connection refused: ${all[at + 3]}`));
        ready();
        continue;
      }
      const packetId = all.readUInt16BE(at + 2);
      latenciesUs.push((nowMs - (this.#sentAt[packetId] ?? 0)) * 1000);
      this.#inFlight -= 1;
      acked += 1;
    }
    this.#rest = all.subarray(at);
    if (startMs > 0) this.fill();
    if (acked === MESSAGES) this.#done();
  }
}

let startMs = 0;
let connected = 0;
const all: Connection[] = [];

function ready(): void {
  connected += 1;
  if (connected < CONNECTIONS) return;
  startMs = systemClock.monoMs();
  for (const connection of all) connection.fill();
}

function fail(error: Error): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

function finish(): void {
  const seconds = (systemClock.monoMs() - startMs) / 1000;
  latenciesUs.sort((a, b) => a - b);
  const quantile = (q: number) =>
    Math.round(latenciesUs[Math.floor((latenciesUs.length - 1) * q)] ?? 0);
  const result = {
    acked,
    payloadBytes,
    seconds,
    rate: Math.round(acked / seconds),
    p50Us: quantile(0.5),
    p90Us: quantile(0.9),
    p99Us: quantile(0.99),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  for (const connection of all) connection.end();
  process.exit(0);
}

for (let i = 0; i < CONNECTIONS; i++) all.push(new Connection(i, finish));
