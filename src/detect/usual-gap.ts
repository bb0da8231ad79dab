/**
 * How long a device is silent as a rule: the longest gaps between its readings, eight at a time,
 * of the last 32. Pure, a handful of numbers.
 */
export interface UsualGap {
  /** Longest gap of each of the last full eights, ms, the newest last. */
  readonly eights: readonly number[];
  /** Of the eight that is being filled: its longest gap, and how many it has. */
  readonly longest: number;
  readonly count: number;
  /** The last two gaps that were silences, ms. */
  readonly silences: readonly number[];
}

export const NO_GAPS: UsualGap = { eights: [], longest: 0, count: 0, silences: [] };

/** State comes from a store that other versions wrote to, too. */
export function isUsualGap(value: unknown): value is UsualGap {
  if (typeof value !== 'object' || value === null) return false;
  const { eights, longest, count, silences } = value as Partial<Record<keyof UsualGap, unknown>>;
  const isNumbers = (list: unknown) => Array.isArray(list) && list.every(Number.isFinite);
  return isNumbers(eights) && isNumbers(silences) && isNumbers([longest, count]);
}

const GAPS_IN_EIGHT = 8;
const EIGHTS = 4;
/** Fewer say nothing of what is usual. */
const LEAST_EIGHTS = 2;
/** The longest gaps of a device that sends when it likes differ by more. */
const REGULAR_SPREAD = 3;
const HABIT_FACTOR = 1.25;
const SILENCES = 2;

/** `wasSilence`: a silence was told for it, so it is no usual gap; twice it is a habit. */
export function withGap(usual: UsualGap, gapMs: number, wasSilence: boolean): UsualGap {
  if (wasSilence) {
    return { ...usual, silences: [...usual.silences, gapMs].slice(-SILENCES) };
  }
  const longest = Math.max(usual.longest, gapMs);
  const count = usual.count + 1;
  if (count < GAPS_IN_EIGHT) return { ...usual, longest, count };
  return { ...usual, eights: [...usual.eights, longest].slice(-EIGHTS), longest: 0, count: 0 };
}

/** After which gap the device is silent, ms; undefined: it is not regular enough to say. */
export function silentAfterMs(
  { eights, silences }: UsualGap,
  { factor, minMs }: { readonly factor: number; readonly minMs: number },
): number | undefined {
  if (eights.length < LEAST_EIGHTS) return undefined;
  const longest = Math.max(...eights);
  if (longest > REGULAR_SPREAD * Math.min(...eights) && longest * factor > minMs) return undefined;
  const habit = silences.length < SILENCES ? 0 : HABIT_FACTOR * Math.min(...silences);
  return Math.max(minMs, factor * longest, habit);
}
