import type { Clock } from '../base/clock.ts';
import type { LogRecord } from '../base/reading.ts';
import type { CutBound, Shape } from './shape.ts';

export interface WaitingOptions {
  readonly shape: Shape;
  readonly clock: Clock;
  readonly isHistorical: (record: LogRecord) => boolean;
  /** They have waited for others for long enough. */
  readonly onLingered: () => void;
}

/** Records that were read for a lane and are in no message yet. */
export class Waiting {
  readonly #options: WaitingOptions;
  #records: LogRecord[] = [];
  #next = 0;
  #payloadBytes = 0;
  #sinceMonoMs = 0;
  /** Nothing that could go with them is there yet. */
  #isAlone = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#records.length - this.#next;
  }

  get first(): LogRecord | undefined {
    return this.#records[this.#next];
  }

  /** The first ones, as many as there are up to `count`. They go on waiting. */
  peek(count: number): LogRecord[] {
    return this.#records.slice(this.#next, this.#next + count);
  }

  /** As many as one message holds. */
  isFull(maxBytes: number): boolean {
    const { count } = this;
    return count > 0 && this.#options.shape.isFull(count, this.#payloadBytes, maxBytes);
  }

  /** The first of them has waited for as long as it may. One of before the link has by now. */
  get hasLingered(): boolean {
    const { shape, clock } = this.#options;
    if (this.count === 0) return false;
    if (this.#isAlone && this.#isHistorical(this.#next)) return true;
    // Timers may come a little early.
    return clock.monoMs() - this.#sinceMonoMs >= shape.lingerMs - 1;
  }

  /** The first of them is. */
  get isHistorical(): boolean {
    return this.#isHistorical(this.#next);
  }

  /** There is nothing more to be read just now. */
  readonly noneFollows = (): void => {
    this.#isAlone = true;
    if (this.hasLingered) this.#options.onLingered();
  };

  push(records: readonly LogRecord[]): void {
    if (this.count === 0) this.#beginLinger();
    this.#isAlone = false;
    if (this.#next > 0) this.#records.splice(0, this.#next);
    this.#next = 0;
    this.#records.push(...records);
    for (const { payload } of records) this.#payloadBytes += payload.length;
  }

  /** Takes those of one cut, `most` at most: it is historical as a whole, or not. */
  cut(most: number, bound: CutBound): LogRecord[] {
    const from = this.#next;
    const { shape } = this.#options;
    const last = from + Math.min(most, shape.cut(this.#records, from, bound));
    const flag = this.#isHistorical(from);
    let end = from + 1;
    while (end < last && this.#isHistorical(end) === flag) end += 1;
    const records = this.#records.slice(from, end);
    for (const { payload } of records) this.#payloadBytes -= payload.length;
    this.#next = end;
    if (this.count > 0) this.#beginLinger();
    return records;
  }

  #isHistorical(at: number): boolean {
    const record = this.#records[at];
    return record !== undefined && this.#options.isHistorical(record);
  }

  #beginLinger(): void {
    const { shape, clock, onLingered } = this.#options;
    clearTimeout(this.#timer);
    if (shape.lingerMs === 0) return;
    this.#sinceMonoMs = clock.monoMs();
    this.#timer = setTimeout(onLingered, shape.lingerMs);
    this.#timer.unref();
  }

  clear(): void {
    this.#records = [];
    this.#next = 0;
    this.#payloadBytes = 0;
    clearTimeout(this.#timer);
  }
}
