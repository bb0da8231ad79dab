import { HeadgateError } from '../base/errors.ts';
import { CSV_HEADER, recordCsv } from '../base/record-csv.ts';
import { recordJson } from '../base/record-json.ts';
import { type Command, textValue } from './command.ts';
import { writeOut } from './out-file.ts';
import { chosenRecords, RANGE_OPTIONS, type TimedRecord } from './read-range.ts';

interface Format {
  readonly header: string | undefined;
  readonly lineEnd: string;
  readonly show: (one: TimedRecord) => string;
}

const FORMATS: ReadonlyMap<string, Format> = new Map([
  [
    'ndjson',
    {
      header: undefined,
      lineEnd: '\n',
      show: ({ record, timeMs }) => JSON.stringify(recordJson(record, timeMs)),
    },
  ],
  [
    'csv',
    {
      header: CSV_HEADER,
      lineEnd: '\r\n',
      show: ({ record, timeMs }) => recordCsv(record, timeMs),
    },
  ],
]);

async function* linesOf(
  records: AsyncIterable<TimedRecord>,
  { header, show }: Format,
): AsyncGenerator<string> {
  if (header !== undefined) yield header;
  for await (const one of records) yield show(one);
}

export const logExport: Command = {
  name: 'log export',
  usage:
    'headgate log export STREAM [--from earliest|OFFSET | --since TIME] [--until TIME]\n' +
    '                  [--partition N] [--device NAME] [--limit N] [--format ndjson|csv]\n' +
    '                  [--out FILE] [--data DIR] [--config FILE]',
  summary: 'records of a stream as ndjson or csv; a file is there when it is whole',
  options: { ...RANGE_OPTIONS, format: { type: 'string' }, out: { type: 'string' } },
  optionHelp: { format: 'ndjson: an object a line; csv: RFC 4180; ndjson by default' },
  positionals: [1, 1],
  async run(values, [stream = ''], io) {
    const format = FORMATS.get(textValue(values, 'format') ?? 'ndjson');
    if (format === undefined) throw new HeadgateError('USAGE', '--format is ndjson or csv');
    const records = chosenRecords(values, stream, io);
    const lines = linesOf(records, format);
    const out = textValue(values, 'out');
    if (out !== undefined) await writeOut(out, lines, format.lineEnd);
    else {
      for await (const line of lines) if (!io.print(line + format.lineEnd.slice(0, -1))) break;
    }
    return 0;
  },
};
