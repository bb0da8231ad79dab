import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { cleanUp, temporaryFolder } from '../../support/gateway-process.ts';
import { until } from '../../support/until.ts';
import { NbdServer } from '../../vm/nbd-server.ts';
import { COMMAND, OPTION } from '../../vm/nbd-wire.ts';

const SIZE = 8 * 4096;
const GREETING_BYTES = 18;
/** Two replies to GO: what the disk is, and that it goes on. */
const GO_BYTES = 20 + 12 + 20;

/** What QEMU would say, as bytes. */
function optionBytes(code: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write('IHAVEOPT', 'latin1');
  bytes.writeUInt32BE(code, 8);
  return bytes;
}

function requestBytes(
  command: number,
  handle: number,
  { offset = 0, length = 0, data = Buffer.alloc(0), flags = 0 } = {},
): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(0x25609513, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(BigInt(handle), 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(data.length || length, 24);
  return Buffer.concat([bytes, data]);
}

const letters = (letter: string, bytes = 512) => Buffer.alloc(bytes, letter);
const write = (handle: number, offset: number, letter: string, flags = 0) =>
  requestBytes(COMMAND.write, handle, { offset, data: letters(letter), flags });
const flush = (handle: number) => requestBytes(COMMAND.flush, handle);

class Client {
  readonly socket: Socket;
  got: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (bytes) => {
      this.got = Buffer.concat([this.got, bytes]);
    });
    this.socket.on('error', () => this.socket.destroy());
  }

  /** Sends, and returns the next `bytes` bytes of the answer. */
  async ask(data: Buffer, bytes: number): Promise<Buffer> {
    this.socket.write(data);
    await until(`${bytes} bytes`, () => this.got.length >= bytes);
    const answer = this.got.subarray(0, bytes);
    this.got = this.got.subarray(bytes);
    return answer;
  }

  async begin(): Promise<this> {
    await this.ask(Buffer.alloc(0), GREETING_BYTES);
    await this.ask(Buffer.from([0, 0, 0, 3]), 0);
    await this.ask(optionBytes(OPTION.go), GO_BYTES);
    return this;
  }
}

let server: NbdServer | undefined;
let client: Client | undefined;

async function start(flushMs = 0) {
  const path = join(temporaryFolder(), 'disk');
  server = await NbdServer.listen(path, Buffer.alloc(SIZE), flushMs);
  client = await new Client(path).begin();
  return { server, client };
}

afterEach(async () => {
  client?.socket.destroy();
  await server?.close();
});
afterAll(cleanUp);

describe('the server of a disk', () => {
  test('says its size, and that it knows flushes and forced writes', async () => {
    const path = join(temporaryFolder(), 'disk');
    server = await NbdServer.listen(path, Buffer.alloc(SIZE));
    client = new Client(path);
    expect((await client.ask(Buffer.alloc(0), GREETING_BYTES)).subarray(0, 16).toString()).toBe(
      'NBDMAGICIHAVEOPT',
    );
    client.socket.write(Buffer.from([0, 0, 0, 3]));
    // What it does not know it refuses, and goes on.
    const refused = await client.ask(optionBytes(8), 20);
    expect(refused.readUInt32BE(12)).toBe(0x80000001);
    const facts = await client.ask(optionBytes(OPTION.exportName), 10);
    expect(facts.readBigUInt64BE(0)).toBe(BigInt(SIZE));
    expect(facts.readUInt16BE(8)).toBe(1 | 4 | 8);
  });

  test('reads what was written, and records it', async () => {
    const { server, client } = await start();
    await client.ask(write(1, 1024, 'a'), 16);
    const read = requestBytes(COMMAND.read, 2, { offset: 1024, length: 512 });
    const answer = await client.ask(read, 16 + 512);
    expect(answer.subarray(16)).toEqual(letters('a'));
    expect(answer.readBigUInt64BE(8)).toBe(2n);
    expect(server.record.entries).toEqual([
      { kind: 'write', offset: 1024, data: letters('a'), isForced: false },
    ]);
  });

  test('a flush covers what had been answered when it came in', async () => {
    const { server, client } = await start();
    await client.ask(write(1, 0, 'a'), 16);
    await client.ask(Buffer.concat([write(2, 512, 'b'), flush(3)]), 32);
    expect(server.record.entries.at(-1)).toEqual({ kind: 'flush', covers: 1 });
    await client.ask(flush(4), 16);
    expect(server.record.flushedAt(server.record.length)).toBe(3);
  });

  test('a slow flush lets writes pass, and does not cover them', async () => {
    const { server, client } = await start(50);
    await client.ask(write(1, 0, 'a'), 16);
    client.socket.write(flush(2));
    const answer = await client.ask(write(3, 512, 'b'), 16);
    expect(answer.readBigUInt64BE(8)).toBe(3n);
    expect(server.record.entries.map(({ kind }) => kind)).toEqual(['write', 'write']);
    await client.ask(Buffer.alloc(0), 16);
    expect(server.record.entries.at(-1)).toEqual({ kind: 'flush', covers: 1 });
  });

  test('a forced write is noted as one; a request in pieces is taken when whole', async () => {
    const { server, client } = await start();
    const bytes = write(1, 0, 'a', 1);
    client.socket.write(bytes.subarray(0, 100));
    await client.ask(bytes.subarray(100), 16);
    expect(server.record.entries).toMatchObject([{ kind: 'write', isForced: true }]);
  });

  test('refuses what lies beyond the end or is no command', async () => {
    const { server, client } = await start();
    expect((await client.ask(write(1, SIZE, 'a'), 16)).readUInt32BE(4)).toBe(22);
    expect((await client.ask(requestBytes(4, 2), 16)).readUInt32BE(4)).toBe(22);
    expect(server.record.length).toBe(0);
  });

  test('another disk begins with a record of its own', async () => {
    const { server, client } = await start();
    await client.ask(write(1, 0, 'a'), 16);
    server.insert(Buffer.alloc(SIZE, 'z'));
    const read = requestBytes(COMMAND.read, 2, { offset: 0, length: 512 });
    expect((await client.ask(read, 16 + 512)).subarray(16)).toEqual(letters('z'));
    expect(server.record.length).toBe(0);
    expect(() => server.insert(Buffer.alloc(512))).toThrow();
  });
});
