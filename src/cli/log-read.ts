import { HeadgateError } from '../base/errors.ts';
import { type Command, type Io, textValue, type Values } from './command.ts';
import { sampleLines } from './decoded-samples.ts';
import { chosenRecords, RANGE_OPTIONS } from './read-range.ts';
import { formatHelp, formatOption, formatRecord } from './record-text.ts';

async function* recordLines(values: Values, stream: string, io: Io): AsyncGenerator<string> {
  const format = formatOption(values, 'ndjson');
  for await (const record of chosenRecords(values, stream, io)) yield formatRecord(record, format);
}

/** Throws USAGE. */
function lines(values: Values, stream: string, io: Io): AsyncGenerator<string> {
  if (values['decode'] !== true) return recordLines(values, stream, io);
  if ((textValue(values, 'format') ?? 'ndjson') === 'ndjson')
    return sampleLines(values, stream, io);
  throw new HeadgateError('USAGE', '--decode prints ndjson and no other --format');
}

export const logRead: Command = {
  name: 'log read',
  usage:
    'headgate log read STREAM [--from earliest|OFFSET | --since TIME] [--until TIME]\n' +
    '                  [--partition N] [--device NAME] [--limit N] [--decode]\n' +
    '                  [--format ndjson|text|raw] [--data DIR] [--config FILE]',
  summary: 'prints the records of a stream in commit order, one a line',
  options: { ...RANGE_OPTIONS, format: { type: 'string' }, decode: { type: 'boolean' } },
  optionHelp: {
    format: formatHelp('ndjson'),
    decode: 'what was measured, a number a line, read as the format of the stream says',
  },
  positionals: [1, 1],
  async run(values, [stream = ''], io) {
    for await (const line of lines(values, stream, io)) if (!io.print(line)) break;
    return 0;
  },
};
