import type { Command } from './command.ts';
import { chosenRecords, RANGE_OPTIONS } from './read-range.ts';
import { formatHelp, formatOption, formatRecord } from './record-text.ts';

export const logRead: Command = {
  name: 'log read',
  usage:
    'headgate log read STREAM [--from earliest|OFFSET | --since TIME] [--until TIME]\n' +
    '                  [--partition N] [--device NAME] [--limit N] [--format ndjson|text|raw]\n' +
    '                  [--data DIR] [--config FILE]',
  summary: 'prints the records of a stream in commit order, one a line',
  options: { ...RANGE_OPTIONS, format: { type: 'string' } },
  optionHelp: { format: formatHelp('ndjson') },
  positionals: [1, 1],
  async run(values, [stream = ''], io) {
    const format = formatOption(values, 'ndjson');
    for await (const record of chosenRecords(values, stream, io)) {
      if (!io.print(formatRecord(record, format))) break;
    }
    return 0;
  },
};
