import { expect, it } from 'vitest';
import { type Dumped, dumpStore } from '../../../src/log/dump.ts';
import { packedFileName, segmentFileName } from '../../../src/log/format.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FOLDER, textOf } from '../../support/journals.ts';
import { until } from '../../support/until.ts';

const PAGE = 4096;
const AT = { mono: 1_000, wall: Date.UTC(2026, 4, 4) };

async function dump(files: FakeFiles, more: { segment?: number; records?: boolean } = {}) {
  const all: Dumped[] = [];
  const { segment, records = false } = more;
  for await (const one of dumpStore(files, FOLDER, { segment, records })) all.push(one);
  return all;
}

function statesIn(all: readonly Dumped[]): string[] {
  return all.flatMap((one) => (one.kind === 'file' ? [`${one.name} ${one.state}`] : []));
}

it('shows every file with its state, and every block', async () => {
  const files = new FakeFiles();
  const more = { segmentBytes: 64 * 1024, packing: true, compression: 'auto' as const };
  const boot = await Boot.start(files, 1, AT, more);
  for (let i = 0; i < 24; i++) await boot.put(i % 2, `${i}`);
  const isPacked = () => files.paths().includes(`${FOLDER}/${packedFileName(1)}`);
  await until('the first segment is packed', isPacked);
  await boot.stop();
  const all = await dump(files, { records: true });
  expect(statesIn(all)).toEqual([
    `${packedFileName(1)} packed`,
    `${segmentFileName(2)} active`,
    `${segmentFileName(3)} ready`,
  ]);
  const texts = all.flatMap((one) => (one.kind === 'block' ? (one.records ?? []) : [])).map(textOf);
  expect(texts).toEqual(Array.from({ length: 24 }, (_, i) => `${i}`));
  const blocks = all.filter((one) => one.kind === 'block');
  expect(blocks[0]).toMatchObject({ page: 1, header: { kind: 3, number: 0 }, isVoid: false });
  expect(blocks[0]?.runs).toMatchObject([
    { name: 'readings', partition: 0, firstOffset: 0 },
    { name: 'readings', partition: 1, firstOffset: 0 },
  ]);
  const second = await dump(files, { segment: 2 });
  expect(statesIn(second)).toEqual([`${segmentFileName(2)} active`]);
  expect(second.every((one) => one.kind !== 'block' || one.records === undefined)).toBe(true);
});

it('names the page of what is torn, of what is damaged, and of what is void', async () => {
  const files = new FakeFiles();
  const boot = await Boot.start(files, 1, AT);
  for (let i = 0; i < 6; i++) await boot.put(0, `${i}`);
  await boot.stop();
  const bytes = files.bytes(`${FOLDER}/${segmentFileName(1)}`);
  const flip = (at: number) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  };
  // The body of block 1, the whole of block 2's header, and the body of the last one.
  flip(2 * PAGE + 120);
  flip(3 * PAGE + 20);
  flip(6 * PAGE + 120);
  const all = (await dump(files)).slice(1);
  expect(all).toMatchObject([
    { kind: 'block', page: 1 },
    {
      kind: 'corrupt',
      page: 2,
      pages: 1,
      runs: [{ name: 'readings', firstOffset: 1, records: 1 }],
    },
    // Told by the block behind it.
    {
      kind: 'corrupt',
      page: 3,
      pages: 1,
      runs: [{ name: 'readings', firstOffset: 2, records: 1 }],
    },
    { kind: 'block', page: 4 },
    { kind: 'block', page: 5 },
    { kind: 'torn', page: 6, bytes: PAGE },
  ]);
});

it('says of a block that the next segment gives its offsets out again', async () => {
  const files = new FakeFiles();
  const boot = await Boot.start(files, 1, AT);
  await boot.put(0, 'good');
  // Whole on the flash, and yet it failed: the block goes to a new segment, under the same offset.
  let failures = 1;
  files.fault = (operation) => (operation === 'sync' && failures-- > 0 ? 'EIO' : undefined);
  files.fault = ((fail) => (operation, path) => {
    if (operation === 'truncate') return 'EIO';
    return fail(operation, path);
  })(files.fault);
  await boot.put(0, 'twice');
  files.fault = () => undefined;
  await boot.stop();
  const blocks = (await dump(files)).filter((one) => one.kind === 'block');
  expect(blocks.map(({ isVoid }) => isVoid)).toEqual([false, true, false]);
});
