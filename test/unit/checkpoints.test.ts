import { expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { Checkpoints } from '../../src/checkpoints.ts';
import { memoryState } from '../support/memory-state.ts';

it('saves what has changed, all in one write, and nothing where nothing has', async () => {
  const state = memoryState();
  const write = vi.spyOn(state, 'write');
  const checkpoints = new Checkpoints({ state, logger: silentLogger });
  let one: Array<[string, string | undefined]> = [['a', '1']];
  checkpoints.add(() => new Map(one.splice(0)));
  checkpoints.add(() => new Map(write.mock.calls.length === 0 ? [['b', '2']] : []));
  expect(await checkpoints.save()).toBe(true);
  expect([...state.stored]).toEqual([
    ['a', '1'],
    ['b', '2'],
  ]);
  await checkpoints.save();
  expect(write).toHaveBeenCalledTimes(1);
  one = [['a', undefined]];
  await checkpoints.stop();
  expect([...state.stored.keys()]).toEqual(['b']);
});

it('tries again what could not be written, with what has changed since', async () => {
  const state = memoryState();
  vi.spyOn(state, 'write').mockRejectedValueOnce(new Error('ENOSPC'));
  const checkpoints = new Checkpoints({ state, logger: silentLogger });
  const changes: Array<[string, string]> = [
    ['a', '1'],
    ['b', '1'],
  ];
  checkpoints.add(() => new Map(changes.splice(0)));
  expect(await checkpoints.save()).toBe(false);
  changes.push(['a', '2']);
  expect(await checkpoints.save()).toBe(true);
  expect([...state.stored]).toEqual([
    ['a', '2'],
    ['b', '1'],
  ]);
});

it('saves one after the other: what a second one brings does not go with the first', async () => {
  const state = memoryState();
  const write = state.write.bind(state);
  let end = () => {};
  const isSlow = new Promise<void>((resolve) => {
    end = resolve;
  });
  vi.spyOn(state, 'write')
    .mockImplementationOnce(async (entries) => {
      const taken = new Map(entries);
      await isSlow;
      await write(taken);
    })
    .mockRejectedValueOnce(new Error('ENOSPC'));
  const checkpoints = new Checkpoints({ state, logger: silentLogger });
  const changes: Array<[string, string]> = [
    ['a', '1'],
    ['b', '2'],
  ];
  checkpoints.add(() => new Map(changes.splice(0, 1)));
  const both = [checkpoints.save(), checkpoints.save()];
  end();
  expect(await Promise.all(both)).toEqual([true, false]);
  expect(await checkpoints.save()).toBe(true);
  expect([...state.stored]).toEqual([
    ['a', '1'],
    ['b', '2'],
  ]);
});

it('goes on after a source that throws, and drops nothing of the others', async () => {
  const state = memoryState();
  const warn = vi.fn<typeof silentLogger.warn>();
  const checkpoints = new Checkpoints({ state, logger: { ...silentLogger, warn } });
  const changes: Array<[string, string]> = [['a', '1']];
  let isBroken = true;
  checkpoints.add(() => new Map(changes.splice(0)));
  checkpoints.add(() => {
    if (isBroken) throw new Error('broken');
    return new Map([['b', '2']]);
  });
  expect(await checkpoints.save()).toBe(false);
  expect(warn.mock.calls).toMatchObject([
    [{ error: 'broken' }, 'the progress of the uplink and the books could not be saved'],
  ]);
  expect([...state.stored]).toEqual([]);
  isBroken = false;
  expect(await checkpoints.save()).toBe(true);
  expect([...state.stored]).toEqual([
    ['a', '1'],
    ['b', '2'],
  ]);
});
