import { logName } from '../log/format.ts';
import { earliestOffsets } from '../log/log-reader.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { dataFolderOf } from './settings.ts';
import { endOffsets, openViews } from './stores.ts';

interface StreamRow {
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
      for (const [name, next] of await endOffsets(view)) {
        const earliest = earliestOffsets(view, name);
        const records = next.reduce((sum, n, p) => sum + n - (earliest[p] ?? 0), 0);
        rows.push({ stream: name, store, log, partitions: next.length, records, earliest, next });
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
