import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { AUTO } from '../../src/decode/json.ts';
import { SampleReader } from '../../src/decode/sample-reader.ts';
import type { Journal } from '../../src/log/journal.ts';
import { offsetsAtRun } from '../../src/log/offsets-at-run.ts';
import { WindowKeeper } from '../../src/window-keeper.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { append, openTestJournal, readAll, reading } from '../support/journals.ts';
import { memoryState } from '../support/memory-state.ts';

// A gateway's windows over restarts: nothing of them is stored, and the log makes them again.

const MINUTE_MS = 60_000;
const SEED = Number(process.env['SEED'] ?? 42);
const closing: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Plant {
  readonly files: FakeFiles;
  readonly clock: FakeClock;
  readonly state: ReturnType<typeof memoryState>;
  readonly published: Array<readonly [topic: string, payload: string]>;
}

function newPlant(): Plant {
  const [files, clock] = [new FakeFiles(), new FakeClock()];
  return { files, clock, state: memoryState(), published: [] };
}

async function openJournal({ files, clock }: Plant): Promise<Journal> {
  const journal = await openTestJournal(files, { clock });
  closing.push(() => journal.close());
  return journal;
}

async function openKeeper(plant: Plant, journal: Journal, maxSeries = 100, publishMs?: number) {
  const keeper = await WindowKeeper.open({
    ...{ ...plant, journal, maxSeries, publishMs, logger: silentLogger },
    publish: async (topic, payload) => {
      plant.published.push([topic, Buffer.from(payload).toString()]);
    },
  });
  closing.push(() => keeper.stop());
  return keeper;
}

/** Readings of a few devices, some of them late, over so long. */
async function fill({ clock }: Plant, journal: Journal, minutes: number): Promise<void> {
  const random = seededRandom(SEED);
  for (let i = 0; i < minutes * 4; i++) {
    clock.advance(15_000);
    const device = Math.floor(random() * 3);
    const value = Math.round(1_000 * (20 + 4 * random())) / 1_000;
    const ageMs = random() < 0.2 ? Math.floor(random() * 5 * MINUTE_MS) : undefined;
    const more = ageMs === undefined ? {} : { deviceTimeMs: clock.wallMs() - ageMs };
    const times = { monoMs: clock.monoMs(), ...more };
    await append(journal, device % 2, reading(`d${device}`, `{"hot":${value},"same":7}`, times));
  }
}

it(`is as it was before a restart, from the log alone, seed ${SEED}`, async () => {
  const plant = newPlant();
  const journal = await openJournal(plant);
  const before = await openKeeper(plant, journal);
  await fill(plant, journal, 150);
  const reader = new SampleReader(AUTO);
  const records = await readAll(plant.files, journal);
  for (const record of records) before.windows.take(record, reader.read(record));
  const wanted = [...before.states()];
  expect(wanted.map(({ metric }) => metric)).toEqual(expect.arrayContaining(['t.hot', 't.same']));

  // Detection hands over the last records itself, while those before them are being read.
  const after = await openKeeper(plant, journal);
  const ends = journal.nextOffsets('readings');
  const to = ends.map((end) => end - 20);
  after.recall({ stream: 'readings', decoder: AUTO, to });
  expect(after.isRebuilding).toBe(true);
  for (const record of records) {
    if (record.offset < (to[record.partition] ?? 0)) continue;
    after.windows.take(record, reader.read(record));
  }
  await after.recalled();
  expect(after.isRebuilding).toBe(false);
  const sorted = (states: Iterable<{ device: string; metric: string }>) =>
    [...states].sort((a, b) => (a.device + a.metric < b.device + b.metric ? -1 : 1));
  // Sums are of the same numbers in another order: the mean may differ in its last bits.
  const comparable = (states: Iterable<{ device: string; metric: string }>) =>
    JSON.parse(JSON.stringify(sorted(states)), (key, value) =>
      key === 'mean' ? Number((value as number).toPrecision(12)) : key === 'late' ? 0 : value,
    );
  expect(comparable(after.states())).toEqual(comparable(wanted));
  expect(plant.state.stored.size).toBe(0);
});

it('reads no more of the log than it needs', async () => {
  const plant = newPlant();
  const journal = await openJournal(plant);
  const { clock } = plant;
  for (let i = 0; i < 400; i++) {
    clock.advance(MINUTE_MS);
    const times = { monoMs: clock.monoMs() };
    await append(journal, i % 2, reading('d', `${i}`, times));
  }
  const wanted = journal.runMs(clock.monoMs()) - 60 * MINUTE_MS;
  const from = await offsetsAtRun(plant.files, journal, 'readings', wanted);
  const [first] = await readAll(plant.files, journal, 'readings', from);
  expect(first?.runMs).toBeLessThanOrEqual(wanted);
  expect(first?.runMs).toBeGreaterThan(wanted - 120 * MINUTE_MS);
});

it('stores the last value of what fell silent, once, and knows it after a restart', async () => {
  const plant = newPlant();
  const journal = await openJournal(plant);
  const keeper = await openKeeper(plant, journal);
  const runMs = journal.runMs(plant.clock.monoMs());
  const time = { runMs, arrivedRunMs: runMs, wallMs: plant.clock.wallMs() };
  keeper.windows.observe('hall/1', 'm', 21.5, time);
  await keeper.sweep();
  expect(plant.state.stored.size).toBe(0);
  plant.clock.advance(61 * MINUTE_MS);
  await keeper.sweep();
  expect([...plant.state.stored.keys()]).toEqual([`windows/${journal.logId}/hall%2F1/m`]);
  plant.state.stored.set('windows/other/a/b', '[1,2,3]');
  plant.state.stored.set(`windows/${journal.logId}/a/b`, 'no JSON');
  const again = await openKeeper(plant, journal);
  expect([...again.states()]).toEqual([
    {
      device: 'hall/1',
      metric: 'm',
      last: { value: 21.5, at: time.wallMs, ageMs: 61 * MINUTE_MS },
      late: 0,
    },
  ]);
  await again.sweep();
  expect([...plant.state.stored.keys()]).toEqual([`windows/${journal.logId}/hall%2F1/m`]);
});

it('tries again to store what could not be', async () => {
  const plant = newPlant();
  const journal = await openJournal(plant);
  const { write } = plant.state;
  plant.state.write = () => Promise.reject(new Error('no room'));
  const keeper = await openKeeper(plant, journal);
  keeper.windows.observe('a', 'm', 1, { runMs: 0, arrivedRunMs: 0, wallMs: 0 });
  plant.clock.advance(120 * MINUTE_MS);
  await keeper.sweep();
  expect(plant.state.stored.size).toBe(0);
  plant.state.write = write;
  await keeper.sweep();
  expect(plant.state.stored.size).toBe(1);
});

it('clears the message of a series that it forgets', async () => {
  const plant = newPlant();
  const journal = await openJournal(plant);
  const keeper = await openKeeper(plant, journal, 1, 1_000_000);
  for (const device of ['a', 'b']) {
    const runMs = journal.runMs(plant.clock.monoMs());
    keeper.windows.observe(device, 'm', 1, { runMs, arrivedRunMs: runMs, wallMs: 0 });
    plant.clock.advance(61 * MINUTE_MS);
    await keeper.sweep();
  }
  expect(plant.published).toEqual([['headgate/state/a/m', '']]);
  await turn();
});
