import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { segmentFileName } from '../../src/log/format.ts';
import { verifyStore } from '../../src/log/verify.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { cleanUp } from '../support/gateway-process.ts';
import { textOf } from '../support/journals.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { LocalGateway, stopAll } from './local-gateway.ts';

// What is on the flash is not what was written: a damaged page, a commit or a new segment that a
// kill cut off. The daemon starts, keeps all that is good, and names what is lost.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const PAGE = 4096;
const payloadOf = (n: number) => JSON.stringify({ id: `m-${n}`, value: n });
const payloads = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => payloadOf(from + i));

/** One commit each, so one block and one page each; one device, so one partition. */
async function publishOneByOne(gateway: LocalGateway, all: readonly string[]): Promise<void> {
  const client = await TestClient.connect(gateway.port);
  for (const payload of all) expect(await client.publish('sensors/a/t', payload)).toBe(true);
  await client.end();
}

async function writtenAndStopped(count: number): Promise<LocalGateway> {
  const gateway = await LocalGateway.start();
  await publishOneByOne(gateway, payloads(count));
  await gateway.stop();
  return gateway;
}

function segmentOf(gateway: LocalGateway, sequence: number): string {
  return join(gateway.data.telemetry, segmentFileName(sequence));
}

describe('a damaged block in the middle of a segment', () => {
  it('costs its own offsets, which are named, and nothing else', async () => {
    const before = await writtenAndStopped(9);
    const path = segmentOf(before, 1);
    const bytes = readFileSync(path);
    // Page 0 is the header, page n + 1 the block of message n: this hits messages 3 and 4.
    for (const page of [4, 5]) bytes[page * PAGE + 70] = (bytes[page * PAGE + 70] ?? 0) ^ 0x10;
    writeFileSync(path, bytes);

    const gateway = await LocalGateway.start({ folder: before.data.root });
    const [first] = await gateway.records();
    const lost = [{ stream: 'readings', partition: first?.partition, offset: 3, count: 2 }];
    const [line] = gateway.said('the active segment is damaged');
    expect(line?.level).toBe('error');
    expect(line?.fields['lost']).toEqual(lost);
    expect(gateway.status().log.telemetry.lost).toEqual(lost);
    expect(gateway.status().health).toBe('ok');

    await publishOneByOne(gateway, payloads(2, 9));
    const offsets = (await gateway.records()).map((record) => [record.offset, textOf(record)]);
    expect(offsets).toEqual(
      [0, 1, 2, 5, 6, 7, 8, 9, 10].map((offset) => [offset, payloadOf(offset)]),
    );
    const verified = await verifyStore(nodeFiles, gateway.data.telemetry);
    expect(verified).toMatchObject({ corruptBlocks: 1, lostOffsets: 2, records: 9, lost });
  });

  it('at any page costs that block alone, and the daemon starts', async () => {
    const before = await writtenAndStopped(4);
    const path = segmentOf(before, 1);
    const whole = readFileSync(path);
    for (let page = 1; page <= 4; page++) {
      const bytes = Buffer.from(whole);
      bytes[page * PAGE + 3] = (bytes[page * PAGE + 3] ?? 0) ^ 0xff;
      writeFileSync(path, bytes);
      const gateway = await LocalGateway.start({ folder: before.data.root });
      const kept = (await gateway.records()).map(textOf);
      expect(kept, `page ${page}`).toEqual(payloads(4).filter((_, n) => n + 1 !== page));
      await gateway.stop();
    }
  });
});

describe('a damaged block in a sealed segment', () => {
  it('is named by whoever reads it first, once, and the rest goes on to the cloud', async () => {
    const cloud = new Cloud();
    await cloud.open();
    const log = 'log: { segmentBytes: 1048576 }';
    const config = (url: string) => `${log}\nuplink: { url: "${url}", order: strict }\n`;
    const before = await LocalGateway.start({ config: config('mqtt://127.0.0.1:1') });
    const noise = () => randomBytes(75_000).toString('base64');
    const all = Array.from({ length: 25 }, (_, n) => JSON.stringify({ id: `s-${n}`, x: noise() }));
    await publishOneByOne(before, all);
    await before.stop();
    const path = segmentOf(before, 1);
    const bytes = readFileSync(path);
    const at = 60 * PAGE;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);

    const folder = before.data.root;
    const gateway = await LocalGateway.start({ config: config(cloud.url), folder });
    await gateway.until('the cloud has the rest', ({ backlog }) => backlog === 0);
    const kept = (await gateway.records()).map(textOf);
    const lost = all.findIndex((payload) => !kept.includes(payload));
    expect(kept).toEqual(all.filter((_, n) => n !== lost));
    expect([...cloud.records().values()].map(({ payload }) => payload)).toEqual(kept);
    const named = gateway.said('offsets are lost');
    expect(named).toHaveLength(1);
    expect(named[0]?.level).toBe('error');
    const range = { stream: 'readings', offset: lost, count: 1 };
    expect(named[0]?.fields).toMatchObject(range);
    expect(gateway.status().log.telemetry.lost).toMatchObject([range]);
    await gateway.stop();
    await cloud.close();
  });
});

describe('a commit that was cut off', () => {
  it.each([16, 100, PAGE - 1])('after %i bytes of it is no loss', async (size) => {
    const before = await writtenAndStopped(3);
    const path = segmentOf(before, 1);
    const whole = readFileSync(path);
    // Header and three blocks of a page. The beginning of the last one once more: a block like it,
    // of which the rest never came.
    whole.copy(whole, 4 * PAGE, 3 * PAGE, 3 * PAGE + size);
    writeFileSync(path, whole);
    const gateway = await LocalGateway.start({ folder: before.data.root });
    expect(gateway.said('a commit was cut off')[0]?.level).toBe('info');
    expect(gateway.said('damaged')).toEqual([]);
    expect((await gateway.records()).map(textOf)).toEqual(payloads(3));
    await publishOneByOne(gateway, payloads(2, 3));
    expect((await gateway.records()).map(textOf)).toEqual(payloads(5));
    const verified = await verifyStore(nodeFiles, gateway.data.telemetry);
    expect(verified).toMatchObject({ corruptBlocks: 0, lostOffsets: 0, records: 5 });
  });
});

describe('a kill between the creation of a segment and its header', () => {
  it.each([
    { what: 'an empty file', bytes: (_: Buffer) => Buffer.alloc(0) },
    { what: 'half a header', bytes: (header: Buffer) => header.subarray(0, 40) },
    { what: 'a page of zeros', bytes: (_: Buffer) => Buffer.alloc(PAGE) },
    {
      what: 'a header with a wrong checksum',
      bytes: (header: Buffer) => {
        const copy = Buffer.from(header);
        copy[9] = (copy[9] ?? 0) ^ 1;
        return copy;
      },
    },
  ])('leaves $what, and the next start does without', async ({ bytes }) => {
    const before = await writtenAndStopped(3);
    const header = readFileSync(segmentOf(before, 1)).subarray(0, PAGE);
    const path = segmentOf(before, 2);
    writeFileSync(path, bytes(header));
    const gateway = await LocalGateway.start({ folder: before.data.root });
    expect(gateway.logged.filter(({ level }) => level === 'error')).toEqual([]);
    const names = await nodeFiles.list(gateway.data.telemetry);
    expect(names.filter((name) => name.endsWith('.segment'))).toEqual([segmentFileName(1)]);
    await publishOneByOne(gateway, payloads(2, 3));
    expect((await gateway.records()).map(textOf)).toEqual(payloads(5));
    const verified = await verifyStore(nodeFiles, gateway.data.telemetry);
    expect(verified).toMatchObject({ corruptBlocks: 0, lostOffsets: 0, records: 5 });
  });

  it('at the very first start leaves a store that starts afresh', async () => {
    const before = await writtenAndStopped(1);
    truncateSync(segmentOf(before, 1), 0);
    const gateway = await LocalGateway.start({ folder: before.data.root });
    await publishOneByOne(gateway, payloads(2));
    expect((await gateway.records()).map(textOf)).toEqual(payloads(2));
  });
});

describe('a start that fails', () => {
  it('leaves no file open, and the next one finds everything', async () => {
    const { data, files } = await writtenAndStopped(3);
    files.break({ operations: ['sync'], path: '/log/', code: 'EIO' });
    const folder = data.root;
    await expect(LocalGateway.start({ folder, files })).rejects.toMatchObject({ code: 'EIO' });
    expect(files.openFiles).toBe(0);
    files.mend();
    const gateway = await LocalGateway.start({ folder, files });
    expect(gateway.status().health).toBe('ok');
    expect((await gateway.records()).map(textOf)).toEqual(payloads(3));
  });
});
