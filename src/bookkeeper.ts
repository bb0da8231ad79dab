import { Books } from './audit/books.ts';
import { type Closed, Closing } from './audit/closing.ts';
import { Expiry } from './audit/expiry.ts';
import { type AuditedStream, bookDeadLetter, openBooks } from './audit/open-books.ts';
import { type AuditSnapshot, snapshotOf, trafficOf } from './audit/snapshot.ts';
import type { StreamBooks } from './audit/stream-books.ts';
import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Gaps } from './base/gap.ts';
import { HandledOffsets } from './base/handled-offsets.ts';
import type { Logger } from './base/logger.ts';
import { isParked } from './base/parked.ts';
import type { Checkpoints } from './checkpoints.ts';
import { forwardedStreams } from './forwarding.ts';
import { checkpointHandled, checkpointKey } from './log/checkpoint.ts';
import type { Commit } from './log/commit.ts';
import type { Journal } from './log/journal.ts';
import { earliestOffsets } from './log/log-reader.ts';
import { UPLINK } from './log/own-consumers.ts';
import { readRange } from './log/record-range.ts';
import type { Config } from './ops/config.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import { ALERTS, AUDIT, DEAD_LETTER, type Stores } from './stores.ts';

export interface BookkeeperOptions {
  readonly config: Config;
  readonly stores: Stores;
  readonly state: StateStore;
  readonly checkpoints: Checkpoints;
  readonly files: Files;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  /** Which stream a topic belongs to. */
  readonly streamOf: (topic: string) => string | undefined;
  /** Sequence numbers that are missing, by stream: asked when needed, so it may be filled later. */
  readonly gaps?: ReadonlyMap<string, Gaps>;
}

/** What the books need to know of the uplink. */
export interface Positions {
  /** What the cloud has acknowledged of a stream; undefined: it is not sent. */
  acked(stream: string): HandledOffsets | undefined;
}

/** For `headgate status`. */
export interface AuditStatus {
  readonly openBuckets: number;
  /** Since the start. */
  readonly closedBuckets: number;
  readonly lastClosed?: Closed['last'];
}

const NOTHING_ACKED = new HandledOffsets([]);

/**
 * Keeps the books: counts what is committed, what retention drops, and what the uplink tells, and
 * closes the buckets that are late. What comes in and is not stored is told by the pipeline.
 */
export class Bookkeeper {
  readonly books: Books;
  readonly #options: BookkeeperOptions;
  readonly #closing: Closing;
  #positions: Positions | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isLooking = false;

  private constructor(options: BookkeeperOptions, books: Books) {
    this.books = books;
    this.#options = options;
    const { clock, logger, gaps, stores, config } = options;
    const { events } = stores;
    const audit = events.stream(AUDIT);
    this.#closing = new Closing({
      books,
      lateMs: config.audit.lateMs,
      clock,
      logger,
      gaps,
      append: (entry, done) =>
        events.append(audit, 0, entry, (error, offset) =>
          done(error === undefined ? offset : undefined),
        ),
      isCaughtUp: (stream) =>
        this.#journalOf(stream)
          .nextOffsets(stream)
          .every((end, p) => (this.#acked(stream)?.position(p) ?? 0) >= end),
    });
  }

  /** Takes the books up where they were saved, before anything is appended to a log. */
  static async open(options: BookkeeperOptions): Promise<Bookkeeper> {
    const { config, stores, state, checkpoints, streamOf, files, logger } = options;
    const { bucketMs } = config.audit;
    const onUnreadable = (key: string) =>
      logger.warn({ key, repeatKey: key }, 'a saved part of the books is not readable: it is lost');
    const books = new Books({ bucketMs, onUnreadable }, await state.entries(Books.ROOT));
    const { events } = stores;
    const streams = await auditedStreams(options);
    const entries = {
      log: events.logId,
      end: events.nextOffsets(AUDIT)[0] ?? 0,
      records: (from: readonly number[]) => readRange({ files, view: events, stream: AUDIT, from }),
    };
    await openBooks({ books, streams, entries, deadLetters: DEAD_LETTER, streamOf });
    const keeper = new Bookkeeper(options, books);
    keeper.#listen();
    checkpoints.add(() => books.takeChanges());
    // From the first moment there are books: a kill finds them where they began.
    await checkpoints.save();
    return keeper;
  }

  #listen(): void {
    const { stores, streamOf } = this.#options;
    const { books } = this;
    const { outcomes } = books;
    const telemetry = bySlot(stores.telemetry, books);
    // About 0.05 µs a reading (`npm run bench`, row "book").
    stores.telemetry.onCommit((commit: Commit) =>
      commit.visit((slot, { deviceTimeMs }, receivedAtMs) => {
        const place = telemetry[slot];
        place?.own.stored(place.partition, deviceTimeMs, receivedAtMs);
        outcomes.stored += 1;
      }),
    );
    const events = bySlot(stores.events, books);
    stores.events.onCommit((commit) =>
      commit.visit((slot, { topic, deviceTimeMs, reason }, receivedAtMs) => {
        const place = events[slot];
        place?.own.stored(place.partition, deviceTimeMs, receivedAtMs);
        if (place?.own.name !== DEAD_LETTER || isParked(reason)) return;
        bookDeadLetter({ books, streamOf }, topic, receivedAtMs);
        outcomes.deadLettered += 1;
      }),
    );
  }

  /** Once the uplink runs, if there is one; before anything may be dropped. */
  begin(positions: Positions | undefined): void {
    this.#positions = positions;
    const { stores, files, config, checkpoints, logger } = this.#options;
    for (const journal of [stores.telemetry, stores.events]) {
      const expiry = new Expiry({
        books: this.books,
        acked: (stream) => this.#acked(stream) ?? NOTHING_ACKED,
        read: (stream, from, until) => readRange({ files, view: journal, stream, from, until }),
        save: () => checkpoints.save(),
      });
      journal.beforeDrop((dropped) => expiry.keep(dropped));
    }
    const tell = (error: unknown) => {
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.error(fields, 'a look for what is late in the books failed: the next one tries again');
    };
    this.#timer = setInterval(() => void this.look().catch(tell), config.audit.lateMs);
    this.#timer.unref();
  }

  /** Closes what is late. One look at a time: an entry waits for company. */
  look(): Promise<void> {
    if (this.#isLooking) return this.#looking;
    this.#isLooking = true;
    this.#looking = this.#closing.look().finally(() => {
      this.#isLooking = false;
    });
    return this.#looking;
  }

  #journalOf(stream: string): Journal {
    const { telemetry, events } = this.#options.stores;
    return [ALERTS, DEAD_LETTER].includes(stream) ? events : telemetry;
  }

  #acked(stream: string): HandledOffsets | undefined {
    return this.#positions?.acked(stream);
  }

  status(): AuditStatus {
    const { buckets: closedBuckets, last } = this.#closing.closed;
    const { openBuckets } = this.books;
    return { openBuckets, closedBuckets, ...(last === undefined ? {} : { lastClosed: last }) };
  }

  snapshot(): AuditSnapshot {
    const { stores, counters, gaps } = this.#options;
    const lost = [stores.telemetry, stores.events].flatMap((journal) => journal.status().lost);
    const snapshot = snapshotOf({
      books: this.books,
      ackedOf: (stream) => this.#acked(stream),
      endOf: (stream) => this.#journalOf(stream).nextOffsets(stream),
      lostOf: (name) =>
        lost
          .filter(({ stream }) => stream === name)
          .map(({ partition, offset, count }) => ({ partition, offset, count })),
      gaps,
      entriesEnd: stores.events.nextOffsets(AUDIT)[0] ?? 0,
    });
    const answered = answeredIn(counters);
    return {
      ...snapshot,
      process: trafficOf(counters.received, answered, this.books.outcomes),
    };
  }

  /**
   * Closes no bucket any more. Entries on their way are durable when the log is closed, and what is
   * counted until then is saved after that.
   */
  stop(): void {
    clearInterval(this.#timer);
  }
}

function answeredIn(counters: Counters): number {
  const { stored, duplicates, deadLettered, rejected, lostAfterAck } = counters;
  return stored + duplicates + deadLettered + rejected + lostAfterAck;
}

/** Whose books a slot of a journal belongs to; none: that of the audit itself. */
function bySlot(journal: Journal, books: Books) {
  const places: Array<{ own: StreamBooks; partition: number } | undefined> = [];
  for (const name of journal.streamNames) {
    const own = books.of(name);
    const { firstSlot, partitions } = journal.stream(name);
    for (let partition = 0; partition < partitions; partition++) {
      places[firstSlot + partition] = own === undefined ? undefined : { own, partition };
    }
  }
  return places;
}

async function auditedStreams(options: BookkeeperOptions): Promise<AuditedStream[]> {
  const { config, stores, state, files } = options;
  const { telemetry, events } = stores;
  const forwarded = forwardedStreams(config, stores).map(({ stream }) => stream);
  const all: Array<[name: string, journal: Journal]> = [
    ...telemetry.streamNames.map((name): [string, Journal] => [name, telemetry]),
    [ALERTS, events],
    [DEAD_LETTER, events],
  ];
  const streams: AuditedStream[] = [];
  for (const [name, journal] of all) {
    const stored = await state.get(checkpointKey(UPLINK, name));
    const earliest = earliestOffsets(journal, name);
    const end = journal.nextOffsets(name);
    const acked = checkpointHandled(stored, journal.logId, end) ?? new HandledOffsets(earliest);
    streams.push({
      name,
      log: journal.logId,
      takesMessages: journal === telemetry,
      forwards: config.uplink.url !== '' && forwarded.includes(name),
      earliest,
      end,
      acked,
      records: (from) => readRange({ files, view: journal, stream: name, from }),
    });
  }
  return streams;
}
