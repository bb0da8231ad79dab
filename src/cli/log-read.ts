import { HeadgateError } from '../base/errors.ts';
import type { LogRecord } from '../base/reading.ts';
import { recordJson } from '../base/record-json.ts';
import { earliestOffsets, StreamCursor } from '../log/log-reader.ts';
import { nodeFiles } from '../os/node-files.ts';
import {
  CONFIG_OPTION,
  type Command,
  DATA_OPTION,
  type Options,
  textValue,
  type Values,
  wholeNumber,
} from './command.ts';
import { LostNotes } from './lost-notes.ts';
import { dataFolderOf } from './settings.ts';
import { viewOfStream } from './stores.ts';

const FORMATS = ['ndjson', 'text', 'raw'];

/** Options that `log read` and `log tail` share. */
export const READ_OPTIONS: Options = {
  ...CONFIG_OPTION,
  ...DATA_OPTION,
  format: { type: 'string' },
  partition: { type: 'string' },
  device: { type: 'string' },
};

export interface RecordFilter {
  readonly format: string;
  readonly partition: number | undefined;
  keeps(record: LogRecord): boolean;
}

export function formatHelp(byDefault: string): string {
  return `ndjson: an object a line; text: for people; raw: payloads alone; ${byDefault} by default`;
}

/** Throws USAGE. */
export function recordFilter(values: Values, defaultFormat: string): RecordFilter {
  const format = textValue(values, 'format') ?? defaultFormat;
  if (!FORMATS.includes(format)) {
    throw new HeadgateError('USAGE', `--format is one of ${FORMATS.join(', ')}`);
  }
  const partitionText = textValue(values, 'partition');
  const partition = partitionText === undefined ? undefined : whole('partition', partitionText);
  const device = textValue(values, 'device');
  return {
    format,
    partition,
    keeps: (record) =>
      (partition === undefined || record.partition === partition) &&
      (device === undefined || record.device === device),
  };
}

/** Throws USAGE. */
export function whole(
  option: string,
  text: string,
  least = 0,
  most = Number.MAX_SAFE_INTEGER,
): number {
  try {
    return wholeNumber(text, least, most);
  } catch (error) {
    throw new HeadgateError('USAGE', `--${option}: ${(error as Error).message}`);
  }
}

export function formatRecord(record: LogRecord, format: string): string {
  if (format === 'ndjson') return JSON.stringify(recordJson(record));
  const payload = Buffer.from(record.payload).toString();
  if (format === 'raw') return payload;
  const { partition, offset, receivedAtMs, topic, reason } = record;
  const place = `${partition}:${offset}`.padEnd(10);
  const why = reason === undefined ? '' : ` [${reason}]`;
  const at = new Date(receivedAtMs).toISOString();
  return `${place} ${at} ${plain(topic)}${why} ${plain(payload)}`;
}

/** A line is a line, and says nothing to the terminal: control characters are spelt out. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (one) => {
    const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[one];
    return short ?? `\\x${(one.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`;
  });
}

/** The least offset wanted; `earliest` is 0. Throws USAGE. */
function leastOffset(text: string): number {
  if (text === 'earliest') return 0;
  if (!/^\d+$/.test(text)) throw new HeadgateError('USAGE', '--from is earliest or an offset');
  return whole('from', text);
}

/** Throws USAGE: a partition that is not there would pass for an empty one. */
export function checkPartition({ partition }: RecordFilter, stream: string, count: number): void {
  if (partition === undefined || partition < count) return;
  const there = count === 1 ? 'the partition 0 alone' : `the partitions 0 to ${count - 1}`;
  throw new HeadgateError('USAGE', `--partition: ${stream} has ${there}`);
}

export const logRead: Command = {
  name: 'log read',
  usage:
    'headgate log read STREAM [--from earliest|OFFSET] [--partition N] [--device NAME]\n' +
    '                  [--limit N] [--format ndjson|text|raw] [--data DIR] [--config FILE]',
  summary: 'prints the records of a stream in commit order, one a line',
  options: { ...READ_OPTIONS, from: { type: 'string' }, limit: { type: 'string' } },
  optionHelp: { format: formatHelp('ndjson') },
  positionals: [1, 1],
  async run(values, [stream = ''], io) {
    const filter = recordFilter(values, 'ndjson');
    const limitText = textValue(values, 'limit');
    let left = limitText === undefined ? Number.POSITIVE_INFINITY : whole('limit', limitText);
    const least = leastOffset(textValue(values, 'from') ?? 'earliest');
    const view = await viewOfStream(await dataFolderOf(values, io.env), stream);
    const earliest = earliestOffsets(view, stream);
    checkPartition(filter, stream, earliest.length);
    const from = earliest.map((first) => Math.max(first, least));
    const lost = new LostNotes(filter.partition);
    const onLost = lost.note;
    const cursor = new StreamCursor({ files: nodeFiles, view, stream, from, onLost });
    try {
      while (left > 0) {
        const records = await cursor.next();
        if (records === undefined) break;
        for (const record of records) {
          if (left <= 0 || !filter.keeps(record)) continue;
          left -= 1;
          if (!io.print(formatRecord(record, filter.format))) return 0;
        }
      }
    } finally {
      await cursor.close();
    }
    await lost.tell(view, io);
    return 0;
  },
};
