/**
 * Where a number stands on a scale of bins whose width goes with the number: the upper half of its
 * 64 bits, which sorts as the number does. At shift 0 a bin is a millionth of its numbers wide;
 * each shift joins two neighbours, so a histogram can be made coarser without what it was made of.
 */

const view = new Float64Array(1);
const words = new Int32Array(view.buffer);
/** Of the two words, the upper one. */
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;
/** Bits of the upper word below the exponent: at this shift a bin is an octave. */
const MANTISSA_BITS = 20;
const SIGN = 0x7fff_ffff;

/** Of a finite number. Greater numbers never have a lesser key. */
export function keyOf(value: number): number {
  view[0] = value;
  const high = words[HIGH] ?? 0;
  return high >= 0 ? high : ~(high & SIGN);
}

function fromHigh(high: number): number {
  words[1 - HIGH] = 0;
  words[HIGH] = high;
  return view[0] ?? 0;
}

/**
 * How far a quantile may be from the exact one, as a share of it, at a shift: a millionth at 0,
 * twice that at 1, and so on; 1 where only the order of magnitude is known.
 */
export function relativeErrorAt(shift: number): number {
  return Math.min(1, 2 ** (shift - MANTISSA_BITS));
}

/**
 * A number of a bin: of the finest, the one with the fewest digits. `share`, 0 to 1: how many of
 * the bin's numbers are below it, as if they were spread evenly.
 */
export function valueOfKey(key: number, shift: number, share = 0.5): number {
  if (key < 0) return -valueOfKey(~key, shift, 1 - share);
  const low = fromHigh(key << shift);
  const next = (key + 1) * 2 ** shift;
  const high = next > 0x7fef_ffff ? Number.POSITIVE_INFINITY : fromHigh(next);
  if (low > 0 && shift > 0 && shift <= MANTISSA_BITS && Number.isFinite(high)) {
    return low + (high - low) * share;
  }
  // As far, as a share of either, from the one end as from the other.
  const middle = low * (2 / (1 + low / high));
  if (shift > 0 || !Number.isFinite(middle)) return middle;
  for (let digits = 1; digits < 17; digits++) {
    const short = Number(middle.toPrecision(digits));
    if (short >= low && short < high) return short;
  }
  return middle;
}
