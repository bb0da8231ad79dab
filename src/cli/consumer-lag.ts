import { HeadgateError } from '../base/errors.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { consumerRows, printRows } from './consumer-rows.ts';
import { dataFolderOf } from './settings.ts';

export const consumerLag: Command = {
  name: 'consumer lag',
  usage: 'headgate consumer lag NAME [STREAM] [--data DIR] [--config FILE] [--json]',
  summary: 'how far a consumer is behind the end of its streams',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [1, 2],
  async run(values, [consumer = '', stream], io) {
    const { socket } = await dataFolderOf(values, io.env);
    const rows = (await consumerRows(socket)).filter(
      (row) => row.consumer === consumer && (stream === undefined || row.stream === stream),
    );
    if (rows.length === 0) {
      const where = stream === undefined ? '' : ` of ${stream}`;
      throw new HeadgateError('CONSUMER_UNKNOWN', `no consumer ${consumer}${where}`);
    }
    printRows(rows, values['json'] === true, io);
    return 0;
  },
};
