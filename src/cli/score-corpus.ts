import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import {
  corpusFault,
  labelledSeries,
  parseProfiles,
  parseRows,
  parseWindows,
  type Rows,
} from '../detect-score/corpus-text.ts';
import { type Costs, NAB_PROFILES } from '../detect-score/nab.ts';
import type { LabelledSeries } from '../detect-score/scorer.ts';
import type { Files } from '../os/files.ts';

/** One file of a corpus: `rows` as they are written. */
export interface CorpusFile {
  readonly series: LabelledSeries;
  readonly rows: Rows;
}

export interface Corpus {
  /** In the order of their names: `category/file.csv`. */
  readonly files: readonly CorpusFile[];
  readonly profiles: Readonly<Record<string, Costs>>;
}

const LABELS = 'labels/combined_windows.json';
const PROFILES = 'config/profiles.json';

async function textOf(files: Files, folder: string, name: string): Promise<string | undefined> {
  try {
    return await files.readText(join(folder, name));
  } catch (error) {
    throw corpusFault(`${name}: ${messageOf(error)}`);
  }
}

async function textThatIsThere(files: Files, folder: string, name: string): Promise<string> {
  const text = await textOf(files, folder, name);
  if (text === undefined) throw corpusFault(`there is no ${join(folder, name)}`);
  return text;
}

/** A corpus in the layout of NAB's repository. Throws CORPUS_INVALID. */
export async function readCorpus(files: Files, folder: string): Promise<Corpus> {
  const kind = await files.kindOf(folder);
  if (kind === 'file' || kind === 'other') throw corpusFault(`${folder} is no folder`);
  const labels = await textOf(files, folder, LABELS);
  if (labels === undefined) {
    const missing = kind === undefined ? `folder ${folder}` : join(folder, LABELS);
    throw corpusFault(`there is no ${missing}`);
  }
  const windows = parseWindows(LABELS, labels);
  const profiles = await textOf(files, folder, PROFILES);
  const read: CorpusFile[] = [];
  for (const [name, stamps] of [...windows].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const rows = parseRows(name, await textThatIsThere(files, join(folder, 'data'), name));
    read.push({ rows, series: labelledSeries(name, rows, stamps) });
  }
  if (!read.some(({ series }) => series.windows.length > 0)) {
    throw corpusFault(`${LABELS} has no window, so there is nothing to find`);
  }
  return {
    files: read,
    profiles: profiles === undefined ? NAB_PROFILES : parseProfiles(PROFILES, profiles),
  };
}
