import type { Clock } from '../base/clock.ts';
import { HeadgateError } from '../base/errors.ts';
import type { Files } from '../os/files.ts';
import { pacedFiles, Turns } from '../os/paced-files.ts';
import { CorrectedTimes } from './corrected-time.ts';
import { bootName } from './format.ts';
import type { Journal } from './journal.ts';
import { readTimes } from './read-times.ts';
import { type StreamRow, streamRow } from './stream-row.ts';

export interface LocalStreamsOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly boot: Uint8Array;
  /** By the name of the store. */
  readonly journals: ReadonlyMap<string, Journal>;
}

/** The streams of a running gateway, for readers within its process, and the times in them. */
export class LocalStreams {
  /** For readers: they take turns, and what is acknowledged comes before them. */
  readonly files: Files;
  readonly turns = new Turns();
  readonly #options: LocalStreamsOptions;
  #times: Promise<CorrectedTimes> | undefined;
  readonly #stopListening: Array<() => void> = [];

  constructor(options: LocalStreamsOptions) {
    this.files = pacedFiles(options.files, this.turns);
    this.#options = options;
  }

  /** Throws STREAM_UNKNOWN. */
  journalOf(stream: string): Journal {
    for (const journal of this.#options.journals.values()) {
      if (journal.streamNames.includes(stream)) return journal;
    }
    throw new HeadgateError('STREAM_UNKNOWN', `no stream ${stream}`);
  }

  rows(): StreamRow[] {
    return [...this.#options.journals].flatMap(([store, journal]) =>
      journal.streamNames.map((stream) => {
        const next = journal.nextOffsets(stream);
        return streamRow(journal, { stream, store, log: journal.logId, next });
      }),
    );
  }

  /**
   * The times in any of the journals, by what all of them together know of the clocks: read once,
   * and followed from then on.
   */
  async times(): Promise<CorrectedTimes> {
    this.#times ??= this.#readAll();
    // What can't be read now may be later.
    this.#times.catch(() => {
      this.#times = undefined;
    });
    return this.#times;
  }

  async #readAll(): Promise<CorrectedTimes> {
    const journals = [...this.#options.journals.values()];
    const all: CorrectedTimes[] = [];
    for (const journal of journals) all.push(await readTimes(this.files, journal));
    const times = CorrectedTimes.merged(all);
    for (const journal of journals) {
      const stop = journal.onCommit(({ moment: { boot, monoMs, wallMs } }) => {
        times.note({ boot: bootName(boot), monoMs, wallMs });
      });
      this.#stopListening.push(stop);
    }
    return times;
  }

  /** The time at this moment, by what is known of this boot. */
  async nowMs(): Promise<number> {
    const { clock, boot } = this.#options;
    const reading = { boot: bootName(boot), monoMs: clock.monoMs(), wallMs: clock.wallMs() };
    return (await this.times()).nowMs(reading);
  }

  close(): void {
    for (const stop of this.#stopListening.splice(0)) stop();
  }
}
