import {
  hasOffset,
  type OffsetRanges,
  parseRanges,
  rangesFrom,
  rangesWith,
} from '../base/offset-ranges.ts';
import type { StateStore } from '../os/state-store.ts';

const PREFIX = 'redriven/';
/** Offsets whose notes are one entry of the store: at its most ragged it is some 25 kB. */
const SPAN_OFFSETS = 4_096;
const PAGE_SPANS = 16;

/** The notes of the offsets from `from` up to, but not with, `end`. */
export interface RedrivenPage {
  readonly log: string;
  readonly from: number;
  readonly end: number;
  /** First and last offset of each run. */
  readonly ranges: OffsetRanges;
}

function spanOf(offset: number): number {
  return Math.floor(offset / SPAN_OFFSETS);
}

/**
 * Which dead letters of a log were redriven with success. A note is written once its reading is
 * durable: a crash in between loses the note and not the reading, and dedup knows that one when it
 * comes again. One caller at a time.
 */
export class RedrivenNotes {
  readonly #state: StateStore;
  readonly #log: string;
  /** What is older is forgotten already. */
  #earliest = -1;

  constructor(state: StateStore, log: string) {
    this.#state = state;
    this.#log = log;
  }

  #key(span: number): string {
    return `${PREFIX}${this.#log}/${span}`;
  }

  async #rangesOf(span: number): Promise<OffsetRanges> {
    return parseRanges(await this.#state.get(this.#key(span)));
  }

  async has(offset: number): Promise<boolean> {
    return hasOffset(await this.#rangesOf(spanOf(offset)), offset);
  }

  async add(offsets: readonly number[]): Promise<void> {
    const bySpan = new Map<number, number[]>();
    for (const offset of offsets) {
      const others = bySpan.get(spanOf(offset));
      if (others === undefined) bySpan.set(spanOf(offset), [offset]);
      else others.push(offset);
    }
    const entries = new Map<string, string>();
    for (const [span, some] of bySpan) {
      const ranges = rangesWith(await this.#rangesOf(span), some);
      entries.set(this.#key(span), JSON.stringify(ranges));
    }
    // A power cut must not take more notes than dedup remembers readings.
    if (entries.size > 0) await this.#state.write(entries, { sync: true });
  }

  /** Forgets what retention has dropped, and the notes of other logs. */
  async forgetBefore(earliest: number): Promise<void> {
    if (earliest === this.#earliest) return;
    const entries = new Map<string, string | undefined>();
    for (const [key, text] of await this.#state.entries(PREFIX)) {
      const [log = '', span = ''] = key.slice(PREFIX.length).split('/');
      const kept = log === this.#log ? rangesFrom(parseRanges(text), earliest) : [];
      if (kept.length === 0) entries.set(key, undefined);
      else if (Number(span) === spanOf(earliest)) entries.set(key, JSON.stringify(kept));
    }
    if (entries.size > 0) await this.#state.write(entries);
    this.#earliest = earliest;
  }

  /** A bounded stretch of them. */
  async page(from: number): Promise<RedrivenPage> {
    const first = spanOf(from);
    const spans = Array.from({ length: PAGE_SPANS }, (_, i) => first + i);
    const ranges = (await Promise.all(spans.map((span) => this.#rangesOf(span)))).flat();
    const end = (first + PAGE_SPANS) * SPAN_OFFSETS;
    return { log: this.#log, from, end, ranges: rangesFrom(ranges, from) };
  }
}
