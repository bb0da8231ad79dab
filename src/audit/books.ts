import type { Bucket, Entry, Head, Unstored } from './stream-books.ts';
import { decodeBucket, encodeBucket, StreamBooks } from './stream-books.ts';

/** What came in since the start, and what became of it. */
export type Outcomes = { [name in Unstored | 'stored']: number };

export interface BooksOptions {
  readonly bucketMs: number;
  /** What was saved with another size stays as it is: for a reader, who saves nothing. */
  readonly keepsSize?: boolean;
  /** Open buckets of all streams; beyond it the oldest of the stream with most become one. */
  readonly maxBuckets?: number;
  /** Told the key of what was stored and can't be read: it is dropped. */
  readonly onUnreadable?: (key: string) => void;
}

/** Of the stream `audit`. */
interface Entries {
  /** Number of the next one. */
  readonly next: number;
  /** Offset before which the books know them all. */
  readonly to: number;
}

type StoredEntries = ReadonlyArray<readonly [key: string, value: string]>;

/** Some 8 MB, and for a single stream 27 days without a link. */
const MAX_BUCKETS = 40_000;
const ROOT = 'audit/';

function headKey(log: string, stream: string): string {
  return `${ROOT}${log}/${stream}`;
}

function decodeEntries(text: string): Entries | undefined {
  try {
    const { next, to } = JSON.parse(text) as Entries;
    return Number.isSafeInteger(next) && Number.isSafeInteger(to) ? { next, to } : undefined;
  } catch {
    return undefined;
  }
}

/** A head as it was stored; undefined: it is not readable. */
function decodeHead(text: string): Head | undefined {
  try {
    const head = JSON.parse(text) as Partial<Head>;
    const { booked, expiredTo, forwards, bucketMs, mergedBeforeMs } = head;
    const areOffsets = (row: unknown) =>
      Array.isArray(row) && row.every((n) => Number.isSafeInteger(n));
    const isSound = areOffsets(booked) && areOffsets(expiredTo) && typeof forwards === 'boolean';
    const times = [bucketMs, mergedBeforeMs];
    return isSound && times.every((n) => Number.isSafeInteger(n)) ? (head as Head) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The books of all streams, in memory, with what of them is to be saved. Whoever counts does so in
 * the same turn of the event loop in which the thing comes to pass, and `takeChanges` is called
 * together with the checkpoint of the uplink: so what is saved is always of one moment.
 */
export class Books {
  readonly #bucketMs: number;
  readonly #keepsSize: boolean;
  readonly #maxBuckets: number;
  readonly #onUnreadable: (key: string) => void;
  readonly #streams = new Map<string, StreamBooks>();
  /** Until the books of all streams are open. */
  #stored: ReadonlyMap<string, string>;
  /** Keys of another log, or of no use any more. */
  #doomed: string[] = [];
  #entriesKey = '';
  #entries: Entries = { next: 1, to: 0 };
  #isEntryNews = false;
  /** Of this process alone: against what the pipeline counts by itself. */
  readonly outcomes: Outcomes = {
    stored: 0,
    duplicates: 0,
    deadLettered: 0,
    refused: 0,
    lostAfterAck: 0,
  };

  /** `stored`: all entries of the state store whose key begins with `Books.ROOT`. */
  constructor(options: BooksOptions, stored: StoredEntries = []) {
    const { bucketMs, keepsSize = false, maxBuckets = MAX_BUCKETS } = options;
    this.#onUnreadable = options.onUnreadable ?? (() => {});
    this.#bucketMs = bucketMs;
    this.#keepsSize = keepsSize;
    this.#maxBuckets = maxBuckets;
    this.#stored = new Map(stored);
  }

  static readonly ROOT = ROOT;

  get streams(): Iterable<StreamBooks> {
    return this.#streams.values();
  }

  of(stream: string): StreamBooks | undefined {
    return this.#streams.get(stream);
  }

  get openBuckets(): number {
    let sum = 0;
    for (const { buckets } of this.#streams.values()) sum += buckets.size;
    return sum;
  }

  /**
   * Takes up the books of a stream as they were stored. Returns them, and whether there were any:
   * new ones begin with `head`.
   */
  open(
    { name, log, takesMessages }: Pick<StreamBooks, 'name' | 'log' | 'takesMessages'>,
    head: Omit<Head, 'bucketMs' | 'mergedBeforeMs'>,
  ) {
    const stored = this.#read(headKey(log, name), decodeHead);
    const fresh: Head = { ...head, bucketMs: this.#bucketMs, mergedBeforeMs: 0 };
    const makeRoom = () => this.#makeRoom();
    const stream = { name, log, takesMessages };
    const books = new StreamBooks({ ...stream, makeRoom, head: stored ?? fresh });
    const prefix = `${headKey(log, name)}/`;
    for (const key of this.#stored.keys()) {
      if (!key.startsWith(prefix)) continue;
      // Without a head nobody knows what they are of: of those, the head alone is told.
      const counts = stored === undefined ? undefined : this.#read(key, decodeBucket);
      if (counts === undefined) this.#doomed.push(key);
      else books.restore(Number(key.slice(prefix.length)), counts);
    }
    const isRight = this.#keepsSize || books.bucketMs === this.#bucketMs;
    const ready = isRight ? books : this.#recut(books);
    if (stored === undefined) ready.touchHead();
    this.#streams.set(name, ready);
    return { books: ready, isNew: stored === undefined };
  }

  /** undefined: there is none, or it is not readable. */
  #read<T>(key: string, decode: (text: string) => T | undefined): T | undefined {
    const text = this.#stored.get(key);
    if (text === undefined) return undefined;
    const value = decode(text);
    if (value === undefined) this.#onUnreadable(key);
    return value;
  }

  /**
   * Buckets of another size: what is open becomes one bucket, since no record of it could be told
   * to belong to a smaller one.
   */
  #recut(old: StreamBooks): StreamBooks {
    let endMs = old.mergedBeforeMs;
    for (const bucket of old.buckets.values()) endMs = Math.max(endMs, bucket.endMs);
    old.merge(Math.ceil(endMs / this.#bucketMs) * this.#bucketMs);
    const { name, log, takesMessages } = old;
    const head = { ...old.head, bucketMs: this.#bucketMs };
    const makeRoom = () => this.#makeRoom();
    const books = new StreamBooks({ name, log, takesMessages, head, makeRoom });
    for (const start of old.takeChanges().starts) {
      this.#doomed.push(`${headKey(log, name)}/${start}`);
    }
    for (const { startMs, counts } of old.buckets.values()) books.restore(startMs, counts);
    books.touchAll();
    return books;
  }

  /** All are open. What is stored of logs that are no more, of an older card say, is dropped. */
  dropOthers(): void {
    const logs = new Set([...this.#streams.values()].map(({ log }) => log));
    for (const key of this.#stored.keys()) {
      if (!logs.has(key.slice(ROOT.length).split('/', 1)[0] ?? '')) this.#doomed.push(key);
    }
    this.#stored = new Map();
  }

  /**
   * Takes up the numbers of entries. `end`: the next offset of the stream `audit`. Returns the
   * offset from which on its entries are not in the books as they were saved: a kill, or a power
   * cut that took some of the state with it, came after them.
   */
  openEntries(log: string, end: number): number {
    this.#entriesKey = `${ROOT}${log}/`;
    const stored = this.#read(this.#entriesKey, decodeEntries);
    // If the state was lost, no number may be given twice: there are no more of them than entries.
    const { next, to } = stored ?? { next: end + 1, to: end };
    this.#entries = { next, to: end };
    this.#isEntryNews = stored === undefined || to !== end;
    return Math.min(to, end);
  }

  /** One that was found in the log, in the order of their offsets, when the streams are open. */
  closedBefore(entry: Entry & { readonly stream: string; readonly n: number }): void {
    this.#streams.get(entry.stream)?.closedBefore(entry);
    const next = Math.max(this.#entries.next, entry.n + 1);
    this.#entries = { ...this.#entries, next };
  }

  takeEntry(): number {
    const { next } = this.#entries;
    this.#entries = { ...this.#entries, next: next + 1 };
    return next;
  }

  /** An entry is durable at this offset, and its counts have left the books. */
  entryStored(offset: number): void {
    this.#entries = { ...this.#entries, to: Math.max(this.#entries.to, offset + 1) };
    this.#isEntryNews = true;
  }

  /** A message that came in for a stream and is not in it. Of a stream that has no books: none. */
  unstored(
    stream: string,
    what: Unstored,
    times: { readonly deviceTimeMs?: number | undefined; readonly wallMs: number },
  ): void {
    this.outcomes[what] += 1;
    this.#streams.get(stream)?.receivedOnly(what, times.deviceTimeMs, Math.max(0, times.wallMs));
  }

  #makeRoom(): void {
    if (this.openBuckets < this.#maxBuckets) return;
    const [most] = [...this.#streams.values()].sort((a, b) => b.buckets.size - a.buckets.size);
    if (most === undefined) return;
    const starts = [...most.buckets.keys()].sort((a, b) => a - b);
    // A quarter, so that this is seldom.
    const last = starts[Math.ceil(starts.length / 4)] ?? 0;
    most.merge(last);
  }

  /** What is to be written to the state store; undefined removes a key. */
  takeChanges(): Map<string, string | undefined> {
    const changes = new Map<string, string | undefined>();
    for (const key of this.#doomed) changes.set(key, undefined);
    this.#doomed = [];
    for (const books of this.#streams.values()) {
      const key = headKey(books.log, books.name);
      const { isHead, starts } = books.takeChanges();
      for (const start of starts) {
        const bucket: Bucket | undefined = books.buckets.get(start);
        changes.set(`${key}/${start}`, bucket === undefined ? undefined : encodeBucket(bucket));
      }
      if (isHead) changes.set(key, JSON.stringify(books.head));
    }
    if (this.#isEntryNews) changes.set(this.#entriesKey, JSON.stringify(this.#entries));
    this.#isEntryNews = false;
    return changes;
  }
}
