import { createHash } from 'node:crypto';
import type { Books } from './audit/books.ts';
import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { Logger } from './base/logger.ts';
import { hasOffset, type OffsetRanges, parseRanges, rangesWith } from './base/offset-ranges.ts';
import { isParked } from './base/parked.ts';
import type { LogRecord } from './base/reading.ts';
import type { Journal } from './log/journal.ts';
import { earliestOffsets } from './log/log-reader.ts';
import type { SplitConsumer } from './log/split-consumer.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import { readOn } from './refill.ts';
import { DEAD_LETTER } from './stores.ts';
import type { CloudRefusal } from './uplink/cloud-link.ts';
import { bookParked } from './uplink-books.ts';

export interface ParkingOptions {
  readonly events: Journal;
  readonly state: StateStore;
  readonly files: Files;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly books: Books;
  /** Of every stream that is sent. */
  readonly consumers: readonly SplitConsumer[];
}

const KEY = 'parked/letters';

/**
 * Sets records aside that the cloud does not take: each stays in its stream, and a dead letter says
 * so. Counts, books and position move on in the turn in which the letter is on flash, so that one
 * checkpoint has all of them. A crash before that checkpoint brings the record again, and the
 * letter is there already: it is looked for among those that came since, and not made twice. One
 * that is a dead letter itself is made no other: it would not be taken either.
 */
export class Parking {
  readonly #options: ParkingOptions;
  /** Letters of lives before of which it is not known whether their record comes again. */
  readonly #found: Map<string, number[]>;
  /** Per stream: all that may come again lies before these offsets. */
  readonly #ends: ReadonlyMap<string, readonly number[]>;
  readonly #underWay = new Map<string, Promise<void>>();
  #foundChanged = true;
  #openRanges: OffsetRanges = [];

  private constructor(
    options: ParkingOptions,
    found: Map<string, number[]>,
    ends: ReadonlyMap<string, readonly number[]>,
  ) {
    this.#options = options;
    this.#found = found;
    this.#ends = ends;
  }

  /** `ends`: of each stream the next offsets, as of now. */
  static async open(
    options: ParkingOptions,
    ends: ReadonlyMap<string, readonly number[]>,
  ): Promise<Parking> {
    const { events: journal, state, files } = options;
    const stored = storedIn(await state.get(KEY), journal.logId);
    // Without a checkpoint every record comes again, and so may each one that has a letter.
    const from = stored === undefined ? earliestOffsets(journal, DEAD_LETTER) : [stored.begin];
    const found = new Map<string, number[]>();
    await readOn({ files, journal, stream: DEAD_LETTER }, from, (letters) => {
      for (const letter of letters) {
        if (!isParked(letter.reason) || stored?.isSettled(letter.offset) === true) continue;
        const name = nameOf(letter);
        const same = found.get(name);
        if (same === undefined) found.set(name, [letter.offset]);
        else same.push(letter.offset);
      }
    });
    return new Parking(options, found, ends);
  }

  /** Resolves when a letter is on flash. Once for a record, also when it is asked for twice. */
  park(record: LogRecord, refusal: CloudRefusal): Promise<void> {
    const { stream, partition, offset } = record;
    const place = `${stream}/${partition}/${offset}`;
    const parking =
      this.#underWay.get(place) ??
      this.#park(record, refusal).finally(() => this.#underWay.delete(place));
    this.#underWay.set(place, parking);
    return parking;
  }

  async #park(record: LogRecord, refusal: CloudRefusal): Promise<void> {
    const { stream, partition, offset } = record;
    const consumer = this.#options.consumers.find((one) => one.stream === stream);
    // A link that ended meanwhile may have brought it once more.
    if (consumer?.progress.has(partition, offset) === true) return;
    const isDone = stream === DEAD_LETTER || this.#takeFound(record);
    if (isDone) this.#parked(record, refusal, consumer);
    else await this.#append(record, refusal, consumer);
  }

  #takeFound(record: LogRecord): boolean {
    const { stream, partition, offset } = record;
    if (offset >= (this.#ends.get(stream)?.[partition] ?? 0)) return false;
    const name = nameOf(record);
    const letters = this.#found.get(name);
    if (letters === undefined) return false;
    letters.shift();
    if (letters.length === 0) this.#found.delete(name);
    this.#foundChanged = true;
    return true;
  }

  #append(
    record: LogRecord,
    refusal: CloudRefusal,
    consumer: SplitConsumer | undefined,
  ): Promise<void> {
    const { events, clock } = this.#options;
    const { device, topic, payload, messageId, deviceTimeMs } = record;
    // The record may be of another boot, whose clock says nothing now.
    const monoMs = clock.monoMs();
    const reason = codeOf(refusal);
    const letter = { device, topic, payload, messageId, deviceTimeMs, monoMs, reason };
    return new Promise<void>((resolve, reject) => {
      events.append(events.stream(DEAD_LETTER), 0, letter, (error) => {
        if (error !== undefined) reject(error);
        else {
          this.#parked(record, refusal, consumer);
          resolve();
        }
      });
    });
  }

  #parked(record: LogRecord, refusal: CloudRefusal, consumer: SplitConsumer | undefined): void {
    const { counters, books, logger } = this.#options;
    const { stream, partition, offset, device } = record;
    counters.parked += 1;
    bookParked(books, record);
    consumer?.fresh.handled(partition, { from: offset, to: offset + 1 });
    const at = { stream, partition, offset, device };
    const fields = { code: codeOf(refusal), ...at, reason: refusal.message };
    const repeatKey = `${stream}/${device}`;
    logger.error({ ...fields, repeatKey }, 'the cloud does not take a record; it is set aside');
  }

  /** To be stored with the positions, of the same moment. */
  checkpoint(): ReadonlyMap<string, string> {
    const { events } = this.#options;
    const from = events.nextOffsets(DEAD_LETTER)[0] ?? 0;
    const open = this.#isOver() ? [] : this.#open();
    return new Map([[KEY, JSON.stringify({ log: events.logId, from, open })]]);
  }

  /** Letters whose record may still come: few, or many side by side after the state was lost. */
  #open(): OffsetRanges {
    if (this.#foundChanged) {
      this.#openRanges = rangesWith([], [...this.#found.values()].flat());
      this.#foundChanged = false;
    }
    return this.#openRanges;
  }

  /** No record from before the start is left to come again. */
  #isOver(): boolean {
    return this.#options.consumers.every(({ stream, progress }) =>
      (this.#ends.get(stream) ?? []).every((end, p) => progress.position(p) >= end),
    );
  }
}

function codeOf({ kind }: CloudRefusal): 'CLOUD_TOO_LARGE' | 'CLOUD_REFUSED' {
  return kind === 'too-large' ? 'CLOUD_TOO_LARGE' : 'CLOUD_REFUSED';
}

/** What a record and its letter have in common. */
function nameOf({ device, topic, messageId, deviceTimeMs, payload }: LogRecord): string {
  const { kind, text } = messageId ?? {};
  const about = JSON.stringify([device, topic, kind, text, deviceTimeMs]);
  return createHash('sha256').update(about).update(payload).digest('base64');
}

interface Stored {
  /** Letters before it are settled. */
  readonly begin: number;
  /** Its record is handled: it will not come again for this letter. */
  isSettled(letter: number): boolean;
}

/** undefined: nothing was stored, or it is of another log. */
function storedIn(text: string | undefined, log: string): Stored | undefined {
  try {
    const { log: own, from, open } = JSON.parse(text ?? '{}') as Record<string, unknown>;
    if (own !== log || !Number.isSafeInteger(from)) return undefined;
    const end = from as number;
    const ranges = parseRanges(JSON.stringify(open ?? []));
    const begin = Math.min(end, ranges[0]?.[0] ?? end);
    return { begin, isSettled: (letter) => letter < end && !hasOffset(ranges, letter) };
  } catch {
    return undefined;
  }
}
