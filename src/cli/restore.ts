import { systemClock, systemRandom } from '../base/clock.ts';
import { HeadgateError } from '../base/errors.ts';
import { nodeFiles } from '../os/node-files.ts';
import { piecesOf, unzipped } from './backup-stream.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION } from './command.ts';
import { complaints } from './complaints.ts';
import { dataFolderOf } from './settings.ts';

export const restoreBackup: Command = {
  name: 'restore',
  usage: 'headgate restore FILE|- --data DIR [--force]',
  summary: 'fills a data folder from a backup, whole or not at all',
  options: { ...DATA_OPTION, ...CONFIG_OPTION, force: { type: 'boolean' } },
  optionHelp: { force: 'what is in the folder is set aside in it, as before-restore-N' },
  positionals: [1, 1],
  async run(values, [file = ''], io) {
    if (values['data'] === undefined && values['config'] === undefined) {
      throw new HeadgateError('USAGE', 'name the data folder: --data DIR, or --config FILE');
    }
    const data = await dataFolderOf(values, io.env);
    const { restore } = await import('../restore.ts');
    const restored = await restore({
      data,
      files: nodeFiles,
      clock: systemClock,
      random: systemRandom,
      logger: complaints(io),
      archive: unzipped(piecesOf(file)),
      isForced: values['force'] === true,
    }).finally(() => {
      // Who writes may keep it open, and nobody reads on: it would keep the process alive.
      if (file === '-') process.stdin.destroy();
    });
    const { createdMs, files, bytes, aside } = restored;
    const made = new Date(createdMs).toISOString();
    io.print(`${data.root}: ${files} files, ${bytes} bytes, as of ${made}`);
    if (aside !== undefined) io.print(`what was there is in ${aside}: remove it when it may go`);
    return 0;
  },
};
