import type { LogRecord } from '../base/reading.ts';
import type { Consumer } from '../log/consumer.ts';
import { cloudTopic, encodeEnvelope, type Origin } from './envelope.ts';

/** A record on its way to the cloud. */
export interface Sendable {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** The cloud has acknowledged it. */
  done(): void;
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
 * have.
 */
export class Lane {
  readonly #options: LaneOptions;
  #waiting: readonly LogRecord[] = [];
  #next = 0;
  #sent: Sent[] = [];
  #onEmpty: () => void = () => {};

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** A new link: everything that is not acknowledged is to be sent again. */
  begin(): void {
    this.#options.consumer.rewind();
    this.#waiting = [];
    this.#next = 0;
    this.#sent = [];
  }

  backlog(): number {
    return this.#options.consumer.backlog();
  }

  /** Records read and not taken yet. */
  get waiting(): number {
    return this.#waiting.length - this.#next;
  }

  /** Resolves when records wait, or when the signal aborts. */
  async fill(signal: AbortSignal): Promise<void> {
    if (this.waiting > 0) return;
    const records = await this.#options.consumer.read(RECORDS_PER_READ, signal);
    if (signal.aborted) return;
    this.#waiting = records;
    this.#next = 0;
  }

  /** Resolves when nothing waits any more, or when the signal aborts. */
  async empty(signal: AbortSignal): Promise<void> {
    if (this.waiting === 0 || signal.aborted) return;
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

  take(): Sendable | undefined {
    const record = this.#waiting[this.#next];
    if (record === undefined) return undefined;
    this.#next += 1;
    if (this.waiting === 0) this.#onEmpty();
    const { origin, topic } = this.#options;
    const sent = { record, acked: false };
    const row = this.#sent;
    row.push(sent);
    return {
      topic: cloudTopic(topic, record, origin.gateway),
      payload: encodeEnvelope(record, origin),
      done: () => {
        sent.acked = true;
        // Of an earlier link: the record is in the row again, and its acknowledgement will come
        // again.
        if (row === this.#sent) this.#advance();
      },
    };
  }

  #advance(): void {
    let count = 0;
    for (const { record, acked } of this.#sent) {
      if (!acked) break;
      this.#options.consumer.handled(record);
      count += 1;
    }
    this.#sent.splice(0, count);
  }
}
