import type { ErrorCode } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { LogRecord, MessageId } from './base/reading.ts';
import type { Journal } from './log/journal.ts';
import { earliestOffsets } from './log/log-reader.ts';
import { type FoundRecord, recordsAt } from './log/records-at.ts';
import { RedrivenNotes, type RedrivenPage } from './log/redriven-notes.ts';
import type {
  RedriveAnswer,
  Redriven,
  RedriveOptions,
  RedriveRow,
  Redriver,
} from './ops/dead-letter-routes.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import type { Pipeline } from './pipeline.ts';
import { DEAD_LETTER } from './stores.ts';

export interface DeadLettersOptions {
  readonly files: Files;
  readonly events: Journal;
  readonly state: StateStore;
  readonly pipeline: Pick<Pipeline, 'redrive' | 'foresee'>;
  readonly logger: Logger;
}

/** Payloads on their way at a time: sensors must not find the log full of old messages. */
const MAX_ON_THEIR_WAY_BYTES = 256 * 1024;

/** Those that need not go through again. */
const DONE: ReadonlySet<RedriveRow['outcome']> = new Set(['stored', 'duplicate']);

/**
 * The way back of messages that were no readings. Each success is noted, after the reading is
 * durable. A crash before the note costs nothing where dedup knows the reading: one without an id
 * of its own is called after its dead letter.
 */
export class DeadLetters implements Redriver {
  readonly #options: DeadLettersOptions;
  readonly #notes: RedrivenNotes;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DeadLettersOptions) {
    this.#options = options;
    this.#notes = new RedrivenNotes(options.state, options.events.logId);
  }

  redriven(from: number): Promise<RedrivenPage> {
    return this.#notes.page(from);
  }

  /** One request at a time: what the one before it has noted is known to the next. */
  redrive(offsets: readonly number[], options: RedriveOptions): Promise<RedriveAnswer> {
    const turn = this.#turn.then(() => this.#redrive(offsets, options));
    this.#turn = turn.catch(() => {
      // Whoever asked for it is told.
    });
    return turn;
  }

  async #redrive(asked: readonly number[], options: RedriveOptions): Promise<RedriveAnswer> {
    const { files, events: view } = this.#options;
    const { dryRun, signal } = options;
    const offsets = [...new Set(asked)].sort((a, b) => a - b);
    if (!dryRun) await this.#notes.forgetBefore(this.#earliest);
    const rows: RedriveRow[] = [];
    let onTheirWay: Array<Promise<RedriveRow>> = [];
    let bytes = 0;
    const settle = async () => {
      const ends = await Promise.allSettled(onTheirWay);
      onTheirWay = [];
      bytes = 0;
      const some = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
      rows.push(...some);
      const done = some.filter(({ outcome }) => DONE.has(outcome)).map(({ offset }) => offset);
      // Those beside one that failed too: without their notes they would be stored once more.
      if (!dryRun) await this.#notes.add(done);
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    };
    const source = { files, view, stream: DEAD_LETTER, partition: 0 };
    try {
      for await (const found of recordsAt(source, offsets)) {
        if (signal.aborted) break;
        // Before it goes, and before the next is looked at: what one device sent stays in order.
        const isDone = !options.again && (await this.#notes.has(found.offset));
        const one = this.#one(found, isDone, dryRun);
        one.catch(() => {
          // Whoever settles it is told; until then nobody has it.
        });
        onTheirWay.push(one);
        bytes += found.record?.payload.length ?? 0;
        if (bytes >= MAX_ON_THEIR_WAY_BYTES) await settle();
      }
    } finally {
      // Also of what was stored before a file could not be read.
      await settle();
    }
    if (!dryRun) this.#tell(rows);
    return { log: view.logId, dryRun, rows };
  }

  get #earliest(): number {
    return earliestOffsets(this.#options.events, DEAD_LETTER)[0] ?? 0;
  }

  /** Goes through at once, if it does. */
  async #one(
    { offset, record }: FoundRecord,
    isDone: boolean,
    dryRun: boolean,
  ): Promise<RedriveRow> {
    if (record === undefined) return { offset, outcome: 'not-there', reason: this.#why(offset) };
    const { topic } = record;
    if (isDone) return { offset, topic, outcome: 'already-redriven' };
    return { offset, topic, ...(await this.#through(record, dryRun)) };
  }

  #why(offset: number): ErrorCode {
    const end = this.#options.events.nextOffsets(DEAD_LETTER)[0] ?? 0;
    return offset >= end ? 'OFFSET_BEYOND_END' : 'OFFSET_GONE';
  }

  #through(letter: LogRecord, dryRun: boolean): Promise<Redriven> {
    const { pipeline, events } = this.#options;
    const text = `${DEAD_LETTER}:${events.logId}:${letter.offset}`;
    const id: MessageId = { kind: 'id', text };
    if (dryRun) return Promise.resolve(pipeline.foresee(letter, id));
    return new Promise((resolve) => pipeline.redrive(letter, id, resolve));
  }

  #tell(rows: readonly RedriveRow[]): void {
    const counts: Record<string, number> = {};
    for (const { outcome } of rows) counts[outcome] = (counts[outcome] ?? 0) + 1;
    this.#options.logger.info(counts, 'dead letters were sent through again');
  }
}
