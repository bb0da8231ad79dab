import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import { cleanUp, headgate, temporaryFolder } from '../support/gateway-process.ts';

// A corpus in the layout of NAB: one file with a step that nobody can miss, one without anything.

const SEED = 4711;
const ROWS = 4_000;
const STEP_AT = 3_000;
const STEP_ROWS = 60;

let folder: string;

function stampAt(row: number): string {
  const iso = new Date(Date.parse('2014-04-01T00:00:00Z') + row * 300_000).toISOString();
  return iso.replace('T', ' ').replace('.000Z', '');
}

function put(name: string, text: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function csv(valueAt: (row: number) => number): string {
  const rows = Array.from({ length: ROWS }, (_, row) => `${stampAt(row)},${valueAt(row)}`);
  return ['timestamp,value', ...rows, ''].join('\n');
}

beforeAll(() => {
  folder = temporaryFolder();
  const random = seededRandom(SEED);
  const noise = () => 20 + random();
  const isStep = (row: number) => row >= STEP_AT && row < STEP_AT + STEP_ROWS;
  put(
    'data/real/step.csv',
    csv((row) => noise() + (isStep(row) ? 60 : 0)),
  );
  put('data/real/calm.csv', csv(noise));
  // It begins ten rows before the step: what the step's first row earns is known.
  const window = [stampAt(STEP_AT - 10), stampAt(STEP_AT + 89)].map((at) => `${at}.000000`);
  const labels = { 'real/step.csv': [window], 'real/calm.csv': [] };
  put('labels/combined_windows.json', JSON.stringify(labels));
});

afterAll(cleanUp);

interface Tally {
  readonly score: number;
  readonly found: number;
  readonly windows: number;
  readonly falsePositives: number;
  readonly threshold: number;
}

describe(`headgate detect score (seed ${SEED})`, () => {
  it('finds the step at once, and says what that earns', async () => {
    const { code, stdout, stderr } = await headgate(['detect', 'score', folder, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const scores = JSON.parse(stdout) as {
      files: number;
      rows: number;
      profiles: Array<{ profile: string; shipped: Tally; best: Tally }>;
      perFile: Array<Tally & { file: string; sum: number }>;
    };
    expect(scores).toMatchObject({ files: 2, rows: 2 * ROWS });
    const names = scores.profiles.map(({ profile }) => profile);
    expect(names).toEqual(['standard', 'reward_low_FP_rate', 'reward_low_FN_rate']);
    for (const { shipped, best } of scores.profiles) {
      expect(shipped).toMatchObject({ found: 1, windows: 1 });
      expect(best.score).toBeGreaterThanOrEqual(shipped.score);
    }
    const [calm, step] = scores.perFile;
    expect(calm).toMatchObject({ file: 'real/calm.csv', found: 0, windows: 0 });
    // σ(-90/100) over σ(-1), less what comes elsewhere.
    const earned = (2 / (1 + Math.exp(-4.5)) - 1) / (2 / (1 + Math.exp(-5)) - 1);
    expect(step).toMatchObject({ file: 'real/step.csv', found: 1 });
    expect(step?.sum).toBeLessThanOrEqual(earned + 1e-9);
    expect(step?.sum).toBeGreaterThan(earned - 0.11 * ((step?.falsePositives ?? 0) + 0.01));
  });

  it('is a table, with a line a file if asked', async () => {
    const { code, lines } = await headgate(['detect', 'score', folder, '--files']);
    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^2 files, 8000 rows; threshold \S+, as it is shipped$/);
    expect(lines[2]).toMatch(/^standard +\S+ +1\/1 +\d+ /);
    expect(lines.filter((line) => /^real\/(calm|step)\.csv +4000 /.test(line))).toHaveLength(2);
  });

  it('writes the score of every row, where a detection has the threshold or more', async () => {
    const results = join(temporaryFolder(), 'results');
    const { code, lines } = await headgate(['detect', 'score', folder, '--results', results]);
    expect(code).toBe(0);
    const threshold = Number(/threshold (\S+),/.exec(lines[0] ?? '')?.[1]);
    const text = readFileSync(join(results, 'real/headgate_step.csv'), 'utf8');
    const [head, ...rows] = text.trimEnd().split('\n');
    expect(head).toBe('timestamp,value,anomaly_score');
    expect(rows).toHaveLength(ROWS);
    expect(rows[7]).toMatch(new RegExp(`^${stampAt(7)},2\\d\\.?\\d*,\\d`));
    const scores = rows.map((row) => Number(row.split(',')[2]));
    expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
    expect(scores[STEP_AT]).toBeGreaterThanOrEqual(threshold);
    // One event counts once.
    const during = scores.slice(STEP_AT + 1, STEP_AT + STEP_ROWS);
    expect(during.filter((score) => score >= threshold)).toEqual([]);
  });

  it('counts with the profiles of the folder, if it has some', async () => {
    const weights = { tpWeight: 1, fnWeight: 1, fpWeight: 0.5 };
    put('config/profiles.json', JSON.stringify({ own: { CostMatrix: weights } }));
    const { lines } = await headgate(['detect', 'score', folder]);
    expect(lines[2]).toMatch(/^own /);
    expect(lines).toHaveLength(3);
    rmSync(join(folder, 'config'), { recursive: true });
  });

  it.each([
    ['labels/combined_windows.json', () => join(folder, 'data')],
    ['is no JSON', () => join(folder, 'broken')],
    ['there is no', () => join(folder, 'lonely')],
    ['there is no folder ', () => join(folder, 'nope')],
    ['combined_windows.json is no folder', () => join(folder, 'labels/combined_windows.json')],
    ['has no window', () => join(folder, 'windowless')],
  ])('says what is missing: %s', async (says, where) => {
    put('broken/labels/combined_windows.json', '{');
    put('lonely/labels/combined_windows.json', '{"real/gone.csv":[]}');
    put('windowless/labels/combined_windows.json', '{}');
    const { code, stdout, stderr } = await headgate(['detect', 'score', where()]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^headgate: CORPUS_INVALID: /);
    expect(stderr).toContain(says);
  });

  it('says so where the results can not be written', async () => {
    const taken = join(folder, 'labels/combined_windows.json');
    const { code, stderr } = await headgate(['detect', 'score', folder, '--results', taken]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^headgate: OUT_UNWRITABLE: --results /);
    expect(stderr).toContain('after --results a folder');
  });
});
