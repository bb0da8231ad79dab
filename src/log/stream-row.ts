import { earliestOffsets } from './log-reader.ts';
import type { LogView } from './log-view.ts';

/** One stream as `headgate log ls --json` and `GET /streams` list it. */
export interface StreamRow {
  readonly stream: string;
  readonly store: string;
  /** Which log: `log` in what the uplink sends. */
  readonly log: string;
  readonly partitions: number;
  /** By their offsets: what a damaged block took is counted, since only reading it all tells. */
  readonly records: number;
  readonly earliest: readonly number[];
  readonly next: readonly number[];
}

export function streamRow(
  view: LogView,
  { stream, store, log, next }: Pick<StreamRow, 'stream' | 'store' | 'log' | 'next'>,
): StreamRow {
  const earliest = earliestOffsets(view, stream);
  const records = next.reduce((sum, n, p) => sum + n - (earliest[p] ?? 0), 0);
  return { stream, store, log, partitions: next.length, records, earliest, next };
}
