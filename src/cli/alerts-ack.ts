import { HeadgateError } from '../base/errors.ts';
import type { AckRow } from '../ops/alert-routes.ts';
import { callControl } from '../ops/control-client.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION } from './command.ts';
import { plain } from './record-text.ts';
import { dataFolderOf } from './settings.ts';

const SAYS: Readonly<Record<AckRow['outcome'], string>> = {
  acknowledged: 'acknowledged',
  already: 'was acknowledged before',
  'not-active': 'does not last: see headgate alerts ls',
  'not-stored': 'is not on flash yet: try again',
};

export const alertsAck: Command = {
  name: 'alerts ack',
  usage: 'headgate alerts ack ALERT | --all [--data DIR] [--config FILE]',
  summary: 'says that a person has seen an alert, or all that `alerts ls` lists',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, all: { type: 'boolean' } },
  optionHelp: { all: 'every alert that `alerts ls` lists' },
  positionals: [0, 1],
  async run(values, [alert], io) {
    if ((alert === undefined) !== (values['all'] === true)) {
      throw new HeadgateError('USAGE', 'name an alert, or give --all');
    }
    const { socket } = await dataFolderOf(values, io.env);
    const body = alert === undefined ? {} : { alerts: [alert] };
    const { text } = await callControl(socket, { method: 'POST', path: '/alerts/ack', body });
    const rows = JSON.parse(text) as AckRow[];
    if (rows.length === 0) io.print('no alerts');
    for (const row of rows) io.print(`${plain(row.alert)} ${SAYS[row.outcome]}`);
    return rows.every(({ outcome }) => outcome === 'acknowledged' || outcome === 'already') ? 0 : 1;
  },
};
