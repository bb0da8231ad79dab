import { HeadgateError } from '../base/errors.ts';
import type { AckRow, AlertRow } from '../ops/alert-routes.ts';
import { askControl, callControl } from '../ops/control-client.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION } from './command.ts';
import { plain } from './record-text.ts';
import { dataFolderOf } from './settings.ts';

const SAYS: Readonly<Record<AckRow['outcome'], string>> = {
  acknowledged: ' acknowledged',
  already: ' was acknowledged before',
  'not-active': ': there is no such alert now (see headgate alerts ls)',
  'not-stored': ' is not on flash yet: try again',
};

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The name that was meant by one that is typed with `:` for `%3A`; undefined: none, or several. */
export function meantAlert(typed: string, names: readonly string[]): string | undefined {
  const meant = names.filter((name) => decoded(name) === decoded(typed));
  return meant.length === 1 ? meant[0] : undefined;
}

async function acknowledge(socket: string, alert: string | undefined): Promise<AckRow[]> {
  const body = alert === undefined ? {} : { alerts: [alert] };
  const { text } = await callControl(socket, { method: 'POST', path: '/alerts/ack', body });
  return JSON.parse(text) as AckRow[];
}

async function acknowledgeTyped(socket: string, typed: string): Promise<AckRow[]> {
  const rows = await acknowledge(socket, typed);
  if (rows[0]?.outcome !== 'not-active') return rows;
  const there = (await askControl(socket, '/alerts')) as AlertRow[];
  const meant = meantAlert(
    typed,
    there.map(({ alert }) => alert),
  );
  return meant === undefined ? rows : acknowledge(socket, meant);
}

export const alertsAck: Command = {
  name: 'alerts ack',
  usage: 'headgate alerts ack ALERT | --all [--data DIR] [--config FILE]',
  summary: 'says that a person has seen an alert, or all that `alerts ls` lists',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, all: { type: 'boolean' } },
  optionHelp: { all: 'every alert that `alerts ls` lists' },
  positionals: [0, 1],
  async run(values, [alert], io) {
    const isAll = values['all'] === true;
    if (isAll && alert !== undefined) {
      throw new HeadgateError('USAGE', 'name an alert, or give --all: not both');
    }
    if (!isAll && alert === undefined) {
      throw new HeadgateError('USAGE', 'name an alert, or give --all');
    }
    const { socket } = await dataFolderOf(values, io.env);
    const rows =
      alert === undefined
        ? await acknowledge(socket, undefined)
        : await acknowledgeTyped(socket, alert);
    if (rows.length === 0) io.print('no alerts');
    for (const row of rows) io.print(plain(row.alert) + SAYS[row.outcome]);
    return rows.every(({ outcome }) => outcome === 'acknowledged' || outcome === 'already') ? 0 : 1;
  },
};
