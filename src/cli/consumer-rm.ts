import { callControl } from '../ops/control-client.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION } from './command.ts';
import { consumerPath } from './consumer-rows.ts';
import { dataFolderOf } from './settings.ts';

export const consumerRm: Command = {
  name: 'consumer rm',
  usage: 'headgate consumer rm NAME STREAM [--data DIR] [--config FILE]',
  summary: 'forgets the positions of a consumer in a stream',
  options: { ...CONFIG_OPTION, ...DATA_OPTION },
  positionals: [2, 2],
  async run(values, [consumer = '', stream = ''], io) {
    const { socket } = await dataFolderOf(values, io.env);
    await callControl(socket, { method: 'DELETE', path: consumerPath(consumer, stream) });
    return 0;
  },
};
