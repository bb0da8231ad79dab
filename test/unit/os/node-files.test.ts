import { open, stat, symlink } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { nodeFiles } from '../../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';

let folder: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder('headgate-files-');
});

afterEach(async () => {
  vi.restoreAllMocks();
  await removeFolder(folder);
});

// No test can see what a power cut would leave on a real card: this one sees that the card is told.
it('sync is fdatasync, and makeFolder syncs the folders above what it made', async () => {
  const handle = await open(`${folder}/other`, 'w');
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const datasync = vi.spyOn(prototype, 'datasync');
  const sync = vi.spyOn(prototype, 'sync');
  const file = await nodeFiles.open(`${folder}/segment`, 'write');
  await file.write(Buffer.from('block'), 0);
  expect(datasync).toHaveBeenCalledTimes(0);
  await file.sync();
  expect(datasync).toHaveBeenCalledTimes(1);
  await file.close();
  expect(sync).toHaveBeenCalledTimes(0);
  await nodeFiles.syncFolder(folder);
  expect(sync).toHaveBeenCalledTimes(1);
  await nodeFiles.makeFolder(`${folder}/a/b`);
  expect(sync).toHaveBeenCalledTimes(3);
  await nodeFiles.makeFolder(`${folder}/a/b`);
  expect(sync).toHaveBeenCalledTimes(3);
});

it('tells files, folders and others apart', async () => {
  await (await nodeFiles.open(`${folder}/f`, 'write')).close();
  expect(await nodeFiles.kindOf(`${folder}/f`)).toBe('file');
  expect(await nodeFiles.kindOf(folder)).toBe('folder');
  expect(await nodeFiles.kindOf('/dev/null')).toBe('other');
  await symlink(`${folder}/f`, `${folder}/to-f`);
  await symlink(folder, `${folder}/to-folder`);
  expect(await nodeFiles.kindOf(`${folder}/to-f`)).toBe('other');
  expect(await nodeFiles.kindOf(`${folder}/to-folder`)).toBe('folder');
  expect(await nodeFiles.kindOf(`${folder}/f/g`)).toBeUndefined();
});

it('reads short at the end of a file, and grows and cuts it', async () => {
  const file = await nodeFiles.open(`${folder}/f`, 'write');
  await file.write(Buffer.from('hello'), 3);
  const into = new Uint8Array(10);
  expect(await file.read(into, 0)).toBe(8);
  expect(Buffer.from(into).toString('latin1')).toBe('\0\0\0hello\0\0');
  await file.truncate(4);
  expect(await file.sizeBytes()).toBe(4);
  await file.close();
});

it('makeFolder takes what is there, and fails where none can be made', async () => {
  const deep = `${folder}/a/b/c`;
  await nodeFiles.makeFolder(`${folder}/a`);
  // Two at the same time, as two daemons would.
  await Promise.all([nodeFiles.makeFolder(deep), nodeFiles.makeFolder(`${deep}/`)]);
  expect((await stat(deep)).mode & 0o777).toBe(0o750 & ~process.umask());
  await nodeFiles.makeFolder('/');
  const file = await nodeFiles.open(`${folder}/file`, 'write');
  await file.close();
  await expect(nodeFiles.makeFolder(`${folder}/file`)).rejects.toMatchObject({ code: 'EEXIST' });
  const below = nodeFiles.makeFolder(`${folder}/file/x`);
  await expect(below).rejects.toMatchObject({ code: 'ENOTDIR' });
  // Node's recursive mkdir never comes back from this one, and holds the process.
  await expect(nodeFiles.makeFolder('/proc/x/y')).rejects.toMatchObject({ code: 'ENOENT' });
});
