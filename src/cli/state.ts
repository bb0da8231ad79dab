import { HeadgateError } from '../base/errors.ts';
import { askControl } from '../ops/control-client.ts';
import type { SeriesWindows } from '../windows/series-windows.ts';
import type { StateJson } from '../windows/state-json.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, type Io, JSON_OPTION } from './command.ts';
import { dataFolderOf } from './settings.ts';

interface Answer {
  readonly rebuilding: boolean;
}

const COLUMNS = ['count', 'min', 'mean', 'p99', 'max'] as const;

/** A number as a person reads it: six digits are enough for one. */
function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function age(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function windowRow(window: SeriesWindows[keyof SeriesWindows] | undefined): string[] {
  if (window === undefined || !('min' in window)) return ['0', '', '', '', ''];
  return COLUMNS.map((column) => short(window[column]));
}

/** Three lines a series, one for each window. */
function rowsOf({ device, metric, last, learned, windows }: StateJson): string[][] {
  const share = learned === undefined ? '' : `${Math.floor(100 * learned)}%`;
  const head = [device, metric, short(last.value), age(last.ageMs), share];
  return (['1m', '15m', '1h'] as const).map((name, i) => {
    const cells = windows === undefined ? windowRow(undefined) : windowRow(windows[name]);
    return [...(i === 0 ? head : ['', '', '', '', '']), name, ...cells];
  });
}

/** Names come from devices: what a terminal would obey is not printed. */
const UNPRINTABLE = /\p{Cc}/gu;

function printTable(series: readonly StateJson[], io: Io): void {
  const heads = ['DEVICE', 'METRIC', 'LAST', 'AGE', 'LEARNED', 'WINDOW'];
  const names = COLUMNS.map((column) => column.toUpperCase());
  const rows = [[...heads, ...names], ...series.flatMap(rowsOf)];
  const texts = rows.map((row) => row.map((cell) => cell.replace(UNPRINTABLE, '?')));
  const widths = [...heads, ...names].map((_, i) => {
    return texts.reduce((most, row) => Math.max(most, row[i]?.length ?? 0), 0);
  });
  for (const row of texts) {
    const cells = row.map((cell, i) => {
      return i < 2 || i === 5 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
    });
    if (!io.print(cells.join('  ').trimEnd())) return;
  }
}

export const state: Command = {
  name: 'state',
  usage: 'headgate state [DEVICE [METRIC]] [--data DIR] [--config FILE] [--json]',
  summary: 'last values, and what came in the last minute, 15 minutes and hour',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 2],
  async run(values, names, io) {
    if (names.includes('')) throw new HeadgateError('USAGE', 'a name is empty');
    const { socket } = await dataFolderOf(values, io.env);
    const path = ['/state', ...names.map(encodeURIComponent)].join('/');
    const answer = (await askControl(socket, path)) as Answer & { series?: StateJson[] };
    if (values['json']) {
      io.print(JSON.stringify(answer));
      return 0;
    }
    printTable(answer.series ?? [answer as unknown as StateJson], io);
    if (answer.rebuilding) io.complain('The log is being read again: more is to come.');
    return 0;
  },
};
