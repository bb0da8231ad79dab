import pg from 'pg';
import { messageOf } from '../../src/base/errors.ts';
import { impostorRow, type MessageRows, type RecordRow, type RejectedRow } from './rows.ts';
import type { Inserted } from './sink.ts';

/** The sink's one connection to PostgreSQL. It is made when needed, and again after it is lost. */

const CONNECT_TIMEOUT_MS = 10_000;
/** A server that hangs looks like one that works. */
const QUERY_TIMEOUT_MS = 60_000;

const INSERT_RECORDS = `
  INSERT INTO headgate_records (gateway, log, stream, part, "offset", device, id, topic, historical,
    received_at, device_time, reason, payload, is_text)
  SELECT gateway, log, stream, part, "offset", device, id, topic, historical,
    to_timestamp(received_ms / 1000), to_timestamp(device_ms / 1000), reason, payload, is_text
  FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[],
    $8::text[], $9::bool[], $10::float8[], $11::float8[], $12::text[], $13::bytea[], $14::bool[])
    AS row (gateway, log, stream, part, "offset", device, id, topic, historical, received_ms,
      device_ms, reason, payload, is_text)
  ON CONFLICT (gateway, log, stream, part, "offset") DO NOTHING`;

/** Of records that were there already: the places, from 1, of those that say something else. */
const DIFFERING = `
  SELECT row.place
  FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[],
    $8::bytea[]) WITH ORDINALITY
    AS row (gateway, log, stream, part, "offset", device, topic, payload, place)
  JOIN headgate_records AS stored USING (gateway, log, stream, part, "offset")
  WHERE (stored.device, stored.topic, stored.payload) <> (row.device, row.topic, row.payload)`;

const INSERT_REJECTED = `
  INSERT INTO headgate_rejected (digest, topic, payload, properties, reason)
  SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::text[])
  ON CONFLICT (digest) DO NOTHING`;

/** An acknowledged row must be on the server's disk, whatever the server does by default. */
const DURABLE = `
  SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') = 'off'`;

const RECORD_COLUMNS: readonly (keyof RecordRow)[] = [
  ...(['gateway', 'log', 'stream', 'part', 'offset', 'device', 'id', 'topic'] as const),
  ...(['historical', 'receivedAtMs', 'deviceTimeMs', 'reason', 'payload', 'isText'] as const),
];
const COMPARED_COLUMNS: readonly (keyof RecordRow)[] = [
  ...(['gateway', 'log', 'stream', 'part', 'offset', 'device', 'topic', 'payload'] as const),
];
const REJECTED_COLUMNS: readonly (keyof RejectedRow)[] = [
  ...(['digest', 'topic', 'payload', 'properties', 'reason'] as const),
];

function columnsOf<T>(rows: readonly T[], names: readonly (keyof T)[]): unknown[][] {
  return names.map((name) => rows.map((row) => row[name]));
}

/** SQLSTATE, or the system's code. */
function stateOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/**
 * What is wrong is in the rows: another try would fail as well. Class 22 is data, 54 limits (a name
 * too long for an index). Not 23: a constraint that is not ours, or a partition that is missing, is
 * the table's matter, and somebody can mend it while the messages wait.
 */
export function isDataFault(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(22|54)...$/.test(stateOf(error));
}

/** No such table, no right to it, no such user or database: nothing that waiting mends. */
export function isSetupFault(error: unknown): boolean {
  if (error instanceof EncodingError) return true;
  return error instanceof pg.DatabaseError && /^(42|28|3D|3F)/.test(stateOf(error));
}

/** The database can't hold what gateways send. */
class EncodingError extends Error {
  constructor(encoding: string) {
    super(`the encoding of the database is ${encoding}, and has to be UTF8`);
  }
}

export function isMissingTable(error: unknown): boolean {
  return error instanceof pg.DatabaseError && stateOf(error) === '42P01';
}

export class Database {
  readonly #url: string | undefined;
  #client: pg.Client | undefined;

  /** `url` undefined: PGHOST, PGUSER and the others. */
  constructor(url: string | undefined) {
    this.#url = url;
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client;
    const client = new pg.Client({
      ...(this.#url === undefined ? {} : { connectionString: this.#url }),
      application_name: 'headgate-sink',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    // Lost while idle; a query on its way hears of it by itself.
    client.on('error', () => this.#drop(client));
    try {
      await client.connect();
      await client.query(DURABLE);
    } catch (error) {
      this.#drop(client);
      throw error;
    }
    this.#client = client;
    return client;
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
    client.end().catch(() => {
      // It is gone already.
    });
  }

  /** After a failure nobody knows what state the connection is in: the next one is new. */
  async #use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await this.#connected();
    try {
      return await work(client);
    } catch (error) {
      this.#drop(client);
      throw error;
    }
  }

  /** Makes the tables if they are not there. */
  async createTables(schema: string): Promise<void> {
    await this.#use((client) => client.query(schema));
  }

  /** Throws if the tables are not there, or may not be written to. */
  async check(): Promise<void> {
    await this.#use(async (client) => {
      // Elsewhere some text of a gateway could never be stored.
      const { rows } = await client.query('SHOW server_encoding');
      const { server_encoding: encoding } = rows[0] as { server_encoding: string };
      if (encoding !== 'UTF8') throw new EncodingError(encoding);
    });
    await this.insert({ records: [], rejected: [] });
  }

  /** Ends what is on its way, which fails; the server takes it back, or has committed it. */
  abandon(): void {
    this.#client?.connection.stream.destroy();
  }

  /** Both kinds or none. Resolves after the commit. */
  insert({ records, rejected }: MessageRows): Promise<Inserted> {
    return this.#use(async (client) => {
      const insertRecords = () => client.query(INSERT_RECORDS, columnsOf(records, RECORD_COLUMNS));
      const insertRejected = (rows: readonly RejectedRow[]) =>
        client.query(INSERT_REJECTED, columnsOf(rows, REJECTED_COLUMNS));
      // One statement is a transaction by itself.
      if (records.length > 0 && rejected.length === 0) {
        const inserted = (await insertRecords()).rowCount ?? 0;
        if (inserted === records.length) return { inserted, differing: 0 };
        const differing = await this.#differing(client, records);
        if (differing.length > 0) await insertRejected(differing.map(impostorRow));
        return { inserted, differing: differing.length };
      }
      await client.query('BEGIN');
      const inserted = (await insertRecords()).rowCount ?? 0;
      const differing = await this.#differing(client, records);
      await insertRejected([...rejected, ...differing.map(impostorRow)]);
      await client.query('COMMIT');
      return { inserted, differing: differing.length };
    });
  }

  /** Two gateways of one name and log, or somebody who makes them up: none of it is lost. */
  async #differing(client: pg.Client, records: readonly RecordRow[]): Promise<RecordRow[]> {
    const { rows } = await client.query<{ place: string }>(
      DIFFERING,
      columnsOf(records, COMPARED_COLUMNS),
    );
    const places = new Set(rows.map(({ place }) => Number(place) - 1));
    return records.filter((_, place) => places.has(place));
  }

  async close(): Promise<void> {
    await this.#client?.end().catch(() => {
      // It is closed for us all the same.
    });
  }
}

/** Of several addresses that all fail, the first says why. */
export function faultText(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  return messageOf(first);
}
