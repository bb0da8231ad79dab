import { expect, it } from 'vitest';
import { LocalStreams } from '../../../src/log/local-streams.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FOLDER, readAll } from '../../support/journals.ts';

const MAY = Date.UTC(2026, 4, 4, 12);
const EVENTS = { folder: '/data/log/events', streams: [{ name: 'events', partitions: 1 }] };

it('both stores have the times of a boot without a clock from one place', async () => {
  const files = new FakeFiles();
  const set = await Boot.start(files, 1, { mono: 1_000, wall: MAY });
  await set.put(0, 'last', 9_000);
  await set.stop();
  const at = { mono: 1_000, wall: 1_000 };
  const telemetry = await Boot.start(files, 2, at, { folder: FOLDER });
  const events = await Boot.start(files, 2, at, EVENTS);
  await telemetry.put(0, 'first', 1_000);
  await events.put(0, 'a minute later', 61_000, 'events');
  const journals = new Map([
    ['telemetry', telemetry.journal],
    ['events', events.journal],
  ]);
  const { clock } = events;
  const streams = new LocalStreams({ files, clock, boot: new Uint8Array(8).fill(2), journals });
  const timesIn = async (journal: Boot['journal'], stream: string) => {
    const times = await streams.times();
    return (await readAll(files, journal, stream)).map((record) => times.timeOfRecord(record));
  };
  expect(await timesIn(telemetry.journal, 'readings')).toEqual([MAY + 9_000, MAY + 9_000]);
  expect(await timesIn(events.journal, 'events')).toEqual([MAY + 69_000]);
  streams.close();
  await telemetry.stop();
  await events.stop();
});
