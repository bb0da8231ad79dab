import { type Cut, eventTimeMs, startOf } from './bucket.ts';
import {
  addCounts,
  COUNT_NAMES,
  type CountName,
  type Counts,
  isNothing,
  noCounts,
  owed,
  unexplained,
} from './counts.ts';

/** A stretch of event time, and what became of what belongs to it. */
export interface Bucket {
  /** ms since 1970. */
  readonly startMs: number;
  endMs: number;
  readonly counts: Counts;
  /** The number of the entry that is being written for it; 0: none is. */
  entry: number;
  /** Something was counted since the last look at it. */
  isTouched: boolean;
  /** Looks since then. */
  quietLooks: number;
  isChanged: boolean;
}

/** How far the books of a stream have come: one small entry of the state store. */
export interface Head extends Cut {
  /** Next offset of each partition that is not counted as stored. */
  readonly booked: readonly number[];
  /** What is before was counted as expired, if the cloud had not acknowledged it by then. */
  readonly expiredTo: readonly number[];
  /** There is an uplink that has to send the stream. */
  readonly forwards: boolean;
}

/** After a power cut, which takes the end of the state with it. */
const COMES_AGAIN: ReadonlySet<CountName> = new Set(['cloudAcked', 'opening']);

/** What of an entry of the audit concerns the books that it closed. */
export interface Entry {
  readonly bucketStart: number;
  readonly bucketMs: number;
  readonly counts: Readonly<Counts>;
}

/** What became of a message that is not in the stream it was sent to. */
export type Unstored = 'duplicates' | 'deadLettered' | 'refused' | 'lostAfterAck';

export interface StreamBooksOptions {
  readonly name: string;
  /** The log whose offsets these are. */
  readonly log: string;
  readonly head: Head;
  /** Messages come in for it; else Headgate fills it by itself. */
  readonly takesMessages: boolean;
  /** Asked before a bucket is opened. */
  readonly makeRoom: () => void;
}

/** The books of one stream: its buckets, and the positions that they were counted up to. */
export class StreamBooks {
  readonly name: string;
  readonly log: string;
  readonly takesMessages: boolean;
  readonly bucketMs: number;
  readonly booked: number[];
  readonly expiredTo: number[];
  readonly buckets = new Map<number, Bucket>();
  #mergedBeforeMs: number;
  #forwards: boolean;
  #isHeadChanged = false;
  /** The bucket of the last record: nearly always that of the next one. */
  #last: Bucket | undefined;
  #changed: Bucket[] = [];
  #removed: number[] = [];
  readonly #makeRoom: () => void;

  constructor({ name, log, head, takesMessages, makeRoom }: StreamBooksOptions) {
    this.name = name;
    this.log = log;
    this.takesMessages = takesMessages;
    this.bucketMs = head.bucketMs;
    this.booked = [...head.booked];
    this.expiredTo = [...head.expiredTo];
    this.#mergedBeforeMs = head.mergedBeforeMs;
    this.#forwards = head.forwards;
    this.#makeRoom = makeRoom;
  }

  get forwards(): boolean {
    return this.#forwards;
  }

  get mergedBeforeMs(): number {
    return this.#mergedBeforeMs;
  }

  get head(): Head {
    const { bucketMs, mergedBeforeMs, booked, expiredTo, forwards } = this;
    return { bucketMs, mergedBeforeMs, booked: [...booked], expiredTo: [...expiredTo], forwards };
  }

  /** Something of the head was changed from outside. */
  touchHead(): void {
    this.#isHeadChanged = true;
  }

  /** All of it is to be stored anew. */
  touchAll(): void {
    this.#isHeadChanged = true;
    for (const bucket of this.buckets.values()) this.#noteChange(bucket);
  }

  /** As it was stored. */
  restore(startMs: number, counts: Counts): void {
    this.buckets.set(startMs, this.#newBucket(startMs, counts));
  }

  #newBucket(startMs: number, counts: Counts): Bucket {
    const endMs = startMs + this.bucketMs;
    return {
      startMs,
      endMs: startMs === 0 ? Math.max(endMs, this.#mergedBeforeMs) : endMs,
      counts,
      entry: 0,
      isTouched: true,
      quietLooks: 0,
      isChanged: false,
    };
  }

  /** The bucket of a record, to be counted in: open from here on, and to be saved. */
  bucketAt(deviceTimeMs: number | undefined, receivedAtMs: number): Bucket {
    const timeMs = eventTimeMs(deviceTimeMs, receivedAtMs);
    const last = this.#last;
    const isLast = last !== undefined && timeMs >= last.startMs && timeMs < last.endMs;
    return isLast ? this.#touched(last) : this.bucketFrom(startOf(timeMs, this));
  }

  /** The same by its start: of a bucket that was merged since, the one that took it in. */
  bucketFrom(startMs: number): Bucket {
    const start = startOf(startMs, this);
    let bucket = this.buckets.get(start);
    if (bucket === undefined) {
      this.#makeRoom();
      // To make room may have been to merge this stretch too.
      const own = startOf(startMs, this);
      bucket = this.buckets.get(own) ?? this.#newBucket(own, noCounts());
      this.buckets.set(own, bucket);
    }
    this.#last = bucket;
    return this.#touched(bucket);
  }

  #touched(bucket: Bucket): Bucket {
    bucket.isTouched = true;
    this.#noteChange(bucket);
    return bucket;
  }

  #noteChange(bucket: Bucket): void {
    if (bucket.isChanged) return;
    bucket.isChanged = true;
    this.#changed.push(bucket);
  }

  /** A record that has become durable: the next one of its partition. */
  stored(partition: number, deviceTimeMs: number | undefined, receivedAtMs: number): void {
    const { counts } = this.bucketAt(deviceTimeMs, receivedAtMs);
    if (this.takesMessages) counts.received += 1;
    counts.stored += 1;
    this.booked[partition] = (this.booked[partition] ?? 0) + 1;
    this.#isHeadChanged = true;
  }

  receivedOnly(what: Unstored, deviceTimeMs: number | undefined, receivedAtMs: number): void {
    const { counts } = this.bucketAt(deviceTimeMs, receivedAtMs);
    counts.received += 1;
    counts[what] += 1;
  }

  /** `count` more of something that came to pass with what is in the log. */
  add(startMs: number, name: CountName, count: number): void {
    this.bucketFrom(startMs).counts[name] += count;
  }

  /**
   * From here on an uplink sends the stream, or none does. Whatever was owed when one begins is
   * owed to nobody: `opening` counts what it does have to send.
   */
  setForwards(forwards: boolean): void {
    if (forwards === this.#forwards) return;
    this.#forwards = forwards;
    this.#isHeadChanged = true;
    if (forwards) for (const bucket of this.buckets.values()) this.writeOff(bucket);
  }

  /** What of a bucket no uplink has to send. */
  writeOff(bucket: Bucket): void {
    const rest = owed(bucket.counts);
    if (rest <= 0) return;
    bucket.counts.notForwarded += rest;
    this.#noteChange(bucket);
  }

  /** What of a bucket is in the log no more, though nobody dropped it. */
  writeLost(bucket: Bucket, count: number): void {
    bucket.counts.lost += count;
    this.#noteChange(bucket);
  }

  /** These counts are in an entry that is durable. What came meanwhile stays, for another one. */
  closed(bucket: Bucket, counts: Readonly<Counts>): void {
    addCounts(bucket.counts, counts, -1);
    bucket.entry = 0;
    if (!this.#leaves(bucket)) this.#noteChange(bucket);
  }

  /**
   * Whether nothing stays in a bucket after its entry. Where its time was merged meanwhile, what
   * comes to pass with the rest is counted in the merged bucket: apart, neither would ever balance.
   */
  #leaves(bucket: Bucket): boolean {
    const { startMs, counts } = bucket;
    const isMerged = startMs !== 0 && startMs < this.#mergedBeforeMs;
    if (!isNothing(counts) && !isMerged) return false;
    this.#remove(bucket);
    if (!isNothing(counts)) addCounts(this.bucketFrom(startMs).counts, counts);
    return true;
  }

  /**
   * An entry that the log has and the books as they were saved know nothing of: its counts are in
   * it. What was saved too late to be in the books is in the entry alone, and none of it is missing
   * here; only acknowledgements come once more, with the position of the uplink, and what it has to
   * send when it is switched on. Switched on it has to send what was written off without it.
   */
  closedBefore(entry: Readonly<Entry>): void {
    const { bucketStart, bucketMs, counts } = entry;
    if (bucketStart === 0) this.merge(bucketMs);
    const bucket = this.buckets.get(bucketStart) ?? this.bucketFrom(bucketStart);
    addCounts(bucket.counts, counts, -1);
    if (this.#forwards) bucket.counts.opening += Math.max(0, -bucket.counts.notForwarded);
    for (const name of COUNT_NAMES) {
      if (!COMES_AGAIN.has(name)) bucket.counts[name] = Math.max(0, bucket.counts[name]);
    }
    if (this.takesMessages) bucket.counts.received -= unexplained(bucket.counts);
    if (!this.#leaves(bucket)) this.#touched(bucket);
  }

  #remove(bucket: Bucket): void {
    this.buckets.delete(bucket.startMs);
    this.#removed.push(bucket.startMs);
    if (this.#last === bucket) this.#last = undefined;
  }

  /**
   * All buckets before this moment become one, from 0 up to it, now and for all that is still to
   * come. One that is being closed stays by itself: its entry may be in the log already.
   */
  merge(beforeMs: number): void {
    if (beforeMs <= this.#mergedBeforeMs) return;
    this.#mergedBeforeMs = beforeMs;
    this.#isHeadChanged = true;
    this.#last = undefined;
    const sum = noCounts();
    for (const bucket of [...this.buckets.values()]) {
      if (bucket.startMs === 0 || bucket.startMs >= beforeMs || bucket.entry !== 0) continue;
      addCounts(sum, bucket.counts);
      this.#remove(bucket);
    }
    if (isNothing(sum) && !this.buckets.has(0)) return;
    const into = this.buckets.get(0) ?? this.#newBucket(0, noCounts());
    this.buckets.set(0, into);
    into.endMs = beforeMs;
    addCounts(into.counts, sum);
    this.#touched(into);
  }

  /** Starts of the buckets to be stored anew or, where there is none any more, removed. */
  takeChanges(): { readonly isHead: boolean; readonly starts: Set<number> } {
    const starts = new Set(this.#removed);
    for (const bucket of this.#changed) {
      bucket.isChanged = false;
      starts.add(bucket.startMs);
    }
    const isHead = this.#isHeadChanged;
    this.#removed = [];
    this.#changed = [];
    this.#isHeadChanged = false;
    return { isHead, starts };
  }
}

/** Counts as they stand in the state store. */
export function encodeBucket({ counts }: Bucket): string {
  return JSON.stringify(COUNT_NAMES.map((name) => counts[name]));
}

/** Counts that were added since then are none in what was stored before. */
const OLDEST_COUNTS = 12;

/** undefined: it is not what `encodeBucket` makes. */
export function decodeBucket(text: string): Counts | undefined {
  const values = numbersIn(text);
  if (values === undefined || values.length < OLDEST_COUNTS) return undefined;
  const counts = noCounts();
  for (const [i, name] of COUNT_NAMES.entries()) counts[name] = values[i] ?? 0;
  return counts;
}

function numbersIn(text: string): number[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isSound = Array.isArray(parsed) && parsed.every((n) => Number.isSafeInteger(n));
    return isSound ? (parsed as number[]) : undefined;
  } catch {
    return undefined;
  }
}
