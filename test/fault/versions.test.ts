import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { MARKER, RESTORE_PART, VERSIONS } from '../../src/ops/data-version.ts';
import { hashesOf } from '../support/folder-tree.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { LocalGateway } from './local-gateway.ts';

afterEach(cleanUp);

async function usedFolder(): Promise<string> {
  const gateway = await LocalGateway.start();
  const client = await TestClient.connect(gateway.port);
  expect(await client.publish('sensors/a/t', '{"id":"1","value":2}')).toBe(true);
  await client.end();
  await gateway.stop();
  return gateway.data.root;
}

/** It does not start, says why, and has changed nothing. */
async function expectRefusal(folder: string, code: string, said: string): Promise<void> {
  const before = hashesOf(folder);
  expect(Object.keys(before).length).toBeGreaterThan(1);
  await expect(LocalGateway.start({ folder })).rejects.toMatchObject({
    code,
    message: expect.stringContaining(said),
  });
  expect(hashesOf(folder)).toEqual(before);
}

test('a new folder gets a marker, and one of before it is adopted as it is', async () => {
  const folder = await usedFolder();
  const marker = join(folder, MARKER);
  expect(JSON.parse(readFileSync(marker, 'utf8'))).toEqual(VERSIONS);
  rmSync(marker);
  const again = await LocalGateway.start({ folder });
  expect(again.status().log.telemetry.bytesWritten).toBe(0);
  await again.stop();
  expect(JSON.parse(readFileSync(marker, 'utf8'))).toEqual(VERSIONS);
});

test.each([
  [{ data: VERSIONS.data + 1, state: VERSIONS.state }, 'data is of version'],
  [{ data: VERSIONS.data, state: VERSIONS.state + 1 }, 'state is of version'],
])('a folder of a newer release %o is refused, byte for byte as it was', async (versions, said) => {
  const folder = await usedFolder();
  writeFileSync(join(folder, MARKER), JSON.stringify(versions));
  await expectRefusal(folder, 'DATA_VERSION', said);
});

test.each(['', '{', '7', 'null', '{"data":"1","state":1}', '{"data":1}'])(
  'so is one with the marker %j',
  async (text) => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'log'));
    writeFileSync(join(folder, MARKER), text);
    await expectRefusal(folder, 'DATA_VERSION', MARKER);
  },
);

test('so is one whose log is of a newer format, in either store', async () => {
  const folder = await usedFolder();
  for (const store of ['telemetry', 'events']) {
    const path = join(folder, 'log', store, '0000000000000001.segment');
    const was = readFileSync(path);
    const bytes = Buffer.from(was);
    bytes.writeUInt16LE(2, 4);
    const tables = bytes.subarray(80, 80 + bytes.readUInt32LE(72));
    bytes.writeUInt32LE(crc32(tables, crc32(bytes.subarray(0, 76))), 76);
    writeFileSync(path, bytes);
    await expectRefusal(folder, 'LOG_FORMAT', 'format 2');
    writeFileSync(path, was);
  }
});

test('so is one into which a restore has not come to its end', async () => {
  const folder = await usedFolder();
  mkdirSync(join(folder, RESTORE_PART));
  await expectRefusal(folder, 'RESTORE_UNFINISHED', RESTORE_PART);
});
