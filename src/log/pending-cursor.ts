import type { LogRecord } from '../base/reading.ts';
import type { Batch } from './batch.ts';
import type { Stream } from './stream.ts';

/** Where one reader is in the batches of a journal that are not durable: each record once. */
export class PendingCursor {
  readonly #stream: Stream;
  readonly #next: number[];
  #serial = 0;
  #place = 0;

  /** `next`: the first offset that the reader has not got, per partition. */
  constructor(stream: Stream, next: readonly number[]) {
    this.#stream = stream;
    this.#next = [...next];
  }

  /** What the batch has that the reader has not got. Batches in the order of their serials. */
  take(batch: Batch): LogRecord[] {
    if (batch.serial < this.#serial) return [];
    let place = batch.serial === this.#serial ? this.#place : 0;
    const records: LogRecord[] = [];
    for (; place < batch.records; place++) {
      const record = batch.recordAt(place, this.#stream);
      if (record === undefined || record.offset < (this.#next[record.partition] ?? 0)) continue;
      records.push(record);
    }
    this.#serial = batch.serial;
    this.#place = place;
    return records;
  }
}
