import type { AlertRow } from '../ops/alert-routes.ts';
import { askControl } from '../ops/control-client.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { plain } from './record-text.ts';
import { dataFolderOf } from './settings.ts';

const HEADING = 'SINCE                SEVERITY WHAT, AND THE NAME OF THE ALERT';

function lineOf(row: AlertRow): string[] {
  const { alert, severity, since, reason, count, open, acknowledged, ended } = row;
  const time = new Date(since).toISOString().replace(/\.\d+Z$/, 'Z');
  const seen = acknowledged === undefined ? '' : ' (seen)';
  const over = ended === undefined ? '' : ' (ended, not acknowledged)';
  const lasting = count === 1 ? '' : `; ${open} of ${count} last`;
  return [
    `${time} ${severity.padEnd(8)} ${plain(reason)}${lasting}${seen}${over}`,
    `    ${plain(alert)}`,
  ];
}

export const alertsLs: Command = {
  name: 'alerts ls',
  usage: 'headgate alerts ls [--data DIR] [--config FILE] [--json]',
  summary: 'alerts that last, or that the line still shows, with their names',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const { socket } = await dataFolderOf(values, io.env);
    const rows = (await askControl(socket, '/alerts')) as AlertRow[];
    if (values['json'] === true) io.print(JSON.stringify(rows));
    else if (rows.length === 0) io.print('no alerts');
    else for (const line of [HEADING, ...rows.flatMap(lineOf)]) if (!io.print(line)) break;
    return 0;
  },
};
