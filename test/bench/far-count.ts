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
const QUIET_MS = 1_000;

const seen = new Uint8Array(COUNT);
let unique = 0;
let readings = 0;
let publishes = 0;
let firstMonoMs = 0;
let lastMonoMs = 0;
let isSubscribed = false;

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

function read(bytes: Buffer, monoMs: number): void {
  for (const packet of reader.read(bytes)) {
    if (packet.kind === CONNACK) socket.write(subscribePacket(values.filter, 0));
    else if (packet.kind === SUBACK) {
      isSubscribed = true;
      process.stdout.write('ready\n');
    } else if (packet.kind === PUBLISH) {
      if (firstMonoMs === 0) firstMonoMs = monoMs;
      const before = unique;
      take(publishParts(packet).payload);
      if (unique > before) lastMonoMs = monoMs;
    }
  }
}

/**
 * What has arrived and was not looked at. To decode takes as much of a processor as to send: it is
 * done when nothing comes any more, and does not slow down what is measured.
 */
const unread: Array<{ readonly bytes: Buffer; readonly monoMs: number }> = [];

function readAll(): void {
  for (const { bytes, monoMs } of unread.splice(0)) read(bytes, monoMs);
  if (unique < COUNT) return;
  const count: FarCount = { unique, readings, publishes, firstMonoMs, lastMonoMs };
  process.stdout.write(`${JSON.stringify(count)}\n`);
  process.exit(0);
}

const quiet = setInterval(readAll, QUIET_MS);
socket.setNoDelay(true);
socket.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
socket.on('data', (bytes) => {
  unread.push({ bytes, monoMs: systemClock.monoMs() });
  if (isSubscribed) quiet.refresh();
  else readAll();
});
socket.write(connectPacket(`far-count-${process.pid}`));
