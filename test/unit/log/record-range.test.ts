import { expect, it } from 'vitest';
import type { LogRecord } from '../../../src/base/reading.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { type RangeOptions, readRange } from '../../../src/log/record-range.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FOLDER, textOf } from '../../support/journals.ts';
import { until } from '../../support/until.ts';

async function textsIn(range: RangeOptions): Promise<string[]> {
  const all: LogRecord[] = [];
  for await (const records of readRange(range)) all.push(...records);
  return all.map(textOf);
}

it.each([{ packing: false }, { packing: true }])(
  'gives what is between two places, of one partition or all: %o',
  async ({ packing }) => {
    const files = new FakeFiles();
    const at = { mono: 1_000, wall: Date.UTC(2026, 4, 4) };
    const more = { packing, compression: 'auto', segmentBytes: 64 * 1024 } as const;
    const boot = await Boot.start(files, 1, at, more);
    for (let i = 0; i < 60; i++) await boot.put(i % 2, `${i}`);
    const isPacked = () => files.paths().some((path) => path.endsWith('.packed'));
    if (packing) await until('a segment is packed', isPacked);
    const view = await FolderView.open(files, FOLDER);
    const range = { files, view, stream: 'readings' };
    const numbers = (from: number, to: number, step = 1) =>
      Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => `${from + i * step}`);
    expect(await textsIn({ ...range, from: [0, 0] })).toEqual(numbers(0, 60));
    expect(await textsIn({ ...range, from: [5, 5], until: [20, 20] })).toEqual(numbers(10, 40));
    expect(await textsIn({ ...range, from: [5, 5], until: [20, 20], partition: 1 })).toEqual(
      numbers(11, 40, 2),
    );
    expect(await textsIn({ ...range, from: [29, 0], partition: 0 })).toEqual(['58']);
    expect(await textsIn({ ...range, from: [9, 9], until: [9, 9] })).toEqual([]);
    await boot.stop();
  },
);

it('stops where it was told to, without reading on', async () => {
  const files = new FakeFiles();
  const at = { mono: 1_000, wall: Date.UTC(2026, 4, 4) };
  const boot = await Boot.start(files, 1, at, { segmentBytes: 4 * 1024 * 1024 });
  for (let i = 0; i < 900; i++) await boot.put(i % 2, `${i}`);
  files.bytesRead = 0;
  const range = { files, view: boot.journal, stream: 'readings' };
  expect(await textsIn({ ...range, from: [0, 0], until: [2, 2] })).toEqual(['0', '1', '2', '3']);
  expect(files.bytesRead).toBeLessThan(600 * 1024);
  await boot.stop();
});
