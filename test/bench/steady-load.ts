/**
 * Devices that send at a steady rate with QoS 1, whatever the gateway does, in a process of its
 * own. At SIGTERM it writes to `--file` a line for each reading that was acknowledged: when it was
 * sent, ms of the monotonic clock, and after how many µs the acknowledgement came.
 *
 * node steady-load.js --port 1883 --rate 1000 --first 2000000 --file F
 */
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { ClimateLoad } from './climate-load.ts';
import { CONNACK, connectPacket, PacketReader, PUBACK, publishPacket } from './mqtt-packets.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '1883' },
    rate: { type: 'string', default: '1000' },
    first: { type: 'string', default: '0' },
    file: { type: 'string', default: '' },
  },
});
const CONNECTIONS = 20;
const RATE = Number(values.rate);

const load = new ClimateLoad(2, Number(values.first));
const lines: string[] = [];
let ready = 0;
let sent = 0;

class Connection {
  readonly #socket: Socket;
  /** By packet id. */
  readonly #sentAt = new Float64Array(65_536);
  #packetId = 0;

  constructor(index: number) {
    const reader = new PacketReader();
    this.#socket = connect(Number(values.port), '127.0.0.1');
    this.#socket.setNoDelay(true);
    this.#socket.on('error', fail);
    this.#socket.on('close', () => fail(new Error('closed by the gateway')));
    this.#socket.on('data', (bytes) => {
      const nowMs = systemClock.monoMs();
      for (const { kind, body } of reader.read(bytes)) {
        if (kind === CONNACK) begin();
        else if (kind === PUBACK) this.#acked(body.readUInt16BE(0), nowMs);
      }
    });
    this.#socket.write(connectPacket(`steady-${index}`));
  }

  #acked(packetId: number, nowMs: number): void {
    const sentMs = this.#sentAt[packetId] ?? 0;
    lines.push(`${sentMs} ${Math.round((nowMs - sentMs) * 1000)}`);
  }

  send(): void {
    const { topic, payload } = load.next(systemClock.wallMs());
    this.#packetId = (this.#packetId % 65_535) + 1;
    this.#sentAt[this.#packetId] = systemClock.monoMs();
    this.#socket.write(publishPacket(topic, this.#packetId, payload));
  }
}

function fail(error: Error): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

const all = Array.from({ length: CONNECTIONS }, (_, i) => new Connection(i));

function begin(): void {
  ready += 1;
  if (ready < CONNECTIONS) return;
  const startMs = systemClock.monoMs();
  setInterval(() => {
    // What should have gone by now: a late timer sends more at once, and never less.
    const due = ((systemClock.monoMs() - startMs) * RATE) / 1000;
    for (; sent < due; sent++) all[sent % CONNECTIONS]?.send();
  }, 1);
  process.stdout.write('ready\n');
}

process.on('SIGTERM', () => {
  writeFileSync(values.file, `${lines.join('\n')}\n`);
  process.exit(0);
});
