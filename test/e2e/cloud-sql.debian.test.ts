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

it('the table of docs/uplink.md keeps one of each, and without its key dedup.sql does', async () => {
  expect(await insertTwice('keyed', (sql) => sql)).toBe(1);
  const withoutKey = (sql: string) =>
    sql.replace(/,\s+PRIMARY KEY \(.*?\)/, '').replace('ON CONFLICT DO NOTHING', '');
  expect(await insertTwice('bare', withoutKey)).toBe(2);
  const dedup = join(ROOT, 'deploy/cloud/dedup.sql');
  await run('psql', ['-X', '-q', postgres.url, '-v', 'table=bare', '-f', dedup]);
  expect(await countOf('bare')).toBe(1);
});
