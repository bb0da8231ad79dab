import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { type Tick, timeTicks, valueTicks } from '../../../src/cli/chart-axis.ts';
import { ChartColumns, MAX_COLUMNS } from '../../../src/cli/chart-columns.ts';
import { chartSvg } from '../../../src/cli/chart-svg.ts';
import { xmlFault } from '../../support/xml.ts';

const SEED = 4711;
const T = Date.parse('2026-05-04T10:00:00Z');
const NORMAL = { band: [0, 1] as const, isActive: false };

describe('columns', () => {
  it('keep the least and the greatest of a million values, each in its place', () => {
    const columns = new ChartColumns();
    const count = 1_000_000;
    for (let i = 0; i < count; i++) {
      const value = i === 333_333 ? 99 : i === 777_777 ? -99 : Math.sin(i / 50_000);
      columns.add(T + i * 1_000, { value, ...NORMAL });
    }
    const all = columns.columns();
    expect(all.length).toBeGreaterThan(MAX_COLUMNS / 2 - 1);
    expect(all.length).toBeLessThanOrEqual(MAX_COLUMNS);
    const at = (i: number) =>
      all.find(({ fromMs, toMs }) => fromMs <= T + i * 1_000 && T + i * 1_000 < toMs);
    expect(at(333_333)?.max).toBe(99);
    expect(at(777_777)?.min).toBe(-99);
    expect(all.filter(({ max, min }) => max > 1 || min < -1)).toHaveLength(2);
    expect([all[0]?.first, all.at(-1)?.last]).toEqual([0, Math.sin((count - 1) / 50_000)]);
  });

  it('gather bands, alerts and their reasons', () => {
    const columns = new ChartColumns();
    const step = 10_000_000;
    columns.add(T, { value: 1, band: undefined, isActive: false });
    columns.add(T + 1, { value: 2, band: [0, 3], isActive: true, begins: 'first' });
    columns.add(T + 2, { value: 0, band: [-1, 2], isActive: true, begins: 'second' });
    columns.add(T + step * MAX_COLUMNS, { value: 5, band: undefined, isActive: false });
    expect(columns.columns()).toMatchObject([
      {
        ...{ first: 1, last: 0, min: 0, max: 2, low: -1, high: 3, hasBand: true, isActive: true },
        ...{ begins: 2, reason: 'first' },
      },
      { first: 5, hasBand: false, isActive: false, begins: 0, reason: undefined },
    ]);
  });

  it('take a clock that goes back by half a century', () => {
    const columns = new ChartColumns();
    for (let i = 0; i < 5_000; i++) columns.add(T + i, { value: i, ...NORMAL });
    for (let i = 0; i < 5_000; i++) columns.add(i, { value: -i, ...NORMAL });
    const all = columns.columns();
    expect(all.length).toBeLessThanOrEqual(MAX_COLUMNS);
    expect([all[0]?.min, all.at(-1)?.max]).toEqual([-4_999, 4_999]);
    expect(all.map(({ fromMs }) => fromMs)).toEqual(
      all.map(({ fromMs }) => fromMs).toSorted((a, b) => a - b),
    );
  });
});

const labels = (ticks: readonly Tick[]) => ticks.map(({ label }) => label);

describe('ticks', () => {
  it.each([
    [60_000, ['10:00:00', '10:00:10']],
    [7 * 3_600_000, ['10:00', '11:00', '12:00']],
    [300, ['10:00:00.000', '10:00:00.050']],
    [3 * 86_400_000, ['12:00', '2026-05-05', '12:00', '2026-05-06']],
    [5 * 86_400_000, ['2026-05-05', '2026-05-06', '2026-05-07']],
    [40 * 86_400_000, ['2026-05-07', '2026-05-12', '2026-05-17']],
  ])('of %d ms stand at whole times', (span, first) => {
    const said = labels(timeTicks(T, T + span, 9));
    expect(said.slice(0, first.length)).toEqual(first);
    expect(said.length).toBeLessThanOrEqual(9);
    expect(said.length).toBeGreaterThan(3);
  });

  it('of half a century, or of more than a Date can hold, are few', () => {
    expect(timeTicks(0, T, 9).length).toBeLessThanOrEqual(9);
    expect(timeTicks(-1e300, 1e300, 9).length).toBeLessThanOrEqual(10);
  });

  it.each([
    [0, 1, ['0', '0.2', '0.4', '0.6', '0.8', '1']],
    [-3, 12, ['0', '5', '10']],
    [101_325.1, 101_325.4, ['101325.1', '101325.2', '101325.3', '101325.4']],
    [0, 3e-7, ['0', '1e-7', '2e-7', '3e-7']],
  ])('from %d to %d are %j', (low, high, said) => {
    expect(labels(valueTicks(low, high, 6))).toEqual(said);
  });

  it('of the largest numbers are finite', () => {
    const ticks = valueTicks(-Number.MAX_VALUE, Number.MAX_VALUE, 6);
    expect(ticks.length).toBeGreaterThan(1);
    for (const { at } of ticks) expect(Number.isFinite(at)).toBe(true);
    expect(valueTicks(1e17, 1e17 + 64, 6).length).toBeLessThanOrEqual(6);
  });
});

function chartOf(values: readonly number[], more: { begins?: string; title?: string } = {}) {
  const columns = new ChartColumns();
  for (const [i, value] of values.entries()) {
    const band = i < values.length / 10 ? undefined : ([value - 1, value + 1] as const);
    const isActive = i % 1_000 >= 900;
    const begins = i % 1_000 === 900 ? { begins: more.begins ?? 'why' } : {};
    columns.add(T + i * 1_000, { value, band, isActive, ...begins });
  }
  return { title: more.title ?? 'd1 / t', columns: columns.columns() };
}

describe('the chart', () => {
  it(`of a million wild values is small and well-formed (seed ${SEED})`, () => {
    const random = seededRandom(SEED);
    const values = Array.from({ length: 1_000_000 }, () => random() * 1_000);
    const svg = chartSvg({ title: 'readings', series: [chartOf(values)], note: '' });
    expect(xmlFault(svg)).toBeUndefined();
    expect(svg.length).toBeGreaterThan(20_000);
    expect(svg.length).toBeLessThan(400_000);
  });

  it('has a band, the stretch of learning, an alert with its reason, and ticks', () => {
    const values = Array.from({ length: 2_000 }, (_, i) => Math.sin(i / 100));
    const svg = chartSvg({ title: 'readings', series: [chartOf(values)], note: 'a note' });
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg" width="1000"')).toBe(true);
    const count = (what: RegExp) => [...svg.matchAll(what)].length;
    // One each beside the legend's.
    expect(count(/class="b"/g)).toBe(2);
    expect(count(/class="w"/g)).toBe(2);
    expect(count(/class="a"/g)).toBe(3);
    expect(svg.includes('<title>why</title>')).toBe(true);
    expect(svg.includes('>10:05</text>'), '>10:05</text>').toBe(true);
    expect(svg.includes('>-2</text>'), '>-2</text>').toBe(true);
    expect(svg.includes('a note'), 'a note').toBe(true);
    expect(svg.match(/href|url\(|<script/)).toBeNull();
  });

  it('stacks series on one axis of time', () => {
    const one = [chartOf([1, 2]), chartOf([3, 4, 5], { title: 'd2 / t' })];
    const svg = chartSvg({ title: '', series: one, note: '' });
    expect(xmlFault(svg)).toBeUndefined();
    expect([...svg.matchAll(/<g transform="translate\(86,(\d+)\)">/g)].map(([, y]) => y)).toEqual([
      ...['76', '254'],
    ]);
    // The two seconds of the first are two thirds of the axis.
    expect(
      svg.includes('2026-05-04T10:00:00.000Z to 2026-05-04T10:00:02'),
      '2026-05-04T10:00:00.000Z to 2026-05-04T10:00:02',
    ).toBe(true);
  });

  it.each([
    ['none', []],
    ['one', [5]],
    ['the same', [5, 5, 5]],
    ['zeros', [0, 0]],
    ['the largest', [-Number.MAX_VALUE, Number.MAX_VALUE, 0]],
    ['the least', [Number.MIN_VALUE, 0, -Number.MIN_VALUE]],
    ['far from zero', [1e17, 1e17 + 64]],
  ])('of values that are %s has nothing that is no number', (_, values) => {
    const series = values.length === 0 ? [] : [chartOf(values)];
    const svg = chartSvg({ title: 'readings', series, note: '' });
    expect(xmlFault(svg)).toBeUndefined();
    expect(svg.match(/NaN|Infinity|undefined/)).toBeNull();
  });

  it('says names and reasons from devices without harm', () => {
    const evil = '"><script>&\u0000\u001b\ud800\uffff</text>';
    const values = Array.from({ length: 1_000 }, (_, i) => i);
    const svg = chartSvg({
      title: evil,
      series: [chartOf(values, { begins: evil, title: evil })],
      note: evil,
    });
    expect(xmlFault(svg)).toBeUndefined();
    expect(svg.includes('<script')).toBe(false);
  });
});

describe('the check of XML itself', () => {
  it.each([
    '<a>',
    '<a></b>',
    '<a/><a/>',
    '<a b="1" b="2"/>',
    '<a b=1/>',
    '<a>&</a>',
    '<a>&nbsp;</a>',
    '<a>\u0001</a>',
    '<a b="<"/>',
    'x<a/>',
    '',
  ])('refuses %j', (xml) => {
    expect(xmlFault(xml)).toBeDefined();
  });

  it('takes what is well-formed', () => {
    expect(xmlFault('<a b="1" c="&amp;">x &lt; y<d/></a>')).toBeUndefined();
  });
});
