import { DEAD_LETTER } from '../stores.ts';
import { type Command, type Io, JSON_OPTION } from './command.ts';
import {
  checkReason,
  LETTER_RANGE_OPTIONS,
  openLetters,
  type RedrivenMarks,
} from './dead-letters.ts';
import { chosenRecords, type TimedRecord } from './read-range.ts';
import { plain } from './record-text.ts';

/** One dead letter without its payload. */
interface LetterRow {
  readonly offset: number;
  /** Corrected time of arrival, ms since 1970. */
  readonly time: number;
  readonly reason: string;
  readonly device: string;
  readonly topic: string;
  readonly bytes: number;
  /** null: no daemon answers that knows. */
  readonly redriven: boolean | null;
}

async function rowOf({ record, timeMs }: TimedRecord, marks: RedrivenMarks): Promise<LetterRow> {
  const { offset, reason = '', device, topic, payload } = record;
  const redriven = (await marks.has(offset)) ?? null;
  const time = Math.round(timeMs);
  return { offset, time, reason, device, topic, bytes: payload.length, redriven };
}

/** The topic comes last: it alone may be long, and have spaces. */
function columnsText(columns: readonly [string, string, string, string, string, string, string]) {
  const [offset, time, reason, device, bytes, redriven, topic] = columns;
  return [
    offset.padStart(7),
    time.padEnd(20),
    reason.padEnd(21),
    device.padEnd(8),
    bytes.padStart(7),
    redriven.padEnd(8),
    topic,
  ].join(' ');
}

const HEADER = columnsText(['OFFSET', 'TIME', 'REASON', 'DEVICE', 'BYTES', 'REDRIVEN', 'TOPIC']);

function lineOf({ offset, time, reason, device, topic, bytes, redriven }: LetterRow): string {
  return columnsText([
    String(offset),
    new Date(time).toISOString().replace(/\.\d+Z$/, 'Z'),
    reason,
    plain(device),
    String(bytes),
    redriven === null ? '?' : redriven ? 'yes' : 'no',
    plain(topic),
  ]);
}

function printSummary(byReason: ReadonlyMap<string, number>, io: Io): void {
  const total = [...byReason.values()].reduce((sum, one) => sum + one, 0);
  io.print('');
  for (const [reason, count] of [...byReason].sort(([, a], [, b]) => b - a)) {
    io.print(`${String(count).padStart(7)} ${reason}`);
  }
  io.print(`${String(total).padStart(7)} in all`);
}

/** An array, a row a line; not begun before the first row is there, so that an error is alone. */
async function printJson(rows: AsyncIterable<LetterRow>, io: Io): Promise<void> {
  let before = '[';
  for await (const row of rows) {
    if (!io.print(before + JSON.stringify(row))) return;
    before = ',';
  }
  io.print(before === '[' ? '[]' : ']');
}

async function printTable(rows: AsyncIterable<LetterRow>, io: Io): Promise<void> {
  const byReason = new Map<string, number>();
  let isFirst = true;
  for await (const row of rows) {
    if (isFirst) io.print(HEADER);
    isFirst = false;
    if (!io.print(lineOf(row))) return;
    byReason.set(row.reason, (byReason.get(row.reason) ?? 0) + 1);
  }
  if (isFirst) io.print('no dead letters');
  else printSummary(byReason, io);
}

export const deadLetterLs: Command = {
  name: 'dead-letter ls',
  usage:
    'headgate dead-letter ls [--since TIME] [--until TIME] [--reason CODE] [--device NAME]\n' +
    '                  [--limit N] [--data DIR] [--config FILE] [--json]',
  summary: 'messages that were no readings, a line each, and how many for which reason',
  options: { ...LETTER_RANGE_OPTIONS, limit: { type: 'string' }, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    checkReason(values);
    const { marks } = await openLetters(values, io.env);
    const rows = async function* () {
      for await (const record of chosenRecords(values, DEAD_LETTER, io)) {
        yield await rowOf(record, marks);
      }
    };
    if (values['json'] === true) await printJson(rows(), io);
    else await printTable(rows(), io);
    marks.tell(io);
    return 0;
  },
};
