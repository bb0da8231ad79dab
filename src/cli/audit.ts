import type { CountName } from '../audit/counts.ts';
import { type AuditReport, type Imbalance, type ReportRow, reportOf } from '../audit/report.ts';
import { checkStream, findBooks } from './audit-source.ts';
import {
  CONFIG_OPTION,
  type Command,
  DATA_OPTION,
  type Io,
  JSON_OPTION,
  textValue,
  type Values,
} from './command.ts';
import { timeOption } from './read-range.ts';
import { readSettings, type Settings } from './settings.ts';
import { openViews, timesOf } from './stores.ts';

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
  ['backlog', 'BACKLOG'],
];
const OF_UPLINK: ReadonlySet<string> = new Set(['forwarded', 'cloudAcked', 'expired', 'backlog']);
const MAX_GAPS_SHOWN = 20;

function timeText(ms: number): string {
  return new Date(ms).toISOString().replace('.000', '');
}

/** The merged bucket has no beginning. */
function bucketText({ bucketStart, bucketMs }: Pick<ReportRow, 'bucketStart' | 'bucketMs'>) {
  const isMerged = bucketStart === 0 && bucketMs > 86_400_000;
  return isMerged ? `before ${timeText(bucketMs)}` : timeText(bucketStart);
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

function printText(report: AuditReport, io: Io): void {
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
    io.print(`gaps in ${stream}: ${numbers} numbers of ${devices} devices`);
    for (const { device, boot, from, to } of rows.slice(0, MAX_GAPS_SHOWN)) {
      io.print(`  ${device} boot ${boot}: ${from === to ? from : `${from} to ${to}`}`);
    }
  }
  for (const { stream, partition, offset, count } of lostOffsets) {
    io.print(`damage: ${stream}, partition ${partition}: ${count} offsets from ${offset} on`);
  }
  if (report.balanced) io.print(`the books balance: ${buckets.length} buckets`);
  else {
    io.print(`the books do not balance: ${unbalanced.length} faults`);
    for (const one of unbalanced) io.print(imbalanceText(one));
  }
}

async function sinceOf(values: Values, { data }: Settings): Promise<number | undefined> {
  if (values['since'] === undefined) return undefined;
  const views = await openViews(data);
  return timeOption(values, 'since', await timesOf(views.values()));
}

export const audit: Command = {
  name: 'audit',
  usage:
    'headgate audit [--since TIME] [--stream NAME] [--json] [--data DIR]\n' +
    '                  [--config FILE]',
  summary: 'what came in and what became of it, by minute; exit code 1 if it does not balance',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    ...JSON_OPTION,
    since: { type: 'string' },
    stream: { type: 'string' },
  },
  optionHelp: {
    since: 'only buckets that end after this time: 2026-05-04T12:00:00Z, or 2h (ago)',
    stream: 'only this stream',
  },
  positionals: [0, 0],
  async run(values, _, io) {
    const settings = await readSettings(values, io.env);
    const sinceMs = await sinceOf(values, settings);
    const stream = textValue(values, 'stream');
    const found = await findBooks(settings);
    checkStream(found.snapshot, stream);
    const report = reportOf({ ...found, sinceMs, stream });
    if (values['json'] === true) io.print(JSON.stringify(report));
    else printText(report, io);
    return report.balanced ? 0 : 1;
  },
};
