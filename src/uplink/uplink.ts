import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { CloudLink, OpenLink } from './cloud-link.ts';
import { linkFault } from './link-fault.ts';
import { Publisher, type PublisherOptions } from './publisher.ts';

export interface UplinkOptions extends PublisherOptions {
  readonly open: OpenLink;
  readonly clock: Clock;
  /** A link is up, and nothing has been taken from the lanes for it. */
  readonly onLink?: (link: CloudLink) => void;
  /** Records that wait, for the logger. */
  readonly backlog: () => number;
  /** How long a stop waits for acknowledgements on their way; 2,000 unless given. */
  readonly graceMs?: number;
}

export interface UplinkStatus {
  readonly link: 'up' | 'down';
  /** Monotonic clock, ms, at the last change of `link`. */
  readonly sinceMonoMs: number;
  readonly lastError: string | undefined;
  /** Streams that get no further, and why. */
  readonly stuck: ReadonlyArray<{ readonly stream: string; readonly reason: string }>;
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
  #status: Omit<UplinkStatus, 'stuck'>;
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
    const { lanes } = this.#options;
    const troubles = new Map(
      lanes.flatMap(({ stream, trouble }) => (trouble === undefined ? [] : [[stream, trouble]])),
    );
    const stuck = [...troubles].map(([stream, reason]) => ({ stream, reason }));
    return { ...this.#status, stuck };
  }

  /** Publishes nothing more, waits a moment for acknowledgements, and lets go of the link. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
  }

  /** One link after the other, with a wait between them. */
  async #run(): Promise<void> {
    const { open, backoff, logger } = this.#options;
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
        const fields = { subject: SUBJECT, reason, backlog: this.#options.backlog() };
        logger.warn(fields, 'the link to the cloud is down; readings wait in the log');
      } catch (error) {
        if (!signal.aborted) this.#failed(linkFault(messageOf(error), true));
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
    this.#options.onLink?.(link);
    const publisher = new Publisher(link, this.#options);
    const onStop = () => publisher.stop('stopped');
    signal.addEventListener('abort', onStop, { once: true });
    if (signal.aborted) onStop();
    const ended = link.ended.then((why) => publisher.stop(why));
    const fed = lanes.map((lane) => publisher.feed(lane));
    const reason = linkFault(await publisher.stopped, false);
    signal.removeEventListener('abort', onStop);
    if (signal.aborted) await publisher.drain(graceMs);
    await link.close();
    await Promise.all([ended, publisher.settled(), ...fed]);
    for (const lane of lanes) lane.end(reason);
    return reason;
  }
}
