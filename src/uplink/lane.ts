import { setTimeout as wait } from 'node:timers/promises';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Span } from '../base/handled-offsets.ts';
import type { LogRecord } from '../base/reading.ts';
import type { LanePriority } from './budget.ts';
import { type CloudMessage, CloudRefusal } from './cloud-link.ts';
import { Probe } from './probe.ts';
import type { MessageBound, Shape } from './shape.ts';

/** Where a lane's records come from: `log/split-consumer.ts`. */
export interface LaneSource {
  readonly stream: string;
  /** At most `maxRecords`; waits until there is one. Empty only when `signal` has aborted. */
  read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]>;
  /** Offsets of this span are done with. */
  handled(partition: number, span: Span): void;
  isHistorical(record: LogRecord): boolean;
  /** Reads again from the first record that is not handled. */
  rewind(): void;
}

/** Notes in the books what goes out; what it returns notes that the cloud has it. */
export type Booking = (records: readonly LogRecord[]) => () => void;

/** Makes a dead letter of a record that the cloud does not take; resolves when it is on flash. */
export type Park = (record: LogRecord, refusal: CloudRefusal) => Promise<void>;

/** Records on their way to the cloud together. */
export interface Cut {
  readonly records: number;
  /** In the order in which the lane's cuts are to be published. */
  readonly messages: readonly CloudMessage[] | Promise<readonly CloudMessage[]>;
  /** False once the lane has begun anew: it comes again then. */
  isWanted(): boolean;
  /** The cloud has acknowledged all of it. */
  done(): void;
  /** The cloud did not take it. Returns whether that is news: the lane has begun anew then. */
  refused(refusal: CloudRefusal): boolean;
}

export interface LaneOptions {
  readonly source: LaneSource;
  readonly shape: Shape;
  readonly priority: LanePriority;
  /** How long the lane rests when its oldest record is not taken. */
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly book?: Booking;
  readonly park: Park;
}

interface Sent {
  /** Of each partition, the records of it. */
  readonly spans: ReadonlyMap<number, Span>;
  readonly oldest: LogRecord | undefined;
  /** How many of them the cloud will have, and the books of these. */
  count: number;
  acked: () => void;
  isAcked: boolean;
}

/** The link that is up. */
export interface LaneLink extends MessageBound {
  /** Cuts on their way at one time. */
  readonly window: number;
  /** The lane may be ready. */
  readonly onMore: () => void;
  /**
   * So many records are done: none while a cut before them lacks its acknowledgement, and then all
   * up to the next that does.
   */
  readonly onCompleted: (records: number) => void;
}

const NO_LINK: LaneLink = {
  window: 0,
  maxBytes: Number.POSITIVE_INFINITY,
  sizeOf: () => 0,
  onMore: () => {},
  onCompleted: () => {},
};
const RECORDS_PER_READ = 256;
/** So many records are looked at one by one where the cloud refuses. */
const PROBED = 8;
/** After so many refusals that ask for patience, one record may be the cause. */
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
  #waiting: LogRecord[] = [];
  #next = 0;
  #waitingBytes = 0;
  #sinceMonoMs = 0;
  #lingering: NodeJS.Timeout | undefined;
  /** From the first one that lacks its acknowledgement. */
  #sent: Sent[] = [];
  /** Resolves when all cuts before have been packed: what is smaller must not overtake. */
  #packing: Promise<unknown> = Promise.resolve();
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
  /** Of the read that is under way. */
  #reading = new AbortController();

  constructor(options: LaneOptions) {
    this.#options = options;
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

  /** The oldest record at hand that the cloud has not acknowledged. */
  get oldest(): LogRecord | undefined {
    return this.#sent[0]?.oldest ?? this.#waiting[this.#next];
  }

  /** A new link, from the first record that lacks its acknowledgement. */
  begin(link: LaneLink): void {
    this.#link = link;
    this.#hasMoved = false;
  }

  /**
   * The link is gone, for this reason, and nothing is on its way any more: everything that is not
   * acknowledged is to be sent again. Until then no file is held open: retention may remove it.
   */
  end(why: string): void {
    this.#probe?.ended(why);
    this.#lookAtProbe();
    // It may be what ended the link: a record that is too large, say. Once, it was hardly that.
    const isStuck = this.#sent.length > 0 && !this.#hasMoved;
    if (isStuck && this.#wasStuck) {
      this.#trouble = `the link ended before an answer: ${why}`;
      this.#wantsProbe = true;
    }
    // A lane that rested for as long as the link was up has learnt nothing.
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
    this.#reading.abort();
    this.#probe?.abandon();
    this.#options.source.rewind();
    this.#waiting = [];
    this.#next = 0;
    this.#waitingBytes = 0;
    this.#sent = [];
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
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
    const stop = () => reading.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!this.#hasEnough() && !signal.aborted) {
        const { source } = this.#options;
        const records = await source.read(RECORDS_PER_READ, reading.signal);
        // Read before the source was rewound: they come again.
        if (reading.signal.aborted) return;
        this.#take(records);
        this.#link.onMore();
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #take(records: readonly LogRecord[]): void {
    if (this.#isEmpty()) this.#beginLinger();
    if (this.#next > 0) this.#waiting.splice(0, this.#next);
    this.#next = 0;
    this.#waiting.push(...records);
    for (const { payload } of records) this.#waitingBytes += payload.length;
  }

  #beginLinger(): void {
    const { shape, clock } = this.#options;
    this.#sinceMonoMs = clock.monoMs();
    clearTimeout(this.#lingering);
    if (shape.lingerMs > 0) {
      this.#lingering = setTimeout(() => this.#link.onMore(), shape.lingerMs);
      this.#lingering.unref();
    }
  }

  #isEmpty(): boolean {
    return this.#next >= this.#waiting.length;
  }

  #hasEnough(): boolean {
    return !this.#isEmpty() && this.#isFull();
  }

  #isFull(): boolean {
    const count = this.#waiting.length - this.#next;
    const { shape } = this.#options;
    return count >= this.#mostRecords || shape.isFull(count, this.#waitingBytes, this.#link.maxBytes);
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
    if (this.#isResting || this.#isEmpty()) return false;
    if (this.#probe !== undefined || this.#wantsProbe) return this.#sent.length === 0;
    if (this.#sent.length >= this.#link.window) return false;
    return this.#isFull() || this.#hasLingered();
  }

  #hasLingered(): boolean {
    const { shape, clock } = this.#options;
    // Timers may come a little early.
    return clock.monoMs() - this.#sinceMonoMs >= shape.lingerMs - 1;
  }

  /** The next records to send, of `maxBytes` at most; undefined while the lane is not ready. */
  take(maxBytes = this.#link.maxBytes): Cut | undefined {
    if (!this.ready) return undefined;
    if (this.#wantsProbe) this.#beginProbe();
    const probed = this.#probe?.next();
    if (this.#probe !== undefined && probed === undefined) return undefined;
    const records = probed === undefined ? this.#cutWaiting(maxBytes) : [probed];
    const { shape, book, source } = this.#options;
    const historical = records[0] !== undefined && source.isHistorical(records[0]);
    const sent: Sent = {
      spans: spansOf(records),
      oldest: records[0],
      count: records.length,
      acked: book?.(records) ?? (() => {}),
      isAcked: false,
    };
    this.#sent.push(sent);
    const packed = this.#packed(() => shape.pack({ records, historical, bound: this.#link }));
    return {
      records: records.length,
      messages: packed,
      isWanted: () => this.#sent.includes(sent),
      // Of an earlier link it changes nothing: the record stands in the row of this one again.
      done: () => this.#done(sent),
      refused: (refusal) => {
        // One refusal sends the whole row again, so the others of that row say nothing new.
        if (!this.#sent.includes(sent)) return false;
        this.#refused(refusal, sent, records);
        return true;
      },
    };
  }

  #packed(pack: () => ReturnType<Shape['pack']>): Cut['messages'] {
    try {
      const packed = pack();
      if (!(packed instanceof Promise)) return packed;
      const inTurn = Promise.all([packed, this.#packing]).then(([messages]) => messages);
      this.#packing = inTurn.catch(() => {
        // Whoever sends it is told.
      });
      return inTurn;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #cutWaiting(maxBytes: number): LogRecord[] {
    const { shape, source } = this.#options;
    const from = this.#next;
    const most = from + Math.min(this.#mostRecords, shape.cut(this.#waiting, from, maxBytes));
    const isLike = (at: number) => {
      const record = this.#waiting[at];
      return record !== undefined && source.isHistorical(record);
    };
    // A message is historical as a whole, or not.
    let end = from + 1;
    while (end < most && isLike(end) === isLike(from)) end += 1;
    const records = this.#waiting.slice(from, end);
    for (const { payload } of records) this.#waitingBytes -= payload.length;
    this.#next = end;
    if (!this.#isEmpty() && !this.#isFull()) this.#beginLinger();
    if (!this.#hasEnough()) this.#onRoom();
    return records;
  }

  #done(sent: Sent): void {
    if (!this.#sent.includes(sent)) return;
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
    for (const sent of this.#sent) {
      if (!sent.isAcked) break;
      for (const [partition, span] of sent.spans) source.handled(partition, span);
      sent.acked();
      cuts += 1;
      count += sent.count;
    }
    if (cuts === 0) return;
    this.#sent.splice(0, cuts);
    this.#hasMoved = true;
    backoff.reset();
    this.#patience = 0;
    this.#mostRecords = Number.POSITIVE_INFINITY;
    if (this.#probe === undefined) this.#trouble = undefined;
    this.#link.onCompleted(count);
  }

  #refused(refusal: CloudRefusal, sent: Sent, records: readonly LogRecord[]): void {
    const { kind, message } = refusal;
    const [first] = records;
    if (kind === 'too-large') {
      this.#mostRecords = Math.max(1, Math.floor(records.length / 2));
      if (records.length > 1) this.#restart();
      // It alone is the cause, and the others of the row are on their way.
      else if (first !== undefined) void this.#parkSent(first, refusal, sent);
    } else if (this.#probe !== undefined) {
      this.#sent = [];
      this.#probe.refused(message);
      this.#lookAtProbe();
    } else {
      this.#patience += 1;
      this.#wantsProbe = kind === 'never' || this.#patience >= PATIENCE;
      if (kind === 'later') this.rest(message);
      else {
        this.#trouble = message;
        this.#restart();
      }
    }
  }

  /** The cut that it was stands for nothing more than that the record is done with. */
  async #parkSent(record: LogRecord, refusal: CloudRefusal, sent: Sent): Promise<void> {
    if (!(await this.#park(record, refusal))) return;
    sent.count = 0;
    sent.acked = () => {};
    this.#done(sent);
    this.#link.onMore();
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
    this.#probe = new Probe(this.#waiting.slice(this.#next, this.#next + PROBED));
  }

  #lookAtProbe(): void {
    const finding = this.#probe?.finding();
    if (finding === undefined) return;
    const { acked, culprits } = finding;
    const reason = this.#probe?.reason ?? '';
    this.#probe = undefined;
    this.#patience = 0;
    if (acked.length === 0) {
      // None of them is taken: it is no record that is the cause. Looked at again after a rest.
      this.#wantsProbe = true;
      this.rest(reason);
    } else void this.#parkAll(culprits);
  }

  async #parkAll(culprits: ReadonlyArray<Culprit>): Promise<void> {
    this.#isResting = true;
    for (const { record, reason } of culprits) {
      if (!(await this.#park(record, new CloudRefusal('never', reason)))) return;
    }
    this.#trouble = undefined;
    this.#isResting = false;
    this.#restart();
  }
}

interface Culprit {
  readonly record: LogRecord;
  readonly reason: string;
}

/** The records of a cut, by partition. Between two of them lies nothing that is still to be sent. */
function spansOf(records: readonly LogRecord[]): ReadonlyMap<number, Span> {
  const spans = new Map<number, Span>();
  for (const { partition, offset } of records) {
    const from = spans.get(partition)?.from ?? offset;
    spans.set(partition, { from, to: offset + 1 });
  }
  return spans;
}
