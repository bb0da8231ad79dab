import { setImmediate as soon } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { pacedFiles, Turns } from '../../../src/os/paced-files.ts';
import { FakeFiles } from '../../support/fake-files.ts';

it('of many that read at once, one goes on in a turn of the event loop', async () => {
  const files = new FakeFiles();
  const file = await files.open('/f', 'write');
  await file.write(Buffer.from('text'), 0);
  const paced = pacedFiles(files, new Turns());
  const perTurn = [0];
  const readers = Array.from({ length: 5 }, async () => {
    const handle = await paced.open('/f', 'read');
    const bytes = new Uint8Array(4);
    for (let i = 0; i < 3; i++) {
      expect(await handle.read(bytes, 0)).toBe(4);
      perTurn[perTurn.length - 1] = (perTurn.at(-1) ?? 0) + 1;
    }
    return Buffer.from(bytes).toString();
  });
  let isDone = false;
  const all = Promise.all(readers).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await soon();
    perTurn.push(0);
  }
  expect(await all).toEqual(Array.from({ length: 5 }, () => 'text'));
  expect(Math.max(...perTurn)).toBe(1);
  expect(perTurn.reduce((sum, n) => sum + n, 0)).toBe(15);
});
