import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { TAR_END, tarEntries, tarHeader, tarPadding } from '../../../src/base/tar.ts';

const SIZES = [0, 1, 511, 512, 513, 70_000];

function archive(): Buffer {
  const parts = SIZES.flatMap((bytes, i) => [
    tarHeader({ path: `a/${i}`, bytes, modifiedS: 1_767_225_600 }),
    Buffer.alloc(bytes, i + 1),
    tarPadding(bytes),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

async function* pieces(bytes: Uint8Array, random: () => number) {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() * 3000);
    yield bytes.subarray(at, end);
    at = end;
  }
}

async function read(bytes: Uint8Array, random = seededRandom(1)) {
  const found: Array<[string, Buffer]> = [];
  for await (const { path, body } of tarEntries(pieces(bytes, random))) {
    const parts: Uint8Array[] = [];
    for await (const part of body) parts.push(part);
    found.push([path, Buffer.concat(parts)]);
  }
  return found;
}

test('what is written is read again, in whatever pieces it comes', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const found = await read(archive(), seededRandom(seed));
    expect(found.map(([path]) => path)).toEqual(SIZES.map((_, i) => `a/${i}`));
    for (const [i, [, bytes]] of found.entries()) {
      expect(bytes.equals(Buffer.alloc(SIZES[i] ?? 0, i + 1)), `seed ${seed}, file ${i}`).toBe(
        true,
      );
    }
  }
});

test('a body that nobody reads is stepped over', async () => {
  const paths: string[] = [];
  for await (const { path } of tarEntries(pieces(archive(), seededRandom(2)))) paths.push(path);
  expect(paths).toEqual(SIZES.map((_, i) => `a/${i}`));
});

test('cut anywhere before its end, it is not whole', async () => {
  const whole = archive();
  for (let at = 0; at <= whole.length - 2 * 512; at += 509) {
    await expect(read(whole.subarray(0, at)), `at ${at}`).rejects.toMatchObject({
      code: 'BACKUP_INVALID',
    });
  }
});

test('a header with a wrong byte, and one of a link, are none', async () => {
  const wrong = archive();
  wrong[3] = 7;
  await expect(read(wrong)).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
  const link = Buffer.from(tarHeader({ path: 'x', bytes: 0, modifiedS: 0 }));
  link[156] = 0x32;
  link.write(
    (
      link.subarray(0, 148).reduce((a, b) => a + b, 0) +
      256 +
      link.subarray(156).reduce((a, b) => a + b, 0)
    )
      .toString(8)
      .padStart(6, '0'),
    148,
  );
  await expect(read(Buffer.concat([link, TAR_END]))).rejects.toThrow('no file');
});

test("the system's tar reads it, and its archives are read", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hg-tar-'));
  try {
    const path = join(folder, 'a.tar');
    writeFileSync(path, archive());
    execFileSync('tar', ['-xf', path, '-C', folder]);
    expect(readFileSync(join(folder, 'a/5'))).toEqual(Buffer.alloc(70_000, 6));
    execFileSync('tar', ['-C', folder, '--format=ustar', '-cf', join(folder, 'b.tar'), 'a/5']);
    expect(await read(readFileSync(join(folder, 'b.tar')))).toEqual([
      ['a/5', Buffer.alloc(70_000, 6)],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
