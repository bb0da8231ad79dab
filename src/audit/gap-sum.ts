import type { Gap, Gaps } from '../base/gap.ts';

/** What is missing of a stream: of how many devices, how many numbers, and the first rows of it. */
export interface GapSum {
  readonly rows: readonly Gap[];
  readonly devices: number;
  readonly numbers: number;
}

/** Pure. `maxRows`: so many are named; all are counted. */
export function gapSumOf(open: Gaps | undefined, maxRows: number): GapSum {
  const rows: Gap[] = [];
  const devices = new Set<string>();
  let numbers = 0;
  for (const gap of open?.() ?? []) {
    if (rows.length < maxRows) rows.push(gap);
    devices.add(gap.device);
    numbers += gap.to - gap.from + 1;
  }
  return { rows, devices: devices.size, numbers };
}
