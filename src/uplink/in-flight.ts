import { BacklogWindow } from './backlog-window.ts';
import { ALERT_LANE, BACKLOG_LANE, FRESH_LANE } from './budget.ts';
import type { Lane } from './lane.ts';

/** Publishes of one cut, where each record is one. */
const BURST = 16;
/** Of the window and its bytes, what the backlog leaves to those before it. */
const HEADROOM = 1 / 8;

/** One cut on its way. */
export interface Flight {
  readonly lane: Lane;
  readonly isBehind: boolean;
  /** Publishes that have no answer yet. */
  unanswered: number;
  /** The cut is acknowledged, or refused. */
  isOver: boolean;
  /** What it takes of the window, until the lane has heard of the last answer, and in bytes. */
  messages: number;
  bytes: number;
  /** What was sent last of it, and when. */
  sentBytes: number;
  sentMonoMs: number;
}

export interface InFlightOptions {
  /** Publishes that may be unacknowledged at one time. */
  readonly window: number;
  /** Bytes of them, or one publish. */
  readonly maxBytes: number;
  /** Records may go many at a time. */
  readonly inBursts: boolean;
}

/** It has what waited: `order: strict` has that where fresh ones are. */
export function isBehind({ priority, isHistorical }: Lane): boolean {
  return priority === BACKLOG_LANE || (priority === FRESH_LANE && isHistorical);
}

/** What is on its way on one link, and how much more may be. */
export class InFlight {
  readonly #options: InFlightOptions;
  /** Publishes that have no answer yet, and their bytes. */
  #messages = 0;
  #bytes = 0;
  /** Those of them that had waited. */
  #behindMessages = 0;
  #behindBytes = 0;
  readonly #behindWindow: BacklogWindow;
  /** Else an alert stands behind all the fresh ones that a slow link has not passed. */
  readonly #freshWindow: BacklogWindow;

  constructor(options: InFlightOptions) {
    this.#options = options;
    this.#behindWindow = new BacklogWindow(options.maxBytes * (1 - HEADROOM));
    this.#freshWindow = new BacklogWindow(options.maxBytes);
  }

  begin(lane: Lane, behind: boolean): Flight {
    return {
      ...{ lane, isBehind: behind, unanswered: 0, isOver: false },
      ...{ messages: 0, bytes: 0, sentBytes: 0, sentMonoMs: 0 },
    };
  }

  load(flight: Flight, messages: number, bytes: number): void {
    this.#messages += messages - flight.messages;
    this.#bytes += bytes - flight.bytes;
    if (flight.isBehind) {
      this.#behindMessages += messages - flight.messages;
      this.#behindBytes += bytes - flight.bytes;
    }
    flight.messages = messages;
    flight.bytes = bytes;
  }

  /** All of it is acknowledged. */
  acked({ isBehind: behind, sentBytes, sentMonoMs }: Flight, nowMonoMs: number): void {
    // It may have become of no use while it was packed.
    if (sentBytes === 0) return;
    this.#behindWindow.answered(sentBytes, sentMonoMs, nowMonoMs);
    if (!behind) this.#freshWindow.answered(sentBytes, sentMonoMs, nowMonoMs);
  }

  /** The backlog never takes all of the window: a fresh record would wait for a round trip. */
  get #mostBehind(): number {
    return Math.max(1, Math.floor(this.#options.window * (1 - HEADROOM)));
  }

  /** Bytes that one publish of what had waited may have. */
  get mostBehindBytes(): number {
    return this.#behindWindow.bytes;
  }

  /**
   * A lane that has much of the backlog waits until there is room for many of it, unless fresh
   * records would take that room, one by one.
   */
  hasRoom(lane: Lane, isContended: boolean): boolean {
    if (this.#messages === 0) return true;
    const { window, maxBytes, inBursts } = this.#options;
    const behind = isBehind(lane);
    const many = Math.min(BURST, Math.floor(window * HEADROOM), lane.waitingCount);
    const burst = behind && inBursts && !isContended ? Math.max(1, many) : 1;
    if (this.#messages + burst > window || this.#bytes >= maxBytes) return false;
    if (lane.priority === ALERT_LANE) return true;
    if (!behind) return this.#bytes - this.#behindBytes < this.#freshWindow.bytes;
    if (this.#behindMessages === 0) return true;
    if (this.#behindMessages + burst > this.#mostBehind) return false;
    return this.#behindBytes < this.mostBehindBytes * (burst > 1 ? 1 - HEADROOM / 2 : 1);
  }

  /** Records that are messages of their own go many at a time: a cut costs as much as ten do. */
  mostMessages(lane: Lane, isContended: boolean): number {
    const { window, inBursts } = this.#options;
    if (isContended || !inBursts) return 1;
    const all = window - this.#messages;
    const room = isBehind(lane) ? Math.min(all, this.#mostBehind - this.#behindMessages) : all;
    return Math.max(1, Math.min(BURST, room));
  }

  /** Of all of them. */
  mostBytes(lane: Lane): number {
    const all = this.#options.maxBytes - this.#bytes;
    if (lane.priority === ALERT_LANE) return all;
    if (isBehind(lane)) return Math.min(all, this.mostBehindBytes - this.#behindBytes);
    return Math.min(all, this.#freshWindow.bytes - (this.#bytes - this.#behindBytes));
  }
}
