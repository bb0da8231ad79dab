import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { LogRecord } from '../base/reading.ts';
import type { LanePriority } from './budget.ts';
import { CloudRefusal } from './cloud-link.ts';
import { type Cut, type LaneLink, type LaneOptions, NO_LINK } from './cut.ts';
import { type Finding, Probe } from './probe.ts';
import { type Sent, SentRow, sentOf } from './sent.ts';
import type { CutBound } from './shape.ts';
import { Waiting } from './waiting.ts';

const RECORDS_PER_READ = 256;
/** Cuts that are being packed: each holds all its records until then. */
const MAX_PACKING = 2;
/** So many records are looked at one by one where the cloud refuses. */
const PROBED = 8;
/**
 * After so many refusals that ask for patience, one record may be the cause: then few are sent
 * again for nothing. It is waited for, and never parked for that.
 */
const PATIENCE = 5;

/**
 * One stream's way to the cloud. Acknowledgements may come in any order; what is handled moves on
 * only over an unbroken row of them, so a checkpoint never says of a record that the cloud has it
 * when it may not. It holds a window and what fills one message, however long one acknowledgement
 * is missing. A lane that gets nowhere rests for ever longer whiles, so that it costs the others
 * little; and where one record is the cause, it finds out which, and parks it.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #waiting: Waiting;
  /** From the first one that lacks its acknowledgement. */
  readonly #sent = new SentRow();
  /** Resolves when all cuts before have been packed: what is smaller must not overtake. */
  #packing: Promise<unknown> = Promise.resolve();
  #packingCount = 0;
  #link = NO_LINK;
  #onRoom: () => void = () => {};
  /** Something was completed since the link began. */
  #hasMoved = false;
  /** The last link on which it sent anything ended with nothing completed. */
  #wasStuck = false;
  #restMs = 0;
  #isResting = false;
  #trouble: string | undefined;
  /** Refusals in a row that asked for patience. */
  #patience = 0;
  #probe: Probe<LogRecord> | undefined;
  #wantsProbe = false;
  /** Of a cut, after one was too large for what its size was thought to be. */
  #mostRecords = Number.POSITIVE_INFINITY;
  /** Records become dead letters; a lane that begins anew meanwhile would send them again. */
  #parkingCount = 0;
  #isHeld = false;
  /** Of the read that is under way. */
  #reading = new AbortController();

  constructor(options: LaneOptions) {
    this.#options = options;
    const { shape, clock, source } = options;
    this.#waiting = new Waiting({
      shape,
      clock,
      isHistorical: (record) => source.isHistorical(record),
      onLingered: () => this.#link.onMore(),
    });
  }

  get priority(): LanePriority {
    return this.#options.priority;
  }

  get stream(): string {
    return this.#options.source.stream;
  }

  /** Why the lane gets nowhere; undefined: it does. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Arrival of the oldest record at hand that the cloud has not acknowledged, ms since 1970. */
  get oldestMs(): number | undefined {
    return this.#sent.oldest?.oldestMs ?? this.#waiting.first?.receivedAtMs;
  }

  /** A new link, from the first record that lacks its acknowledgement. */
  begin(link: LaneLink): void {
    this.#link = link;
    this.#hasMoved = false;
    this.#keepProbe();
  }

  /** What it looks at may have been handled, or be another's by now. */
  #keepProbe(): void {
    this.#probe?.keep((record) => this.#options.source.owns(record));
    this.#lookAtProbe();
  }

  /**
   * The link is gone, for this reason, and nothing is on its way any more: everything that is not
   * acknowledged is to be sent again. Until then no file is held open: retention may remove it.
   */
  end(why: string): void {
    this.#probe?.ended(why);
    this.#lookAtProbe();
    // It may be what ended the link: a record that is too large, say. Once, it was hardly that.
    const isStuck = this.#sent.size > 0 && !this.#hasMoved;
    if (isStuck && this.#wasStuck) {
      this.#trouble = `the link ended before an answer: ${why}`;
      // One that is under way knows which records have ended a link.
      if (this.#probe === undefined) this.#wantsProbe = true;
    }
    // One that rested for as long as the link was up has learnt nothing.
    if (isStuck || this.#hasMoved) this.#wasStuck = isStuck;
    this.#restMs = isStuck ? this.#options.backoff.nextMs() : 0;
    this.#restart();
    this.#link = NO_LINK;
  }

  /** Its oldest record is not taken, or can't be read, just now: it is tried again after a rest. */
  rest(trouble: string): void {
    this.#trouble = trouble;
    this.#restMs = this.#options.backoff.nextMs();
    this.#isResting = true;
    this.#restart();
  }

  #restart(): void {
    this.#isHeld = this.#parkingCount > 0;
    this.#reading.abort();
    this.#probe?.abandon();
    this.#options.source.rewind();
    this.#waiting.clear();
    this.#sent.clear();
    this.#onRoom();
  }

  /** Resolves when the lane has rested, or when the signal aborts. */
  async rested(signal: AbortSignal): Promise<void> {
    const restMs = this.#restMs;
    this.#restMs = 0;
    if (restMs > 0) {
      await wait(restMs, undefined, { signal }).catch(() => {
        // The caller looks at the signal.
      });
    }
    this.#isResting = false;
  }

  /** Reads until as much waits as one cut may take, until it begins anew, or the signal aborts. */
  async fill(signal: AbortSignal): Promise<void> {
    const reading = new AbortController();
    this.#reading = reading;
    const { source } = this.#options;
    const stop = () => reading.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!this.#hasEnough() && !signal.aborted) {
        const records = await source.read(
          RECORDS_PER_READ,
          reading.signal,
          this.#waiting.noneFollows,
        );
        // Read before the source was rewound: they come again.
        if (reading.signal.aborted) return;
        this.#waiting.push(records);
        this.#link.onMore();
        // All that is decoded already would be taken in one turn, and readings that come in wait.
        await nextTurn();
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #hasEnough(): boolean {
    return this.#waiting.count >= this.#mostRecords || this.#waiting.isFull(this.#link.maxBytes);
  }

  /** Resolves when there is room for more again, or when the signal aborts. */
  async room(signal: AbortSignal): Promise<void> {
    if (!this.#hasEnough() || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#onRoom = () => {};
        resolve();
      };
      this.#onRoom = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** A cut can be taken. */
  get ready(): boolean {
    if (this.#isResting || this.#isHeld || this.#waiting.count === 0) return false;
    if (this.#probe !== undefined || this.#wantsProbe) return this.#sent.size === 0;
    if (this.#sent.publishes >= this.#link.window || this.#packingCount >= MAX_PACKING)
      return false;
    return this.#hasEnough() || this.#waiting.hasLingered;
  }

  /** Records that could be in the next cut. */
  get waitingCount(): number {
    return this.#waiting.count;
  }

  /** The first of them was received before the link came up. */
  get isHistorical(): boolean {
    return this.#waiting.isHistorical;
  }

  /** The next records to send; undefined while the lane is not ready. */
  take(bound: CutBound): Cut | undefined {
    if (!this.ready) return undefined;
    if (this.#wantsProbe) this.#beginProbe();
    const probed = this.#probe?.next();
    if (this.#probe !== undefined && probed === undefined) return undefined;
    const records = probed === undefined ? this.#cutWaiting(bound) : [probed];
    const messages = this.#pack(records);
    const sent = sentOf(records, messages, this.#options.book);
    this.#sent.add(sent);
    return this.#cutOf(sent, this.#options.shape.guessBytes(records), messages);
  }

  /** Apart from `take`, whose records must not be held until the cloud has them. */
  #cutOf(sent: Sent, guessedBytes: number, messages: Cut['messages']): Cut {
    const { count } = sent;
    return {
      guessedBytes,
      messages,
      isWanted: () => this.#sent.has(sent),
      // Of an earlier link it changes nothing: the record stands in the row of this one again.
      done: () => this.#done(sent),
      refused: (refusal) => {
        // One refusal sends the whole row again, so the others of that row say nothing new.
        if (!this.#sent.has(sent)) return false;
        this.#refused(refusal, sent, count);
        return true;
      },
    };
  }

  #pack(records: readonly LogRecord[]): Cut['messages'] {
    const { shape, source } = this.#options;
    const historical = records[0] !== undefined && source.isHistorical(records[0]);
    try {
      const packed = shape.pack({ records, historical, bound: this.#link });
      return packed instanceof Promise ? this.#inTurn(packed) : packed;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #inTurn<T>(packed: Promise<T>): Promise<T> {
    const before = this.#packing;
    let isOver: () => void = () => {};
    this.#packing = new Promise<void>((resolve) => {
      isOver = resolve;
    });
    this.#packingCount += 1;
    try {
      return await packed;
    } finally {
      this.#packingCount -= 1;
      await before;
      isOver();
    }
  }

  #cutWaiting(bound: CutBound): LogRecord[] {
    const room = this.#link.window - this.#sent.publishes;
    const maxMessages = Math.min(bound.maxMessages, room);
    const records = this.#waiting.cut(this.#mostRecords, { ...bound, maxMessages });
    if (!this.#hasEnough()) this.#onRoom();
    return records;
  }

  #done(sent: Sent): void {
    if (!this.#sent.has(sent)) return;
    sent.isAcked = true;
    this.#advance();
    if (this.#probe === undefined) return;
    this.#probe.acked();
    this.#lookAtProbe();
  }

  #advance(): void {
    const { source, backoff } = this.#options;
    let cuts = 0;
    let count = 0;
    for (const sent of this.#sent.takeAcked()) {
      for (const [partition, span] of sent.spans) source.handled(partition, span);
      sent.acked();
      cuts += 1;
      count += sent.count;
    }
    if (cuts === 0) return;
    this.#hasMoved = true;
    backoff.reset();
    this.#patience = 0;
    this.#mostRecords = Number.POSITIVE_INFINITY;
    if (this.#probe === undefined) this.#trouble = undefined;
    this.#link.onCompleted(count);
  }

  /** `count`: of records in the cut. */
  #refused(refusal: CloudRefusal, sent: Sent, count: number): void {
    const { kind, message } = refusal;
    if (kind === 'too-large') {
      this.#mostRecords = Math.max(1, Math.floor(count / 2));
      if (count > 1) this.#restart();
      // It alone is the cause, and the others of the row are on their way.
      else if (sent.alone !== undefined) void this.#parkSent(sent.alone, refusal, sent);
    } else if (this.#probe !== undefined) {
      this.#sent.clear();
      this.#probe.refused(message, kind);
      this.#lookAtProbe();
      // Others are taken, and this one may be in a while.
      if (kind !== 'never' && this.#probe?.hasTaken === true) this.rest(message);
    } else {
      this.#patience += 1;
      this.#wantsProbe = kind === 'never' || this.#patience >= PATIENCE;
      if (kind !== 'never') this.rest(message);
      else {
        this.#trouble = message;
        this.#restart();
      }
    }
  }

  /** The cut that it was stands for nothing more than that the record is done with. */
  async #parkSent(record: LogRecord, refusal: CloudRefusal, sent: Sent): Promise<void> {
    this.#parkingCount += 1;
    if ((await this.#park(record, refusal)) && this.#sent.has(sent)) {
      sent.count = 0;
      sent.acked = () => {};
      this.#probe?.dropped();
      this.#done(sent);
    }
    this.#endParking();
    this.#link.onMore();
  }

  #endParking(): void {
    this.#parkingCount -= 1;
    if (this.#parkingCount > 0 || !this.#isHeld) return;
    // What waits was read before they were handled.
    this.#keepProbe();
    this.#restart();
  }

  /** Resolves to false where the dead letter could not be made: the record is tried again then. */
  async #park(record: LogRecord, refusal: CloudRefusal): Promise<boolean> {
    const { partition, offset } = record;
    try {
      await this.#options.park(record, refusal);
      this.#options.source.handled(partition, { from: offset, to: offset + 1 });
      return true;
    } catch (error) {
      this.rest(`${refusal.message}; it could not be made a dead letter: ${messageOf(error)}`);
      return false;
    }
  }

  #beginProbe(): void {
    this.#wantsProbe = false;
    this.#probe = new Probe(this.#waiting.peek(PROBED));
  }

  #lookAtProbe(): void {
    const finding = this.#probe?.finding();
    if (finding === undefined) return;
    const { goesOn, culprits } = finding;
    const reason = this.#probe?.reason ?? '';
    this.#probe = undefined;
    this.#patience = 0;
    if (!goesOn) {
      // None of them is taken: it is no record that is the cause. Looked at again after a rest.
      this.#wantsProbe = true;
      this.rest(reason);
    } else void this.#parkAll(culprits);
  }

  async #parkAll(culprits: Finding<LogRecord>['culprits']): Promise<void> {
    this.#parkingCount += 1;
    this.#isHeld = true;
    let areParked = true;
    for (const { record, reason } of culprits) {
      areParked &&= await this.#park(record, new CloudRefusal('never', reason));
    }
    if (areParked) this.#trouble = undefined;
    this.#endParking();
  }
}
