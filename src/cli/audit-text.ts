import type { CountName } from '../audit/counts.ts';
import type { AuditReport, Imbalance, ReportRow } from '../audit/report.ts';
import type { Io } from './command.ts';

/** The books as a table, and what is to be said of them. */

/** As the heads of columns; the names in `--json` are longer. */
const HEADS: ReadonlyArray<[name: CountName | 'backlog', head: string]> = [
  ['received', 'RECEIVED'],
  ['duplicates', 'REPEATS'],
  ['deadLettered', 'DEAD'],
  ['refused', 'REFUSED'],
  ['lostAfterAck', 'LOSTACK'],
  ['stored', 'STORED'],
  ['opening', 'OPENING'],
  ['forwarded', 'SENT'],
  ['cloudAcked', 'ACKED'],
  ['expired', 'EXPIRED'],
  ['notForwarded', 'LOCAL'],
  ['lost', 'LOST'],
  ['parked', 'PARKED'],
  ['backlog', 'BACKLOG'],
];
const OF_UPLINK: ReadonlySet<string> = new Set([
  'forwarded',
  'cloudAcked',
  'expired',
  'parked',
  'backlog',
]);
const MAX_GAPS_SHOWN = 20;

function timeText(ms: number): string {
  return new Date(ms).toISOString().replace('.000', '');
}

/** The merged bucket has no beginning. */
function bucketText({ bucketStart, bucketMs }: Pick<ReportRow, 'bucketStart' | 'bucketMs'>) {
  const isMerged = bucketStart === 0 && bucketMs > 86_400_000;
  return isMerged ? `before ${timeText(bucketMs)}` : timeText(bucketStart);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

type Cells = Readonly<Record<CountName | 'backlog', number>>;

function line(stream: string, bucket: string, cells: readonly string[]): string {
  return [stream.padEnd(16), bucket.padEnd(27), ...cells].join(' ').trimEnd();
}

function countsOf(counts: Cells, isForwarded: boolean): string[] {
  return HEADS.map(([name, head]) => {
    const isNone = !isForwarded && OF_UPLINK.has(name) && counts[name] === 0;
    return (isNone ? '-' : String(counts[name])).padStart(head.length + 1);
  });
}

function imbalanceText({ stream, bucketStart, equation, difference, reason }: Imbalance): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  if (bucketStart === undefined) return `  ${reason ?? equation}: ${difference}`;
  const sides = {
    received: 'received against its outcomes',
    stored: 'stored against acknowledged, backlog and expired',
    process: '',
  };
  return `  ${stream} ${timeText(bucketStart)}: ${difference} in ${sides[equation]}${why}`;
}

export function printReport(report: AuditReport, io: Pick<Io, 'print'>): void {
  const { buckets, totals, gaps, lostOffsets, process, unbalanced } = report;
  const head = line(
    'STREAM',
    'BUCKET',
    HEADS.map(([, name]) => ` ${name}`),
  );
  io.print(`${head} STATE`);
  for (const row of buckets) {
    const { stream, isForwarded, state } = row;
    io.print(`${line(stream, bucketText(row), countsOf(row, isForwarded))} ${state}`);
  }
  for (const [stream, sums] of Object.entries(totals)) {
    const isForwarded = buckets.some((row) => row.stream === stream && row.isForwarded);
    io.print(line(stream, 'all of these', countsOf(sums, isForwarded)));
    if (!isForwarded) io.print(`  ${stream} is not forwarded`);
  }
  if (process !== undefined) {
    io.print(`in flight: ${process.inFlight} of ${process.received} received since the start`);
  }
  for (const { stream, devices, numbers, rows } of gaps) {
    io.print(`gaps in ${stream}: ${counted(numbers, 'number')} of ${counted(devices, 'device')}`);
    for (const { device, boot, from, to } of rows.slice(0, MAX_GAPS_SHOWN)) {
      io.print(`  ${device} boot ${boot}: ${from === to ? from : `${from} to ${to}`}`);
    }
  }
  for (const { stream, partition, offset, count } of lostOffsets) {
    const offsets = `${counted(count, 'offset')} from ${offset} on`;
    io.print(`damage: ${stream}, partition ${partition}: ${offsets}`);
  }
  if (report.balanced && buckets.length === 0)
    io.print('no bucket to look at: nothing was counted');
  else if (report.balanced) io.print(`the books balance: ${counted(buckets.length, 'bucket')}`);
  else {
    io.print(`the books do not balance: ${counted(unbalanced.length, 'fault')}`);
    for (const one of unbalanced) io.print(imbalanceText(one));
  }
}
