import type { ConsumerRow } from '../log/named-consumers.ts';
import { askControl, callControl } from '../ops/control-client.ts';
import type { Io } from './command.ts';

/** What the daemon says of consumers, and how it is shown. */

export function consumerPath(consumer: string, stream: string): string {
  return `/consumers/${encodeURIComponent(consumer)}/streams/${encodeURIComponent(stream)}`;
}

export async function consumerRows(socket: string): Promise<ConsumerRow[]> {
  return (await askControl(socket, '/consumers')) as ConsumerRow[];
}

/** Commits or seeks: docs/consumers.md has the bodies. */
export async function moveConsumer(
  socket: string,
  { consumer, stream }: Pick<ConsumerRow, 'consumer' | 'stream'>,
  body: unknown,
): Promise<ConsumerRow> {
  const path = consumerPath(consumer, stream);
  return JSON.parse((await callControl(socket, { method: 'PUT', path, body })).text) as ConsumerRow;
}

function positionText({ position, end, ahead }: ConsumerRow['partitions'][number]): string {
  const beyond = ahead === undefined ? '' : ` (+${ahead})`;
  return `${position}/${end}${beyond}`;
}

export function printRows(rows: readonly ConsumerRow[], json: boolean, io: Io): void {
  if (json) {
    io.print(JSON.stringify(rows));
    return;
  }
  io.print('CONSUMER         STREAM                  LAG  POSITIONS (of the end)');
  for (const { consumer, stream, lag, partitions, own } of rows) {
    const positions = partitions.map(positionText).join('  ');
    const name = own ? `${consumer} (own)` : consumer;
    const columns = [name.padEnd(16), stream.padEnd(16), String(lag).padStart(10)];
    io.print(`${columns.join(' ')}  ${positions}`);
  }
}
