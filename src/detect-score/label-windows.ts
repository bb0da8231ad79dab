import type { RowWindow } from './scorer.ts';

/** All windows of a series together take this share of its rows, unless runs are longer. */
const WINDOW_SHARE = 0.1;

/** Rows next to each other that all have a label. */
function runsOf(labels: Float64Array): RowWindow[] {
  const runs: RowWindow[] = [];
  let from = -1;
  for (let row = 0; row <= labels.length; row++) {
    const isFaulty = (labels[row] ?? 0) !== 0;
    if (isFaulty && from < 0) from = row;
    if (isFaulty || from < 0) continue;
    runs.push({ from, to: row - 1 });
    from = -1;
  }
  return runs;
}

/**
 * Windows for a series whose rows have labels. Each run of labels is widened around its centre to a
 * tenth of the rows divided by the number of runs, as the benchmark of the windows does with its
 * events; what then overlaps is one window. A run that is wider stays as it is.
 */
export function labelWindows(labels: Float64Array): RowWindow[] {
  const runs = runsOf(labels);
  const width = Math.floor((WINDOW_SHARE * labels.length) / runs.length);
  const windows: RowWindow[] = [];
  for (const run of runs) {
    const missing = Math.max(0, width - (run.to - run.from + 1));
    const from = Math.max(0, run.from - Math.ceil(missing / 2));
    const to = Math.min(labels.length - 1, run.to + Math.floor(missing / 2));
    const last = windows.at(-1);
    if (last === undefined || from > last.to) windows.push({ from, to });
    else windows[windows.length - 1] = { from: last.from, to: Math.max(last.to, to) };
  }
  return windows;
}
