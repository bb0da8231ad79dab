import { setMaxListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { ALERT_LANE, BACKLOG_LANE, type Budget } from './budget.ts';
import { type CloudLink, type CloudMessage, CloudRefusal } from './cloud-link.ts';
import type { Cut } from './cut.ts';
import type { Lane } from './lane.ts';

export interface PublisherOptions {
  /** In order of priority, those of one priority in the order in which they are served. */
  readonly lanes: readonly Lane[];
  /** Publishes that may be unacknowledged at one time. */
  readonly window: number;
  /** Bytes of them, or one publish. */
  readonly maxInFlightBytes: number;
  /** Of one publish. */
  readonly maxBytes: number;
  /** Part of the publishes that the backlog gets while fresh records wait. */
  readonly backlogShare: number;
  readonly budget: Budget;
  readonly clock: Clock;
  /** Readings come in: what waits goes at a pace that lets them be acknowledged as ever. */
  readonly isBusy: () => boolean;
  /** Reset by progress. */
  readonly backoff: Backoff;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** Of the window and its bytes, what the backlog leaves to those before it. */
const HEADROOM = 1 / 8;

/** While readings come in, the backlog works for so long at a time, in ms. */
const WORK_MS = 1;
/**
 * And then rests for so many times as long: what is measured is the packing, and reading, sending
 * and forgetting cost about three times as much.
 */
const REST = 16;

/** A timer of more than 24 days would ring at once, and again and again. */
const MOST_WAIT_MS = 3_600_000;

/** One cut on its way. */
interface Flight {
  readonly lane: Lane;
  bytes: number;
}

/** Keeps the window of one link full, from the lane whose turn it is. */
export class Publisher {
  /** Resolves with the first reason to publish nothing more. */
  readonly stopped: Promise<string>;
  readonly #link: CloudLink;
  readonly #options: PublisherOptions;
  readonly #window: number;
  readonly #maxBytes: number;
  readonly #inFlight = new Set<Promise<void>>();
  /** Lanes with a cut that became several publishes, until the last of them has its answer. */
  readonly #inParts = new Map<Lane, Promise<void>>();
  #inFlightBytes = 0;
  /** What the backlog is owed, in publishes. */
  #credit = 0;
  #pause: NodeJS.Timeout | undefined;
  /** What the backlog has worked since its last rest, and the end of that rest. */
  #workedMs = 0;
  #restsUntilMonoMs = 0;
  readonly #over = new AbortController();
  #resolve: (why: string) => void = () => {};

  constructor(link: CloudLink, options: PublisherOptions) {
    this.#link = link;
    this.#options = options;
    const { window, maxBytes, backoff, counters } = options;
    this.#window = Math.max(1, Math.min(window, link.receiveMaximum ?? window));
    this.#maxBytes = Math.min(maxBytes, link.maximumSizeBytes ?? maxBytes);
    // Each lane listens.
    setMaxListeners(0, this.#over.signal);
    this.stopped = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const lane of options.lanes) {
      lane.begin({
        window: this.#window,
        maxBytes: this.#maxBytes,
        sizeOf: (message) => link.sizeOf(message),
        onMore: () => this.#publish(),
        onCompleted: (records) => {
          // Only progress makes the next wait short. A cloud may take a connection and end it at
          // the first record, or take all records but the first: then each link sends the same.
          backoff.reset();
          counters.forwarded += records;
        },
      });
    }
  }

  /** Publishes nothing more. The first reason counts. */
  stop(why: string): void {
    this.#resolve(why);
    clearTimeout(this.#pause);
    this.#over.abort();
  }

  /** Reads for a lane whenever it has room, until the publisher stops. Never rejects. */
  async feed(lane: Lane): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        await lane.rested(signal);
        await lane.fill(signal);
        this.#publish();
        await lane.room(signal);
      } catch (error) {
        const reason = `the log cannot be read: ${messageOf(error)}`;
        lane.rest(reason);
        this.#warn(lane, reason);
      }
    }
  }

  #warn({ stream }: Lane, reason: string): void {
    const fields = { stream, reason, repeatKey: stream };
    this.#options.logger.warn(fields, 'a stream gets no further; it is tried again');
  }

  #publish(): void {
    while (!this.#over.signal.aborted) {
      const lane = this.#nextLane();
      if (lane === undefined) return;
      const isPaced = lane.priority === BACKLOG_LANE && this.#options.isBusy();
      const sinceMs = isPaced ? this.#options.clock.monoMs() : 0;
      const cut = lane.take(this.#cutBytes(lane));
      // It has nothing after all: a probe that waits for its answer, say.
      if (cut === undefined) return;
      this.#start(lane, cut);
      if (isPaced) this.#noteWork(sinceMs);
    }
  }

  #noteWork(sinceMs: number): void {
    const now = this.#options.clock.monoMs();
    this.#workedMs += now - sinceMs;
    if (this.#workedMs < WORK_MS) return;
    this.#restsUntilMonoMs = now + this.#workedMs * REST;
    this.#workedMs = 0;
  }

  #restMs({ priority }: Lane): number {
    if (priority !== BACKLOG_LANE || this.#restsUntilMonoMs === 0) return 0;
    const restMs = this.#restsUntilMonoMs - this.#options.clock.monoMs();
    if (restMs > 0) return restMs;
    this.#restsUntilMonoMs = 0;
    return 0;
  }

  #cutBytes({ priority }: Lane): number {
    const { backlogBytes } = this.#options.budget;
    return priority === BACKLOG_LANE ? Math.min(this.#maxBytes, backlogBytes) : this.#maxBytes;
  }

  /**
   * Alerts first; then fresh records and the backlog by their shares. Called for each publish: some
   * tenths of a microsecond where nothing is counted.
   */
  #nextLane(): Lane | undefined {
    const { lanes, budget, backlogShare } = this.#options;
    let leastMs = Number.POSITIVE_INFINITY;
    let fresh: Lane | undefined;
    let backlog: Lane | undefined;
    for (const lane of lanes) {
      const { priority } = lane;
      const isAsked = priority === BACKLOG_LANE ? backlog === undefined : fresh === undefined;
      if (!isAsked || !lane.ready || !this.#hasRoom(lane)) continue;
      const waitMs = Math.max(budget.waitMs(priority), this.#restMs(lane));
      if (waitMs > 0) leastMs = Math.min(leastMs, waitMs);
      else if (priority === ALERT_LANE) return lane;
      else if (priority === BACKLOG_LANE) backlog = lane;
      else fresh = lane;
    }
    const waits = leastMs < Number.POSITIVE_INFINITY;
    if (fresh === undefined && backlog === undefined && waits) this.#wakeIn(leastMs);
    if (fresh === undefined || backlog === undefined) return fresh ?? backlog;
    this.#credit += backlogShare;
    if (this.#credit < 1) return fresh;
    this.#credit -= 1;
    return backlog;
  }

  /** The backlog never takes all of it: a fresh record would wait for a round trip. */
  #hasRoom({ priority }: Lane): boolean {
    const { maxInFlightBytes } = this.#options;
    const share = priority === BACKLOG_LANE ? 1 - HEADROOM : 1;
    const most = Math.max(1, Math.floor(this.#window * share));
    if (this.#inFlight.size >= most) return false;
    return this.#inFlight.size === 0 || this.#inFlightBytes < maxInFlightBytes * share;
  }

  #wakeIn(ms: number): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#publish(), Math.min(ms, MOST_WAIT_MS));
    this.#pause.unref();
  }

  #start(lane: Lane, cut: Cut): void {
    const { messages } = cut;
    const flight: Flight = { lane, bytes: 0 };
    const acked =
      messages instanceof Promise
        ? this.#sendLater(cut, messages, flight)
        : this.#send(messages, flight);
    const sent: Promise<void> = acked.then(
      () => {
        this.#land(sent, flight);
        cut.done();
        this.#publish();
      },
      (error: unknown) => {
        this.#land(sent, flight);
        if (!(error instanceof CloudRefusal)) this.stop(messageOf(error));
        // Nothing is skipped, and the others go on: the lane rests and sends it again, or parks it.
        else if (cut.refused(error)) this.#warn(lane, error.message);
        this.#publish();
      },
    );
    this.#inFlight.add(sent);
  }

  #land(sent: Promise<void>, { bytes }: Flight): void {
    this.#inFlight.delete(sent);
    this.#inFlightBytes -= bytes;
  }

  #load(flight: Flight, bytes: number): void {
    this.#inFlightBytes += bytes - flight.bytes;
    flight.bytes = bytes;
  }

  /** Once it is packed. Until then its bytes are a guess. */
  async #sendLater(
    cut: Cut,
    packing: Promise<readonly CloudMessage[]>,
    flight: Flight,
  ): Promise<unknown> {
    this.#load(flight, cut.guessedBytes);
    const messages = await packing;
    const { lane } = flight;
    while (this.#inParts.has(lane)) await this.#inParts.get(lane);
    this.#load(flight, 0);
    // Nobody may take it for acknowledged: it comes again, on another link.
    if (this.#over.signal.aborted) throw new Error('the link ended before it was packed');
    // The lane has begun anew meanwhile, and hears nothing of this one.
    if (!cut.isWanted()) return;
    const sent =
      messages.length > 1 ? this.#sendParts(cut, messages, flight) : this.#send(messages, flight);
    // The lane may pack another one now.
    this.#publish();
    return sent;
  }

  /**
   * One after the other: there is room for one, and more would end a link that counts. Those of the
   * same lane that come behind it wait.
   */
  #sendParts(cut: Cut, messages: readonly CloudMessage[], flight: Flight): Promise<void> {
    const sendEach = async () => {
      for (const message of messages) {
        if (this.#over.signal.aborted) throw new Error('the link ended before all of it was sent');
        if (!cut.isWanted()) return;
        await this.#sendOne(message, flight);
      }
    };
    const sent = sendEach();
    const over = () => {
      this.#inParts.delete(flight.lane);
    };
    this.#inParts.set(flight.lane, sent.then(over, over));
    return sent;
  }

  /** Rejects when the cloud has not acknowledged all of them. */
  #send(messages: readonly CloudMessage[], flight: Flight): Promise<unknown> {
    const [first] = messages;
    if (messages.length === 1 && first !== undefined) return this.#sendOne(first, flight);
    return Promise.all(messages.map((message) => this.#sendOne(message, flight)));
  }

  #sendOne(message: CloudMessage, flight: Flight): Promise<void> {
    const bytes = this.#link.sizeOf(message);
    this.#options.budget.spend(bytes);
    this.#load(flight, flight.bytes + bytes);
    return this.#link.publish(message);
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
