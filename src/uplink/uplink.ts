import { setMaxListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { CloudLink, OpenLink } from './cloud-client.ts';
import type { Lane, Sendable } from './lane.ts';

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
  /** How long a stop waits for acknowledgements on their way; 2,000 unless given. */
  readonly graceMs?: number;
}

export interface UplinkStatus {
  readonly link: 'up' | 'down';
  /** Monotonic clock, ms, at the last change of `link`. */
  readonly sinceMonoMs: number;
  readonly lastError: string | undefined;
}

const GRACE_MS = 2_000;
/** What the lines about the link have in common: see `base/logger.ts`. */
const SUBJECT = 'uplink';

/**
 * Forwards records from the log to the cloud, while there is a link. At least once: what was
 * published and not acknowledged is published again on the next link, under the same identity.
 */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #abort = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #status: UplinkStatus;
  /** Why there is no link, as it was last said in the logger. */
  #told: string | undefined;

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
        const link = await open(signal);
        this.#change('up', undefined);
        this.#told = undefined;
        logger.info({ subject: SUBJECT }, 'the link to the cloud is up');
        const reason = await this.#serve(link);
        if (signal.aborted) break;
        this.#change('down', reason);
        const backlog = lanes.reduce((sum, lane) => sum + lane.backlog(), 0);
        const fields = { subject: SUBJECT, reason, backlog };
        logger.warn(fields, 'the link to the cloud is down; readings wait in the log');
      } catch (error) {
        if (!signal.aborted) this.#failed(messageOf(error));
      }
      await this.#pause(backoff.nextMs());
    }
    this.#change('down', 'stopped');
  }

  /** Said once for each reason: it may be tried again for days. */
  #failed(reason: string): void {
    this.#change('down', reason);
    if (reason === this.#told) return;
    this.#told = reason;
    const fields = { subject: SUBJECT, reason };
    this.#options.logger.warn(fields, 'no link to the cloud; readings wait in the log');
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
    const { lanes, graceMs = GRACE_MS } = this.#options;
    const { signal } = this.#abort;
    const publisher = new Publisher(link, this.#options);
    const onStop = () => publisher.stop('stopped');
    signal.addEventListener('abort', onStop, { once: true });
    if (signal.aborted) onStop();
    const ended = link.ended.then((why) => publisher.stop(why));
    const fed = lanes.map((lane) => publisher.feed(lane));
    const reason = await publisher.stopped;
    signal.removeEventListener('abort', onStop);
    if (signal.aborted) await publisher.drain(graceMs);
    await link.close();
    await Promise.all([ended, publisher.settled(), ...fed]);
    return reason;
  }
}

/** Keeps the window of one link full, from the first lane that has something. */
class Publisher {
  /** Resolves with the first reason to publish nothing more. */
  readonly stopped: Promise<string>;
  readonly #link: CloudLink;
  readonly #options: UplinkOptions;
  readonly #window: number;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #over = new AbortController();
  #resolve: (why: string) => void = () => {};

  constructor(link: CloudLink, options: UplinkOptions) {
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
        await lane.fill(signal);
        this.#publish();
        await lane.empty(signal);
      } catch (error) {
        this.stop(`the log cannot be read: ${messageOf(error)}`);
      }
    }
  }

  #publish(): void {
    while (this.#inFlight.size < this.#window && !this.#over.signal.aborted) {
      const next = this.#options.lanes.find((lane) => lane.ready)?.take();
      if (next === undefined) return;
      const sent: Promise<void> = this.#send(next)
        .then(() => {
          this.#inFlight.delete(sent);
          this.#publish();
        })
        // Nothing is skipped: it is the first to be sent on the next link.
        .catch((error: unknown) => {
          this.#inFlight.delete(sent);
          this.stop(messageOf(error));
        });
      this.#inFlight.add(sent);
    }
  }

  /** Rejects when the cloud has not acknowledged it. */
  async #send({ topic, payload, done }: Sendable): Promise<void> {
    const { backoff, counters } = this.#options;
    await this.#link.publish(topic, payload);
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
