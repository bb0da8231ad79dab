/** Sets of offsets as runs of them: a few numbers, however many offsets they stand for. Pure. */

/** First and last offset of each run: ascending, and never side by side. */
export type OffsetRanges = ReadonlyArray<readonly [first: number, last: number]>;

export function hasOffset(ranges: OffsetRanges, offset: number): boolean {
  return ranges.some(([first, last]) => offset >= first && offset <= last);
}

/** The offsets of both. */
export function rangesWith(ranges: OffsetRanges, offsets: Iterable<number>): OffsetRanges {
  const all = [...ranges, ...[...offsets].map((offset) => [offset, offset] as const)];
  const joined: Array<[first: number, last: number]> = [];
  for (const [first, last] of all.sort(([a], [b]) => a - b)) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

/** Without the offsets below `earliest`. */
export function rangesFrom(ranges: OffsetRanges, earliest: number): OffsetRanges {
  return ranges
    .filter(([, last]) => last >= earliest)
    .map(([first, last]) => [Math.max(first, earliest), last]);
}

function isRange(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [first, last] = value as unknown[];
  return Number.isSafeInteger(first) && Number.isSafeInteger(last);
}

/** As they were stored, in JSON; none where the text is not sound. */
export function parseRanges(text: string | undefined): OffsetRanges {
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isRange) : [];
  } catch {
    return [];
  }
}
