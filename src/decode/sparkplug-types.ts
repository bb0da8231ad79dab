import type { Metric } from './sparkplug-payload.ts';

/** What Sparkplug's datatypes make of a metric's value. Pure. */

/** Int8 to Int64: how many bits of the value there are, the first of which is the sign. */
const SIGNED_BITS: ReadonlyMap<number, number> = new Map([
  [1, 8],
  [2, 16],
  [3, 32],
  [4, 64],
]);
const IS_UNSIGNED = new Set([5, 6, 7, 8]);
const DATE_TIME = 13;
/** A clock that says less, 1 January 2000, has not been set. */
export const CLOCK_IS_SET_FROM_MS = 946_684_800_000;

/** Of a metric that is known by its alias or its name, its datatype must be known as well. */
export function isNumeric(datatype: number): boolean {
  return (datatype >= 1 && datatype <= 10) || datatype === DATE_TIME;
}

/** A time, which is sent as a number and measures nothing. */
export function isMoment({ datatype }: Metric): boolean {
  return datatype === DATE_TIME;
}

/**
 * The number of a metric; undefined if it has none. Whole numbers are sent without a sign: where
 * nobody knows their datatype they are taken for signed ones.
 */
export function signed({ value, bits, datatype }: Metric): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const isUnsigned = bits === undefined || (datatype !== undefined && IS_UNSIGNED.has(datatype));
  const meant = isUnsigned
    ? Number(value)
    : Number(BigInt.asIntN(SIGNED_BITS.get(datatype ?? 0) ?? bits, BigInt(value)));
  return Number.isFinite(meant) ? meant : undefined;
}
