/** Offsets from `from` on and before `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** As it is stored: of each partition the spans that are handled ahead of its first offset. */
export type SpansAhead = ReadonlyArray<ReadonlyArray<readonly [from: number, to: number]>>;

/**
 * Which offsets of a stream a consumer has handled, per partition: all before a first one, and
 * spans ahead of it, where what is newer went first. Adding is quick where nothing is ahead. Pure.
 */
export class HandledOffsets {
  readonly #positions: number[];
  /** Ascending, none touching the next, all beyond the position. */
  readonly #ahead: Span[][];

  constructor(positions: readonly number[], ahead: SpansAhead = []) {
    this.#positions = [...positions];
    this.#ahead = positions.map(() => []);
    for (const [p, spans] of ahead.entries()) {
      if (p < positions.length) for (const [from, to] of spans) this.add(p, { from, to });
    }
  }

  /** First offset that is not handled, per partition. */
  get positions(): readonly number[] {
    return this.#positions;
  }

  position(partition: number): number {
    return this.#positions[partition] ?? 0;
  }

  /** The spans ahead of each position; empty where there are none at all. */
  ahead(): SpansAhead {
    if (!this.hasAhead) return [];
    return this.#ahead.map((spans) => spans.map(({ from, to }): [number, number] => [from, to]));
  }

  get hasAhead(): boolean {
    return this.#ahead.some((spans) => spans.length > 0);
  }

  /** Spans ahead of one partition. */
  spansAhead(partition: number): readonly Span[] {
    return this.#ahead[partition] ?? [];
  }

  has(partition: number, offset: number): boolean {
    if (offset < this.position(partition)) return true;
    const spans = this.#ahead[partition];
    if (spans === undefined || spans.length === 0) return false;
    return spans.some(({ from, to }) => offset >= from && offset < to);
  }

  add(partition: number, { from, to }: Span): void {
    const position = this.position(partition);
    const spans = this.#ahead[partition];
    if (to <= position || spans === undefined || to <= from) return;
    if (from > position) this.#ahead[partition] = joined([...spans, { from, to }]);
    else {
      this.#positions[partition] = to;
      if (spans.length > 0) this.#catchUp(partition, spans);
    }
  }

  /** What lay ahead of the position and is not any more. */
  #catchUp(partition: number, spans: readonly Span[]): void {
    let rest = spans;
    for (let first = rest[0]; first !== undefined; first = rest[0]) {
      if (first.from > this.position(partition)) break;
      this.#positions[partition] = Math.max(this.position(partition), first.to);
      rest = rest.slice(1);
    }
    this.#ahead[partition] = [...rest];
  }

  /** What is not handled of a span, in order. */
  holes(partition: number, { from, to }: Span): Span[] {
    const holes: Span[] = [];
    let at = Math.max(from, this.position(partition));
    for (const span of this.#ahead[partition] ?? []) {
      if (span.from >= to) break;
      if (span.from > at) holes.push({ from: at, to: span.from });
      at = Math.max(at, span.to);
    }
    if (at < to) holes.push({ from: at, to });
    return holes;
  }

  /** How many offsets of a span are not handled. */
  missing(partition: number, span: Span): number {
    return this.holes(partition, span).reduce((sum, { from, to }) => sum + to - from, 0);
  }
}

function joined(spans: readonly Span[]): Span[] {
  const all: Array<{ from: number; to: number }> = [];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else all.push({ from, to });
  }
  return all;
}
