/**
 * Where the last item stands for which `reached` is false; all after it are reached. −1: there is
 * none. Asks about log₂ of them.
 */
export async function lastNotReached<T>(
  items: readonly T[],
  reached: (item: T) => boolean | Promise<boolean>,
): Promise<number> {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && (await reached(item))) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}
