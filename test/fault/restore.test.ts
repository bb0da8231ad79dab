import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { backupOf } from '../../src/backup.ts';
import { type Clock, seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { JUMP } from '../../src/base/offset-jump.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { earliestOffsets } from '../../src/log/log-reader.ts';
import { type DataFolder, dataFolder } from '../../src/ops/data-folder.ts';
import type { Files } from '../../src/os/files.ts';
import { type LevelStore, openLevelStore } from '../../src/os/level-store.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { restore } from '../../src/restore.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { hashesOf } from '../support/folder-tree.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { readAll } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { LocalGateway } from './local-gateway.ts';

afterEach(cleanUp);

async function withReadings(count: number): Promise<DataFolder> {
  const gateway = await LocalGateway.start();
  const client = await TestClient.connect(gateway.port);
  for (let i = 0; i < count; i++) {
    expect(await client.publish('sensors/a/t', `{"id":"${i}","value":1}`)).toBe(true);
  }
  await client.end();
  await gateway.stop();
  return gateway.data;
}

async function piecesOf(data: DataFolder): Promise<Uint8Array[]> {
  const level = await openLevelStore({
    folder: data.state,
    files: nodeFiles,
    logger: silentLogger,
  });
  const telemetry = await FolderView.open(nodeFiles, data.telemetry);
  const events = await FolderView.open(nodeFiles, data.events);
  const pieces: Uint8Array[] = [];
  const dump = () => level.dump();
  const views = { telemetry, events };
  for await (const piece of backupOf({ data, files: nodeFiles, clock: systemClock, views, dump })) {
    pieces.push(piece);
  }
  await level.close();
  return pieces;
}

type Pieces = readonly Uint8Array[] | AsyncIterable<Uint8Array>;

async function* given(pieces: Pieces) {
  yield* pieces;
}

interface Given {
  readonly pieces: Pieces;
  readonly data: DataFolder;
  readonly files?: Files;
  readonly clock?: Clock;
}

function restoreInto({ pieces, data, files = nodeFiles, clock = systemClock }: Given) {
  const random = seededRandom(1);
  const about = { data, files, clock, random, logger: silentLogger, isForced: true };
  return restore({ ...about, archive: given(pieces) });
}

async function countIn(data: DataFolder): Promise<number> {
  const view = await FolderView.open(nodeFiles, data.telemetry);
  return (await readAll(nodeFiles, view, 'readings')).length;
}

test('whatever step fails, the folder is the old one, the new one, or does not start', async () => {
  const pieces = await piecesOf(await withReadings(5));
  const seen = new Set<string>();
  for (const operation of ['rename', 'syncFolder', 'sync', 'write', 'truncate'] as const) {
    for (let step = 1; ; step++) {
      const data = await withReadings(2);
      const files = new FaultyFiles();
      // From the step on nothing of the kind succeeds any more, as after a kill.
      let count = 0;
      const counting: Files = new Proxy(files, {
        get: (target, name) => {
          const own: unknown = Reflect.get(target, name, target);
          if (typeof own !== 'function') return own;
          return (...args: unknown[]) => {
            if (name === operation || (name === 'open' && args[1] === 'write')) count += 1;
            if (count === step) files.break({ operations: [operation], code: 'EIO' });
            return Reflect.apply(own, target, args) as unknown;
          };
        },
      });
      const outcome = await restoreInto({ pieces, data, files: counting }).then(
        () => 'done',
        () => 'failed',
      );
      if (count < step) break;
      const started = await LocalGateway.start({ folder: data.root }).then(
        async (gateway) => {
          await gateway.stop();
          return String(await countIn(data));
        },
        (error: { code: string }) => error.code,
      );
      seen.add(`${outcome} ${started}`);
      // It can be done again, and is whole then.
      await restoreInto({ pieces, data });
      expect(await countIn(data), `${operation} ${step}`).toBe(5);
    }
  }
  for (const one of seen) {
    expect(['done 5', 'failed 2', 'failed 5', 'failed RESTORE_UNFINISHED']).toContain(one);
  }
  expect(seen).toContain('failed 2');
  expect(seen).toContain('failed RESTORE_UNFINISHED');
}, 300_000);

test('a restore that was cut off is not over with a backup that is refused', async () => {
  const pieces = await piecesOf(await withReadings(5));
  const data = await withReadings(2);
  const files = new FaultyFiles();
  // The log is set aside, and the rest is not: started like this, offsets would begin at 0 again.
  files.break({ operations: ['rename'], path: join(data.root, 'state'), code: 'EIO' });
  await expect(restoreInto({ pieces, data, files })).rejects.toThrow('EIO');
  const bad = pieces.slice(0, -3);
  await expect(restoreInto({ pieces: bad, data })).rejects.toMatchObject({
    code: 'BACKUP_INVALID',
  });
  await expect(LocalGateway.start({ folder: data.root })).rejects.toMatchObject({
    code: 'RESTORE_UNFINISHED',
  });
  await restoreInto({ pieces, data });
  expect(await countIn(data)).toBe(5);
});

test('what was set aside before stays as it is, whichever of them was removed', async () => {
  const pieces = await piecesOf(await withReadings(5));
  const data = await withReadings(2);
  await restoreInto({ pieces, data });
  await restoreInto({ pieces, data });
  rmSync(join(data.root, 'before-restore-1'), { recursive: true });
  const kept = hashesOf(join(data.root, 'before-restore-2'));
  expect((await restoreInto({ pieces, data })).aside).toBe(join(data.root, 'before-restore-1'));
  expect(hashesOf(join(data.root, 'before-restore-2'))).toEqual(kept);
});

test('a daemon that starts meanwhile keeps its folder', async () => {
  const pieces = await piecesOf(await withReadings(5));
  const data = await withReadings(2);
  let level: LevelStore | undefined;
  // As one does that has looked for a restore before this one began.
  const archive = async function* () {
    level = await openLevelStore({ folder: data.state, files: nodeFiles, logger: silentLogger });
    yield* pieces;
  };
  await expect(restoreInto({ pieces: archive(), data })).rejects.toMatchObject({
    code: 'DATA_IN_USE',
  });
  await level?.close();
  expect(readdirSync(data.root)).not.toContain('restore.part');
  expect(await countIn(data)).toBe(2);
});

test('what a backup says of itself is held against its list too', async () => {
  const whole = Buffer.concat(await piecesOf(await withReadings(1)));
  const at = whole.indexOf('"createdMs":1') + '"createdMs":1'.length;
  whole[at] = '0'.charCodeAt(0);
  const data = dataFolder(join(temporaryFolder(), 'new'), {});
  await expect(restoreInto({ pieces: [whole], data })).rejects.toMatchObject({
    code: 'BACKUP_INVALID',
    message: expect.stringContaining('backup.json'),
  });
});

test('with a clock before the backup nothing is restored', async () => {
  const from = await withReadings(1);
  const pieces = await piecesOf(from);
  const data = dataFolder(join(temporaryFolder(), 'new'), {});
  const clock = { ...systemClock, wallMs: () => 0 };
  await expect(restoreInto({ pieces, data, clock })).rejects.toMatchObject({
    code: 'RESTORE_CLOCK',
  });
  expect(readdirSync(data.root)).toEqual([]);
});

test('a name that leads out of the folder is refused', async () => {
  const pieces = (await piecesOf(await withReadings(1))).map((piece) => Buffer.from(piece));
  const at = pieces.findIndex((piece) => piece.toString('latin1', 0, 4) === 'log/');
  const header = pieces[at];
  if (header === undefined) throw new Error('no log in it');
  header.fill(0, 0, 100);
  header.write('log/events/../../../../evil', 0);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const above = temporaryFolder();
  const data = dataFolder(join(above, 'a', 'b'), {});
  await expect(restoreInto({ pieces, data })).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
  expect(Object.keys(hashesOf(above))).toEqual(['a/', 'a/b/']);
});

test('a segment whose header is damaged under a running gateway is not left out', async () => {
  const gateway = await LocalGateway.start();
  const client = await TestClient.connect(gateway.port);
  expect(await client.publish('sensors/a/t', '{"id":"1","value":1}')).toBe(true);
  const telemetry = await FolderView.open(nodeFiles, gateway.data.telemetry);
  const [segment] = telemetry.segments();
  const bytes = readFileSync(segment?.path ?? '');
  writeFileSync(segment?.path ?? '', bytes.fill(0, 0, 4_096));
  const backup = async () => {
    // A journal that runs knows its segments, and reads no header again.
    const running = new Proxy(telemetry, {
      get: (view, name: keyof FolderView) =>
        name === 'look' ? async () => {} : (view[name] as () => unknown).bind(view),
    });
    const views = { telemetry: running };
    const dump = async function* () {};
    const about = { data: gateway.data, files: nodeFiles, clock: systemClock };
    for await (const _ of backupOf({ ...about, views, dump }));
  };
  await expect(backup()).rejects.toThrow('BACKUP_UNREADABLE');
  await client.end();
  await gateway.stop();
});

test('a stream that is new after a restore begins where no offset was ever given out', async () => {
  const data = dataFolder(temporaryFolder(), {});
  await restoreInto({ pieces: await piecesOf(await withReadings(3)), data });
  const config = "streams: { late: { topics: ['late/<device>/#'] } }";
  const gateway = await LocalGateway.start({ folder: data.root, config });
  const client = await TestClient.connect(gateway.port);
  expect(await client.publish('late/a/t', '{"id":"1","value":1}')).toBe(true);
  await client.end();
  await gateway.stop();
  const view = await FolderView.open(nodeFiles, data.telemetry);
  const [record] = await readAll(nodeFiles, view, 'late');
  expect(record?.offset).toBeGreaterThan(JUMP);
  expect((record?.offset ?? 0) % JUMP).toBe(0);
  // Nothing was ever there before it: none of that waits, or is lost.
  expect(earliestOffsets(view, 'late')).toEqual(Array(4).fill(record?.offset));
});
