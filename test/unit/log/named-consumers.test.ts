import { expect, it } from 'vitest';
import { checkpointKey } from '../../../src/log/checkpoint.ts';
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

it('what was handled before its turn is not to come any more', async () => {
  const state = memoryState();
  const { boot, consumers } = await setUp(state);
  for (let i = 0; i < 8; i++) await boot.put(0, 'x');
  const { logId: log } = boot.journal;
  // Beyond the end: of what a card lost.
  const ahead = [
    [
      [3, 5],
      [8, 90],
    ],
    [],
  ];
  const text = JSON.stringify({ log, offsets: [1, 90], ahead });
  state.stored.set(checkpointKey('uplink', 'readings'), text);
  const [row] = await consumers.rows();
  expect(row).toEqual(await consumers.row('uplink', 'readings'));
  expect(row).toMatchObject({
    lag: 5,
    partitions: [
      { position: 1, end: 10, ahead: 4, lag: 5 },
      { position: 2, end: 2, lag: 0 },
    ],
  });
  expect(row?.partitions[1]).not.toHaveProperty('ahead');
  await boot.stop();
});
