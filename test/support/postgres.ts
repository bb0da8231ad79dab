import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { until } from './until.ts';

const run = promisify(execFile);
const DEBIAN = '/usr/lib/postgresql';

function programs(): string {
  const [version] = readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a));
  if (version === undefined) throw new Error('is the package postgresql installed?');
  return join(DEBIAN, version, 'bin');
}

/** Debian's PostgreSQL: a cluster of its own on loopback, without passwords. */
export class Postgres {
  readonly port: number;
  readonly url: string;
  readonly #data: string;
  readonly #folder: string;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#data = join(folder, 'data');
    this.port = port;
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  /** A new cluster in `folder`, started. */
  static async create(folder: string, port: number): Promise<Postgres> {
    const postgres = new Postgres(folder, port);
    mkdirSync(folder, { recursive: true });
    // The server refuses to be root; its user must be able to come here.
    for (const open of [join(folder, '..'), folder]) chmodSync(open, 0o777);
    const args = ['-D', postgres.#data, '-U', 'postgres', '-A', 'trust', '-N', '-E', 'UTF8'];
    await postgres.#run('initdb', [...args, '--locale=C']);
    await postgres.start();
    return postgres;
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    const file = join(programs(), program);
    if (process.getuid?.() !== 0) await run(file, args, { cwd: this.#folder });
    else await run('runuser', ['-u', 'postgres', '--', file, ...args], { cwd: this.#folder });
  }

  async start(): Promise<void> {
    const settings = `-p ${this.port} -h 127.0.0.1 -k ${this.#folder}`;
    const log = join(this.#folder, 'postgres.log');
    await this.#run('pg_ctl', ['-D', this.#data, '-w', '-l', log, '-o', settings, 'start']);
  }

  /** `fast` ends sessions in an orderly way; `immediate` is a crash. */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#run('pg_ctl', ['-D', this.#data, '-w', '-m', mode, 'stop']);
  }

  /** One connection, one text of SQL; the rows of its last statement. */
  async query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url });
    client.on('error', () => {});
    await client.connect();
    try {
      const result: unknown = await client.query(sql, values && [...values]);
      const last = Array.isArray(result) ? result.at(-1) : result;
      return (last as pg.QueryResult).rows;
    } finally {
      await client.end();
    }
  }

  /** A number that SQL gives. */
  async count(sql: string): Promise<number> {
    const [row = {}] = await this.query(sql);
    return Number(Object.values(row)[0]);
  }

  /** Ends what a client that is dead has left on the server. */
  async endSessions(name: string): Promise<void> {
    const sessions = `FROM pg_stat_activity WHERE application_name = '${name}'`;
    await this.query(`SELECT pg_terminate_backend(pid) ${sessions}`);
    await until('its sessions are over', async () => {
      return (await this.count(`SELECT count(*) ${sessions}`)) === 0;
    });
  }

  /** Waits until the tables hold as many. */
  async untilStored(records: number, rejected = 0): Promise<void> {
    let last = '';
    const holds = async () => {
      const counted = await this.query(`
        SELECT (SELECT count(*) FROM headgate_records) AS records,
               (SELECT count(*) FROM headgate_rejected) AS rejected`).catch(() => []);
      last = JSON.stringify(counted[0]);
      return last === JSON.stringify({ records: `${records}`, rejected: `${rejected}` });
    };
    await until('the rows are there', holds, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${last}, not ${records} and ${rejected}`);
    });
  }
}
