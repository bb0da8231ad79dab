import type { HandledOffsets, Span } from '../base/handled-offsets.ts';
import { HandledOffsets as Handled } from '../base/handled-offsets.ts';
import type { LogRecord } from '../base/reading.ts';
import type { Files } from '../os/files.ts';
import { checkpointHandled, checkpointKey, handledCheckpoint } from './checkpoint.ts';
import { CommitBell } from './commit-bell.ts';
import type { Journal } from './journal.ts';
import { earliestOffsets } from './log-reader.ts';
import { StreamReader } from './stream-reader.ts';

export interface SplitConsumerOptions {
  readonly name: string;
  readonly stream: string;
  readonly journal: Journal;
  readonly files: Files;
  /** What `checkpoint` gave, as it was stored; undefined for a consumer that never was. */
  readonly stored: string | undefined;
  /** Of what waited, so many of the newest go with what is fresh; 256 unless given. */
  readonly newest?: number;
}

/** One of the two ways to read: records come in commit order, each once until it is rewound. */
export interface Source {
  readonly stream: string;
  /**
   * At most `maxRecords`; waits until there is one, and calls `onWait` before it does. Empty only
   * when `signal` has aborted.
   */
  read(maxRecords: number, signal: AbortSignal, onWait?: () => void): Promise<readonly LogRecord[]>;
  /** Offsets from `from` on and before `to` are handled. */
  handled(partition: number, span: Span): void;
  /** It was received before the split. */
  isHistorical(record: LogRecord): boolean;
  /** It is not handled, and is on this side of the split. */
  owns(record: LogRecord): boolean;
  /** Reads again from the first one that is not handled. */
  rewind(): void;
}

const NEWEST = 256;
/** Spans of a partition between which there are holes; with so many, no further one is made. */
const MAX_SPANS = 64;

/**
 * One stream, read from two places at once: what comes in, and what has waited. `split` decides
 * where the one begins and the other ends. What is handled is one set, which is what is stored: a
 * crash comes back to the holes in it. Offsets that damage or retention took are handled when a
 * reader steps over them, since nobody can send them.
 */
export class SplitConsumer {
  readonly stream: string;
  readonly fresh: Source;
  readonly behind: Source;
  readonly #options: SplitConsumerOptions;
  readonly #handled: HandledOffsets;
  /** Where the fresh ones begin, and before which offset all were received before the split. */
  #freshFrom: readonly number[];
  #historicalTo: readonly number[];
  readonly #fresh: Reading;
  readonly #behind: Reading;

  constructor(options: SplitConsumerOptions) {
    this.#options = options;
    this.stream = options.stream;
    const { journal, stream, stored } = options;
    const next = journal.nextOffsets(stream);
    const begin = earliestOffsets(journal, stream).map((offset, p) =>
      Math.min(offset, next[p] ?? 0),
    );
    this.#handled = checkpointHandled(stored, journal.logId, next) ?? new Handled(begin);
    this.#freshFrom = [...this.#handled.positions];
    this.#historicalTo = this.#freshFrom;
    this.#fresh = new Reading(options, this.#handled, () => this.#nextFresh());
    this.#behind = new Reading(options, this.#handled, (given) => this.#nextHoles(given));
    this.fresh = this.#sourceOf(this.#fresh, true);
    this.behind = this.#sourceOf(this.#behind, false);
  }

  #sourceOf(reading: Reading, isFresh: boolean): Source {
    return {
      stream: this.stream,
      read: (maxRecords, signal, onWait) => reading.read(maxRecords, signal, onWait),
      handled: (partition, span) => this.#handled.add(partition, span),
      isHistorical: ({ partition, offset }) => offset < (this.#historicalTo[partition] ?? 0),
      owns: ({ partition, offset }) =>
        offset >= (this.#freshFrom[partition] ?? 0) === isFresh &&
        !this.#handled.has(partition, offset),
      rewind: () => reading.rewind(),
    };
  }

  /**
   * From here on the newest come first, or all in the order of their offsets. Both sources begin
   * anew: nothing that they gave may still be on its way.
   */
  split(order: 'fresh' | 'strict'): void {
    const { journal, newest: inAll = NEWEST } = this.#options;
    const next = journal.nextOffsets(this.stream);
    this.#historicalTo = [...next];
    const newest = Math.ceil(inAll / next.length);
    this.#freshFrom = next.map((end, p) => {
      const position = this.#handled.position(p);
      if (order === 'strict') return position;
      const spans = this.#handled.spansAhead(p);
      const last = spans.at(-1)?.to ?? position;
      return spans.length < MAX_SPANS ? Math.max(position, end - newest) : last;
    });
    this.#fresh.rewind();
    this.#behind.rewind();
  }

  /** What is fresh and not handled: the lane may begin anew long after the split. */
  #nextFresh(): Place {
    const to = Number.MAX_SAFE_INTEGER;
    const from = this.#freshFrom.map((first, p) => {
      const [hole] = this.#handled.holes(p, { from: first, to });
      return hole?.from ?? first;
    });
    return { from };
  }

  /** The first hole of each partition that lies before what is fresh and was not given out. */
  #nextHoles(given: readonly number[]): Place | undefined {
    const earliest = earliestOffsets(this.#options.journal, this.stream);
    const from: number[] = [];
    const to: number[] = [];
    let isAny = false;
    for (const [p, end] of this.#freshFrom.entries()) {
      // What retention has dropped is owed to nobody any more: it was counted before.
      this.#handled.add(p, { from: this.#handled.position(p), to: earliest[p] ?? 0 });
      const least = given[p] ?? 0;
      const [hole] = this.#handled.holes(p, { from: least, to: end });
      from.push(hole?.from ?? end);
      to.push(hole?.to ?? end);
      isAny ||= hole !== undefined;
    }
    return isAny ? { from, to } : undefined;
  }

  /** Records that are durable, kept and not handled. */
  backlog(): number {
    const { journal } = this.#options;
    const earliest = earliestOffsets(journal, this.stream);
    return journal.nextOffsets(this.stream).reduce((sum, to, p) => {
      return sum + this.#handled.missing(p, { from: earliest[p] ?? 0, to });
    }, 0);
  }

  /** Which offsets are handled: to be looked at, not to be changed. */
  get progress(): HandledOffsets {
    return this.#handled;
  }

  checkpoint(): ReadonlyMap<string, string> {
    const { name, journal } = this.#options;
    const text = handledCheckpoint(journal.logId, this.#handled);
    return new Map([[checkpointKey(name, this.stream), text]]);
  }

  close(): void {
    this.#fresh.close();
    this.#behind.close();
  }
}

interface Place {
  readonly from: readonly number[];
  readonly to?: readonly number[];
}

/** Reads one place after the other, and waits where there is none. */
class Reading {
  readonly #options: SplitConsumerOptions;
  readonly #handled: HandledOffsets;
  /** The next place, beyond the offsets given out; undefined: none for now. */
  readonly #nextPlace: (given: readonly number[]) => Place | undefined;
  readonly #rewound = new CommitBell();
  #reader: StreamReader | undefined;
  #given: readonly number[] = [];

  constructor(
    options: SplitConsumerOptions,
    handled: HandledOffsets,
    nextPlace: (given: readonly number[]) => Place | undefined,
  ) {
    this.#options = options;
    this.#handled = handled;
    this.#nextPlace = nextPlace;
  }

  async read(
    maxRecords: number,
    signal: AbortSignal,
    onWait?: () => void,
  ): Promise<readonly LogRecord[]> {
    while (!signal.aborted) {
      const reader = this.#reader ?? this.#open();
      if (reader === undefined) {
        onWait?.();
        await this.#rewound.rings(signal);
        continue;
      }
      const records = await reader.read(maxRecords, signal, onWait);
      if (reader !== this.#reader) continue;
      const wanted = records.filter(this.#isWanted);
      if (wanted.length > 0) return wanted;
      if (reader.isDone) this.#leave();
    }
    return [];
  }

  readonly #isWanted = ({ partition, offset }: LogRecord) => !this.#handled.has(partition, offset);

  #open(): StreamReader | undefined {
    const place = this.#nextPlace(this.#given);
    if (place === undefined) return undefined;
    const { stream, journal, files } = this.#options;
    this.#reader = new StreamReader({
      ...{ stream, journal, files, ...place },
      onGap: (partition, gap) => this.#handled.add(partition, gap),
    });
    this.#given = place.to ?? [];
    return this.#reader;
  }

  #leave(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  rewind(): void {
    this.#leave();
    this.#given = [];
    this.#rewound.ring();
  }

  close(): void {
    this.#leave();
  }
}
