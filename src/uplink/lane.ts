import type { LogRecord } from '../base/reading.ts';
import type { Consumer } from '../log/consumer.ts';
import { cloudTopic, encodeEnvelope, type Origin } from './envelope.ts';

/** A record on its way to the cloud. */
export interface Sendable {
  readonly topic: string;
  readonly payload: Uint8Array;
  /**
   * The cloud has acknowledged it. Returns how many records that completes: none while one before
   * it lacks its acknowledgement, and then all up to the next that does.
   */
  done(): number;
}

export interface LaneOptions {
  readonly consumer: Consumer;
  readonly origin: Origin;
  readonly topic: string;
}

interface Sent {
  readonly record: LogRecord;
  acked: boolean;
}

const RECORDS_PER_READ = 256;

/**
 * One stream's way to the cloud. Acknowledgements may come in any order; the consumer moves on only
 * over an unbroken row of them, so its checkpoint never passes a record that the cloud may not
 * have. It holds a window and one read at most, however long one acknowledgement is missing.
 */
export class Lane {
  readonly #options: LaneOptions;
  #waiting: readonly LogRecord[] = [];
  #next = 0;
  /** From the first one that lacks its acknowledgement. */
  #sent: Sent[] = [];
  #window = 0;
  #onEmpty: () => void = () => {};

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /**
   * A new link: everything that is not acknowledged is to be sent again, `window` records at a time
   * counted from the first that lacks its acknowledgement.
   */
  begin(window: number): void {
    this.#options.consumer.rewind();
    this.#window = window;
    this.#waiting = [];
    this.#next = 0;
    this.#sent = [];
  }

  backlog(): number {
    return this.#options.consumer.backlog();
  }

  /** A record can be taken. */
  get ready(): boolean {
    return this.#next < this.#waiting.length && this.#sent.length < this.#window;
  }

  /** Resolves when records wait, or when the signal aborts. */
  async fill(signal: AbortSignal): Promise<void> {
    if (!this.#isEmpty()) return;
    const records = await this.#options.consumer.read(RECORDS_PER_READ, signal);
    if (signal.aborted) return;
    this.#waiting = records;
    this.#next = 0;
  }

  /** Resolves when nothing waits any more, or when the signal aborts. */
  async empty(signal: AbortSignal): Promise<void> {
    if (this.#isEmpty() || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#onEmpty = () => {};
        resolve();
      };
      this.#onEmpty = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #isEmpty(): boolean {
    return this.#next >= this.#waiting.length;
  }

  /** The next record to send; undefined while the lane is not ready. */
  take(): Sendable | undefined {
    const record = this.#waiting[this.#next];
    if (record === undefined || !this.ready) return undefined;
    this.#next += 1;
    if (this.#isEmpty()) this.#onEmpty();
    const { origin, topic } = this.#options;
    const sent = { record, acked: false };
    this.#sent.push(sent);
    return {
      topic: cloudTopic(topic, record, origin.gateway),
      payload: encodeEnvelope(record, origin),
      // Of an earlier link it changes nothing: the record stands in the row of this one again.
      done: () => {
        sent.acked = true;
        return this.#advance();
      },
    };
  }

  #advance(): number {
    let count = 0;
    for (const { record, acked } of this.#sent) {
      if (!acked) break;
      this.#options.consumer.handled(record);
      count += 1;
    }
    this.#sent.splice(0, count);
    return count;
  }
}
