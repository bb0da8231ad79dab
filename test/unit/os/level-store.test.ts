import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import { type LevelStore, openLevelStore } from '../../../src/os/level-store.ts';
import { nodeFiles } from '../../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';

let root = '';
let folder = '';
let warnings: Array<Readonly<Record<string, unknown>>> = [];
const logger = {
  ...silentLogger,
  warn: (fields: Readonly<Record<string, unknown>>) => void warnings.push(fields),
};

beforeEach(async () => {
  root = await makeTemporaryFolder('headgate-level-');
  const own = root;
  onTestFinished(() => removeFolder(own));
  folder = join(root, 'state');
  warnings = [];
});

async function open(): Promise<LevelStore> {
  const store = await openLevelStore({ folder, files: nodeFiles, logger });
  onTestFinished(() => store.close());
  return store;
}

const entries = (object: Record<string, string | undefined>) => new Map(Object.entries(object));

test.each(['state', 'sessions'] as const)(
  'after a write to %s that failed, the next one begins a new log file, once',
  async (which) => {
    const { state, sessions } = await open();
    const compact = vi.spyOn(ClassicLevel.prototype, 'compactRange');
    const batch = vi.spyOn(
      ClassicLevel.prototype as unknown as { _batch(): Promise<void> },
      '_batch',
    );
    batch.mockRejectedValueOnce(new Error('ENOSPC'));
    const write = (key: string) =>
      which === 'state'
        ? state.write(new Map([[key, 'x']]))
        : sessions.batch([{ type: 'put', key, value: 'x' }]);
    await expect(write('a')).rejects.toThrow('ENOSPC');
    expect(compact).not.toHaveBeenCalled();
    for (const key of ['b', 'c']) await write(key);
    expect(compact).toHaveBeenCalledTimes(1);
    vi.restoreAllMocks();
  },
);

describe('pages', () => {
  const bytes = (...numbers: number[]) => Uint8Array.from(numbers);
  const all = async (store: LevelStore, where: string) => {
    const found: Array<[string, number[]]> = [];
    for await (const [key, value] of store.pages.entries(where)) found.push([key, [...value]]);
    return found;
  };

  test('are found at once, also after a restart, and deleted by key and by range', async () => {
    const first = await open();
    const device = 's/device/\u{1f600}/x';
    await first.pages.write(
      new Map([
        ['s/page/1/0', bytes(0, 255)],
        ['s/page/1/1', bytes(1)],
        ['s/page/2/0', bytes()],
        [device, bytes(7)],
        ['s0/page/1/0', bytes(9)],
      ]),
      { sync: true },
    );
    await first.close();
    const store = await open();
    expect([...(store.pages.getSync('s/page/1/0') ?? [])]).toEqual([0, 255]);
    expect(store.pages.getSync('s/page/9/0')).toBeUndefined();
    expect(await all(store, 's/device')).toEqual([[device, [7]]]);
    expect((await all(store, 's')).map(([key]) => key)).toEqual([
      device,
      's/page/1/0',
      's/page/1/1',
      's/page/2/0',
    ]);
    await store.pages.write(new Map([['s/page/1/1', undefined]]));
    await store.pages.clear('s/page/2', 's/page0');
    expect((await all(store, 's/page')).map(([key]) => key)).toEqual(['s/page/1/0']);
    expect(await store.state.entries('')).toEqual([]);
    expect(store.bytesWritten()).toBeGreaterThan(0);
  });

  test('are not read through at the opening: only what stands beside them', async () => {
    const first = await open();
    const page = new Uint8Array(4_096).fill(7);
    for (let run = 0; run < 40; run++) {
      const some = Array.from({ length: 50 }, (_, i) => [`s/page/${run}/${i}`, page] as const);
      await first.pages.write(new Map(some));
    }
    await first.pages.write(new Map([['s/run/1', bytes(1)]]));
    await first.state.write(entries({ own: 'state' }));
    await first.close();
    const keys = vi.spyOn(ClassicLevel.prototype, 'keys');
    const store = await open();
    const iterator = keys.mock.results[0]?.value as { count: number };
    expect(iterator.count).toBeLessThan(1_100);
    expect(await store.state.get('own')).toBe('state');
    expect(Uint8Array.from(store.pages.getSync('s/page/39/49') ?? [])).toEqual(page);
    vi.restoreAllMocks();
  });
});

describe('state', () => {
  test('what is written is read, also after it was closed and opened again', async () => {
    const first = await open();
    await first.state.write(entries({ 'a/1': 'one', 'a/2': 'ä\n', b: '' }));
    await first.state.write(entries({ 'a/1': undefined, 'a/3': 'three', nothing: undefined }));
    await first.close();
    const { state } = await open();
    expect(await state.get('a/1')).toBeUndefined();
    expect(await state.get('a/2')).toBe('ä\n');
    expect(await state.get('b')).toBe('');
    expect(await state.entries('a/')).toEqual([
      ['a/2', 'ä\n'],
      ['a/3', 'three'],
    ]);
    expect(await state.entries('')).toHaveLength(3);
    expect(await state.entries('c')).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test('entries with a prefix end where it ends, whatever characters follow it', async () => {
    const { state } = await open();
    await state.write(
      entries({ 'a:': '1', 'a:~': '2', 'a:ü': '3', 'a:漢': '4', 'a;': '5', b: '6' }),
    );
    expect((await state.entries('a:')).map(([key]) => key)).toEqual(['a:', 'a:~', 'a:ü', 'a:漢']);
  });

  test('sessions and state do not see each other', async () => {
    const { state, sessions } = await open();
    await state.write(entries({ same: 'state' }));
    await sessions.put('same', 'session');
    expect(await state.get('same')).toBe('state');
    await sessions.clear();
    expect(await state.get('same')).toBe('state');
    expect(await sessions.get('same')).toBeUndefined();
  });

  test('sessions hold bytes of any kind under text keys', async () => {
    const { sessions } = await open();
    const bytes = Buffer.from([0, 255, 10, 0]);
    await sessions.put('retained:ä', bytes, { valueEncoding: 'buffer' });
    await sessions.batch([{ type: 'put', key: 'retained:b', value: bytes }], {
      valueEncoding: 'buffer',
    });
    const range = { gte: 'retained:', lt: 'retained;' };
    expect(await sessions.values({ ...range, valueEncoding: 'buffer' }).all()).toEqual([
      bytes,
      bytes,
    ]);
    expect(await sessions.keys(range).all()).toEqual(['retained:b', 'retained:ä']);
  });
});

test('a store that is open already is DATA_IN_USE, and is left alone', async () => {
  const first = await open();
  await expect(open()).rejects.toMatchObject({ code: 'DATA_IN_USE' });
  await first.state.write(entries({ a: '1' }));
  expect(await first.state.get('a')).toBe('1');
  expect(readdirSync(root)).toEqual(['state']);
});

/** A store of several tables, closed. */
async function filled(): Promise<void> {
  const { state, close } = await open();
  for (let i = 0; i < 200; i++) {
    const many = Array.from({ length: 100 }, (_, j) => [`k${i}/${j}`, 'v'.repeat(300)] as const);
    await state.write(new Map(many));
  }
  await close();
  // Opening moves what was written last into a table.
  await (await open()).close();
}

const named = (pattern: RegExp) =>
  readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name));

function overwrite(pattern: RegExp, text: string): void {
  const paths = named(pattern);
  expect(paths).not.toEqual([]);
  for (const path of paths) writeFileSync(path, text);
}

describe('a damaged store', () => {
  test.each<[string, () => unknown]>([
    ['CURRENT is garbage', () => overwrite(/^CURRENT$/, 'garbage')],
    ['CURRENT is empty', () => overwrite(/^CURRENT$/, '')],
    ['the manifest is garbage', () => overwrite(/^MANIFEST/, 'x'.repeat(4_000))],
    ['the manifest is gone', () => named(/^MANIFEST/).map((path) => rmSync(path))],
    ['a table is garbage', () => overwrite(/\.ldb$/, 'x'.repeat(4_000))],
    ['a table is cut short', () => overwrite(/\.ldb$/, '')],
  ])('%s: it opens, says so, and works', async (_, harm) => {
    await filled();
    harm();
    const { state, close } = await open();
    expect(warnings[0]).toMatchObject({ code: 'STATE_REBUILT' });
    await state.write(entries({ fresh: '1' }));
    expect((await state.entries('')).length).toBeGreaterThan(0);
    await close();
    warnings = [];
    expect(await (await open()).state.get('fresh')).toBe('1');
    expect(warnings).toEqual([]);
  });

  test('what can be saved is saved', async () => {
    await filled();
    overwrite(/^CURRENT$/, 'garbage');
    expect(await (await open()).state.entries('k0/')).toHaveLength(100);
    expect(readdirSync(root)).toEqual(['state']);
  });

  test('what cannot be repaired is set aside, under a name that is free', async () => {
    for (const count of [1, 2]) {
      const { close } = await open();
      await close();
      overwrite(/^CURRENT$/, 'garbage');
      // Repair fails: a folder has the name that it writes its new manifest under.
      mkdirSync(join(folder, '000001.dbtmp'));
      writeFileSync(join(folder, '000001.dbtmp', 'in the way'), '');
      const store = await open();
      await store.state.write(entries({ a: '1' }));
      await store.close();
      expect(readdirSync(root).filter((name) => name.includes('damaged'))).toHaveLength(count);
      expect(readFileSync(join(`${folder}.damaged-${count}`, 'CURRENT'), 'utf8')).toBe('garbage');
    }
  });
});

describe('a fault that is no damage is an error, and nothing is set aside', () => {
  test('a full disk', async () => {
    mkdirSync(folder);
    symlinkSync('/dev/full', join(folder, 'MANIFEST-000001'));
    await expect(open()).rejects.toThrow();
    expect(readdirSync(root)).toEqual(['state']);
    expect(warnings).toEqual([]);
    await open();
  });

  test('a file in the place of the folder', async () => {
    writeFileSync(folder, '');
    await expect(open()).rejects.toThrow();
    expect(statSync(folder).isFile()).toBe(true);
    expect(readdirSync(root)).toEqual(['state']);
  });
});

test('two parts of one process cannot have it open either', async () => {
  await open();
  const other = new ClassicLevel(folder);
  await expect(other.open()).rejects.toThrow();
});
