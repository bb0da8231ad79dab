import { afterEach, expect, it, vi } from 'vitest';
import { openViews, viewOfStream } from '../../../src/cli/stores.ts';
import { dataFolder } from '../../../src/ops/data-folder.ts';
import { nodeFiles } from '../../../src/os/node-files.ts';

afterEach(() => vi.restoreAllMocks());

// A test may run as root, whom no folder refuses: the refusal is played.
it.each(['EACCES', 'EPERM'])('%s on the files of the log is NO_ACCESS', async (code) => {
  const refusal = Object.assign(new Error(`${code}: refused, scandir '/x'`), { code });
  vi.spyOn(nodeFiles, 'list').mockRejectedValue(refusal);
  const data = dataFolder('/x', {});
  const refused = { code: 'NO_ACCESS', detail: expect.stringContaining(code) };
  await expect(openViews(data)).rejects.toMatchObject(refused);
  await expect(viewOfStream(data, 'readings')).rejects.toMatchObject(refused);
});

it('what else goes wrong with them stays what it is', async () => {
  const error = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  vi.spyOn(nodeFiles, 'list').mockRejectedValue(error);
  await expect(openViews(dataFolder('/x', {}))).rejects.toBe(error);
});
