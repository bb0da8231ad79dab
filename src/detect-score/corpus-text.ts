import { HeadgateError } from '../base/errors.ts';
import type { Costs } from './nab.ts';
import type { LabelledSeries, RowWindow } from './scorer.ts';

/** The texts of a labelled corpus: rows of CSV, windows and profiles as JSON. Pure. */

/** Rows as they stand in a file. */
export interface Rows {
  /** As written. */
  readonly stamps: readonly string[];
  readonly seconds: Float64Array;
  readonly values: Float64Array;
  /** 0: nothing is wrong with the row; 0 throughout where the file has no labels. */
  readonly labels: Float64Array;
}

export interface Columns {
  readonly value: string | 'last';
  readonly label?: string;
}

const NAB_COLUMNS: Columns = { value: 'value' };
const STAMP = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$/;

export function corpusFault(what: string): HeadgateError {
  return new HeadgateError('CORPUS_INVALID', what);
}

/** Seconds since 1970 of a time without a zone, which is UTC; NaN: it is none. */
export function secondsOf(stamp: string): number {
  const [, day, time] = STAMP.exec(stamp.trim()) ?? [];
  return Date.parse(`${day}T${time}Z`) / 1000;
}

function columnsOf(head: string, { value, label }: Columns) {
  const names = head.split(',').map((name) => name.trim());
  return {
    stamp: names.indexOf('timestamp'),
    value: value === 'last' ? names.length - 1 : names.indexOf(value),
    label: label === undefined ? -1 : names.indexOf(label),
  };
}

/** Throws CORPUS_INVALID, with the line. */
export function parseRows(name: string, text: string, wanted: Columns = NAB_COLUMNS): Rows {
  const [head = '', ...lines] = text.trimEnd().split(/\r?\n/);
  const at = columnsOf(head, wanted);
  if (at.stamp < 0 || at.value < 0) throw corpusFault(`${name} has no columns timestamp, value`);
  const stamps: string[] = [];
  const seconds = new Float64Array(lines.length);
  const values = new Float64Array(lines.length);
  const labels = new Float64Array(lines.length);
  for (const [i, line] of lines.entries()) {
    const fields = line.split(',');
    const stamp = (fields[at.stamp] ?? '').replaceAll("'", '');
    const value = (fields[at.value] ?? '').trim();
    seconds[i] = secondsOf(stamp);
    values[i] = value === '' ? Number.NaN : Number(value);
    labels[i] = at.label < 0 ? 0 : Number(fields[at.label] ?? Number.NaN);
    const isSound = [seconds, values, labels].every((column) => Number.isFinite(column[i]));
    if (!isSound) throw corpusFault(`${name}, line ${i + 2}: ${line} is no time and value`);
    stamps.push(stamp);
  }
  return { stamps, seconds, values, labels };
}

function jsonOf(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw corpusFault(`${name} is no JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A window as the labels have it: from and to, both inside. */
export type StampWindow = readonly [from: string, to: string];

function isWindows(value: unknown): value is StampWindow[] {
  if (!Array.isArray(value)) return false;
  return value.every(
    (one: unknown) =>
      Array.isArray(one) && one.length === 2 && one.every((stamp) => typeof stamp === 'string'),
  );
}

/** By `category/file.csv`. Throws CORPUS_INVALID. */
export function parseWindows(name: string, text: string): Map<string, StampWindow[]> {
  const labels = jsonOf(name, text);
  if (!isObject(labels)) throw corpusFault(`${name} is no object`);
  const windows = new Map<string, StampWindow[]>();
  for (const [file, value] of Object.entries(labels)) {
    if (!isWindows(value)) throw corpusFault(`${name}: ${file} is no list of [from, to]`);
    if (!/^[^/\\]+\/[^/\\]+\.csv$/.test(file) || file.startsWith('..')) {
      throw corpusFault(`${name}: ${file} is no category/file.csv`);
    }
    windows.set(file, value);
  }
  return windows;
}

/** By name. Throws CORPUS_INVALID. */
export function parseProfiles(name: string, text: string): Record<string, Costs> {
  const profiles = jsonOf(name, text);
  if (!isObject(profiles)) throw corpusFault(`${name} is no object`);
  const costs = Object.entries(profiles).map(([profile, value]) => {
    const matrix = isObject(value) ? value['CostMatrix'] : undefined;
    const weights = isObject(matrix) ? matrix : {};
    const [tp, fn, fp] = ['tpWeight', 'fnWeight', 'fpWeight'].map((key) => Number(weights[key]));
    const own = { tp: tp ?? 0, fn: fn ?? 0, fp: fp ?? 0 };
    if (Object.values(own).every((weight) => weight > 0)) return [profile, own] as const;
    throw corpusFault(`${name}: ${profile} has no CostMatrix of weights above 0`);
  });
  return Object.fromEntries(costs);
}

/** Rows of the windows of a file. Throws CORPUS_INVALID. */
function rowWindows(name: string, { seconds }: Rows, stamps: readonly StampWindow[]): RowWindow[] {
  const windows = stamps.map(([from, to]) => {
    const window = { from: seconds.indexOf(secondsOf(from)), to: seconds.indexOf(secondsOf(to)) };
    if (window.from >= 0 && window.to >= window.from) return window;
    throw corpusFault(`${name} has no rows of the window ${from} to ${to}`);
  });
  const sorted = windows.toSorted((a, b) => a.from - b.from);
  for (const [i, { from }] of sorted.entries()) {
    if (from <= (sorted[i - 1]?.to ?? -1)) throw corpusFault(`${name}: its windows overlap`);
  }
  return sorted;
}

/** Throws CORPUS_INVALID. */
export function labelledSeries(
  name: string,
  rows: Rows,
  windows: readonly StampWindow[],
): LabelledSeries {
  const { seconds, values } = rows;
  return { name, seconds, values, windows: rowWindows(name, rows, windows) };
}
