import { HeadgateError } from '../base/errors.ts';
import { callControl } from '../ops/control-client.ts';
import {
  MAX_REDRIVE_OFFSETS,
  type RedriveAnswer,
  type RedriveRow,
} from '../ops/dead-letter-routes.ts';
import { DEAD_LETTER } from '../stores.ts';
import { type Command, type Io, JSON_OPTION, type Values } from './command.ts';
import { checkReason, LETTER_RANGE_OPTIONS, letterOffset } from './dead-letters.ts';
import { chosenRecords } from './read-range.ts';
import { plain } from './record-text.ts';
import { dataFolderOf } from './settings.ts';

/** A flash that is slow, or a long linger, is no daemon that is gone: its socket would close. */
const WAIT_MS = 600_000;
const CHOICES = ['reason', 'device', 'since', 'until'];

type OutcomeName = RedriveRow['outcome'];

const SAID: Readonly<Record<OutcomeName, string>> = {
  stored: 'stored',
  duplicate: 'duplicate',
  'already-redriven': 'already redriven',
  'no-reading': 'still no reading',
  'no-stream': "its topic is no stream's",
  refused: 'refused',
  'not-there': 'not there',
};
const GOOD: ReadonlySet<OutcomeName> = new Set(['stored', 'duplicate', 'already-redriven']);

function saidOf(outcome: OutcomeName, dryRun: boolean): string {
  const would = dryRun && (outcome === 'stored' || outcome === 'duplicate');
  return would ? `would be ${SAID[outcome]}` : SAID[outcome];
}

function lineOf(row: RedriveRow, dryRun: boolean): string {
  const why = 'reason' in row ? `: ${row.reason}` : '';
  const detail = 'detail' in row && row.detail ? ` (${row.detail})` : '';
  const said = `${saidOf(row.outcome, dryRun)}${why}${detail}`;
  const on = row.topic === undefined ? '' : `  ${plain(row.topic)}`;
  return `${String(row.offset).padStart(7)}  ${said}${on}`;
}

/** The offsets that are asked for, as many at a time as a request may have. Throws USAGE. */
async function* offsetsOf(
  values: Values,
  words: readonly string[],
  io: Io,
): AsyncGenerator<readonly number[]> {
  let some: number[] = [];
  const add = function* (offset: number) {
    some.push(offset);
    if (some.length < MAX_REDRIVE_OFFSETS) return;
    yield some;
    some = [];
  };
  for (const word of words) yield* add(letterOffset(word));
  if (values['all']) {
    for await (const { record } of chosenRecords(values, DEAD_LETTER, io)) {
      yield* add(record.offset);
    }
  }
  if (some.length > 0) yield some;
}

/** Throws USAGE. */
function checkChoice(values: Values, words: readonly string[]): void {
  const chosen = CHOICES.find((name) => values[name] !== undefined);
  const isAll = values['all'] === true;
  if (isAll && words.length > 0) throw new HeadgateError('USAGE', 'either offsets or --all');
  if (!isAll && words.length === 0) throw new HeadgateError('USAGE', 'name offsets, or --all');
  if (!isAll && chosen !== undefined) throw new HeadgateError('USAGE', `--${chosen} needs --all`);
  for (const word of words) letterOffset(word);
  checkReason(values);
}

function countsText(counts: ReadonlyMap<OutcomeName, number>, dryRun: boolean): string {
  const said = [...counts].map(([outcome, count]) => `${count} ${saidOf(outcome, dryRun)}`);
  return said.length === 0 ? 'no dead letters' : said.join(', ');
}

export const deadLetterRedrive: Command = {
  name: 'dead-letter redrive',
  usage:
    'headgate dead-letter redrive OFFSET… | --all [--reason CODE] [--device NAME]\n' +
    '                  [--since TIME] [--until TIME] [--dry-run] [--again] [--data DIR]\n' +
    '                  [--config FILE] [--json]',
  summary: 'sends messages that were no readings through the running daemon again',
  options: {
    ...LETTER_RANGE_OPTIONS,
    all: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    again: { type: 'boolean' },
    ...JSON_OPTION,
  },
  positionals: [0, Number.MAX_SAFE_INTEGER],
  async run(values, words, io) {
    checkChoice(values, words);
    const { socket } = await dataFolderOf(values, io.env);
    const dryRun = values['dry-run'] === true;
    const again = values['again'] === true;
    const counts = new Map<OutcomeName, number>();
    const all: RedriveRow[] = [];
    for await (const offsets of offsetsOf(values, words, io)) {
      const body = { offsets, again, dryRun };
      const question = { method: 'POST', path: '/dead-letters/redrive', body, waitMs: WAIT_MS };
      const { rows } = JSON.parse((await callControl(socket, question)).text) as RedriveAnswer;
      for (const row of rows) {
        counts.set(row.outcome, (counts.get(row.outcome) ?? 0) + 1);
        if (values['json']) all.push(row);
        else io.print(lineOf(row, dryRun));
      }
    }
    if (values['json']) io.print(JSON.stringify(all));
    else io.print(countsText(counts, dryRun));
    return [...counts.keys()].every((outcome) => GOOD.has(outcome)) ? 0 : 1;
  },
};
