import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { consumerRows, printRows } from './consumer-rows.ts';
import { dataFolderOf } from './settings.ts';

export const consumerLs: Command = {
  name: 'consumer ls',
  usage: 'headgate consumer ls [--data DIR] [--config FILE] [--json]',
  summary: 'every consumer of the running daemon: positions and lag in each stream',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const { socket } = await dataFolderOf(values, io.env);
    printRows(await consumerRows(socket), values['json'] === true, io);
    return 0;
  },
};
