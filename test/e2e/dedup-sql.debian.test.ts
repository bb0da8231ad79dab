import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { Postgres } from '../support/postgres.ts';

// deploy/cloud/dedup.sql, run by psql as its first lines say, on tables that have no key.

const run = promisify(execFile);
const SQL = join(import.meta.dirname, '../../deploy/cloud/dedup.sql');

let postgres: Postgres;

const dedup = (words: readonly string[] = []) => {
  const args = words.flatMap((word) => ['-v', word]);
  return run('psql', ['-X', '-q', postgres.url, ...args, '-f', SQL]);
};

/** A copy of the record `offset` of `log`, which came `age` ago. */
async function insert(table: string, offset: number, age: string, more: Row = {}): Promise<void> {
  const { historical = false, log = '9f', receivedAgo = age } = more;
  await postgres.query(
    `INSERT INTO ${table} VALUES ('plant', $1, 'readings', 0, $2, now() - $3::interval, $4, $5,
       now() - $6::interval)`,
    [log, offset, receivedAgo, historical, `${offset}`, age],
  );
}

interface Row {
  readonly historical?: boolean;
  readonly log?: string;
  /** When the gateway got it; with the repeats of a record, the same. */
  readonly receivedAgo?: string;
}

const create = (table: string, more = '') =>
  postgres.query(`DROP TABLE IF EXISTS ${table};
    CREATE TABLE ${table} (gateway text, log text, stream text, part int, "offset" bigint,
      received_at timestamptz, historical boolean, payload text,
      inserted_at timestamptz DEFAULT now()) ${more}`);

const rowsOf = async (table: string) =>
  (await postgres.query(`SELECT log, "offset"::int, historical FROM ${table} ORDER BY 1, 2`)).map(
    (row) => Object.values(row).join(' '),
  );

beforeAll(async () => {
  postgres = await Postgres.create(join(temporaryFolder(), 'postgres'), await freePort());
});

beforeEach(() => create('readings'));

afterAll(async () => {
  await postgres?.stop('immediate');
  await cleanUp();
});

it('keeps of each record the one that came first, whatever its historical says', async () => {
  const receivedAgo = '3 hours';
  for (const offset of [0, 1, 2]) await insert('readings', offset, '2 hours', { receivedAgo });
  await insert('readings', 0, '1 hour', { receivedAgo, historical: true });
  await insert('readings', 0, '30 minutes', { receivedAgo, historical: true });
  await insert('readings', 1, '1 hour', { receivedAgo });
  await insert('readings', 0, '1 hour', { receivedAgo, log: 'a0' });
  await dedup(['table=readings']);
  const kept = ['9f 0 false', '9f 1 false', '9f 2 false', 'a0 0 false'];
  expect(await rowsOf('readings')).toEqual(kept);
  await dedup(['table=readings']);
  expect(await rowsOf('readings')).toEqual(kept);
});

it('keeps one of those that came in one transaction', async () => {
  await postgres.query(`INSERT INTO readings
    SELECT 'plant', '9f', 'readings', 0, n % 100, now(), n >= 100, ''
    FROM generate_series(0, 299) n`);
  await dedup(['table=readings']);
  expect(await rowsOf('readings')).toHaveLength(100);
});

it('finds what a new row repeats although that came before the window', async () => {
  await insert('readings', 0, '5 days');
  await insert('readings', 0, '1 hour', { receivedAgo: '5 days', historical: true });
  // Both before the window: that was for an earlier run.
  await insert('readings', 1, '5 days');
  await insert('readings', 1, '4 days', { receivedAgo: '5 days' });
  await dedup(['table=readings', 'hours=2']);
  expect(await rowsOf('readings')).toEqual(['9f 0 false', '9f 1 false', '9f 1 false']);
  await dedup(['table=readings', 'hours=240']);
  expect(await rowsOf('readings')).toEqual(['9f 0 false', '9f 1 false']);
});

it('goes over the partitions of a table', async () => {
  await create('parted', 'PARTITION BY RANGE (inserted_at)');
  await postgres.query(`CREATE TABLE parted_old PARTITION OF parted
      FOR VALUES FROM (MINVALUE) TO (now() - interval '1 day');
    CREATE TABLE parted_new PARTITION OF parted DEFAULT`);
  await insert('parted', 0, '2 days');
  await insert('parted', 0, '1 hour', { receivedAgo: '2 days', historical: true });
  // Stands at the same place of its partition as the one that is kept.
  await insert('parted', 1, '1 hour');
  await dedup(['table=parted']);
  expect(await rowsOf('parted')).toEqual(['9f 0 false', '9f 1 false']);
});

it('takes headgate_records unless told another table, and where to look for it', async () => {
  await postgres.query('CREATE SCHEMA IF NOT EXISTS other');
  for (const table of ['other.readings', 'headgate_records']) {
    await create(table);
    await insert(table, 0, '2 hours');
    await insert(table, 0, '2 hours');
  }
  await insert('readings', 0, '2 hours');
  await insert('readings', 0, '2 hours');
  await dedup();
  expect(await rowsOf('headgate_records')).toHaveLength(1);
  expect(await rowsOf('readings')).toHaveLength(2);
  await dedup(['table=readings', 'schema=other']);
  expect(await rowsOf('other.readings')).toHaveLength(1);
  expect(await rowsOf('readings')).toHaveLength(2);
  await expect(dedup(['table=nowhere'])).rejects.toThrow('"nowhere" does not exist');
});
