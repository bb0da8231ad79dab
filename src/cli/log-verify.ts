import { type Verified, verifyStore } from '../log/verify.ts';
import { nodeFiles } from '../os/node-files.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { dataFolderOf } from './settings.ts';
import { openViews } from './stores.ts';

function sum(all: readonly Verified[]): Verified {
  const add = (pick: (one: Verified) => number) => all.reduce((total, one) => total + pick(one), 0);
  return {
    records: add((one) => one.records),
    blocks: add((one) => one.blocks),
    corruptBlocks: add((one) => one.corruptBlocks),
    lostOffsets: add((one) => one.lostOffsets),
    lost: all.flatMap((one) => one.lost),
    tornBytes: add((one) => one.tornBytes),
  };
}

export const logVerify: Command = {
  name: 'log verify',
  usage: 'headgate log verify [--data DIR] [--config FILE] [--json]',
  summary: 'reads every block and record; exit code 1 on corruption',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const data = await dataFolderOf(values, io.env);
    const stores = await openViews(data);
    const all: Verified[] = [];
    for (const store of stores.keys()) {
      all.push(await verifyStore(nodeFiles, store === 'events' ? data.events : data.telemetry));
    }
    const found = sum(all);
    const damaged = found.corruptBlocks > 0 || found.lostOffsets > 0;
    if (values['json']) {
      io.print(JSON.stringify(found));
      return damaged ? 1 : 0;
    }
    io.print(`records        ${found.records}`);
    io.print(`blocks         ${found.blocks}`);
    io.print(`corrupt blocks ${found.corruptBlocks}`);
    io.print(`lost offsets   ${found.lostOffsets}`);
    io.print(`torn bytes     ${found.tornBytes} (a commit that was cut off; never acknowledged)`);
    for (const { stream, partition, offset, count } of found.lost) {
      io.print(`lost: ${stream} partition ${partition} offsets ${offset}–${offset + count - 1}`);
    }
    io.print(damaged ? 'The log is damaged.' : 'The log is whole.');
    return damaged ? 1 : 0;
  },
};
