import { systemClock } from '../base/clock.ts';
import { HeadgateError } from '../base/errors.ts';
import type { LogRecord } from '../base/reading.ts';
import { parseTime } from '../base/time-text.ts';
import type { CorrectedTimes } from '../log/corrected-time.ts';
import { offsetsAtTime } from '../log/find-positions.ts';
import { bootName } from '../log/format.ts';
import { earliestOffsets } from '../log/log-reader.ts';
import { readRange } from '../log/record-range.ts';
import { readBootId } from '../os/boot-id.ts';
import { nodeFiles } from '../os/node-files.ts';
import {
  CONFIG_OPTION,
  DATA_OPTION,
  type Io,
  type Options,
  textValue,
  type Values,
  whole,
} from './command.ts';
import { LostNotes } from './lost-notes.ts';
import { dataFolderOf } from './settings.ts';
import { openStream } from './stores.ts';

/** What `log read` and `log export` have in common: which records of a stream they give. */

export const RANGE_OPTIONS: Options = {
  ...CONFIG_OPTION,
  ...DATA_OPTION,
  from: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  partition: { type: 'string' },
  device: { type: 'string' },
  limit: { type: 'string' },
};

export interface RecordFilter {
  readonly partition: number | undefined;
  keeps(record: LogRecord): boolean;
}

/** Throws USAGE. */
export function recordFilter(values: Values): RecordFilter {
  const partitionText = textValue(values, 'partition');
  const partition = partitionText === undefined ? undefined : whole('partition', partitionText);
  const device = textValue(values, 'device');
  const reason = textValue(values, 'reason');
  return {
    partition,
    keeps: (record) =>
      (partition === undefined || record.partition === partition) &&
      (device === undefined || record.device === device) &&
      (reason === undefined || record.reason === reason),
  };
}

/** Throws USAGE: a partition that is not there would pass for an empty one. */
export function checkPartition({ partition }: RecordFilter, stream: string, count: number): void {
  if (partition === undefined || partition < count) return;
  const there = count === 1 ? 'the partition 0 alone' : `the partitions 0 to ${count - 1}`;
  throw new HeadgateError('USAGE', `--partition: ${stream} has ${there}`);
}

/** A record and its corrected time. */
export interface TimedRecord {
  readonly record: LogRecord;
  readonly timeMs: number;
}

/** The least offset wanted; `earliest` is 0. Throws USAGE. */
function leastOffset(text: string): number {
  if (text === 'earliest') return 0;
  if (!/^\d+$/.test(text)) {
    const times = 'a time goes with --since';
    throw new HeadgateError('USAGE', `--from: ${text} is neither earliest nor an offset; ${times}`);
  }
  return whole('from', text);
}

/** By the corrected clock of this boot, if the log knows it. undefined: it is no time. */
export async function timeInText(text: string, times: CorrectedTimes): Promise<number | undefined> {
  const boot = bootName(await readBootId(nodeFiles));
  const nowMs = times.nowMs({ boot, monoMs: systemClock.monoMs(), wallMs: systemClock.wallMs() });
  return parseTime(text, nowMs);
}

/** Throws USAGE. */
export async function timeOption(values: Values, name: string, times: CorrectedTimes) {
  const text = textValue(values, name);
  if (text === undefined) return undefined;
  const timeMs = await timeInText(text, times);
  if (timeMs !== undefined) return timeMs;
  throw new HeadgateError(
    'USAGE',
    `--${name}: ${text} is neither a time (2026-05-04T12:00:00Z) nor how long ago (2h)`,
  );
}

function checked(values: Values) {
  if (values['from'] !== undefined && values['since'] !== undefined) {
    throw new HeadgateError('USAGE', 'either --from or --since');
  }
  const limitText = textValue(values, 'limit');
  return {
    filter: recordFilter(values),
    least: leastOffset(textValue(values, 'from') ?? 'earliest'),
    limit: limitText === undefined ? Number.POSITIVE_INFINITY : whole('limit', limitText),
  };
}

/**
 * The records that a command line asks for, in commit order; tells on standard error what of them
 * is lost. Throws USAGE, STREAM_UNKNOWN.
 */
export async function* chosenRecords(
  values: Values,
  stream: string,
  io: Io,
): AsyncGenerator<TimedRecord> {
  const { filter, least, limit } = checked(values);
  const { view, times } = await openStream(await dataFolderOf(values, io.env), stream);
  const sinceMs = await timeOption(values, 'since', times);
  const untilMs = await timeOption(values, 'until', times);
  const search = { files: nodeFiles, view, stream };
  const earliest = earliestOffsets(view, stream);
  checkPartition(filter, stream, earliest.length);
  const lost = new LostNotes(filter.partition);
  const from =
    sinceMs === undefined
      ? earliest.map((first) => Math.max(first, least))
      : await offsetsAtTime(search, times, sinceMs);
  const until = untilMs === undefined ? {} : { until: await offsetsAtTime(search, times, untilMs) };
  let left = limit;
  if (left === 0) return;
  for await (const records of readRange({
    ...search,
    from,
    ...until,
    partition: filter.partition,
    onLost: lost.note,
  })) {
    for (const record of records) {
      if (!filter.keeps(record)) continue;
      yield { record, timeMs: times.timeOfRecord(record) };
      left -= 1;
      if (left === 0) return;
    }
  }
  await lost.tell(view, io);
}
