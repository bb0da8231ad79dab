/** What opening a log takes: time and memory. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { spawnNode } from '../../src/os/child.ts';
import { forgetFolder, makeSparse, programOf } from './log-folders.ts';
import type { Opened } from './log-process.ts';

const MAX_MS = 1_000;
const MAX_GROWTH = 10 * 1024 * 1024;
const ROUNDS = 5;
/** So small, so that there are many of them soon: what counts for the start is how many. */
const SMALL_SEGMENT_BYTES = 64 * 1024;
const MANY_SEGMENTS = 5_000;

async function openInProcess(folder: string): Promise<Opened> {
  const args = ['--role', 'open', '--folder', folder];
  const child = spawnNode(['--expose-gc', programOf('./log-process.js'), ...args], process.env);
  if ((await child.ended) !== 0) throw new Error(child.output());
  return JSON.parse(child.output()) as Opened;
}

function line(name: string, opened: Opened, empty: Opened): string {
  const growth = opened.heldGrowth - empty.heldGrowth;
  const rss = opened.rssGrowth - empty.rssGrowth;
  const isMet = opened.ms < MAX_MS && growth < MAX_GROWTH;
  return [
    name.padEnd(30),
    `${opened.segments} segments`.padStart(15),
    `${opened.ms.toFixed(0)} ms`.padStart(9),
    `${megabytes(growth)} MiB held`,
    `(rss ${megabytes(rss)} MiB more: ${megabytes(opened.rssBytes)})`,
    isMet ? 'met' : 'MISSED',
  ].join('  ');
}

function megabytes(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1);
}

function median(all: readonly Opened[]): Opened | undefined {
  return [...all].sort((a, b) => a.ms - b.ms)[all.length >> 1];
}

async function emptyOf(base: string): Promise<Opened> {
  const folder = join(base, 'empty');
  mkdirSync(folder);
  await openInProcess(folder);
  return openInProcess(folder);
}

/** Lines to print. `dense`: a log whose writer was killed. */
export async function measureStart(base: string, dense: string): Promise<string[]> {
  const empty = await emptyOf(base);
  const lines = [
    '\nStart: a fresh process opens the log; memory is what it takes more than for an empty one;',
    `targets ${MAX_MS} ms, ${megabytes(MAX_GROWTH)} MiB held`,
    line('empty', empty, empty),
  ];
  forgetFolder(dense);
  const first = await openInProcess(dense);
  lines.push(line('killed, from disk', first, empty));
  await again('killed, from memory', dense);
  const many = join(base, 'many');
  const count = await makeSparse(many, MANY_SEGMENTS, { segmentBytes: SMALL_SEGMENT_BYTES });
  forgetFolder(many);
  lines.push(line('packed, from disk', await openInProcess(many), empty));
  await again('packed, from memory', many);
  return [...lines, `(${count} readings, each a commit, in the packed one)`];

  async function again(name: string, folder: string): Promise<void> {
    const rounds: Opened[] = [];
    for (let i = 0; i < ROUNDS; i++) rounds.push(await openInProcess(folder));
    const middle = median(rounds);
    if (middle !== undefined) lines.push(line(name, middle, empty));
  }
}
