import { expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, FOLDER, openTestJournal, readAll, reading } from '../../support/journals.ts';

// One bit at a time, at every byte of a small log: a packed segment, a sealed one, the active
// one and the next. Never a wrong record; what is missing is named, exactly.

/** A prime, so that no field is passed over for good. */
const STRIDE = process.env['EVERY_BYTE'] === '1' ? 1 : 41;

async function smallLog(): Promise<FakeFiles> {
  const files = new FakeFiles();
  const random = seededRandom(3);
  const store = { segmentBytes: 32 * 1024, compression: 'auto', packing: true } as const;
  const journal = await openTestJournal(files, store);
  const put = (i: number, bytes: number) => {
    const payload = Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)));
    return append(journal, i % 2, { ...reading(`d${i}`, ''), payload });
  };
  for (let i = 0; i < 5; i++) await put(i, 20);
  for (let i = 5; i < 10; i++) await put(i, 3_900);
  for (let i = 10; i < 14; i++) await put(i, 300);
  await journal.retain();
  await journal.close();
  const names = (await files.list(FOLDER)).filter((name) => !name.endsWith('.copy'));
  expect(names.map((name) => name.slice(14))).toEqual([
    '01.packed',
    '02.segment',
    '03.segment',
    '04.segment',
  ]);
  return files;
}

const bytesOf = ({ payload }: LogRecord) => Buffer.from(payload).toString('hex');
const placeOf = ({ partition, offset }: LogRecord) => `${partition}:${offset}`;

it('any bit of any byte: never a wrong record, and the loss is named exactly', async () => {
  const files = await smallLog();
  const look = async () => readAll(files, await FolderView.open(files, FOLDER));
  const whole = new Map((await look()).map((r) => [placeOf(r), bytesOf(r)]));
  expect(whole.size).toBe(14);
  // The last block of the log can't be told from a commit that was cut off.
  const last = '1:6';
  let flips = 0;
  let losses = 0;
  for (const path of files.paths()) {
    const bytes = files.bytes(path);
    for (let at = 0; at < bytes.length; at++) {
      // Every byte of headers and runs, of bodies one now and then; all of them in the long lane.
      if (at % 4096 > 200 && at % STRIDE !== 0) continue;
      const bit = 1 << (at % 8);
      bytes[at] = (bytes[at] ?? 0) ^ bit;
      const where = `${path} byte ${at}`;
      const found = await look();
      const missing = new Set(whole.keys());
      for (const record of found) {
        expect(bytesOf(record), where).toBe(whole.get(placeOf(record)));
        expect(missing.delete(placeOf(record)), `${where}: twice`).toBe(true);
      }
      if (missing.size > 0) {
        losses += 1;
        const { lost } = await verifyStore(files, FOLDER);
        const named = lost.flatMap(({ partition, offset, count }) =>
          Array.from({ length: count }, (_, i) => `${partition}:${offset + i}`),
        );
        missing.delete(last);
        expect(new Set(named), where).toEqual(missing);
      }
      bytes[at] = (bytes[at] ?? 0) ^ bit;
      flips += 1;
    }
  }
  expect(flips).toBeGreaterThan(6_000);
  expect(losses).toBeGreaterThan(1_000);
}, 300_000);
