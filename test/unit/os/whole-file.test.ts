import { expect, it } from 'vitest';
import { WholeFile } from '../../../src/os/whole-file.ts';
import { FakeFiles } from '../../support/fake-files.ts';

const OUT = '/out/readings.csv';

function textIn(files: FakeFiles, path: string): string {
  return Buffer.from(files.bytes(path)).toString();
}

it('is under its name when it is whole, and survives a power cut from then on', async () => {
  const files = new FakeFiles();
  const file = await WholeFile.begin(files, OUT);
  const line = `${'é'.repeat(1_000)}\n`;
  for (let i = 0; i < 1_000; i++) await file.write(line);
  expect(files.paths()).toEqual([`${OUT}.part`]);
  await file.finish();
  files.powerCut();
  expect(files.paths()).toEqual([OUT]);
  expect(textIn(files, OUT)).toBe(line.repeat(1_000));
});

it('takes the place of an older one at the end only, and leaves it if it fails', async () => {
  const files = new FakeFiles();
  const old = await WholeFile.begin(files, OUT);
  await old.write('old');
  await old.finish();
  const broken = await WholeFile.begin(files, OUT);
  await broken.write('broken');
  files.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
  await expect(broken.finish()).rejects.toMatchObject({ code: 'EIO' });
  await broken.giveUp();
  files.fault = () => undefined;
  expect(files.paths()).toEqual([OUT]);
  expect(textIn(files, OUT)).toBe('old');
});

it('begins afresh where an earlier one was cut off', async () => {
  const files = new FakeFiles();
  const cut = await WholeFile.begin(files, OUT);
  await cut.write('x'.repeat(300_000));
  const file = await WholeFile.begin(files, OUT);
  await file.write('new');
  await file.finish();
  expect(textIn(files, OUT)).toBe('new');
});
