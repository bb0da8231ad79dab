import { csvField } from '../base/record-csv.ts';
import { isoTime } from './chart-axis.ts';
import { ChartColumns } from './chart-columns.ts';
import { type ChartSeries, chartSvg } from './chart-svg.ts';
import { plain } from './record-text.ts';
import type { ReplayedAlert, ReplayRow } from './replay-report.ts';

/** What a replay says, as text. */

const CSV_COLUMNS = [
  'time',
  'device',
  'metric',
  'value',
  'low',
  'high',
  'score',
  'state',
  'fault',
  'alert',
] as const;

export const REPLAY_CSV_HEADER = CSV_COLUMNS.join(',');

/** RFC 4180; `time` is the corrected time of arrival, ms since 1970. */
export function replayCsv(row: ReplayRow): string {
  const named = { ...row, time: Math.round(row.timeMs) };
  return CSV_COLUMNS.map((name) => csvField(named[name])).join(',');
}

/** The longest unit that gives a number of two digits, or nearly. */
const UNITS: ReadonlyArray<[unit: string, ms: number]> = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

function lasted({ lastedMs, ended }: ReplayedAlert): string {
  const [unit, unitMs] = UNITS.find(([, ms]) => lastedMs >= 2 * ms) ?? ['ms', 1];
  return `${Math.round(lastedMs / unitMs)} ${unit}${ended === undefined ? '+' : ''}`;
}

/** The alerts as a table, one a line; a `+` stands where one is not over yet. */
export function alertTable(alerts: readonly ReplayedAlert[]): string[] {
  const rows = [
    ['BEGAN', 'LASTED', 'FAULT', 'SCORE', 'WHY'],
    ...alerts.map((alert) => {
      const { began, fault = '', score, reason, suppressed, severity } = alert;
      const held = suppressed === 0 ? '' : ` (${suppressed} values held back before it)`;
      const kind = severity === undefined ? fault : `${severity} ${fault}`.trim();
      const shown = score > 1 ? score.toFixed(1) : score.toFixed(3);
      return [isoTime(began), lasted(alert), kind, shown, plain(reason) + held];
    }),
  ];
  // A column that nothing is in is none.
  const used = [0, 1, 2, 3, 4].filter((i) => rows.slice(1).some((row) => row[i] !== ''));
  const width = (i: number) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  const widths = used.map(width);
  return rows.map((row) =>
    used
      .map((i, column) => (row[i] ?? '').padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Series that a chart draws. */
const MAX_DRAWN = 24;
/** Series that are gathered, of which those with the most alerts are drawn. */
const MAX_GATHERED = 256;

interface Gathered {
  readonly title: string;
  readonly columns: ChartColumns;
  alerts: number;
  values: number;
}

/** Gathers what a chart of a replay draws, in a bounded room. */
export class ReplayChart {
  readonly #title: string;
  readonly #series = new Map<string, Gathered>();
  /** Series beyond those that are gathered. */
  readonly #others = new Set<string>();
  #otherAlerts = 0;

  constructor(title: string) {
    this.#title = title;
  }

  add(row: ReplayRow): void {
    const series = this.#find(row);
    if (row.alert === 'begin') {
      if (series === undefined) this.#otherAlerts += 1;
      else series.alerts += 1;
    }
    if (series === undefined) return;
    series.values += 1;
    series.columns.add(row.timeMs, {
      value: row.value,
      band: row.state === 'learning' ? undefined : [row.low, row.high],
      isActive: row.alert !== '' && row.alert !== 'end',
      ...(row.reason === undefined ? {} : { begins: `${isoTime(row.timeMs)} ${row.reason}` }),
    });
  }

  #find({ device, metric }: ReplayRow): Gathered | undefined {
    const key = JSON.stringify([device, metric]);
    const found = this.#series.get(key);
    if (found !== undefined) return found;
    if (this.#series.size >= MAX_GATHERED) {
      this.#others.add(key);
      return undefined;
    }
    const title = `${device} / ${metric}`;
    const series = { title, columns: new ChartColumns(), alerts: 0, values: 0 };
    this.#series.set(key, series);
    return series;
  }

  svg(): string {
    const all = [...this.#series.values()].sort(
      (a, b) => b.alerts - a.alerts || b.values - a.values,
    );
    const drawn = new Set(all.slice(0, MAX_DRAWN));
    const hidden = all.slice(MAX_DRAWN).reduce((sum, { alerts }) => sum + alerts, 0);
    const left = all.length - drawn.size + this.#others.size;
    const series: ChartSeries[] = [...this.#series.values()]
      .filter((one) => drawn.has(one))
      .map(({ title, columns }) => ({ title, columns: columns.columns() }));
    const more = `${left} more series with ${hidden + this.#otherAlerts} alerts are not drawn`;
    const note = left === 0 ? '' : `${more}: --device and --metric choose`;
    return chartSvg({ title: this.#title, series, note });
  }
}
