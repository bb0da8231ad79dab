import { type LineEvent, LineFramer } from './line-framer.ts';
import { OnTheWay, type PortSession, type SessionOptions } from './port-session.ts';
import {
  type Answer,
  answerLine,
  type LineId,
  type ReadingLine,
  readLine,
} from './reading-line.ts';
import { isDeviceName, readingTopic } from './reading-topic.ts';

/** The host's end of JSON lines. */
export class JsonSession implements PortSession {
  readonly #options: SessionOptions;
  readonly #framer: LineFramer;
  readonly #onTheWay: OnTheWay;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#framer = new LineFramer(options.maxFrameBytes);
    this.#onTheWay = new OnTheWay(options);
  }

  start(): void {
    // The device sends what it has without being asked.
  }

  take(bytes: Uint8Array): ReadonlyArray<() => void> {
    return this.#framer.take(bytes).map((event) => () => this.#step(event));
  }

  #step(event: LineEvent): void {
    const { counts } = this.#options;
    if (event.kind === 'tooLong') {
      counts.tooLong += 1;
      counts.noiseBytes += event.bytes;
      return;
    }
    const reading = readLine(event.line);
    if (reading === undefined) {
      counts.damaged += 1;
      counts.noiseBytes += event.line.length;
      return;
    }
    counts.frames += 1;
    this.#reading(reading);
  }

  #reading(reading: ReadingLine): void {
    const { counts, prefix } = this.#options;
    const { id, payload, device = this.#options.device, topic: tail = '' } = reading;
    counts.readings += 1;
    if (device === null || !isDeviceName(device)) {
      this.#refuse(reading, 'device');
      return;
    }
    const topic = tail === null ? undefined : readingTopic(prefix, device, tail);
    if (topic === undefined) {
      this.#refuse(reading, 'topic');
      return;
    }
    // Without an id two equal lines are two readings.
    const key = id === undefined ? undefined : Buffer.from(payload).toString('utf8');
    this.#onTheWay.publish({ key, topic, payload }, (isStored) => {
      if (isStored) this.#ack(reading, id);
      else this.#refuse(reading, 'refused');
    });
  }

  #ack(reading: ReadingLine, id: LineId | undefined): void {
    if (id === undefined) return;
    this.#options.counts.acked += 1;
    this.#answer(reading, { ack: id });
  }

  #refuse(reading: ReadingLine, error: 'device' | 'topic' | 'refused'): void {
    this.#options.counts.naks += 1;
    if (reading.id !== undefined) this.#answer(reading, { nak: reading.id, error });
  }

  #answer({ isChecked }: ReadingLine, answer: Answer): void {
    this.#options.send(answerLine(answer, isChecked));
  }
}
