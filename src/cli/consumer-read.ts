import { HeadgateError } from '../base/errors.ts';
import type { RecordJson } from '../base/record-json.ts';
import { isOwnConsumer } from '../log/own-consumers.ts';
import { callControl } from '../ops/control-client.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, textValue, whole } from './command.ts';
import { consumerPath } from './consumer-rows.ts';
import { dataFolderOf } from './settings.ts';

const PAGE_RECORDS = 500;
const WAIT_MS = 10_000;

interface Reading {
  readonly socket: string;
  readonly consumer: string;
  readonly stream: string;
  readonly limit: number;
  readonly follow: boolean;
  readonly commit: boolean;
}

/** True when standard output has taken all of it: a pipe, a file or a terminal has it then. */
function printed(text: string): Promise<boolean> {
  return new Promise((resolve) => {
    process.stdout.write(text, (error) => resolve(error === undefined || error === null));
  });
}

/**
 * Prints page after page, and commits each once it has been taken: what a crash prints twice is so.
 * A page of which a part was refused, by a full disk or a `head` that has had enough, is not
 * committed: it comes again.
 */
async function readOn(reading: Reading): Promise<void> {
  const { socket, consumer, stream, limit, follow, commit } = reading;
  const name = encodeURIComponent(stream);
  let from = `consumer=${encodeURIComponent(consumer)}`;
  for (let left = limit; left > 0; ) {
    const waitMs = follow ? WAIT_MS : 0;
    const size = Math.min(PAGE_RECORDS, left);
    const path = `/streams/${name}/records?${from}&limit=${size}&wait=${waitMs}`;
    const { headers, text } = await callControl(socket, { path, waitMs });
    const lines = text.split('\n').filter((line) => line !== '');
    const positions: Record<string, number> = {};
    for (const line of lines) {
      const { partition, offset } = JSON.parse(line) as RecordJson;
      positions[partition] = offset + 1;
    }
    if (lines.length > 0 && !(await printed(`${lines.join('\n')}\n`))) return;
    if (commit && lines.length > 0) {
      const body = { positions };
      await callControl(socket, { method: 'PUT', path: consumerPath(consumer, stream), body });
    }
    left -= lines.length;
    if (lines.length === 0 && !follow) return;
    from = `from=${String(headers['headgate-next'])}`;
  }
}

export const consumerRead: Command = {
  name: 'consumer read',
  usage:
    'headgate consumer read NAME STREAM [--limit N] [--follow] [--commit] [--data DIR]\n' +
    '                  [--config FILE]',
  summary: 'prints what a consumer has not handled, an object a line; --commit moves it on',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    limit: { type: 'string' },
    follow: { type: 'boolean', short: 'f' },
    commit: { type: 'boolean' },
  },
  positionals: [2, 2],
  async run(values, [consumer = '', stream = ''], io) {
    const limitText = textValue(values, 'limit');
    const limit = limitText === undefined ? Number.POSITIVE_INFINITY : whole('limit', limitText);
    const { socket } = await dataFolderOf(values, io.env);
    const commit = values['commit'] === true;
    if (commit && isOwnConsumer(consumer)) {
      throw new HeadgateError('CONSUMER_RESERVED', consumer);
    }
    const follow = values['follow'] === true;
    await readOn({ socket, consumer, stream, limit, follow, commit });
    return 0;
  },
};
