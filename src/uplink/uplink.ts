import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { CloudLink, OpenLink } from './cloud-client.ts';
import type { Lane } from './lane.ts';

export interface UplinkOptions {
  readonly open: OpenLink;
  /** In order of priority: a lane is served only while those before it have nothing. */
  readonly lanes: readonly Lane[];
  /** Publishes that may be unacknowledged at one time. */
  readonly window: number;
  readonly backoff: Backoff;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface UplinkStatus {
  readonly link: 'up' | 'down';
  /** Monotonic clock, ms, at the last change of `link`. */
  readonly sinceMonoMs: number;
  readonly lastError: string | undefined;
}

/** How long a stop waits for acknowledgements on their way. */
const GRACE_MS = 2_000;

/**
 * Forwards records from the log to the cloud, while there is a link. At least once: what was
 * published and not acknowledged is published again on the next link, under the same identity.
 */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #abort = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #status: UplinkStatus;

  constructor(options: UplinkOptions) {
    this.#options = options;
    const sinceMonoMs = options.clock.monoMs();
    this.#status = { link: 'down', sinceMonoMs, lastError: undefined };
  }

  start(): void {
    this.#loop = this.#run();
  }

  status(): UplinkStatus {
    return this.#status;
  }

  /** Publishes nothing more, waits a moment for acknowledgements, and lets go of the link. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
  }

  /** One link after the other, with a wait between them. */
  async #run(): Promise<void> {
    const { open, backoff, logger, lanes } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const link = await open();
        backoff.reset();
        this.#change('up', undefined);
        logger.info({}, 'the link to the cloud is up');
        const reason = await this.#serve(link);
        if (signal.aborted) break;
        this.#change('down', reason);
        const backlog = lanes.reduce((sum, lane) => sum + lane.backlog(), 0);
        logger.warn({ reason, backlog }, 'the link to the cloud is down; readings wait in the log');
      } catch (error) {
        this.#change('down', messageOf(error));
        logger.debug({ error: messageOf(error) }, 'no link to the cloud');
      }
      await this.#pause(backoff.nextMs());
    }
    this.#change('down', 'stopped');
  }

  #change(link: UplinkStatus['link'], lastError: string | undefined): void {
    const sinceMonoMs =
      link === this.#status.link ? this.#status.sinceMonoMs : this.#options.clock.monoMs();
    this.#status = { link, sinceMonoMs, lastError };
  }

  async #pause(ms: number): Promise<void> {
    await wait(ms, undefined, { signal: this.#abort.signal }).catch(() => {
      // Stopping: the caller looks at the signal.
    });
  }

  /** Publishes on this link until it is gone or the uplink stops; returns why. */
  async #serve(link: CloudLink): Promise<string> {
    const { lanes } = this.#options;
    const over = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, over.signal]);
    let reason = 'stopped';
    const ended = link.ended.then((why) => {
      reason = why;
      over.abort();
    });
    for (const lane of lanes) lane.begin();
    const publisher = new Publisher(link, this.#options, signal);
    const fed = lanes.map((lane) => publisher.feed(lane));
    const failure = await publisher.failure;
    if (this.#abort.signal.aborted) await publisher.drain(GRACE_MS);
    over.abort();
    await link.close();
    await ended;
    await Promise.all(fed);
    return failure ?? reason;
  }
}

/** Keeps the window of one link full, from the first lane that has something. */
class Publisher {
  /** Resolves when a record failed, with why; or with undefined when the signal aborts. */
  readonly failure: Promise<string | undefined>;
  readonly #link: CloudLink;
  readonly #options: UplinkOptions;
  readonly #signal: AbortSignal;
  readonly #window: number;
  readonly #inFlight = new Set<Promise<void>>();
  #fail: (why: string | undefined) => void = () => {};
  #failed = false;

  constructor(link: CloudLink, options: UplinkOptions, signal: AbortSignal) {
    this.#link = link;
    this.#options = options;
    this.#signal = signal;
    this.#window = Math.min(options.window, link.receiveMaximum ?? options.window);
    this.failure = new Promise((resolve) => {
      this.#fail = resolve;
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
  }

  /** Reads for a lane whenever it has nothing left, until the signal aborts. Never rejects. */
  async feed(lane: Lane): Promise<void> {
    while (!this.#signal.aborted && !this.#failed) {
      try {
        await lane.fill(this.#signal);
        this.#publish();
        await lane.empty(this.#signal);
      } catch (error) {
        this.#stop(`the log cannot be read: ${messageOf(error)}`);
      }
    }
  }

  #stop(why: string): void {
    this.#failed = true;
    this.#fail(why);
  }

  #publish(): void {
    while (this.#inFlight.size < this.#window && !this.#failed && !this.#signal.aborted) {
      const next = this.#options.lanes.find((lane) => lane.waiting > 0)?.take();
      if (next === undefined) return;
      const sent: Promise<void> = this.#link
        .publish(next.topic, next.payload)
        .then(
          () => {
            this.#options.counters.forwarded += 1;
            next.done();
          },
          // Nothing is skipped: it is the first to be sent on the next link.
          (error: unknown) => this.#stop(messageOf(error)),
        )
        .finally(() => {
          this.#inFlight.delete(sent);
          this.#publish();
        });
      this.#inFlight.add(sent);
    }
  }

  /** Waits for what is in flight, `graceMs` at most. */
  async drain(graceMs: number): Promise<void> {
    await Promise.race([Promise.all(this.#inFlight), wait(graceMs, undefined, { ref: false })]);
  }
}
