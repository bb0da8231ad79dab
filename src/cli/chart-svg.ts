import { isoTime, type Tick, timeTicks, valueTicks } from './chart-axis.ts';
import type { ChartColumn } from './chart-columns.ts';

/** One series of a chart. */
export interface ChartSeries {
  readonly title: string;
  /** In the order of time, at least one. */
  readonly columns: readonly ChartColumn[];
}

export interface Chart {
  readonly title: string;
  readonly series: readonly ChartSeries[];
  /** What stands below all. */
  readonly note: string;
}

const WIDTH = 1_000;
const LEFT = 86;
const RIGHT = 16;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const HEAD = 52;
const FOOT = 30;
const PANEL = 178;
const PANEL_TOP = 24;
const PLOT_HEIGHT = 126;
const TIME_TICKS = 9;
const VALUE_TICKS = 6;
/** A band beyond the values is drawn so far beyond them, in their own spans. */
const BAND_REACH = 0.6;
const MARGIN = 0.06;

const STYLE = [
  'text{font:11px sans-serif;fill:#333}.h{font-size:15px;font-weight:bold}',
  '.t{font-size:12px;font-weight:bold}.e{text-anchor:end}.m{text-anchor:middle}',
  '.bg{fill:#fff}.f{fill:none;stroke:#999}.g{stroke:#e4e4e4}.w{fill:#ececec}',
  '.b{fill:#bcd9f2;fill-opacity:.75}.v{fill:none;stroke:#14508c;stroke-linejoin:round}',
  '.a{fill:#d62828;fill-opacity:.2}.k{fill:#c1121f}',
].join('');

/** Text for XML 1.0, which has no place for most control characters and half characters. */
function text(raw: string): string {
  return (
    raw
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML has no place for these.
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  );
}

function short(pixels: number): string {
  return String(Math.round(pixels * 10) / 10);
}

/** A scale from what is measured to pixels; in halves, since a distance may not be finite. */
class Scale {
  readonly #from: number;
  readonly #half: number;
  readonly #start: number;
  readonly #pixels: number;

  constructor([from, to]: readonly [number, number], [start, end]: readonly [number, number]) {
    this.#from = from;
    this.#half = to / 2 - from / 2;
    this.#start = start;
    this.#pixels = end - start;
  }

  at(value: number): number {
    const share = (value / 2 - this.#from / 2) / this.#half;
    return this.#start + Math.min(1, Math.max(0, share)) * this.#pixels;
  }
}

/** What the value axis reaches over: the values, and as much of the band as is near them. */
function valueRange(columns: readonly ChartColumn[]): [low: number, high: number] {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [low, high] = [min, max];
  for (const column of columns) {
    min = Math.min(min, column.min);
    max = Math.max(max, column.max);
    low = Math.min(low, column.low);
    high = Math.max(high, column.high);
  }
  const span = max / 2 - min / 2 || Math.max(Math.abs(max) * 1e-3, 1e-6);
  const reach = 2 * BAND_REACH * span;
  const margin = 2 * MARGIN * span;
  const bottom = Math.min(min, Math.max(low, min - reach)) - margin;
  const top = Math.max(max, Math.min(high, max + reach)) + margin;
  const most = Number.MAX_VALUE;
  return [Math.max(bottom, -most), Math.min(top, most)];
}

/** Stretches of columns next to each other that all have something. */
function runsOf(
  columns: readonly ChartColumn[],
  has: (column: ChartColumn) => boolean,
): ChartColumn[][] {
  const runs: ChartColumn[][] = [];
  let isOpen = false;
  for (const column of columns) {
    if (!has(column)) isOpen = false;
    else if (isOpen) runs.at(-1)?.push(column);
    else {
      runs.push([column]);
      isOpen = true;
    }
  }
  return runs;
}

/** Where a run of columns stands: until the next column begins, or it ends itself. */
function spanOf(run: readonly ChartColumn[], x: Scale, least: number): [at: number, width: number] {
  const from = x.at(run[0]?.fromMs ?? 0);
  const to = x.at(run.at(-1)?.toMs ?? 0);
  return [from, Math.max(least, to - from)];
}

function valuePath(columns: readonly ChartColumn[], x: Scale, y: Scale): string {
  let path = '';
  for (const { fromMs, toMs, first, min, max, last } of columns) {
    const at = short(x.at(fromMs / 2 + toMs / 2));
    const way = first <= last ? [first, min, max, last] : [first, max, min, last];
    const ys = way.map((value) => short(y.at(value)));
    const turns = ys.filter((one, i) => one !== ys[i - 1]);
    path += `${path === '' ? 'M' : 'L'}${at},${turns[0]}`;
    for (const turn of turns.slice(1)) path += `V${turn}`;
  }
  // A single value is a dot.
  return /^M[^LV]*$/.test(path) ? `${path}h2` : path;
}

/** The band as one area: along its upper edge, and back along the lower one. */
function bandPath(run: readonly ChartColumn[], x: Scale, y: Scale): string {
  const edge = (values: readonly (readonly [column: ChartColumn, value: number])[]) =>
    values.map(([{ fromMs, toMs }, value]) => {
      const at = short(x.at(fromMs / 2 + toMs / 2));
      return `${at},${short(y.at(value))}`;
    });
  const upper = edge(run.map((column) => [column, column.high] as const));
  const lower = edge(run.map((column) => [column, column.low] as const)).reverse();
  return `M${[...upper, ...lower].join('L')}Z`;
}

function alertMarks(columns: readonly ChartColumn[], x: Scale): string[] {
  const active = runsOf(columns, (column) => column.isActive);
  const shades = active.map((run) => {
    const [at, width] = spanOf(run, x, 2);
    const count = run.reduce((sum, { begins }) => sum + begins, 0);
    const reason = run.find(({ begins }) => begins > 0)?.reason ?? 'an alert from before';
    const more = count > 1 ? `, and ${count - 1} more` : '';
    const said = text(`${reason}${more}`);
    const box = `x="${short(at)}" y="0" width="${short(width)}" height="${PLOT_HEIGHT}"`;
    return `<rect class="a" ${box}><title>${said}</title></rect>`;
  });
  const marks = columns
    .filter(({ begins }) => begins > 0)
    .map(({ fromMs }) => `M${short(x.at(fromMs))},0l-4,-7h8z`);
  return marks.length === 0 ? shades : [...shades, `<path class="k" d="${marks.join('')}"/>`];
}

function axes(times: readonly Tick[], values: readonly Tick[], x: Scale, y: Scale): string[] {
  const down = times.map(({ at, label }) => {
    const place = short(x.at(at));
    const line = `<path class="g" d="M${place},0V${PLOT_HEIGHT}"/>`;
    return `${line}<text class="m" x="${place}" y="${PLOT_HEIGHT + 14}">${text(label)}</text>`;
  });
  const across = values.map(({ at, label }) => {
    const place = y.at(at);
    const line = `<path class="g" d="M0,${short(place)}H${PLOT_WIDTH}"/>`;
    return `${line}<text class="e" x="-6" y="${short(place + 4)}">${text(label)}</text>`;
  });
  return [...down, ...across];
}

function panel({ title, columns }: ChartSeries, top: number, range: [number, number]): string[] {
  const x = new Scale(range, [0, PLOT_WIDTH]);
  const values = valueRange(columns);
  const y = new Scale(values, [PLOT_HEIGHT, 0]);
  const warmUps = runsOf(columns, ({ hasBand }) => !hasBand).map((run) => {
    const [at, width] = spanOf(run, x, 1);
    const box = `x="${short(at)}" y="0" width="${short(width)}" height="${PLOT_HEIGHT}"`;
    return `<rect class="w" ${box}><title>learning</title></rect>`;
  });
  const bands = runsOf(columns, ({ hasBand }) => hasBand).map(
    (run) => `<path class="b" d="${bandPath(run, x, y)}"/>`,
  );
  return [
    `<g transform="translate(${LEFT},${top + PANEL_TOP})">`,
    `<text class="t" x="0" y="-9">${text(title)}</text>`,
    ...warmUps,
    ...axes(timeTicks(...range, TIME_TICKS), valueTicks(...values, VALUE_TICKS), x, y),
    ...bands,
    `<path class="v" d="${valuePath(columns, x, y)}"/>`,
    ...alertMarks(columns, x),
    `<rect class="f" width="${PLOT_WIDTH}" height="${PLOT_HEIGHT}"/>`,
    '</g>',
  ];
}

/** What the colours mean, from the right edge to the left. */
const LEGEND: ReadonlyArray<[label: string, mark: string]> = [
  ['alert', '<rect class="a" width="12" height="10"/><path class="k" d="M6,0l-4,-7h8z"/>'],
  ['learning', '<rect class="w" width="12" height="10"/>'],
  ['expected', '<rect class="b" width="12" height="10"/>'],
  ['value', '<path class="v" d="M0,5h12"/>'],
];

function legend(): string[] {
  return LEGEND.map(([label, mark], i) => {
    const at = WIDTH - RIGHT - 76 * (i + 1);
    return `<g transform="translate(${at},14)">${mark}<text x="16" y="9">${label}</text></g>`;
  });
}

/** From the first to the last column of all. */
function timeRange(series: readonly ChartSeries[]): [fromMs: number, toMs: number] {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { columns } of series) {
    from = Math.min(from, columns[0]?.fromMs ?? from);
    to = Math.max(to, columns.at(-1)?.toMs ?? to);
  }
  return from < to ? [from, to] : [0, 1];
}

/**
 * A chart in one file that needs nothing else: the series below each other on one axis of time,
 * each with its learned band, its alerts, and the stretch in which it was learnt.
 */
export function chartSvg({ title, series, note }: Chart): string {
  const height = HEAD + series.length * PANEL + FOOT;
  const range = timeRange(series);
  const span = series.length === 0 ? '' : `${range.map(isoTime).join(' to ')}, times in UTC`;
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`,
    `<title>${text(title)}</title><style>${STYLE}</style>`,
    `<rect class="bg" width="${WIDTH}" height="${height}"/>`,
    `<text class="h" x="${RIGHT}" y="24">${text(title)}</text>`,
    `<text x="${RIGHT}" y="42">${text(span)}</text>`,
    ...legend(),
    ...series.flatMap((one, i) => panel(one, HEAD + i * PANEL, range)),
    `<text x="${RIGHT}" y="${height - 10}">${text(note)}</text>`,
    '</svg>',
  ].join('\n');
}
