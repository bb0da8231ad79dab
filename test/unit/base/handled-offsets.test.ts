import { describe, expect, it, test } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { HandledOffsets, type Span } from '../../../src/base/handled-offsets.ts';
import { checkpointHandled, handledCheckpoint } from '../../../src/log/checkpoint.ts';

/** All offsets of one partition, one by one: as slow as it is plain. */
class NaiveOffsets {
  readonly #handled = new Set<number>();

  add({ from, to }: Span): void {
    for (let offset = from; offset < to; offset++) this.#handled.add(offset);
  }

  get position(): number {
    let offset = 0;
    while (this.#handled.has(offset)) offset += 1;
    return offset;
  }

  /** Rows of offsets of a span that are handled, or of those that are not. */
  rows({ from, to }: Span, isHandled: boolean): Span[] {
    const rows: Array<{ from: number; to: number }> = [];
    for (let offset = from; offset < to; offset++) {
      if (this.#handled.has(offset) !== isHandled) continue;
      const last = rows.at(-1);
      if (last?.to === offset) last.to += 1;
      else rows.push({ from: offset, to: offset + 1 });
    }
    return rows;
  }

  has(offset: number): boolean {
    return this.#handled.has(offset);
  }
}

const MOST = 60;
const PARTITIONS = 3;

function expectSame(handled: HandledOffsets, naive: readonly NaiveOffsets[]): void {
  expect(handled.positions).toEqual(naive.map(({ position }) => position));
  const ahead = naive.map((one) => one.rows({ from: one.position, to: 2 * MOST }, true));
  for (const [p, spans] of ahead.entries()) {
    expect(handled.position(p)).toBe(naive[p]?.position);
    expect(handled.spansAhead(p)).toEqual(spans);
  }
  const isAny = ahead.some(({ length }) => length > 0);
  expect(handled.hasAhead).toBe(isAny);
  const pairs = ahead.map((spans) => spans.map(({ from, to }) => [from, to]));
  expect(handled.ahead()).toEqual(isAny ? pairs : []);
}

describe('the offsets that are handled', () => {
  const seeds = Array.from({ length: 40 }, (_, i) => i + 1);
  test.each(seeds)('are what one by one would say, in any order, seed %i', (seed) => {
    const random = seededRandom(seed);
    const pick = (count: number) => Math.floor(random() * count);
    const anySpan = (): Span => {
      const from = pick(MOST);
      // Empty ones, and ones that end before they begin, say nothing.
      return { from, to: from + pick(12) - 2 };
    };
    const handled = new HandledOffsets(Array.from({ length: PARTITIONS }, () => 0));
    const naive = Array.from({ length: PARTITIONS }, () => new NaiveOffsets());
    let last: Span = { from: 0, to: 0 };
    for (let step = 0; step < 80; step++) {
      const p = pick(PARTITIONS);
      const how = random();
      const { from, to } = anySpan();
      // Touching the last one on either side, or that one again.
      if (how < 0.2) last = { from: last.to, to: last.to + pick(5) };
      else if (how < 0.3) last = { from: Math.max(0, last.from - pick(5)), to: last.from };
      else if (how >= 0.35) last = { from, to };
      handled.add(p, last);
      naive[p]?.add(last);
      expectSame(handled, naive);
      const asked = anySpan();
      const holes = naive[p]?.rows(asked, false) ?? [];
      expect(handled.holes(p, asked)).toEqual(holes);
      expect(handled.missing(p, asked)).toBe(
        holes.reduce((sum, row) => sum + row.to - row.from, 0),
      );
      const offset = pick(2 * MOST);
      expect(handled.has(p, offset)).toBe(naive[p]?.has(offset));
    }
    // As it is stored, and again from there.
    const text = handledCheckpoint('a1b2', handled);
    const again = checkpointHandled(text, 'a1b2', [2 * MOST, 2 * MOST, 2 * MOST]);
    if (again === undefined) throw new Error('it is one of this log');
    expectSame(again, naive);
    expect(handledCheckpoint('a1b2', again)).toBe(text);
    for (const p of naive.keys()) {
      handled.add(p, { from: 0, to: 2 * MOST });
      naive[p]?.add({ from: 0, to: 2 * MOST });
    }
    expectSame(handled, naive);
  });

  it('begins where it is told, whatever the order of what lies ahead', () => {
    const ahead = [
      [
        [9, 12],
        [5, 6],
        [4, 5],
        [20, 21],
      ],
      [],
      [[1, 2]],
    ] as const;
    const handled = new HandledOffsets([4, 7], ahead);
    expect(handled.positions).toEqual([6, 7]);
    // A third partition is none of its own.
    expect(handled.ahead()).toEqual([
      [
        [9, 12],
        [20, 21],
      ],
      [],
    ]);
    handled.add(2, { from: 0, to: 1 });
    expect(handled.positions).toHaveLength(2);
    expect([handled.position(2), handled.has(2, 0), handled.spansAhead(2)]).toEqual([0, false, []]);
    expect(handled.holes(2, { from: 3, to: 5 })).toEqual([{ from: 3, to: 5 }]);
  });

  it('keeps what it was given apart', () => {
    const positions = [1];
    const handled = new HandledOffsets(positions);
    const copy = new HandledOffsets(handled.positions, handled.ahead());
    handled.add(0, { from: 0, to: 5 });
    handled.add(0, { from: 7, to: 9 });
    expect([positions, copy.positions, copy.hasAhead]).toEqual([[1], [1], false]);
  });
});
