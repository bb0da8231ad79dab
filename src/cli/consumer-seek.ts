import {
  CONFIG_OPTION,
  type Command,
  DATA_OPTION,
  JSON_OPTION,
  textValue,
  whole,
} from './command.ts';
import { moveConsumer, printRows } from './consumer-rows.ts';
import { dataFolderOf } from './settings.ts';

export const consumerSeek: Command = {
  name: 'consumer seek',
  usage:
    'headgate consumer seek NAME STREAM earliest|latest|OFFSET|TIME [--partition P]\n' +
    '                  [--data DIR] [--config FILE] [--json]',
  summary: 'moves a consumer: every partition, or the one named, each at most to its end',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    ...JSON_OPTION,
    partition: { type: 'string' },
  },
  optionHelp: { partition: 'moves it in this partition only; in all by default' },
  positionals: [3, 3],
  async run(values, [consumer = '', stream = '', seek = ''], io) {
    const text = textValue(values, 'partition');
    const body = { seek, ...(text === undefined ? {} : { partition: whole('partition', text) }) };
    const { socket } = await dataFolderOf(values, io.env);
    const row = await moveConsumer(socket, { consumer, stream }, body);
    printRows([row], values['json'] === true, io);
    return 0;
  },
};
