import type { LogRecord } from '../base/reading.ts';
import type { Batch, Visit } from './batch.ts';
import type { Moment } from './format.ts';
import type { Stream } from './stream.ts';

/**
 * What has just become durable, for readers that have read everything before it: the same records
 * that the block on flash decodes to, without going there. Good only while listeners are called.
 */
export class Commit {
  readonly batch: Batch;
  readonly #made = new Map<string, readonly LogRecord[]>();

  constructor(batch: Batch) {
    this.batch = batch;
  }

  /** That of the block. */
  get moment(): Moment {
    return this.batch.moment;
  }

  /** Records of all streams. */
  get count(): number {
    return this.batch.records;
  }

  /** Every record of every stream, in commit order; nothing is made for it. */
  visit(take: Visit): void {
    this.batch.visit(take);
  }

  /** The records of one stream, in commit order; shared by those who ask. */
  recordsOf(stream: Stream): readonly LogRecord[] {
    const made = this.#made.get(stream.name);
    if (made !== undefined) return made;
    const records = this.batch.recordsOf(stream);
    this.#made.set(stream.name, records);
    return records;
  }
}
