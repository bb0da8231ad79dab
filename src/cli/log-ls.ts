import { earliestOffsets } from '../log/log-reader.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { dataFolderOf } from './settings.ts';
import { endOffsets, openViews } from './stores.ts';

interface StreamRow {
  readonly stream: string;
  readonly store: string;
  readonly partitions: number;
  readonly records: number;
  readonly earliest: readonly number[];
  readonly next: readonly number[];
}

export const logLs: Command = {
  name: 'log ls',
  usage: 'headgate log ls [--data DIR] [--config FILE] [--json]',
  summary: 'the streams of the log: partitions, records kept, offsets',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const data = await dataFolderOf(values, io.env);
    const rows: StreamRow[] = [];
    for (const [store, view] of await openViews(data)) {
      for (const [name, next] of await endOffsets(view)) {
        const earliest = earliestOffsets(view, name);
        const records = next.reduce((sum, n, p) => sum + n - (earliest[p] ?? 0), 0);
        rows.push({ stream: name, store, partitions: next.length, records, earliest, next });
      }
    }
    if (values['json']) {
      io.print(JSON.stringify(rows));
      return 0;
    }
    io.print('STREAM           STORE      PARTITIONS    RECORDS  OFFSETS (earliest to next)');
    for (const { stream, store, partitions, records, earliest, next } of rows) {
      const offsets = next.map((n, p) => `${earliest[p] ?? 0}–${n}`).join('  ');
      const columns = [
        stream.padEnd(16),
        store.padEnd(10),
        String(partitions).padStart(10),
        String(records).padStart(10),
      ];
      io.print(`${columns.join(' ')}  ${offsets}`);
    }
    return 0;
  },
};
