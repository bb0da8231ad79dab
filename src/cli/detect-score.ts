import { dirname, join, resolve } from 'node:path';
import { HeadgateError, messageOf } from '../base/errors.ts';
import { bestTally, type Costs, type Tally, tallyAt } from '../detect-score/nab.ts';
import { type ScoredSeries, scored } from '../detect-score/scorer.ts';
import { nodeFiles } from '../os/node-files.ts';
import { WholeFile } from '../os/whole-file.ts';
import { type Command, type Io, JSON_OPTION, textValue } from './command.ts';
import { type Corpus, type CorpusFile, readCorpus } from './score-corpus.ts';
import { type ShippedDetector, shippedDetector } from './shipped-scorer.ts';

interface ProfileScores {
  readonly profile: string;
  readonly shipped: Tally;
  readonly best: Tally;
}

interface Scores {
  readonly threshold: number;
  readonly files: number;
  readonly rows: number;
  readonly profiles: readonly ProfileScores[];
  /** At the shipped threshold, in the first profile. */
  readonly perFile: ReadonlyArray<Tally & { readonly file: string; readonly rows: number }>;
}

function scoresOf({ profiles }: Corpus, all: readonly ScoredSeries[], threshold: number): Scores {
  const costs: Array<[string, Costs]> = Object.entries(profiles);
  const [, first] = costs[0] ?? [];
  return {
    threshold,
    files: all.length,
    rows: all.reduce((sum, { scores }) => sum + scores.length, 0),
    profiles: costs.map(([profile, cost]) => ({
      profile,
      shipped: tallyAt(all, cost, threshold),
      best: bestTally(all, cost),
    })),
    perFile: all.flatMap((one) => {
      if (first === undefined) return [];
      const { name, values } = one.series;
      return [{ file: name, rows: values.length, ...tallyAt([one], first, threshold) }];
    }),
  };
}

function row(columns: ReadonlyArray<[text: string | number, width: number]>): string {
  const cells = columns.map(([text, width]) =>
    typeof text === 'number' ? String(text).padStart(width) : text.padEnd(width),
  );
  return cells.join(' ').trimEnd();
}

function printScores(scores: Scores, io: Io): void {
  const { threshold, files, rows, profiles } = scores;
  io.print(`${files} files, ${rows} rows; threshold ${threshold}, as it is shipped`);
  io.print('PROFILE                 SCORE   FOUND  FALSE   BEST  AT THRESHOLD  FOUND  FALSE');
  for (const { profile, shipped, best } of profiles) {
    const found = ({ found: some, windows }: Tally) => `${some}/${windows}`.padStart(7);
    const columns: Array<[string | number, number]> = [
      [profile, 22],
      [shipped.score.toFixed(1).padStart(6), 6],
      [found(shipped), 7],
      [shipped.falsePositives, 6],
      [best.score.toFixed(1).padStart(6), 6],
      [(best.threshold > 1 ? 'none' : best.threshold.toFixed(4)).padStart(13), 13],
      [found(best).trim().padStart(6), 6],
      [best.falsePositives, 6],
    ];
    io.print(row(columns));
  }
}

function printFiles({ perFile }: Scores, io: Io): void {
  const width = Math.max(...perFile.map(({ file }) => file.length));
  io.print('');
  io.print(`${'FILE'.padEnd(width)}    ROWS   FOUND  FALSE      SUM`);
  for (const { file, rows, found, windows, falsePositives, sum } of perFile) {
    const columns: Array<[string | number, number]> = [
      [file, width],
      [rows, 7],
      [`${found}/${windows}`.padStart(7), 7],
      [falsePositives, 6],
      [sum.toFixed(3).padStart(8), 8],
    ];
    io.print(row(columns));
  }
}

function resultLines({ rows }: CorpusFile, scores: Float64Array): string {
  const lines = rows.stamps.map((stamp, i) => `${stamp},${rows.values[i]},${scores[i]}`);
  return ['timestamp,value,anomaly_score', ...lines, ''].join('\n');
}

function resultsFault(folder: string, error: unknown): HeadgateError {
  const detail = `--results ${folder}: ${messageOf(error)}`;
  return new HeadgateError('OUT_UNWRITABLE', detail, { cause: error });
}

/** Throws OUT_UNWRITABLE. */
async function makeResults(folder: string): Promise<void> {
  try {
    await nodeFiles.makeFolder(resolve(folder));
  } catch (error) {
    throw resultsFault(folder, error);
  }
}

/** `category/headgate_file.csv`, as NAB's own runner and scorer lay them out. */
async function writeResults(
  folder: string,
  corpus: Corpus,
  all: readonly ScoredSeries[],
): Promise<void> {
  try {
    for (const [i, file] of corpus.files.entries()) {
      const [category = '', name = ''] = file.series.name.split('/');
      const path = join(resolve(folder), category, `headgate_${name}`);
      await nodeFiles.makeFolder(dirname(path));
      const out = await WholeFile.begin(nodeFiles, path);
      try {
        await out.write(resultLines(file, all[i]?.scores ?? new Float64Array(0)));
        await out.finish();
      } catch (error) {
        await out.giveUp();
        throw error;
      }
    }
  } catch (error) {
    throw resultsFault(folder, error);
  }
}

function scoreAll({ files }: Corpus, detector: ShippedDetector): ScoredSeries[] {
  return files.map(({ series }) => scored(series, detector.scorer()));
}

export const detectScore: Command = {
  name: 'detect score',
  usage: 'headgate detect score DIR [--files] [--results FOLDER] [--json]',
  summary: 'what the detector would earn on a labelled corpus in the layout of NAB',
  options: { files: { type: 'boolean' }, results: { type: 'string' }, ...JSON_OPTION },
  optionHelp: {
    files: 'each file by itself too',
    results: 'writes the score of every row: FOLDER/<category>/headgate_<file>.csv',
  },
  positionals: [1, 1],
  async run(values, [folder = ''], io) {
    const corpus = await readCorpus(nodeFiles, folder);
    const results = textValue(values, 'results');
    // Minutes of scoring must not come before the word that there is nowhere to write them.
    if (results !== undefined) await makeResults(results);
    const detector = shippedDetector();
    const all = scoreAll(corpus, detector);
    if (results !== undefined) await writeResults(results, corpus, all);
    const scores = scoresOf(corpus, all, detector.threshold);
    if (values['json'] === true) {
      io.print(JSON.stringify(scores));
      return 0;
    }
    printScores(scores, io);
    if (values['files'] === true) printFiles(scores, io);
    return 0;
  },
};
