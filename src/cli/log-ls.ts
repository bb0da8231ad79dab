import { logName } from '../log/format.ts';
import { type StreamRow, streamRow } from '../log/stream-row.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { dataFolderOf } from './settings.ts';
import { endOffsets, openViews } from './stores.ts';

export const logLs: Command = {
  name: 'log ls',
  usage: 'headgate log ls [--data DIR] [--config FILE] [--json]',
  summary:
    'the streams of the log: partitions, offsets kept (lost ones too: see log verify), log id',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const data = await dataFolderOf(values, io.env);
    const rows: StreamRow[] = [];
    for (const [store, view] of await openViews(data)) {
      const id = view.segments().at(-1)?.header.logId;
      const log = id === undefined ? '' : logName(id);
      for (const [stream, next] of await endOffsets(view)) {
        rows.push(streamRow(view, { stream, store, log, next }));
      }
    }
    if (values['json']) {
      io.print(JSON.stringify(rows));
      return 0;
    }
    io.print(
      'STREAM           STORE      PARTITIONS       KEPT  LOG       OFFSETS (earliest to next)',
    );
    for (const { stream, store, log, partitions, records, earliest, next } of rows) {
      const offsets = next.map((n, p) => `${earliest[p] ?? 0}–${n}`).join('  ');
      const columns = [
        stream.padEnd(16),
        store.padEnd(10),
        String(partitions).padStart(10),
        String(records).padStart(10),
        ` ${log}`,
      ];
      io.print(`${columns.join(' ')}  ${offsets}`);
    }
    return 0;
  },
};
