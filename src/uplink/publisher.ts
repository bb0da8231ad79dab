import { setMaxListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../base/backoff.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type CloudLink, CloudRefusal } from './cloud-link.ts';
import type { Lane, Sendable } from './lane.ts';

export interface PublisherOptions {
  /** In order of priority: a lane is served only while those before it have nothing. */
  readonly lanes: readonly Lane[];
  /** Publishes that may be unacknowledged at one time. */
  readonly window: number;
  /** Reset by progress. */
  readonly backoff: Backoff;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** Keeps the window of one link full, from the first lane that has something. */
export class Publisher {
  /** Resolves with the first reason to publish nothing more. */
  readonly stopped: Promise<string>;
  readonly #link: CloudLink;
  readonly #options: PublisherOptions;
  readonly #window: number;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #over = new AbortController();
  #resolve: (why: string) => void = () => {};

  constructor(link: CloudLink, options: PublisherOptions) {
    this.#link = link;
    this.#options = options;
    this.#window = Math.max(1, Math.min(options.window, link.receiveMaximum ?? options.window));
    // Each lane listens.
    setMaxListeners(0, this.#over.signal);
    this.stopped = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const lane of options.lanes) lane.begin(this.#window);
  }

  /** Publishes nothing more. The first reason counts. */
  stop(why: string): void {
    this.#resolve(why);
    this.#over.abort();
  }

  /** Reads for a lane whenever it has nothing left, until the publisher stops. Never rejects. */
  async feed(lane: Lane): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        await lane.rested(signal);
        await lane.fill(signal);
        this.#publish();
        await lane.empty(signal);
      } catch (error) {
        const reason = `the log cannot be read: ${messageOf(error)}`;
        lane.park(reason);
        this.#warn(lane, reason);
      }
    }
  }

  #warn({ stream }: Lane, reason: string): void {
    const fields = { stream, reason, repeatKey: stream };
    this.#options.logger.warn(fields, 'a stream gets no further; it is tried again');
  }

  #publish(): void {
    while (this.#inFlight.size < this.#window && !this.#over.signal.aborted) {
      const lane = this.#options.lanes.find(({ ready }) => ready);
      const next = lane?.take();
      if (lane === undefined || next === undefined) return;
      const sent: Promise<void> = this.#send(next)
        .then(() => {
          this.#inFlight.delete(sent);
          this.#publish();
        })
        .catch((error: unknown) => {
          this.#inFlight.delete(sent);
          if (!(error instanceof CloudRefusal)) return this.stop(messageOf(error));
          // Nothing is skipped: the lane rests and sends it again, and the others go on.
          if (next.refused(error.message)) this.#warn(lane, error.message);
          this.#publish();
        });
      this.#inFlight.add(sent);
    }
  }

  /** Rejects when the cloud has not acknowledged it. */
  async #send({ message, done }: Sendable): Promise<void> {
    const { backoff, counters } = this.#options;
    await this.#link.publish(message);
    // Only progress makes the next wait short. A cloud may take a connection and end it at the
    // first record, or take all records but the first: then each link sends the same ones again.
    const completed = done();
    if (completed > 0) backoff.reset();
    counters.forwarded += completed;
  }

  /** Resolves when nothing is in flight. Only once stopped: before, more follows. */
  async settled(): Promise<void> {
    await Promise.all(this.#inFlight);
  }

  /** Waits for what is in flight, `graceMs` at most. */
  async drain(graceMs: number): Promise<void> {
    const timer = new AbortController();
    const grace = wait(graceMs, undefined, { signal: timer.signal }).catch(() => {
      // Everything has settled before.
    });
    await Promise.race([this.settled(), grace]);
    timer.abort();
  }
}
