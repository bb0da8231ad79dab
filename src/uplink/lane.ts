import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../base/backoff.ts';
import type { LogRecord } from '../base/reading.ts';
import type { Consumer } from '../log/consumer.ts';
import type { CloudMessage } from './cloud-link.ts';
import { type Origin, recordMessage } from './envelope.ts';

/** A record on its way to the cloud. */
export interface Sendable {
  readonly message: CloudMessage;
  /**
   * The cloud has acknowledged it. Returns how many records that completes: none while one before
   * it lacks its acknowledgement, and then all up to the next that does.
   */
  done(): number;
  /** The cloud did not take it, and says why. Returns whether that is news: the lane rests then. */
  refused(reason: string): boolean;
}

export interface LaneOptions {
  readonly consumer: Consumer;
  readonly origin: Origin;
  readonly topic: string;
  /** How long the lane rests when its oldest record is not taken. */
  readonly backoff: Backoff;
  /** A record goes out, for the first time or once more. */
  readonly onSent?: (record: LogRecord) => void;
  /** The position has moved on over a record: the cloud has acknowledged it and all before it. */
  readonly onAcked?: (record: LogRecord) => void;
}

interface Sent {
  readonly record: LogRecord;
  acked: boolean;
}

const RECORDS_PER_READ = 256;

/**
 * One stream's way to the cloud. Acknowledgements may come in any order; the consumer moves on only
 * over an unbroken row of them, so its checkpoint never passes a record that the cloud may not
 * have. It holds a window and one read at most, however long one acknowledgement is missing. A lane
 * that gets nowhere rests for ever longer whiles, so that it costs the others little.
 */
export class Lane {
  readonly #options: LaneOptions;
  #waiting: readonly LogRecord[] = [];
  #next = 0;
  /** From the first one that lacks its acknowledgement. */
  #sent: Sent[] = [];
  #window = 0;
  #onEmpty: () => void = () => {};
  /** Something was completed since the link began. */
  #hasMoved = false;
  /** The last link on which it sent anything ended with nothing completed. */
  #wasStuck = false;
  #restMs = 0;
  #trouble: string | undefined;
  /** Of the read that is under way. */
  #reading = new AbortController();

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** A new link: `window` records at a time, from the first that lacks its acknowledgement. */
  begin(window: number): void {
    this.#window = window;
    this.#hasMoved = false;
  }

  /**
   * The link is gone, for this reason, and nothing is on its way any more: everything that is not
   * acknowledged is to be sent again. Until then no file is held open: retention may remove it.
   */
  end(why: string): void {
    // It may be what ended the link: a record that is too large, say. Once, it was hardly that.
    const isStuck = this.#sent.length > 0 && !this.#hasMoved;
    if (isStuck && this.#wasStuck) this.#trouble = `the link ended before an answer: ${why}`;
    // A lane that rested for as long as the link was up has learnt nothing.
    if (isStuck || this.#hasMoved) this.#wasStuck = isStuck;
    this.#restMs = isStuck ? this.#options.backoff.nextMs() : 0;
    this.#restart();
  }

  /** Its oldest record is not taken, or can't be read, just now: it is tried again after a rest. */
  park(trouble: string): void {
    this.#trouble = trouble;
    this.#restMs = this.#options.backoff.nextMs();
    this.#restart();
    this.#onEmpty();
  }

  /** Why the lane gets nowhere; undefined: it does. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get stream(): string {
    return this.#options.consumer.stream;
  }

  #restart(): void {
    this.#reading.abort();
    this.#options.consumer.rewind();
    this.#waiting = [];
    this.#next = 0;
    this.#sent = [];
  }

  /** Resolves when the lane has rested, or when the signal aborts. */
  async rested(signal: AbortSignal): Promise<void> {
    const restMs = this.#restMs;
    if (restMs === 0) return;
    this.#restMs = 0;
    await wait(restMs, undefined, { signal }).catch(() => {
      // The caller looks at the signal.
    });
  }

  backlog(): number {
    return this.#options.consumer.backlog();
  }

  /** A record can be taken. */
  get ready(): boolean {
    return this.#next < this.#waiting.length && this.#sent.length < this.#window;
  }

  /** Resolves when records wait, when the lane is parked, or when the signal aborts. */
  async fill(signal: AbortSignal): Promise<void> {
    if (!this.#isEmpty() || signal.aborted) return;
    const reading = new AbortController();
    this.#reading = reading;
    const stop = () => reading.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const records = await this.#options.consumer.read(RECORDS_PER_READ, reading.signal);
      // Read before the consumer was rewound: they come again.
      if (reading.signal.aborted) return;
      this.#waiting = records;
      this.#next = 0;
    } finally {
      signal.removeEventListener('abort', stop);
    }
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
    const { origin, topic, onSent } = this.#options;
    const sent = { record, acked: false };
    this.#sent.push(sent);
    onSent?.(record);
    return {
      message: recordMessage(record, origin, { topic, identity: 'wrapper', historical: false }),
      // Of an earlier link it changes nothing: the record stands in the row of this one again.
      done: () => {
        sent.acked = true;
        return this.#advance();
      },
      refused: (reason) => {
        // One refusal sends the whole row again, so the others of that row say nothing new.
        const isNews = this.#sent.includes(sent);
        if (isNews) this.park(reason);
        return isNews;
      },
    };
  }

  #advance(): number {
    let count = 0;
    const { consumer, onAcked } = this.#options;
    for (const { record, acked } of this.#sent) {
      if (!acked) break;
      consumer.handled(record);
      onAcked?.(record);
      count += 1;
    }
    this.#sent.splice(0, count);
    if (count > 0) {
      this.#hasMoved = true;
      this.#trouble = undefined;
      this.#options.backoff.reset();
    }
    return count;
  }
}
