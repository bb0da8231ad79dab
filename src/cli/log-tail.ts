import { setTimeout as wait } from 'node:timers/promises';
import type { LogRecord } from '../base/reading.ts';
import type { FolderView } from '../log/folder-view.ts';
import { earliestOffsets, StreamCursor } from '../log/log-reader.ts';
import { nodeFiles } from '../os/node-files.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, textValue, whole } from './command.ts';
import { LostNotes } from './lost-notes.ts';
import { checkPartition, type RecordFilter, recordFilter } from './read-range.ts';
import { formatHelp, formatOption, formatRecord } from './record-text.ts';
import { dataFolderOf } from './settings.ts';
import { endOffsets, openStream } from './stores.ts';

const POLL_MS = 200;

interface Tail {
  readonly records: readonly LogRecord[];
  /** Stands behind them. */
  readonly cursor: StreamCursor;
  /** What it did not find, and will not. */
  readonly lost: LostNotes;
}

/** The last `lines` records that the filter keeps: looks further back until there are enough. */
async function lastRecords(
  view: FolderView,
  stream: string,
  filter: RecordFilter,
  lines: number,
): Promise<Tail> {
  const next = (await endOffsets(view)).get(stream) ?? [];
  const earliest = earliestOffsets(view, stream);
  for (let back = Math.max(1, lines); ; back *= 8) {
    const from = next.map((end, p) => Math.max(earliest[p] ?? 0, end - back));
    const lost = new LostNotes(filter.partition);
    const onLost = lost.note;
    const cursor = new StreamCursor({ files: nodeFiles, view, stream, from, onLost });
    const records: LogRecord[] = [];
    for (let some = await cursor.next(); some !== undefined; some = await cursor.next()) {
      records.push(...some.filter((record) => filter.keeps(record)));
      records.splice(0, records.length - lines);
    }
    const isAll = from.every((offset, p) => offset === (earliest[p] ?? 0));
    if (isAll || records.length >= lines) return { records, cursor, lost };
    await cursor.close();
  }
}

export const logTail: Command = {
  name: 'log tail',
  usage:
    'headgate log tail STREAM [--lines N] [--follow] [--partition N] [--device NAME]\n' +
    '                  [--format text|ndjson|raw] [--data DIR] [--config FILE]',
  summary: 'prints the last records of a stream; with --follow goes on with new ones',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    format: { type: 'string' },
    partition: { type: 'string' },
    device: { type: 'string' },
    lines: { type: 'string', short: 'n' },
    follow: { type: 'boolean', short: 'f' },
  },
  optionHelp: { format: formatHelp('text') },
  positionals: [1, 1],
  async run(values, [stream = ''], io) {
    const format = formatOption(values, 'text');
    const filter = recordFilter(values);
    const lines = whole('lines', textValue(values, 'lines') ?? '10');
    const { view, times } = await openStream(await dataFolderOf(values, io.env), stream);
    checkPartition(filter, stream, earliestOffsets(view, stream).length);
    const { records: last, cursor, lost } = await lastRecords(view, stream, filter, lines);
    const show = (record: LogRecord) =>
      io.print(formatRecord({ record, timeMs: times.timeOfRecord(record) }, format));
    let read = last.every(show);
    if (read) await lost.tell(view, io);
    while (values['follow'] && read) {
      const records = await cursor.next();
      if (records === undefined) {
        await lost.tell(view, io);
        await wait(POLL_MS);
        await view.look();
      } else {
        read = records.filter((record) => filter.keeps(record)).every(show);
      }
    }
    await cursor.close();
    return 0;
  },
};
