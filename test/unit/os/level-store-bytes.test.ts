import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect, it, onTestFinished, vi } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import { openLevelStore } from '../../../src/os/level-store.ts';
import { nodeFiles } from '../../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';

// Bytes beside the texts of the state store.

async function open() {
  const root = await makeTemporaryFolder('headgate-level-');
  onTestFinished(() => removeFolder(root));
  const options = { folder: join(root, 'state'), files: nodeFiles, logger: silentLogger };
  const { state, close } = await openLevelStore(options);
  onTestFinished(close);
  return state;
}

it('keeps them as they are, in one write with texts', async () => {
  const state = await open();
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  await state.write(
    new Map<string, string | Uint8Array>([
      ['series/a/0', bytes],
      ['watch/a', 'text \u00e9'],
    ]),
  );
  const [found, none] = await state.getBytes(['series/a/0', 'series/a/1']);
  expect([...(found ?? [])]).toEqual([...bytes]);
  expect(none).toBeUndefined();
  expect(await state.get('watch/a')).toBe('text \u00e9');
  await state.write(new Map([['series/a/0', undefined]]));
  expect(await state.getBytes(['series/a/0'])).toEqual([undefined]);
});

it('has none where the store is damaged, and says so where it cannot be read now', async () => {
  const state = await open();
  await state.write(new Map([['series/a/0', Uint8Array.of(1)]]));
  const fault = (code: string, message: string) => Object.assign(new Error(message), { code });
  const get = vi.spyOn(ClassicLevel.prototype as unknown as { _get(): Promise<unknown> }, '_get');
  get.mockRejectedValueOnce(fault('LEVEL_CORRUPTION', 'bad block'));
  expect(await state.getBytes(['series/a/0'])).toEqual([undefined]);
  get.mockRejectedValueOnce(fault('LEVEL_IO_ERROR', 'Too many open files'));
  await expect(state.getBytes(['series/a/0'])).rejects.toThrow('Too many open files');
});
