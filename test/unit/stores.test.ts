import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { dataFolder } from '../../src/ops/data-folder.ts';
import { ALERTS, DEAD_LETTER, openStores, type Stores } from '../../src/stores.ts';
import { configOf } from '../support/config-loading.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { append, noiseOf, readAll, reading, textOf } from '../support/journals.ts';
import { memoryState } from '../support/memory-state.ts';

const random = seededRandom(3);
let files: FakeFiles;
let stores: Stores;

async function open(config: string): Promise<Stores> {
  files = new FakeFiles();
  stores = await openStores({
    config: configOf(config),
    data: dataFolder('/data', {}),
    files,
    clock: systemClock,
    random,
    logger: silentLogger,
    boot: new Uint8Array(8),
    state: memoryState(),
    budget: undefined,
    onDrop: () => {},
  });
  return stores;
}

afterEach(async () => {
  await stores.telemetry.close();
  await stores.events.close();
});

const SMALL = [
  'log: { segmentBytes: 1048576, retention: { maxBytes: 4194304 } }',
  'mqtt: { maxPacketBytes: 524288 }',
].join('\n');

describe('the store of events', () => {
  it('keeps its alerts when dead letters begin a segment, however small the log is', async () => {
    const { events } = await open(SMALL);
    await append(events, 0, reading('a', 'an alert'), ALERTS);
    const before = events.segments().length;
    for (let i = 0; i < 30; i++) {
      await append(events, 0, reading('a', noiseOf(random, 100_000)), DEAD_LETTER);
    }
    await events.retain();
    expect(events.segments().length).toBeGreaterThan(before);
    expect((await readAll(files, events, ALERTS)).map(textOf)).toEqual(['an alert']);
  });

  it('takes whatever a packet may bring, with the smallest segments too', async () => {
    const { events } = await open('log: { segmentBytes: 1048576 }');
    const letter = reading('a', 'x'.repeat(2_097_152));
    expect(await append(events, 0, letter, DEAD_LETTER)).toBe(0);
  });
});

describe('the store of readings', () => {
  it('takes the largest payload with the longest topic, in the smallest segments too', async () => {
    const { telemetry } = await open('log: { segmentBytes: 1048576 }');
    const largest = reading('d'.repeat(60_000), 'x'.repeat(262_144), { topic: 't'.repeat(65_535) });
    expect(await append(telemetry, 0, largest)).toBe(0);
  });

  it('has the linger of each stream', async () => {
    const { telemetry } = await open(
      'streams: { a: { topics: [a/<device>], lingerMs: 700 }, b: { topics: [b/<device>] } }',
    );
    expect(telemetry.stream('a').lingerMs).toBe(700);
    expect(telemetry.stream('b').lingerMs).toBe(5);
  });

  it.each([
    ['auto', 4_096],
    ['deflate', 4_096],
    ['none', 102_400],
  ])('is compressed as it is asked to be: %s', async (compression, blockBytes) => {
    const { telemetry } = await open(`log: { compression: ${compression} }`);
    const before = telemetry.status().bytesWritten;
    await append(telemetry, 0, reading('a', 'abcdefgh'.repeat(12_500)));
    const { bytesWritten } = telemetry.status();
    expect(bytesWritten - before).toBe(blockBytes);
  });

  it.each([
    [true, 1],
    [false, 0],
  ])('is packed as it is asked to be: %s', async (packing, packed) => {
    const more = `log: { segmentBytes: 1048576, packing: ${packing} }`;
    const { telemetry } = await open(more);
    for (let i = 0; i < 300; i++) await append(telemetry, 0, reading('a', `${i}`));
    // What is under way is ended.
    await telemetry.close();
    const found = files.paths().filter((path) => path.endsWith('.packed'));
    expect(found).toHaveLength(packed);
  });
});
