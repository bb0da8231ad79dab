import { type CobsEvent, CobsFramer, frameOf } from './cobs.ts';
import {
  ackBody,
  askBody,
  type Hello,
  type Identity,
  nakBody,
  REASON,
  type ReadingFrame,
  type Reason,
  readFrame,
  readingIdentity,
  welcomeBody,
} from './frame.ts';
import { OnTheWay, type PortSession, type SessionOptions } from './port-session.ts';
import { isDeviceName, readingTopic } from './reading-topic.ts';

const ASK_EVERY_MS = 500;
/** Before it, the clock has not been set: 2024. */
const CLOCK_SET_MS = Date.UTC(2024, 0, 1);
/** Ends what noise began. */
const FLUSH = Uint8Array.of(0);

/** The host's end of COBS frames. */
export class CobsSession implements PortSession {
  readonly #options: SessionOptions;
  readonly #framer: CobsFramer;
  #onTheWay: OnTheWay;
  #hello: Hello | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#framer = new CobsFramer(options.maxFrameBytes);
    this.#onTheWay = new OnTheWay(options);
  }

  start(): void {
    this.#options.send(FLUSH);
    this.#ask();
  }

  take(bytes: Uint8Array): ReadonlyArray<() => void> {
    return this.#framer.take(bytes).map((event) => () => this.#step(event));
  }

  #step(event: CobsEvent): void {
    const { counts } = this.#options;
    if (event.kind === 'noise') {
      counts.damaged += 1;
      counts.noiseBytes += event.bytes;
      return;
    }
    counts.frames += 1;
    if (event.kind === 'tooLong') {
      counts.tooLong += 1;
      const identity = readingIdentity(event.head);
      if (identity !== undefined) this.#nak(identity, REASON.tooLong);
      return;
    }
    const frame = readFrame(event.body);
    if (frame === undefined) counts.unknownFrames += 1;
    else if (frame.kind === 'hello') this.#greet(frame);
    else this.#reading(frame);
  }

  #greet(hello: Hello): void {
    const { boot, device } = this.#hello ?? hello;
    // Another device may have the same numbers: what is on its way is not its own.
    if (boot !== hello.boot || device !== hello.device)
      this.#onTheWay = new OnTheWay(this.#options);
    this.#hello = hello;
    const { clock, maxFrameBytes } = this.#options;
    const wallMs = clock.wallMs();
    this.#send(welcomeBody(wallMs < CLOCK_SET_MS ? 0 : wallMs, maxFrameBytes));
  }

  #reading(reading: ReadingFrame): void {
    const { counts, device, prefix } = this.#options;
    const { boot, seq, payload } = reading;
    const hello = this.#hello;
    // Started anew, the host can't tell whose it is: another name would make another reading of it.
    if (hello?.boot !== boot) {
      counts.unknownBoots += 1;
      this.#ask();
      return;
    }
    counts.readings += 1;
    const name = hello.device === '' ? device : hello.device;
    const topic = isDeviceName(name) ? readingTopic(prefix, name, reading.topic) : undefined;
    if (topic === undefined) {
      this.#nak(reading, REASON.topic);
      return;
    }
    const onTheWay = this.#onTheWay;
    onTheWay.publish({ key: `${boot}:${seq}`, topic, payload }, (isStored) => {
      if (onTheWay !== this.#onTheWay) return;
      if (isStored) this.#ack(reading);
      else this.#nak(reading, REASON.refused);
    });
  }

  #ask(): void {
    const nowMs = this.#options.clock.monoMs();
    if (nowMs - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = nowMs;
    this.#send(askBody());
  }

  #ack(identity: Identity): void {
    this.#options.counts.acked += 1;
    this.#send(ackBody(identity));
  }

  #nak(identity: Identity, reason: Reason): void {
    this.#options.counts.naks += 1;
    this.#send(nakBody(identity, reason));
  }

  #send(body: Uint8Array): void {
    this.#options.send(frameOf(body));
  }
}
