import { createServer, type Server, type Socket } from 'node:net';
import { CobsFramer, frameOf } from '../../firmware-bridge/serial/cobs.ts';
import { crc16 } from '../../firmware-bridge/serial/crc16.ts';
import { type Random, seededRandom, systemClock } from '../../src/base/clock.ts';

/**
 * A microcontroller at the far end of a line: it keeps each reading until its ack and sends it
 * again when none comes. Its UART is a TCP port that socat joins to a pseudo terminal; where
 * nothing is joined, its bytes go nowhere, as on a wire.
 */
export interface McuOptions {
  readonly framing: 'json' | 'cobs';
  readonly device: string;
  readonly boot: number;
  /** Readings that it measures in its life. */
  readonly count: number;
  /** Readings that it holds; it measures no more while it holds so many. */
  readonly ring: number;
  readonly bytesPerSecond: number;
  /** Share of frames that are damaged, cut, or have noise before them. */
  readonly noiseShare: number;
  /** Sends again whatever has no ack, as quickly as the line allows. */
  readonly isRestless?: boolean;
  readonly seed: number;
}

interface Held {
  readonly seq: number;
  readonly frame: Uint8Array;
  sentMs: number;
  tries: number;
}

const TICK_MS = 10;
const RETRY_MS = 250;
const MAX_RETRY_MS = 2_000;
const HELLO_EVERY_MS = 500;
/** What waits in the socket is beyond the wire: more is not put on it. */
const MAX_QUEUED_BYTES = 16_384;

const u32 = (value: number) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
const named = (name: string) => [Buffer.byteLength(name), ...Buffer.from(name)];

export class FakeMcu {
  /** Sequence numbers that the host has acknowledged, and how often it has sent an ack. */
  readonly acked = new Set<number>();
  acks = 0;
  naks = 0;
  sentBytes = 0;
  sentFrames = 0;
  damagedFrames = 0;
  welcomes = 0;
  readonly #options: McuOptions;
  readonly #random: Random;
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  readonly #held = new Map<number, Held>();
  #socket: Socket | undefined;
  #next = 0;
  #credit = 0;
  #tickMs = systemClock.monoMs();
  #helloMs = 0;
  #isWelcome = false;

  private constructor(options: McuOptions, server: Server) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#server = server;
    server.on('connection', (socket) => this.#join(socket));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  static async start(options: McuOptions): Promise<FakeMcu> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FakeMcu(options, server);
  }

  /** Where socat finds its UART. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get isDone(): boolean {
    return this.acked.size === this.#options.count;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(socket: Socket): void {
    this.#socket = socket;
    const cobs = new CobsFramer(1_024);
    let rest = '';
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
    socket.on('data', (bytes: Buffer) => {
      if (this.#options.framing === 'cobs') {
        for (const event of cobs.take(bytes)) if (event.kind === 'body') this.#hear(event.body);
        return;
      }
      const lines = `${rest}${bytes.toString()}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#read(line);
    });
  }

  #hear(body: Uint8Array): void {
    const view = new DataView(body.buffer, body.byteOffset);
    const isOurs = body.length >= 9 && view.getUint32(1) === this.#options.boot;
    if (body[0] === 0x14) this.welcomes += 1;
    if (body[0] === 0x14) this.#isWelcome = true;
    else if (body[0] === 0x16) this.#isWelcome = false;
    else if (body[0] === 0x13 && isOurs) this.#ack(view.getUint32(5));
    else if (body[0] === 0x15) this.naks += 1;
    if (body[0] === 0x16) this.#helloMs = 0;
  }

  #read(line: string): void {
    const [text = '', crc = ''] = line.split('*');
    if (Number.parseInt(crc, 16) !== crc16(Buffer.from(text))) return;
    const answer = JSON.parse(text) as { ack?: string; nak?: string };
    if (answer.ack === undefined) this.naks += 1;
    else this.#ack(Number(answer.ack.split('-')[1]));
  }

  #ack(seq: number): void {
    this.acks += 1;
    this.acked.add(seq);
    this.#held.delete(seq);
  }

  #tick(): void {
    const nowMs = systemClock.monoMs();
    const { bytesPerSecond, framing, device, boot } = this.#options;
    const earned = (bytesPerSecond * (nowMs - this.#tickMs)) / 1_000;
    // A pause of this process is no licence to send faster than the wire.
    this.#credit = Math.min(this.#credit + earned, bytesPerSecond / 10);
    this.#tickMs = nowMs;
    if (framing === 'cobs' && !this.#isWelcome && nowMs - this.#helloMs > HELLO_EVERY_MS) {
      this.#helloMs = nowMs;
      this.#put(frameOf(Uint8Array.from([0x11, ...u32(boot), ...named(device)])));
    }
    while (this.#credit > 0) {
      const held = this.#due(nowMs) ?? this.#measure();
      if (held === undefined) break;
      held.sentMs = nowMs;
      held.tries += 1;
      this.sentFrames += 1;
      this.#put(this.#spoilt(held.frame));
    }
  }

  /** The one that has waited longest, if it is time to send it again. */
  #due(nowMs: number): Held | undefined {
    const { isRestless = false, ring, count } = this.#options;
    const isFull = this.#held.size >= ring || this.#next === count;
    let oldest: Held | undefined;
    for (const held of this.#held.values()) {
      if (oldest === undefined || held.sentMs < oldest.sentMs) oldest = held;
    }
    if (oldest === undefined) return undefined;
    if (isRestless && isFull) return oldest;
    const waitMs = Math.min(RETRY_MS * 2 ** (oldest.tries - 1), MAX_RETRY_MS);
    return nowMs - oldest.sentMs > waitMs ? oldest : undefined;
  }

  #measure(): Held | undefined {
    const { count, ring } = this.#options;
    if (this.#next === count || this.#held.size >= ring) return undefined;
    const seq = this.#next++;
    const held: Held = { seq, frame: this.#frame(seq), sentMs: 0, tries: 0 };
    this.#held.set(seq, held);
    return held;
  }

  #frame(seq: number): Uint8Array {
    const { framing, boot, device } = this.#options;
    const value = 20 + (seq % 10);
    if (framing === 'cobs') {
      const payload = Buffer.from(JSON.stringify({ boot, seq, value }));
      return frameOf(
        Uint8Array.from([0x12, ...u32(boot), ...u32(seq), ...named('temperature'), ...payload]),
      );
    }
    const text = JSON.stringify({ device, topic: 'temperature', id: `${boot}-${seq}`, value });
    return Buffer.from(`${text}*${crc16(Buffer.from(text)).toString(16).padStart(4, '0')}\n`);
  }

  #byte(): number {
    return Math.floor(this.#random() * 256);
  }

  /** What a bad wire makes of a frame: one in three has a flipped bit, an end cut off, or noise. */
  #spoilt(frame: Uint8Array): Uint8Array {
    if (this.#random() >= this.#options.noiseShare) return frame;
    this.damagedFrames += 1;
    const at = Math.floor(this.#random() * frame.length);
    const kind = Math.floor(this.#random() * 3);
    if (kind === 0)
      return frame.map((byte, i) => (i === at ? byte ^ (1 << (this.#byte() & 7)) : byte));
    if (kind === 1) return frame.subarray(0, at);
    return Uint8Array.from([...Array.from({ length: at }, () => this.#byte()), ...frame]);
  }

  #put(bytes: Uint8Array): void {
    this.#credit -= bytes.length;
    this.sentBytes += bytes.length;
    const socket = this.#socket;
    // A wire that nobody reads loses what is put on it.
    if (socket === undefined || socket.writableLength > MAX_QUEUED_BYTES) return;
    socket.write(bytes);
  }
}
