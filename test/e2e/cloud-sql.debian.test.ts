import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { Postgres } from '../support/postgres.ts';

// The SQL of the pages, as it stands there.

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const textOf = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const sqlOf = (name: string) => /```sql\n(.*?)```/s.exec(textOf(name))?.[1] ?? '';

const RECEIVED_AT_MS = 1_767_225_600_123;

let postgres: Postgres;

beforeAll(async () => {
  postgres = await Postgres.create(join(temporaryFolder(), 'postgres'), await freePort());
});

afterAll(async () => {
  await postgres?.stop('immediate');
  await cleanUp();
});

/** What docs/uplink.md does with a record, by itself: a table of that name and inserts. */
async function insertTwice(table: string, change: (sql: string) => string): Promise<number> {
  const [create = '', insert = ''] = change(sqlOf('docs/uplink.md').replaceAll('readings', table))
    .split(';')
    .map((statement) => statement.trim());
  await postgres.query(create);
  const record = ['plant', '9f', 'readings', 0, 7, 'boiler', RECEIVED_AT_MS, null, '{}', null];
  for (const _ of [1, 2]) await postgres.query(insert, record);
  return countOf(table);
}

async function countOf(table: string): Promise<number> {
  const rows = await postgres.query(`SELECT received_at FROM ${table}`);
  for (const row of rows) expect(row['received_at']).toEqual(new Date(RECEIVED_AT_MS));
  return rows.length;
}

it('the table of docs/uplink.md keeps one of each, or without its key dedup.sql does', async () => {
  expect(await insertTwice('keyed', (sql) => sql)).toBe(1);
  const withoutKey = (sql: string) =>
    sql.replace(/,\s+PRIMARY KEY \(.*?\)/, '').replace('ON CONFLICT DO NOTHING', '');
  expect(await insertTwice('bare', withoutKey)).toBe(2);
  const dedup = join(ROOT, 'deploy/cloud/dedup.sql');
  await run('psql', ['-X', '-q', postgres.url, '-v', 'table=bare', '-f', dedup]);
  expect(await countOf('bare')).toBe(1);
});

/** A row of the sink, as each of `payloads`: text, or bytes that are none. */
async function fill(payloads: ReadonlyArray<string | Buffer>): Promise<void> {
  for (const [offset, payload] of payloads.entries()) {
    await postgres.query(
      `INSERT INTO headgate_records (gateway, log, stream, part, "offset", device, topic,
         historical, received_at, payload, is_text)
       VALUES ('plant', '9f', 'readings', 0, $1, $2, 't', false, $3, $4, $5)`,
      [
        ...[offset, `d${offset}`, new Date(RECEIVED_AT_MS + offset)],
        ...[Buffer.from(payload), typeof payload === 'string'],
      ],
    );
  }
}

it('the queries of the README work whatever devices have sent', async () => {
  await postgres.query(textOf('deploy/cloud/schema.sql'));
  const texts = ['{"value":21.5}', 'no JSON', '21.5', '[1]', '"x"', '{"value":"on"}', '{}', ''];
  await fill([...texts, '{"value":1e400}', Buffer.of(0xff)]);
  const [last = '', latest = '', gaps = ''] = sqlOf('deploy/cloud/README.md').split(/\n\n(?=-- )/);
  const rows = await postgres.query(last);
  const values = new Map(rows.map(({ device, value }) => [device, value]));
  const newestFirst = [8, 7, 6, 5, 4, 3, 2, 1, 0].map((offset) => `d${offset}`);
  expect(rows.map(({ device }) => device)).toEqual(newestFirst);
  expect(values.get('d0')).toBe('21.5');
  expect(Number(values.get('d8')?.toString().length)).toBe(401);
  for (const offset of [1, 2, 3, 4, 5, 6, 7]) expect(values.get(`d${offset}`)).toBeNull();
  expect(await postgres.query(latest)).toHaveLength(9);
  expect(await postgres.query(gaps)).toEqual([]);
  await postgres.query('DELETE FROM headgate_records WHERE "offset" IN (3, 4)');
  expect(await postgres.query(gaps)).toMatchObject([{ gap_from: '3', gap_to: '4' }]);
});
