import type { Gap } from '../base/gap.ts';
import type { LogRecord } from '../base/reading.ts';
import { bucketOf } from './bucket.ts';
import { addCounts, type Counts, noCounts, owed, unexplained } from './counts.ts';
import { type AuditEntry, entryId } from './entry.ts';
import type { AuditSnapshot, LostRow, StreamSnapshot, Traffic } from './snapshot.ts';

/** The books, put together from what is open, closed and still to send, and judged. Pure. */

export interface ReportRow extends Counts {
  readonly stream: string;
  readonly bucketStart: number;
  bucketMs: number;
  state: 'open' | 'closed';
  /** Records that the log has and the cloud does not, as they were counted in the log. */
  backlog: number;
  /** An uplink sends the stream. */
  readonly isForwarded: boolean;
}

export interface Imbalance {
  readonly stream: string;
  /** ms since 1970; absent: of the daemon's traffic as a whole. */
  readonly bucketStart?: number;
  readonly equation: 'received' | 'stored' | 'process';
  /** Left side minus right side. */
  readonly difference: number;
  readonly reason?: string;
}

export interface AuditReport {
  readonly balanced: boolean;
  readonly buckets: readonly ReportRow[];
  readonly totals: Readonly<Record<string, Counts & { backlog: number }>>;
  readonly unbalanced: readonly Imbalance[];
  readonly gaps: ReadonlyArray<{
    readonly stream: string;
    readonly devices: number;
    readonly numbers: number;
    readonly rows: readonly Gap[];
  }>;
  readonly lostOffsets: ReadonlyArray<LostRow & { readonly stream: string }>;
  readonly process?: Traffic;
}

/** Records by the start of their bucket, by stream. */
export type Backlog = Map<string, Map<number, number>>;

export interface ReportSources {
  readonly snapshot: AuditSnapshot;
  /** Closed at that moment, in the order of their offsets. */
  readonly entries: Iterable<AuditEntry>;
  readonly backlog: Backlog;
  /** Only buckets that end after it, ms since 1970. */
  readonly sinceMs?: number | undefined;
  /** Only this stream. */
  readonly stream?: string | undefined;
}

export function addBacklog(
  backlog: Backlog,
  stream: StreamSnapshot,
  records: Iterable<LogRecord>,
): void {
  let counts = backlog.get(stream.stream);
  if (counts === undefined) {
    counts = new Map();
    backlog.set(stream.stream, counts);
  }
  for (const record of records) {
    const start = bucketOf(record, stream);
    counts.set(start, (counts.get(start) ?? 0) + 1);
  }
}

export function reportOf(sources: ReportSources): AuditReport {
  const { snapshot, stream: only } = sources;
  const { process } = snapshot;
  const streams = snapshot.streams.filter(({ stream }) => only === undefined || stream === only);
  const rows = new Rows(streams);
  for (const { stream, buckets } of streams) {
    for (const { bucketStart, bucketMs, ...counts } of buckets) {
      rows.at({ stream, bucketStart, bucketMs }, 'open', counts);
    }
  }
  // Of those with one identity the last one holds.
  const entries = new Map([...sources.entries].map((entry) => [entryId(entry), entry]));
  for (const entry of entries.values()) rows.at(entry, 'closed', entry.counts);
  for (const { stream, bucketMs } of streams) {
    for (const [bucketStart, count] of sources.backlog.get(stream) ?? []) {
      const row = rows.at({ stream, bucketStart, bucketMs }, 'open', noCounts());
      if (row !== undefined) row.backlog += count;
    }
  }
  rows.keepHere();
  const { sinceMs = Number.NEGATIVE_INFINITY } = sources;
  const buckets = rows.sorted().filter((row) => row.bucketStart + row.bucketMs > sinceMs);
  const unbalanced = [
    ...buckets.flatMap((row) => imbalancesOf(row, streams)),
    ...(process === undefined ? [] : trafficFaults(process)),
  ];
  return {
    balanced: unbalanced.length === 0,
    buckets,
    totals: totalsOf(buckets),
    unbalanced,
    gaps: streams
      .filter(({ gapNumbers }) => gapNumbers > 0)
      .map(({ stream, gapDevices: devices, gapNumbers: numbers, gaps }) => {
        return { stream, devices, numbers, rows: gaps };
      }),
    lostOffsets: streams.flatMap(({ stream, lostOffsets }) =>
      lostOffsets.map((lost) => ({ stream, ...lost })),
    ),
    ...(process === undefined ? {} : { process }),
  };
}

/** One a bucket, however many entries it has. */
class Rows {
  readonly #rows = new Map<string, Map<number, ReportRow>>();
  readonly #streams: readonly StreamSnapshot[];

  constructor(streams: readonly StreamSnapshot[]) {
    this.#streams = streams;
    for (const { stream } of streams) this.#rows.set(stream, new Map());
  }

  /** Adds to the row of a bucket; undefined: of a stream that is not asked for. */
  at(
    { stream, bucketStart, bucketMs }: Pick<ReportRow, 'stream' | 'bucketStart' | 'bucketMs'>,
    state: ReportRow['state'],
    counts: Readonly<Counts>,
  ): ReportRow | undefined {
    const rows = this.#rows.get(stream);
    if (rows === undefined) return undefined;
    let row = rows.get(bucketStart);
    if (row === undefined) {
      const isForwarded = this.#streams.find((one) => one.stream === stream)?.forwarded === true;
      const name = { stream, bucketStart, bucketMs, state };
      row = { ...name, ...noCounts(), backlog: 0, isForwarded };
      rows.set(bucketStart, row);
    }
    row.bucketMs = Math.max(row.bucketMs, bucketMs);
    if (state === 'open') row.state = state;
    addCounts(row, counts);
    return row;
  }

  /** What no uplink sends is owed to nobody, also before its bucket is closed. */
  keepHere(): void {
    for (const row of this.#all()) {
      if (!row.isForwarded) row.notForwarded += Math.max(0, owed(row) - row.backlog);
    }
  }

  *#all(): Generator<ReportRow> {
    for (const rows of this.#rows.values()) yield* rows.values();
  }

  sorted(): ReportRow[] {
    return [...this.#rows.values()].flatMap((rows) =>
      [...rows.values()].sort((a, b) => a.bucketStart - b.bucketStart),
    );
  }
}

function imbalancesOf(row: ReportRow, streams: readonly StreamSnapshot[]): Imbalance[] {
  const { stream, bucketStart, backlog, lost } = row;
  const own = streams.find((one) => one.stream === stream);
  const place = { stream, bucketStart };
  const found: Imbalance[] = [];
  const arrivals = own?.takesMessages === true ? unexplained(row) : 0;
  if (arrivals !== 0) found.push({ ...place, equation: 'received', difference: arrivals });
  const difference = owed(row) - backlog + lost;
  if (difference === 0) return found;
  const offsets = (own?.lostOffsets ?? []).reduce((sum, { count }) => sum + count, 0);
  const rows = `${offsets} offset${offsets === 1 ? '' : 's'}`;
  const damage = offsets === 0 ? '' : `; the log has lost ${rows} of the stream`;
  const reason = lost > 0 ? `${lost} are in the log no more${damage}` : damage.slice(2);
  const why = reason === '' ? {} : { reason };
  found.push({ ...place, equation: 'stored', difference, ...why });
  return found;
}

function trafficFaults({ answered, booked, inFlight }: Traffic): Imbalance[] {
  const equation = 'process' as const;
  const stream = '';
  const found: Imbalance[] = [];
  if (inFlight < 0) {
    const reason = 'more messages were answered than came in';
    found.push({ stream, equation, difference: inFlight, reason });
  }
  if (answered !== booked) {
    const reason = 'messages were answered that are not in the books';
    found.push({ stream, equation, difference: answered - booked, reason });
  }
  return found;
}

function totalsOf(rows: readonly ReportRow[]) {
  const totals: Record<string, Counts & { backlog: number }> = {};
  for (const row of rows) {
    let sum = totals[row.stream];
    if (sum === undefined) {
      sum = { ...noCounts(), backlog: 0 };
      totals[row.stream] = sum;
    }
    addCounts(sum, row);
    sum.backlog += row.backlog;
  }
  return totals;
}
