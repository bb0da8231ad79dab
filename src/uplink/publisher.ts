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
import { type Flight, InFlight, isBehind } from './in-flight.ts';
import type { Lane } from './lane.ts';
import type { CutBound } from './shape.ts';

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

/** While readings come in, the backlog works for so long at a time, in ms. */
const WORK_MS = 1;
/**
 * And then rests for so many times as long: what is measured is the packing, and reading, sending
 * and forgetting cost about three times as much. Of a backlog of a million in batches, beside 1,000
 * readings a second (`npm run bench:drain`): the 99th of 100 acknowledgements takes 1.5 times as
 * long as with nothing to drain; with 16, and twice the bytes, 2.1 to 2.3 times, and unpaced 8.7.
 */
const REST = 24;
/** And packs no more at a time: an acknowledgement waits for as long as that takes. */
const PACED_BYTES = 16 * 1024;

/** A timer of more than 24 days would ring at once, and again and again. */
const MOST_WAIT_MS = 3_600_000;

/** Who may send, and whether fresh records and the backlog both wait: then one each, by shares. */
interface Turn {
  readonly lane: Lane;
  readonly isContended: boolean;
}

/** Keeps the window of one link full, from the lane whose turn it is. */
export class Publisher {
  /** Resolves with the first reason to publish nothing more. */
  readonly stopped: Promise<string>;
  readonly #link: CloudLink;
  readonly #options: PublisherOptions;
  readonly #window: number;
  readonly #maxBytes: number;
  /** Settled with the answers to each cut. */
  readonly #sending = new Set<Promise<void>>();
  readonly #inFlight: InFlight;
  /** By lane: until a cut that became several publishes has its answers, and those behind it go. */
  readonly #parts = new Map<Lane, Promise<void>>();
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
    const maxInFlight = options.maxInFlightBytes;
    const inBursts = options.budget.isFree;
    this.#inFlight = new InFlight({ window: this.#window, maxBytes: maxInFlight, inBursts });
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
      const turn = this.#nextTurn();
      if (turn === undefined) return;
      const { lane } = turn;
      const isPaced = lane.priority === BACKLOG_LANE && this.#options.isBusy();
      const sinceMs = isPaced ? this.#options.clock.monoMs() : 0;
      const behind = isBehind(lane);
      const cut = lane.take(this.#boundOf(turn, isPaced));
      // It has nothing after all: a probe that waits for its answer, say.
      if (cut === undefined) return;
      this.#start(cut, this.#inFlight.begin(lane, behind));
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

  #boundOf({ lane, isContended }: Turn, isPaced: boolean): CutBound {
    const { backlogBytes } = this.#options.budget;
    const behindBytes = Math.min(backlogBytes, this.#inFlight.mostBehindBytes);
    return {
      maxBytes: isBehind(lane) ? Math.min(this.#maxBytes, behindBytes) : this.#maxBytes,
      maxMessages: this.#inFlight.mostMessages(lane, isContended),
      maxDocumentBytes: isPaced ? PACED_BYTES : Number.POSITIVE_INFINITY,
      maxAllBytes: this.#inFlight.mostBytes(lane),
    };
  }

  /**
   * Alerts first; then fresh records and the backlog by their shares. Called for each publish: some
   * tenths of a microsecond where nothing is counted.
   */
  #nextTurn(): Turn | undefined {
    const { lanes, budget, backlogShare } = this.#options;
    let leastMs = Number.POSITIVE_INFINITY;
    let fresh: Lane | undefined;
    let backlog: Lane | undefined;
    for (const lane of lanes) {
      const { priority } = lane;
      const isAsked = priority === BACKLOG_LANE ? backlog === undefined : fresh === undefined;
      if (!isAsked || !lane.ready) continue;
      if (!this.#inFlight.hasRoom(lane, fresh !== undefined)) continue;
      const waitMs = Math.max(budget.waitMs(priority), this.#restMs(lane));
      if (waitMs > 0) leastMs = Math.min(leastMs, waitMs);
      else if (priority === ALERT_LANE) return { lane, isContended: false };
      else if (priority === BACKLOG_LANE) backlog = lane;
      else fresh = lane;
    }
    const waits = leastMs < Number.POSITIVE_INFINITY;
    if (fresh === undefined && backlog === undefined && waits) this.#wakeIn(leastMs);
    if (fresh === undefined || backlog === undefined) {
      const lane = fresh ?? backlog;
      return lane === undefined ? undefined : { lane, isContended: false };
    }
    this.#credit += backlogShare;
    if (this.#credit < 1) return { lane: fresh, isContended: true };
    this.#credit -= 1;
    return { lane: backlog, isContended: true };
  }

  #wakeIn(ms: number): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#publish(), Math.min(ms, MOST_WAIT_MS));
    this.#pause.unref();
  }

  #start(cut: Cut, flight: Flight): void {
    const { messages } = cut;
    const acked =
      messages instanceof Promise
        ? this.#sendLater(cut, messages, flight)
        : this.#send(messages, flight);
    const sent: Promise<void> = acked.then(
      () => {
        this.#land(sent, flight);
        this.#inFlight.acked(flight, this.#options.clock.monoMs());
        cut.done();
        this.#publish();
      },
      (error: unknown) => {
        this.#land(sent, flight);
        if (!(error instanceof CloudRefusal)) this.stop(messageOf(error));
        // Nothing is skipped, and the others go on: the lane rests and sends it again, or parks it.
        else if (cut.refused(error)) this.#warn(flight.lane, error.message);
        this.#publish();
      },
    );
    this.#sending.add(sent);
  }

  #land(sent: Promise<void>, flight: Flight): void {
    this.#sending.delete(sent);
    flight.isOver = true;
    if (flight.unanswered === 0) this.#inFlight.load(flight, 0, 0);
  }

  /** Once it is packed, behind what was packed before. Until then its bytes are a guess. */
  async #sendLater(
    cut: Cut,
    packing: Promise<readonly CloudMessage[]>,
    flight: Flight,
  ): Promise<void> {
    const { lane } = flight;
    this.#inFlight.load(flight, 1, cut.guessedBytes);
    const messages = await packing;
    const before = this.#parts.get(lane);
    if (before === undefined && messages.length === 1) {
      await this.#sendPacked(cut, messages, flight).acked;
      return;
    }
    const sending = (before ?? Promise.resolve()).then(() =>
      this.#sendPacked(cut, messages, flight),
    );
    const over: Promise<void> = sending
      .then(({ acked }) => (messages.length > 1 ? acked : undefined))
      .catch(() => {
        // Whoever sent it hears of it.
      })
      .then(() => {
        if (this.#parts.get(lane) === over) this.#parts.delete(lane);
      });
    this.#parts.set(lane, over);
    await (await sending).acked;
  }

  /** In an object: whoever waits for the sending does not wait for the answers. */
  #sendPacked(cut: Cut, messages: readonly CloudMessage[], flight: Flight) {
    // Nobody may take it for acknowledged: it comes again, on another link.
    if (this.#over.signal.aborted) throw new Error('the link ended before it was packed');
    // The lane has begun anew meanwhile, and hears nothing of this one.
    if (!cut.isWanted()) return { acked: Promise.resolve() };
    this.#inFlight.load(flight, 0, 0);
    const acked =
      messages.length > 1 ? this.#sendParts(cut, messages, flight) : this.#send(messages, flight);
    // The lane may pack another one now.
    this.#publish();
    return { acked };
  }

  /**
   * One after the other: there is room for one, and more would end a link that counts. Those of the
   * same lane that come behind it wait.
   */
  #sendParts(cut: Cut, messages: readonly CloudMessage[], flight: Flight): Promise<void> {
    const sendEach = async () => {
      for (const message of messages) {
        // Between two parts nobody takes their place.
        this.#inFlight.load(flight, 0, 0);
        if (this.#over.signal.aborted) throw new Error('the link ended before all of it was sent');
        if (!cut.isWanted()) return;
        await this.#send([message], flight);
      }
    };
    return sendEach();
  }

  /** Resolves when all are acknowledged; rejects with the first answer that is none. */
  #send(messages: readonly CloudMessage[], flight: Flight): Promise<void> {
    flight.unanswered = messages.length;
    flight.sentBytes = 0;
    flight.sentMonoMs = this.#options.clock.monoMs();
    return new Promise((resolve, reject) => {
      const answered = () => {
        const { messages: left, bytes, isOver } = flight;
        flight.unanswered -= 1;
        if (flight.unanswered === 0) resolve();
        // Its place is free once its lane knows: another lane would take it before.
        if (flight.unanswered === 0 && !isOver) return;
        this.#inFlight.load(flight, left - 1, bytes - bytes / left);
        this.#publish();
      };
      const failed = (error: unknown) => {
        reject(error);
        answered();
      };
      for (const message of messages) {
        const bytes = this.#link.sizeOf(message);
        this.#options.budget.spend(bytes);
        this.#inFlight.load(flight, flight.messages + 1, flight.bytes + bytes);
        flight.sentBytes += bytes;
        this.#link.publish(message).then(answered, failed);
      }
    });
  }

  /** Resolves when nothing is in flight. Only once stopped: before, more follows. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending);
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
