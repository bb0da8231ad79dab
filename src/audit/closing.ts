import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Gaps } from '../base/gap.ts';
import type { Logger } from '../base/logger.ts';
import type { Reading } from '../base/reading.ts';
import type { Books } from './books.ts';
import { copyOf, isNothing, noCounts, owed, unexplained } from './counts.ts';
import { type AuditEntry, entryReading } from './entry.ts';
import { gapSumOf } from './gap-sum.ts';
import type { Bucket, StreamBooks } from './stream-books.ts';

export interface ClosingOptions {
  readonly books: Books;
  readonly lateMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * `done` is called in the turn of the event loop in which the entry is durable, with its offset,
   * or with undefined if it can't be made so.
   */
  readonly append: (entry: Reading, done: (offset: number | undefined) => void) => void;
  /** The cloud has acknowledged everything that the log has of a stream. */
  readonly isCaughtUp: (stream: string) => boolean;
  readonly gaps?: ReadonlyMap<string, Gaps> | undefined;
}

interface Due {
  readonly own: StreamBooks;
  readonly bucket: Bucket;
  /** Of the stream, as this look found them. */
  readonly gaps: AuditEntry['gaps'];
}

/** After weeks without a link tens of thousands are due: devices are answered between. */
const BUCKETS_PER_TURN = 200;

/** So long untouched, a bucket is closed though its end is still to come: the clock was wrong. */
const ABANDONED_MS = 86_400_000;

/** What was closed since the start. */
export interface Closed {
  readonly buckets: number;
  /** The last one: stream, and start in ms since 1970. */
  readonly last?: { readonly stream: string; readonly bucketStart: number };
}

/**
 * Writes buckets that are late and balance to the stream `audit`. The counts of an entry leave the
 * books in the turn in which it is durable. After a crash before that is saved, the entry is found
 * in the log, and its counts leave the books then: nothing is written twice. Only an entry whose
 * commit failed is, under the same identity: what became of the first is not known.
 */
export class Closing {
  readonly #options: ClosingOptions;
  #closed: Closed = { buckets: 0 };

  constructor(options: ClosingOptions) {
    this.#options = options;
  }

  get closed(): Closed {
    return this.#closed;
  }

  /** To be called every `lateMs`, and again when it has resolved. */
  async look(): Promise<void> {
    const { books } = this.#options;
    const due: Due[] = [];
    for (const own of books.streams) due.push(...this.#dueOf(own));
    const closing: Array<Promise<boolean>> = [];
    let hasFailed = false;
    for (const [i, one] of due.entries()) {
      if (i > 0 && i % BUCKETS_PER_TURN === 0) await turn();
      // The log is closed, or full for now: the rest is for another look.
      if (hasFailed) break;
      if (!isStillDue(one)) continue;
      const isStored = this.#close(one).catch((error: unknown) => {
        const fields = { code: codeOf(error), error: messageOf(error), stream: one.own.name };
        this.#options.logger.error(fields, 'an entry of the audit could not be appended');
        return false;
      });
      closing.push(isStored);
      void isStored.then((is) => {
        hasFailed ||= !is;
      });
    }
    await Promise.all(closing);
  }

  #dueOf(own: StreamBooks): Due[] {
    const balanced: Bucket[] = [];
    for (const bucket of [...own.buckets.values()]) {
      if (!this.#isLate(bucket)) continue;
      this.#settle(own, bucket);
      if (isNothing(bucket.counts)) own.closed(bucket, noCounts());
      else if (isBalanced(own, bucket)) balanced.push(bucket);
    }
    if (balanced.length === 0) return [];
    const gaps = this.#gapsOf(own.name);
    return balanced.map((bucket) => ({ own, bucket, gaps }));
  }

  /** The wall clock says when it would be over, and running time that nothing comes any more. */
  #isLate(bucket: Bucket): boolean {
    const { lateMs, clock } = this.#options;
    if (bucket.isTouched) {
      bucket.isTouched = false;
      bucket.quietLooks = 0;
      return false;
    }
    bucket.quietLooks += 1;
    const isOver = clock.wallMs() >= bucket.endMs + lateMs;
    return isOver || bucket.quietLooks * lateMs >= ABANDONED_MS;
  }

  /** What no uplink has to send is owed to nobody, and what is in the log no more never comes. */
  #settle(own: StreamBooks, bucket: Bucket): void {
    if (!own.forwards) {
      own.writeOff(bucket);
      return;
    }
    const missing = owed(bucket.counts);
    if (missing <= 0 || !this.#options.isCaughtUp(own.name)) return;
    own.writeLost(bucket, missing);
    const named = { stream: own.name, bucketStart: bucket.startMs, records: missing };
    const repeatKey = `${own.name}/${bucket.startMs}`;
    this.#options.logger.error(
      { ...named, repeatKey },
      'records that the cloud never had are not in the log any more',
    );
  }

  /** Whether its entry is durable. */
  #close({ own, bucket, gaps }: Due): Promise<boolean> {
    const { books, clock, append } = this.#options;
    if (bucket.entry === 0) bucket.entry = books.takeEntry();
    const counts = copyOf(bucket.counts);
    const { name: stream, log } = own;
    const { startMs: bucketStart, endMs, entry: n } = bucket;
    const bucketMs = endMs - bucketStart;
    const entry: AuditEntry = { log, stream, bucketStart, bucketMs, n, counts, gaps };
    return new Promise((resolve) => {
      append(entryReading(entry, clock.monoMs()), (offset) => {
        if (offset !== undefined) {
          own.closed(bucket, counts);
          books.entryStored(offset);
          const buckets = this.#closed.buckets + 1;
          this.#closed = { buckets, last: { stream, bucketStart } };
        }
        resolve(offset !== undefined);
      });
    });
  }

  #gapsOf(stream: string): AuditEntry['gaps'] {
    const { devices, numbers } = gapSumOf(this.#options.gaps?.get(stream), 0);
    return numbers === 0 ? undefined : { devices, numbers };
  }
}

/** In the turns since it was found due it may have been counted in, or merged. */
function isStillDue({ own, bucket }: Due): boolean {
  const isThere = own.buckets.get(bucket.startMs) === bucket;
  return isThere && !bucket.isTouched && isBalanced(own, bucket);
}

function isBalanced({ takesMessages }: StreamBooks, { counts }: Bucket): boolean {
  return owed(counts) === 0 && (!takesMessages || unexplained(counts) === 0);
}
