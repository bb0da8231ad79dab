import { readFileSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import type { MessageId, Reading } from '../../../src/base/reading.ts';
import { packBody } from '../../../src/log/codec.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import {
  BLOCK_DATA,
  BLOCK_INDEX,
  BLOCK_PACKED,
  type BlockParts,
  encodeBlock,
  encodeSegmentHeader,
  type Moment,
  plainBody,
} from '../../../src/log/format.ts';
import { encodePacked, type PlainBlock } from '../../../src/log/packed.ts';
import { BodyWriter } from '../../../src/log/record-codec.ts';
import { SparseIndex } from '../../../src/log/sparse-index.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FOLDER, readAll, textOf } from '../../support/journals.ts';

// Format 1 as bytes. A segment that an earlier version wrote is kept in test/golden: this version
// must write the same and read the same. Nobody rewrites that file: another format gets another.

const GOLDEN = new URL('../../golden/format-1.segment', import.meta.url);
const PATH = `${FOLDER}/0000000000000007.segment`;

const salt = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
const boot = Uint8Array.from([11, 12, 13, 14, 15, 16, 17, 18]);
const moment = { boot, monoMs: 5_000_000_000.123, wallMs: 1_795_528_656_303, runMs: 86_400_000 };

const header = {
  sequence: 7,
  logId: Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i),
  salt,
  runMs: 86_399_000,
  wallMs: 1_795_528_655_000,
  boot,
  indexPage: 0,
  previousIndexPage: 9,
  streams: [
    { number: 1, name: 'readings', nextOffsets: [40, 4_294_967_296] },
    { number: 2, name: 'zähler', nextOffsets: [0] },
  ],
};

function readingOf(device: string, payload: string, more: Partial<Reading> = {}): Reading {
  return {
    device,
    topic: `sensors/${device}/t`,
    payload: Buffer.from(payload),
    monoMs: 0,
    ...more,
  };
}

const ids: readonly MessageId[] = [
  { kind: 'id', text: 'a-1' },
  { kind: 'sequence', text: 'b:7:12', boot: 'b:7', sequence: 12 },
  { kind: 'counter', text: '3', sequence: 3 },
];

function dataBlock(): BlockParts {
  const body = new BodyWriter(64);
  body.add(readingOf('d1', '{"id":"a-1","v":1}', { messageId: ids[0] }), 0, 0);
  body.add(readingOf('d2', 'ü', { messageId: ids[1], deviceTimeMs: 1_795_528_656_000 }), 1, 3);
  body.add(readingOf('d1', '', { messageId: ids[2], reason: 'PAYLOAD_EMPTY' }), 0, 300);
  body.add(readingOf('x'.repeat(100), 'y'.repeat(5_000)), 2, 20_000);
  const runs = [
    { stream: 1, partition: 0, records: 2, firstOffset: 40 },
    { stream: 1, partition: 1, records: 1, firstOffset: 4_294_967_296 },
    { stream: 2, partition: 0, records: 1, firstOffset: 0 },
  ];
  const place = { sequence: 7, number: 0, records: 4, moment, before: [] };
  return { kind: BLOCK_DATA, ...place, runs, body: plainBody(body.bytes()) };
}

function indexBlock(): BlockParts {
  const index = new SparseIndex();
  const { wallMs, runMs } = moment;
  index.note({ page: 1, number: 0, runMs, wallMs, nextOffsets: [40, 4_294_967_296, 0] });
  const place = { sequence: 7, number: 1, records: 0, moment, before: [] };
  return { kind: BLOCK_INDEX, ...place, runs: [], body: plainBody(index.encode()) };
}

function written(): Buffer {
  const blocks = [dataBlock(), indexBlock()].map((parts) => encodeBlock(parts, salt));
  return Buffer.concat([encodeSegmentHeader(header), ...blocks]);
}

async function filesWith(bytes: Uint8Array): Promise<FakeFiles> {
  const files = new FakeFiles();
  const handle = await files.open(PATH, 'write');
  await handle.write(bytes, 0);
  return files;
}

test('a segment of format 1 is written as it ever was, byte for byte', () => {
  if (process.env['WRITE_GOLDEN'] === '1') writeFileSync(GOLDEN, written(), { flag: 'wx' });
  expect(Buffer.compare(written(), readFileSync(GOLDEN))).toBe(0);
});

test('a segment of format 1 is read as it ever was', async () => {
  const files = await filesWith(readFileSync(GOLDEN));
  const view = await FolderView.open(files, FOLDER);
  const readings = await readAll(files, view, 'readings');
  expect(readings.map((r) => [r.partition, r.offset, r.device, textOf(r)])).toEqual([
    [0, 40, 'd1', '{"id":"a-1","v":1}'],
    [1, 4_294_967_296, 'd2', 'ü'],
    [0, 41, 'd1', ''],
  ]);
  expect(readings.map(({ messageId }) => messageId)).toEqual(ids);
  expect(readings.map(({ deviceTimeMs }) => deviceTimeMs)).toEqual([
    undefined,
    1_795_528_656_000,
    undefined,
  ]);
  expect(readings[2]?.reason).toBe('PAYLOAD_EMPTY');
  const { monoMs, wallMs, runMs } = moment;
  expect(readings[1]).toMatchObject({ monoMs: monoMs + 3, receivedAtMs: wallMs + 3 });
  expect(readings[2]?.runMs).toBe(runMs + 300);
  const [other] = await readAll(files, view, 'zähler');
  expect(other).toMatchObject({ device: 'x'.repeat(100), topic: `sensors/${'x'.repeat(100)}/t` });
  expect(other?.payload).toHaveLength(5_000);
  expect(await verifyStore(files, FOLDER)).toMatchObject({ records: 4, blocks: 1, tornBytes: 0 });
});

/** Two data blocks, of two boots, in one packed one, deflated; then the index. */
async function packedFile(): Promise<Buffer> {
  const blockOf = (text: string, own: Moment, firstOffset: number): PlainBlock => {
    const body = new BodyWriter(64);
    body.add(readingOf('d1', text), 0, 0);
    const runs = [{ stream: 1, partition: 0, records: 1, firstOffset }];
    const place = { kind: BLOCK_DATA, codec: 0, sequence: 7, number: 0, before: [] };
    const sizes = { storedBytes: 0, plainBytes: 0, records: 1, bodyCrc: 0 };
    return { header: { ...place, ...sizes, ...own, runs }, body: Buffer.from(body.bytes()) };
  };
  const later = {
    boot: Uint8Array.from(boot, (b) => b + 1),
    monoMs: 7.5,
    wallMs: 9,
    runMs: 86_500_000,
  };
  const blocks = [blockOf('x'.repeat(9_000), moment, 40), blockOf('second', later, 41)];
  const runs = [{ stream: 1, partition: 0, records: 2, firstOffset: 40 }];
  const body = await packBody(encodePacked(blocks, runs, boot), 112, 'deflate', 'packing');
  expect(body.codec).toBe(1);
  const place = { sequence: 7, number: 0, records: 2, moment, before: [] };
  const packed = encodeBlock({ kind: BLOCK_PACKED, ...place, runs, body }, salt);
  const index = { ...indexBlock(), before: runs };
  const head = encodeSegmentHeader({ ...header, indexPage: 1 + packed.length / 4096 });
  return Buffer.concat([head, packed, encodeBlock(index, salt)]);
}

const GOLDEN_PACKED = new URL('../../golden/format-1.packed', import.meta.url);

test('a packed segment of format 1 is read as it ever was', async () => {
  if (process.env['WRITE_GOLDEN'] === '1') {
    writeFileSync(GOLDEN_PACKED, await packedFile(), { flag: 'wx' });
  }
  const files = new FakeFiles();
  const handle = await files.open(PATH.replace('.segment', '.packed'), 'write');
  await handle.write(readFileSync(GOLDEN_PACKED), 0);
  const records = await readAll(files, await FolderView.open(files, FOLDER), 'readings');
  expect(records.map((r) => [r.offset, textOf(r), r.monoMs, r.receivedAtMs, r.runMs])).toEqual([
    [40, 'x'.repeat(9_000), moment.monoMs, moment.wallMs, moment.runMs],
    [41, 'second', 7.5, 9, 86_500_000],
  ]);
  expect(await verifyStore(files, FOLDER)).toMatchObject({ records: 2, blocks: 1, lostOffsets: 0 });
});

test('a block that another salt, segment or place gave its checksum is none', async () => {
  const head = encodeSegmentHeader(header);
  const own = dataBlock();
  const others: ReadonlyArray<[parts: BlockParts, salt: Uint8Array]> = [
    [own, Uint8Array.from(salt, (byte) => byte ^ 1)],
    [{ ...own, sequence: 8 }, salt],
    [{ ...own, number: 1 }, salt],
  ];
  for (const [parts, seed] of others) {
    const bytes = encodeBlock(parts, seed);
    // What it says of itself is right; what is left is the seed of its checksums.
    const view = new DataView(bytes.buffer);
    view.setUint32(8, own.sequence, true);
    view.setUint32(16, own.number, true);
    const unseeded = crc32(bytes.subarray(80, 128), crc32(bytes.subarray(0, 76)));
    const files = await filesWith(Buffer.concat([head, bytes]));
    expect(await verifyStore(files, FOLDER)).toMatchObject({ records: 0, blocks: 0 });
    view.setUint32(76, unseeded, true);
    const forged = await filesWith(Buffer.concat([head, bytes]));
    expect(await verifyStore(forged, FOLDER)).toMatchObject({ records: 0, blocks: 0 });
  }
});

/** A segment whose block was changed and has the right checksums. */
async function segmentWith(change: (parts: BlockParts) => BlockParts, codec = 0) {
  const bytes = encodeBlock(change(dataBlock()), salt);
  if (codec !== 0) {
    bytes[6] = codec;
    const seed = crc32(Buffer.concat([salt, u64(7), Buffer.alloc(4)]));
    const crc = crc32(bytes.subarray(80, 128), crc32(bytes.subarray(0, 76), seed));
    new DataView(bytes.buffer).setUint32(76, crc, true);
  }
  return filesWith(Buffer.concat([encodeSegmentHeader(header), bytes]));
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

const flagged = ({ body, ...parts }: BlockParts): BlockParts => {
  const changed = Uint8Array.from(body.bytes);
  changed[0] = (changed[0] ?? 0) | 0x40;
  return { ...parts, body: plainBody(changed) };
};

test.each([
  ['codec', () => segmentWith((parts) => parts, 9)],
  ['kind of block', () => segmentWith((parts) => ({ ...parts, kind: 9 }))],
  ['flag of a record', () => segmentWith(flagged)],
])('a %s that is not known is no damage: another version wrote it', async (_, make) => {
  await expect(verifyStore(await make(), FOLDER)).rejects.toThrow('LOG_FORMAT');
});
