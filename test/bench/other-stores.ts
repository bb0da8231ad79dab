/** Other ways to make the same readings durable, one commit at a time. */
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ClassicLevel } from 'classic-level';
import { BodyWriter } from '../../src/log/record-codec.ts';
import type { SensorReading } from './sensor-load.ts';

export interface OtherStore {
  /** Resolves when all of them are durable. */
  commit(readings: readonly SensorReading[]): Promise<void>;
  close(): Promise<void>;
}

interface OtherKind {
  readonly name: string;
  /** undefined: this runtime does not have it. */
  open(folder: string): Promise<OtherStore | undefined>;
}

const INITIAL_BODY_BYTES = 512 * 1024;

/** The plainest log there is: length, checksum and records at the end of a file, fdatasync. */
async function openGrowingFile(folder: string): Promise<OtherStore> {
  const handle = await openFile(join(folder, 'log'), 'wx+');
  const body = new BodyWriter(INITIAL_BODY_BYTES);
  let at = 0;
  return {
    async commit(readings) {
      body.reset();
      for (const { partition, reading } of readings) body.add(reading, partition, 0);
      const head = Buffer.alloc(8);
      head.writeUInt32LE(body.length, 0);
      head.writeUInt32LE(crc32(body.bytes()), 4);
      await handle.writev([head, body.bytes()], at);
      at += head.length + body.length;
      await handle.datasync();
    },
    close: () => handle.close(),
  };
}

/** Key: the offset. Value: the record as this log encodes it. */
async function openLevel(folder: string): Promise<OtherStore> {
  const options = { keyEncoding: 'view', valueEncoding: 'view' };
  const db = new ClassicLevel<Uint8Array, Uint8Array>(join(folder, 'level'), options);
  await db.open();
  let offset = 0;
  return {
    async commit(readings) {
      const operations = readings.map(({ partition, reading }) => {
        const key = Buffer.alloc(8);
        key.writeBigUInt64BE(BigInt(offset++));
        const value = new BodyWriter(512);
        value.add(reading, partition, 0);
        return { type: 'put' as const, key, value: value.bytes() };
      });
      await db.batch(operations, { sync: true });
    },
    close: () => db.close(),
  };
}

interface Statement {
  run(...values: ReadonlyArray<string | number | Uint8Array | null>): unknown;
}

interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

interface Sqlite {
  readonly DatabaseSync: new (path: string) => Database;
}

/** By a name in a variable: the types of Node 20 don't know it. */
const SQLITE: string = 'node:sqlite';

async function openSqlite(folder: string): Promise<OtherStore | undefined> {
  const sqlite = (await import(SQLITE).catch(() => undefined)) as Sqlite | undefined;
  if (sqlite === undefined) return undefined;
  const db = new sqlite.DatabaseSync(join(folder, 'readings.db'));
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  db.exec(
    'CREATE TABLE readings (position INTEGER PRIMARY KEY, partition INTEGER, device TEXT, ' +
      'topic TEXT, message_id TEXT, device_time INTEGER, payload BLOB)',
  );
  const insert = db.prepare(
    'INSERT INTO readings (partition, device, topic, message_id, device_time, payload) ' +
      'VALUES (?, ?, ?, ?, ?, ?)',
  );
  return {
    async commit(readings) {
      db.exec('BEGIN');
      for (const { partition, reading } of readings) {
        const { device, topic, messageId, deviceTimeMs, payload } = reading;
        const id = messageId?.text ?? null;
        insert.run(partition, device, topic, id, deviceTimeMs ?? null, payload);
      }
      db.exec('COMMIT');
    },
    async close() {
      db.close();
    },
  };
}

export const OTHER_KINDS: readonly OtherKind[] = [
  { name: 'growing file', open: openGrowingFile },
  { name: 'classic-level', open: openLevel },
  { name: 'node:sqlite', open: openSqlite },
];
