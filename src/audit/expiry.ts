import type { HandledOffsets } from '../base/handled-offsets.ts';
import type { LogRecord } from '../base/reading.ts';
import type { DroppedOffsets } from '../log/retention.ts';
import type { Books } from './books.ts';
import { bucketOf } from './bucket.ts';
import type { StreamBooks } from './stream-books.ts';

export interface ExpiryOptions {
  readonly books: Books;
  /** What the cloud has acknowledged of a stream. */
  readonly acked: (stream: string) => HandledOffsets;
  /** The records of a stream between these offsets of each partition. */
  readonly read: (
    stream: string,
    from: readonly number[],
    until: readonly number[],
  ) => AsyncIterable<readonly LogRecord[]>;
  /** Resolves to false if the books could not be saved. */
  readonly save: () => Promise<boolean>;
}

/** Records of one partition that follow each other and are of one bucket. */
interface Row {
  readonly partition: number;
  readonly offset: number;
  count: number;
  readonly startMs: number;
}

/**
 * Counts what retention is about to drop and the cloud has not acknowledged. The count and how far
 * it goes are saved together, before anything is dropped: a crash in between finds the records
 * still there, and they are not counted again.
 */
export class Expiry {
  readonly #options: ExpiryOptions;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** Resolves when what is dropped is in the books, and those are saved; else it rejects. */
  async keep(dropped: readonly DroppedOffsets[]): Promise<void> {
    const { books, save } = this.#options;
    const names = new Set(dropped.map(({ stream }) => stream));
    for (const name of names) {
      const own = books.of(name);
      if (own?.forwards === true) {
        await this.#keep(
          own,
          dropped.filter(({ stream }) => stream === name),
        );
      }
    }
    if (!(await save())) throw new Error('the books could not be saved');
  }

  #least({ name, expiredTo }: StreamBooks, partition: number): number {
    return Math.max(expiredTo[partition] ?? 0, this.#options.acked(name).position(partition));
  }

  async #keep(own: StreamBooks, ranges: readonly DroppedOffsets[]): Promise<void> {
    const from = own.booked.map(() => Number.MAX_SAFE_INTEGER);
    const until = own.booked.map(() => 0);
    for (const { partition, offset, count } of ranges) {
      from[partition] = Math.max(offset, this.#least(own, partition));
      until[partition] = offset + count;
    }
    const rows = await this.#rows(own, from, until);
    // The cloud may have acknowledged some of them meanwhile. From here on it is one moment: what
    // it acknowledges later was expired before it did.
    for (const { partition, offset, count, startMs } of rows) {
      const from = Math.max(offset, this.#least(own, partition));
      const left = this.#options.acked(own.name).missing(partition, { from, to: offset + count });
      if (left > 0) own.add(startMs, 'expired', left);
    }
    for (const [partition, end] of until.entries()) {
      if (end <= (own.expiredTo[partition] ?? 0)) continue;
      own.expiredTo[partition] = end;
      own.touchHead();
    }
  }

  async #rows(own: StreamBooks, from: readonly number[], until: readonly number[]) {
    const rows: Row[] = [];
    const last: Array<Row | undefined> = [];
    if (from.every((offset, p) => offset >= (until[p] ?? 0))) return rows;
    for await (const records of this.#options.read(own.name, from, until)) {
      for (const record of records) {
        const { partition, offset } = record;
        if (this.#options.acked(own.name).has(partition, offset)) continue;
        const startMs = bucketOf(record, own);
        const row = last[partition];
        if (row?.startMs === startMs && row.offset + row.count === offset) row.count += 1;
        else {
          const next = { partition, offset, count: 1, startMs };
          rows.push(next);
          last[partition] = next;
        }
      }
    }
    return rows;
  }
}
