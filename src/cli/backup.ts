import { dirname, resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { codeOf, HeadgateError, messageOf } from '../base/errors.ts';
import type { FolderView } from '../log/folder-view.ts';
import { streamControl } from '../ops/control-stream.ts';
import type { DataFolder } from '../ops/data-folder.ts';
import { checkDataFolder } from '../ops/data-version.ts';
import { openLevelStore } from '../os/lazy-level-store.ts';
import { nodeFiles } from '../os/node-files.ts';
import { toStandardOutput, zipped } from './backup-stream.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, type Io } from './command.ts';
import { complaints } from './complaints.ts';
import { dataFolderOf } from './settings.ts';
import { openViews } from './stores.ts';

/** Of a gateway that runs: it makes it. Of one that is stopped: from its files. */
async function archiveOf(data: DataFolder, io: Io): Promise<AsyncIterable<Uint8Array>> {
  try {
    return await streamControl(data.socket, '/backup');
  } catch (error) {
    if (codeOf(error) !== 'NOT_RUNNING') throw error;
  }
  return stoppedArchive(data, io);
}

async function* stoppedArchive(data: DataFolder, io: Io): AsyncGenerator<Uint8Array, void> {
  const views: ReadonlyMap<string, FolderView> = await openViews(data);
  await checkDataFolder(nodeFiles, data);
  const logger = complaints(io);
  // Whoever has it open has the data folder: nothing changes meanwhile.
  const level = await openLevelStore({ folder: data.state, files: nodeFiles, logger });
  try {
    const { backupOf } = await import('../backup.ts');
    const dump = () => level.dump();
    const seen = Object.fromEntries(views);
    yield* backupOf({ data, files: nodeFiles, clock: systemClock, views: seen, dump });
  } finally {
    await level.close();
  }
}

/** Under its name only when it is whole and durable. Throws OUT_UNWRITABLE. */
async function toFile(path: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const blame = (error: unknown) => {
    throw new HeadgateError('OUT_UNWRITABLE', `${path}: ${messageOf(error)}`, { cause: error });
  };
  if (['folder', 'other'].includes((await nodeFiles.kindOf(path)) ?? '')) {
    throw new HeadgateError('OUT_UNWRITABLE', `${path} is no file`);
  }
  const part = `${path}.part`;
  const handle = await nodeFiles.open(part, 'write').catch(blame);
  let at = 0;
  try {
    await handle.truncate(0).catch(blame);
    for await (const piece of pieces) {
      await handle.write(piece, at).catch(blame);
      at += piece.length;
    }
    await handle.sync().catch(blame);
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => {});
    await nodeFiles.remove(part);
    throw error;
  }
  await nodeFiles.rename(part, path).catch(blame);
  await nodeFiles.syncFolder(dirname(path));
  return at;
}

export const backup: Command = {
  name: 'backup',
  usage: 'headgate backup FILE|- [--data DIR] [--config FILE]',
  summary: 'copies log and state into one file, of a gateway that runs or is stopped',
  options: { ...DATA_OPTION, ...CONFIG_OPTION },
  positionals: [1, 1],
  async run(values, [file = ''], io) {
    const data = await dataFolderOf(values, io.env);
    const pieces = zipped(await archiveOf(data, io));
    if (file === '-') {
      await toStandardOutput(pieces);
      return 0;
    }
    const bytes = await toFile(resolve(file), pieces);
    io.print(`${file}: ${bytes} bytes, of ${data.root}`);
    return 0;
  },
};
