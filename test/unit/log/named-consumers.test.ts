import { expect, it } from 'vitest';
import { LocalStreams } from '../../../src/log/local-streams.ts';
import { NamedConsumers } from '../../../src/log/named-consumers.ts';
import type { StateStore } from '../../../src/os/state-store.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles, systemError } from '../../support/fake-files.ts';
import { memoryState } from '../../support/memory-state.ts';

const MAY = Date.UTC(2026, 4, 4, 12);

async function setUp(state: StateStore = memoryState()) {
  const files = new FakeFiles();
  const boot = await Boot.start(files, 1, { mono: 1_000, wall: MAY });
  for (let i = 0; i < 4; i++) await boot.put(i % 2, 'x');
  const { clock, journal } = boot;
  const journals = new Map([['telemetry', journal]]);
  const streams = new LocalStreams({ files, clock, boot: new Uint8Array(8), journals });
  return { boot, consumers: new NamedConsumers(state, streams) };
}

it('two changes at once are both made', async () => {
  const { boot, consumers } = await setUp();
  await Promise.all([0, 1].map((p) => consumers.move('c', 'readings', new Map([[p, 2]]))));
  expect(await consumers.offsets('c', 'readings')).toEqual([2, 2]);
  await boot.stop();
});

it('a change that cannot be stored is told, and the next one is made', async () => {
  const state = memoryState();
  let isFull = true;
  const full: StateStore = {
    ...state,
    write: async (entries) => {
      if (isFull) throw systemError('ENOSPC');
      await state.write(entries);
    },
  };
  const { boot, consumers } = await setUp(full);
  const move = () => consumers.move('c', 'readings', new Map([[0, 1]]));
  await expect(move()).rejects.toMatchObject({ code: 'ENOSPC' });
  isFull = false;
  expect(await move()).toMatchObject({ lag: 3 });
  await boot.stop();
});
