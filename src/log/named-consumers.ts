import { HeadgateError } from '../base/errors.ts';
import { HandledOffsets } from '../base/handled-offsets.ts';
import type { StateStore } from '../os/state-store.ts';
import {
  checkpointHandled,
  checkpointKey,
  checkpointOffsets,
  consumerKeys,
  handledCheckpoint,
} from './checkpoint.ts';
import type { LocalStreams } from './local-streams.ts';
import { earliestOffsets } from './log-reader.ts';
import { isOwnConsumer } from './own-consumers.ts';
import { checkOffset } from './start-position.ts';

/** How far a consumer has come in one stream. */
export interface ConsumerRow {
  readonly consumer: string;
  readonly stream: string;
  readonly log: string;
  /** One of the gateway's own, which nobody else moves. */
  readonly own: boolean;
  /** Records that it has not handled and that are still kept. */
  readonly lag: number;
  readonly partitions: ReadonlyArray<{
    readonly partition: number;
    /** First offset not handled. */
    readonly position: number;
    readonly earliest: number;
    readonly end: number;
    /** Kept, handled and beyond the position, where newer ones went first; absent: none. */
    readonly ahead?: number;
    readonly lag: number;
  }>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAX_POSITIONS = 256;

/**
 * Consumers that other programs give names to. Their positions are in the state store, beside those
 * of the gateway's own: none is ever beyond the end of the log, since from there on offsets would
 * be taken for given out. A crash loses what LevelDB had not synced: some records come again.
 */
export class NamedConsumers {
  readonly #state: StateStore;
  readonly #streams: LocalStreams;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(state: StateStore, streams: LocalStreams) {
    this.#state = state;
    this.#streams = streams;
  }

  /** Every one that has a position in a stream of this log. */
  async rows(): Promise<ConsumerRow[]> {
    const rows: ConsumerRow[] = [];
    const names = new Set(this.#streams.rows().map(({ stream }) => stream));
    for (const { consumer, stream, text } of await consumerKeys(this.#state)) {
      const handled = names.has(stream) ? this.#handledIn(text, stream) : undefined;
      if (handled !== undefined) rows.push(this.#row(consumer, stream, handled));
    }
    return rows;
  }

  /** Throws CONSUMER_UNKNOWN, STREAM_UNKNOWN, REQUEST_INVALID. */
  async row(consumer: string, stream: string): Promise<ConsumerRow> {
    const handled = this.#handledIn(await this.#stored(consumer, stream), stream);
    if (handled !== undefined) return this.#row(consumer, stream, handled);
    throw new HeadgateError('CONSUMER_UNKNOWN', `no consumer ${consumer} of ${stream}`);
  }

  /** First offset not handled, per partition; undefined: it has no position. */
  async offsets(consumer: string, stream: string): Promise<readonly number[] | undefined> {
    return this.#offsetsIn(await this.#stored(consumer, stream), stream);
  }

  #stored(consumer: string, stream: string): Promise<string | undefined> {
    this.#checkName(consumer);
    this.#streams.journalOf(stream);
    return this.#state.get(checkpointKey(consumer, stream));
  }

  #offsetsIn(text: string | undefined, stream: string): readonly number[] | undefined {
    return checkpointOffsets(text, this.#streams.journalOf(stream).logId);
  }

  #handledIn(text: string | undefined, stream: string): HandledOffsets | undefined {
    const journal = this.#streams.journalOf(stream);
    return checkpointHandled(text, journal.logId, journal.nextOffsets(stream));
  }

  #row(consumer: string, stream: string, handled: HandledOffsets): ConsumerRow {
    const journal = this.#streams.journalOf(stream);
    const firsts = earliestOffsets(journal, stream);
    const partitions = journal.nextOffsets(stream).map((end, partition) => {
      const position = handled.position(partition);
      const earliest = firsts[partition] ?? 0;
      const lag = handled.missing(partition, { from: earliest, to: end });
      const ahead = Math.max(0, end - Math.max(position, earliest)) - lag;
      return { partition, position, earliest, end, ...(ahead > 0 ? { ahead } : {}), lag };
    });
    const lag = partitions.reduce((sum, one) => sum + one.lag, 0);
    return { consumer, stream, log: journal.logId, own: isOwnConsumer(consumer), lag, partitions };
  }

  /**
   * Moves the partitions named, all or none; those without a position begin at the earliest. Throws
   * OFFSET_BEYOND_END, PARTITION_UNKNOWN, CONSUMER_RESERVED, CONSUMER_LIMIT, REQUEST_INVALID.
   */
  move(
    consumer: string,
    stream: string,
    positions: ReadonlyMap<number, number>,
  ): Promise<ConsumerRow> {
    return this.#next(async () => {
      this.#checkName(consumer);
      this.#checkOwn(consumer);
      for (const [partition, offset] of positions) {
        checkOffset(this.#streams, { stream, partition, offset });
      }
      const key = checkpointKey(consumer, stream);
      const stored = await this.#state.get(key);
      const journal = this.#streams.journalOf(stream);
      const before = checkpointOffsets(stored, journal.logId);
      if (before === undefined) await this.#makeRoom();
      const { partitions } = journal.stream(stream);
      const offsets = Array.from(
        { length: partitions },
        (_, p) => positions.get(p) ?? before?.[p] ?? 0,
      );
      // Where offsets jump there is nothing to be read: that stays so, wherever it is moved to.
      const moved = new HandledOffsets(offsets, this.#handledIn(stored, stream)?.ahead());
      await this.#state.write(new Map([[key, handledCheckpoint(journal.logId, moved)]]));
      return this.#row(consumer, stream, moved);
    });
  }

  /** Throws CONSUMER_UNKNOWN, CONSUMER_RESERVED, REQUEST_INVALID. */
  remove(consumer: string, stream: string): Promise<void> {
    return this.#next(async () => {
      this.#checkName(consumer);
      this.#checkOwn(consumer);
      const key = checkpointKey(consumer, stream);
      if ((await this.#state.get(key)) === undefined) {
        throw new HeadgateError('CONSUMER_UNKNOWN', `no consumer ${consumer} of ${stream}`);
      }
      await this.#state.write(new Map([[key, undefined]]));
    });
  }

  /** One change at a time: each is made from what stands there. */
  #next<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => {
      // Whoever asked for it is told.
    });
    return turn;
  }

  /** What counts is what is listed. Positions of another log stay until there is no room. */
  async #makeRoom(): Promise<void> {
    const others = (await consumerKeys(this.#state)).filter(
      ({ consumer }) => !isOwnConsumer(consumer),
    );
    if (others.length < MAX_POSITIONS) return;
    const names = new Set(this.#streams.rows().map(({ stream }) => stream));
    const stale = others.filter(
      ({ stream, text }) => !names.has(stream) || this.#offsetsIn(text, stream) === undefined,
    );
    if (others.length - stale.length >= MAX_POSITIONS) {
      throw new HeadgateError('CONSUMER_LIMIT', `there are ${MAX_POSITIONS}`);
    }
    const keys = stale.map(({ consumer, stream }) => checkpointKey(consumer, stream));
    await this.#state.write(new Map(keys.map((key) => [key, undefined])));
  }

  #checkOwn(consumer: string): void {
    if (isOwnConsumer(consumer)) throw new HeadgateError('CONSUMER_RESERVED', consumer);
  }

  #checkName(consumer: string): void {
    if (NAME.test(consumer)) return;
    const detail = "a consumer's name is 1 to 64 letters, digits, `.`, `_` and `-`";
    throw new HeadgateError('REQUEST_INVALID', detail);
  }
}
