import { setTimeout as wait } from 'node:timers/promises';
import type { LogRecord } from '../base/reading.ts';
import type { FolderView } from '../log/folder-view.ts';
import { StreamCursor } from '../log/log-reader.ts';
import { recoverTail } from '../log/recovery.ts';
import { nodeFiles } from '../os/node-files.ts';
import { type Command, textValue } from './command.ts';
import { formatRecord, READ_OPTIONS, recordFilter, whole } from './log-read.ts';
import { dataFolderOf } from './settings.ts';
import { viewOfStream } from './stores.ts';

const POLL_MS = 200;

/** Offsets from which on each partition has at most `lines` records. */
async function offsetsBeforeEnd(
  view: FolderView,
  stream: string,
  lines: number,
): Promise<number[]> {
  const { nextOffsets } = await recoverTail(nodeFiles, view.segments());
  let slot = 0;
  for (const { name, nextOffsets: table } of view.segments().at(-1)?.header.streams ?? []) {
    const next = table.map(() => nextOffsets[slot++] ?? 0);
    if (name === stream) return next.map((offset) => Math.max(0, offset - lines));
  }
  return [];
}

export const logTail: Command = {
  name: 'log tail',
  usage:
    'headgate log tail STREAM [--lines N] [--follow] [--partition N] [--device NAME]\n' +
    '                  [--format text|ndjson|raw] [--data DIR]',
  summary: 'prints the last records of a stream; with --follow goes on with new ones',
  options: {
    ...READ_OPTIONS,
    lines: { type: 'string', short: 'n' },
    follow: { type: 'boolean', short: 'f' },
  },
  positionals: [1, 1],
  async run(values, [stream = ''], io) {
    const filter = recordFilter(values, 'text');
    const lines = whole('lines', textValue(values, 'lines') ?? '10');
    const view = await viewOfStream(await dataFolderOf(values, io.env), stream);
    const from = await offsetsBeforeEnd(view, stream, lines);
    const cursor = new StreamCursor({ files: nodeFiles, view, stream, from });
    const last: LogRecord[] = [];
    const show = (record: LogRecord) => io.print(formatRecord(record, filter.format));
    for (;;) {
      const records = await cursor.next();
      if (records === undefined) break;
      last.push(...records.filter((record) => filter.keeps(record)));
      last.splice(0, last.length - lines);
    }
    let read = last.every(show);
    while (values['follow'] && read) {
      const records = await cursor.next();
      if (records === undefined) {
        await wait(POLL_MS);
        await view.refresh();
      } else {
        read = records.filter((record) => filter.keeps(record)).every(show);
      }
    }
    await cursor.close();
    return 0;
  },
};
