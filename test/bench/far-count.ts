/**
 * Subscribes at the far broker and counts the different readings that arrive, in a process of its
 * own. Says `ready`, then one line of JSON when it has so many.
 *
 * node far-count.js --port 1883 --count 100000 --filter 'sensors/#' --shape raw
 */
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { decodeEnvelope } from '../../src/uplink/decode-envelope.ts';
import { numberIn } from './climate-load.ts';
import {
  CONNACK,
  connectPacket,
  PacketReader,
  PUBLISH,
  publishParts,
  SUBACK,
  subscribePacket,
} from './mqtt-packets.ts';

/** What it prints. Times are of the monotonic clock, which is the same for all processes. */
export interface FarCount {
  readonly unique: number;
  /** Readings, repeats as well. */
  readonly readings: number;
  readonly publishes: number;
  readonly firstMonoMs: number;
  readonly lastMonoMs: number;
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '1883' },
    count: { type: 'string', default: '100000' },
    filter: { type: 'string', default: '#' },
    shape: { type: 'string', default: 'raw' },
  },
});
const COUNT = Number(values.count);

const seen = new Uint8Array(COUNT);
let unique = 0;
let readings = 0;
let publishes = 0;
let firstMonoMs = 0;

function textsOf(payload: Buffer): readonly string[] {
  if (values.shape === 'raw') return [payload.toString('latin1')];
  return decodeEnvelope(payload).map((record) => record.payload);
}

function take(payload: Buffer): void {
  publishes += 1;
  for (const text of textsOf(payload)) {
    const number = numberIn(text);
    if (number < 0 || number >= COUNT) continue;
    readings += 1;
    if (seen[number] === 0) unique += 1;
    seen[number] = 1;
  }
}

const socket = connect(Number(values.port), '127.0.0.1');
const reader = new PacketReader();
socket.setNoDelay(true);
socket.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
socket.on('data', (bytes) => {
  const nowMs = systemClock.monoMs();
  for (const packet of reader.read(bytes)) {
    if (packet.kind === CONNACK) socket.write(subscribePacket(values.filter, 0));
    else if (packet.kind === SUBACK) process.stdout.write('ready\n');
    else if (packet.kind === PUBLISH) {
      if (firstMonoMs === 0) firstMonoMs = nowMs;
      take(publishParts(packet).payload);
    }
  }
  if (unique < COUNT) return;
  const count: FarCount = { unique, readings, publishes, firstMonoMs, lastMonoMs: nowMs };
  process.stdout.write(`${JSON.stringify(count)}\n`);
  process.exit(0);
});
socket.write(connectPacket(`far-count-${process.pid}`));
