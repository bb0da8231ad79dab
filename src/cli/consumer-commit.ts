import { HeadgateError } from '../base/errors.ts';
import {
  CONFIG_OPTION,
  type Command,
  DATA_OPTION,
  JSON_OPTION,
  textValue,
  type Values,
  whole,
} from './command.ts';
import { moveConsumer, printRows } from './consumer-rows.ts';
import { dataFolderOf } from './settings.ts';

/** Throws USAGE. */
function required(values: Values, name: string): number {
  const text = textValue(values, name);
  if (text === undefined) throw new HeadgateError('USAGE', `--${name} is missing`);
  return whole(name, text);
}

export const consumerCommit: Command = {
  name: 'consumer commit',
  usage:
    'headgate consumer commit NAME STREAM --partition P --offset N [--data DIR]\n' +
    '                  [--config FILE] [--json]',
  summary: 'sets the first offset of a partition that a consumer has not handled',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    ...JSON_OPTION,
    partition: { type: 'string' },
    offset: { type: 'string' },
  },
  optionHelp: { partition: 'the partition that it is the position in' },
  positionals: [2, 2],
  async run(values, [consumer = '', stream = ''], io) {
    const positions = { [required(values, 'partition')]: required(values, 'offset') };
    const { socket } = await dataFolderOf(values, io.env);
    const row = await moveConsumer(socket, { consumer, stream }, { positions });
    printRows([row], values['json'] === true, io);
    return 0;
  },
};
