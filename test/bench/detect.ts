/**
 * How well the detector does, as it is shipped, and what it costs: on a corpus of the Numenta
 * Anomaly Benchmark, on sensor series with faults put in, on the same perturbed, beside the
 * simplest thing that works. Prints figures; judges nothing.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/errors.ts';
import { readCorpus } from '../../src/cli/score-corpus.ts';
import { shippedDetector } from '../../src/cli/shipped-scorer.ts';
import {
  bestTally,
  type Costs,
  NAB_PROFILES,
  type Tally,
  tallyAt,
} from '../../src/detect-score/nab.ts';
import { PERTURBATIONS } from '../../src/detect-score/perturbed.ts';
import {
  type LabelledSeries,
  type ScoredSeries,
  type Scorer,
  scored,
} from '../../src/detect-score/scorer.ts';
import { loadConfig } from '../../src/ops/load-config.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { costLines } from './detect-cost.ts';
import { type FaultSets, readFaultSets } from './fault-sets.ts';
import { FirstDifference } from './first-difference.ts';

const USAGE =
  'usage: npm run bench:detect [-- [--nab DIR] [--faults DIR]]\n\n' +
  'DIR: data in the layout of NAB, and of clean/*.txt and injected_TYPE/*.txt; by default\n' +
  '../shared/data/nab-dev and ../shared/data/faults-dev beside the checkout.';
const SEED = 1;
const DAY_SECONDS = 86_400;
/** Thresholds that the baseline may have, in deviations. */
const LEAST_DEVIATIONS = 3;
const STEP = 1.06;
const STEPS = 60;

interface Subject {
  readonly threshold: number;
  scorer(): Scorer;
}

interface Data {
  readonly nab: readonly LabelledSeries[] | undefined;
  readonly faults: FaultSets | undefined;
  readonly profiles: Readonly<Record<string, Costs>>;
}

function scoredAll(all: readonly LabelledSeries[], subject: Subject): ScoredSeries[] {
  return all.map((series) => scored(series, subject.scorer()));
}

function tally(all: readonly LabelledSeries[], subject: Subject, costs: Costs): Tally {
  return tallyAt(scoredAll(all, subject), costs, subject.threshold);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
}

const one = (score: number) => score.toFixed(1).padStart(6);

function standardOf({ profiles }: Data): Costs {
  const costs = profiles['standard'] ?? Object.values(profiles)[0];
  if (costs === undefined) throw new Error('no profile');
  return costs;
}

function nabLines(nab: readonly LabelledSeries[], subject: Subject, data: Data): string[] {
  const all = scoredAll(nab, subject);
  return Object.entries(data.profiles).map(([name, costs]) => {
    const shipped = tallyAt(all, costs, subject.threshold);
    const best = bestTally(all, costs);
    const { score, found, windows, falsePositives } = shipped;
    const counted = `found ${found}/${windows}, false ${falsePositives}`;
    const at = `best ${best.score.toFixed(1)} at ${best.threshold.toFixed(3)}`;
    return `  ${name.padEnd(20)}${one(score)}  ${counted}; ${at}`;
  });
}

/** Alerts on series that nothing is wrong with, a day; from the first value on. */
function cleanRate(clean: readonly LabelledSeries[], subject: Subject) {
  let [alerts, days] = [0, 0];
  for (const { series, scores } of scoredAll(clean, subject)) {
    alerts += scores.filter((score) => score >= subject.threshold).length;
    days += ((series.seconds.at(-1) ?? 0) - (series.seconds[0] ?? 0)) / DAY_SECONDS;
  }
  return { alerts, days, rate: alerts / days };
}

function faultTallies({ byType }: FaultSets, subject: Subject, costs: Costs): Map<string, Tally> {
  return new Map([...byType].map(([type, all]) => [type, tally(all, subject, costs)]));
}

function meanScore(tallies: ReadonlyMap<string, Tally>): number {
  return mean([...tallies.values()].map(({ score }) => score));
}

function faultLines(faults: FaultSets, subject: Subject, costs: Costs): string[] {
  const tallies = faultTallies(faults, subject, costs);
  const { alerts, days, rate } = cleanRate(faults.clean, subject);
  const clean = `${alerts} alerts in ${days.toFixed(0)} series-days: ${rate.toFixed(3)} a day`;
  return [
    ...[...tallies].map(([type, { score, found, windows, falsePositives }]) => {
      const counted = `found ${found}/${windows}, false ${falsePositives}`;
      return `  ${type.padEnd(20)}${one(score)}  ${counted}`;
    }),
    `  ${'mean'.padEnd(20)}${one(meanScore(tallies))}`,
    `  without faults: ${clean}`,
  ];
}

/** At the threshold that is the best for it on NAB: the faults had no say in it. */
function baseline(nab: readonly LabelledSeries[], costs: Costs): Subject & { deviations: number } {
  const choices = Array.from({ length: STEPS }, (_, i) => {
    const deviations = LEAST_DEVIATIONS * STEP ** i;
    return { threshold: 0.5, deviations, scorer: () => new FirstDifference(deviations) };
  });
  const scores = choices.map((choice) => tally(nab, choice, costs).score);
  const best = choices[scores.indexOf(Math.max(...scores))];
  if (best === undefined) throw new Error('no threshold');
  return best;
}

function perturbedLines(data: Data, subject: Subject): string[] {
  const costs = standardOf(data);
  const rows = Object.entries(PERTURBATIONS).map(([name, perturb], i) => {
    const random = seededRandom(SEED + i);
    const each = (all: readonly LabelledSeries[]) => all.map((series) => perturb(series, random));
    const nab = data.nab === undefined ? Number.NaN : tally(each(data.nab), subject, costs).score;
    if (data.faults === undefined) return { name, nab, faults: Number.NaN, clean: Number.NaN };
    const { byType, clean } = data.faults;
    const changed = {
      byType: new Map([...byType].map(([type, all]) => [type, each(all)])),
      clean: each(clean),
    };
    const faults = meanScore(faultTallies(changed, subject, costs));
    return { name, nab, faults, clean: cleanRate(changed.clean, subject).rate };
  });
  const line = (name: string, nab: number, faults: number) =>
    `  ${name.padEnd(12)} NAB ${one(nab)}  faults ${one(faults)}`;
  return [
    ...rows.map(
      ({ name, nab, faults, clean }) =>
        `${line(name, nab, faults)}  without faults ${clean.toFixed(3)} a day`,
    ),
    line('mean', mean(rows.map(({ nab }) => nab)), mean(rows.map(({ faults }) => faults))),
  ];
}

function say(title: string, lines: readonly string[]): void {
  console.log([title, ...lines, ''].join('\n'));
}

/** The folders, or undefined after a word about what was wrong with the command line. */
function foldersOf(args: readonly string[]): { nab: string; faults: string } | undefined {
  const beside = join(import.meta.dirname, '../../../../shared/data');
  const options = {
    nab: { type: 'string', default: join(beside, 'nab-dev') },
    faults: { type: 'string', default: join(beside, 'faults-dev') },
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help !== true) return values;
    console.log(USAGE);
  } catch (error) {
    console.error(`${messageOf(error)}\n${USAGE}`);
    process.exitCode = 2;
  }
  return undefined;
}

async function readData(folders: { nab: string; faults: string }): Promise<Data> {
  const isThere = existsSync(join(folders.nab, 'labels'));
  const corpus = isThere ? await readCorpus(nodeFiles, folders.nab) : undefined;
  const faults = readFaultSets(folders.faults);
  if (corpus === undefined) console.log(`No data of NAB in ${folders.nab}: name it with --nab.`);
  if (faults === undefined) console.log(`No faults in ${folders.faults}: name them with --faults.`);
  return {
    nab: corpus?.files.map(({ series }) => series),
    faults,
    profiles: corpus?.profiles ?? NAB_PROFILES,
  };
}

async function main(): Promise<void> {
  const folders = foldersOf(process.argv.slice(2));
  if (folders === undefined) return;
  const data = await readData(folders);
  const { nab, faults } = data;
  const subject = shippedDetector();
  const costs = standardOf(data);
  if (nab !== undefined) say(`NAB at ${subject.threshold}`, nabLines(nab, subject, data));
  if (faults !== undefined) {
    say(`Faults at ${subject.threshold}, standard`, faultLines(faults, subject, costs));
  }
  if (nab !== undefined) {
    const simple = baseline(nab, costs);
    const own = tally(nab, simple, costs);
    const at = `First differences at ${simple.deviations.toFixed(1)} deviations, best on NAB`;
    const lines = faults === undefined ? [] : faultLines(faults, simple, costs);
    say(at, [`  ${'NAB, standard'.padEnd(20)}${one(own.score)}`, ...lines]);
  }
  if (nab !== undefined || faults !== undefined) {
    say(`Perturbed (seed ${SEED}), standard`, perturbedLines(data, subject));
  }
  const loaded = loadConfig({ text: '', env: {} });
  if (loaded.ok)
    say(
      'Cost',
      costLines(loaded.config).map((line) => `  ${line}`),
    );
}

await main();
