import { join } from 'node:path';
import pg from 'pg';
import { systemClock } from '../../src/base/clock.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import type { CloudLink, CloudMessage } from '../../src/uplink/cloud-link.ts';
import { openCloud } from '../../src/uplink/open-cloud.ts';
import { EVERY_CASE, expectedOf, ORIGIN } from './batch-records.ts';
import { cloudMessages, type SentAs, SHAPES } from './cloud-messages.ts';
import { freePort } from './free-port.ts';
import { Postgres } from './postgres.ts';
import { SinkProcess } from './sink-process.ts';
import { until } from './until.ts';

/** `count` readings of partition 0. */
export function readings(from: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    ...{ stream: 'readings', partition: 0, offset: from + i, device: 'pump-2', topic: 'pumps/2' },
    ...{ payload: Buffer.from(`{"value":${i}}`), receivedAtMs: 1_767_225_600_000 + i },
    ...{ monoMs: 1, boot: '00', runMs: 1 },
  }));
}

export async function sendAll(link: CloudLink, messages: readonly CloudMessage[]): Promise<void> {
  await Promise.all(messages.map((message) => link.publish(message)));
}

type Row = Record<string, unknown>;

const placeOf = (row: Row) => `${row['part']}/${row['offset']}`;
const byPlace = (a: Row, b: Row) => (placeOf(a) < placeOf(b) ? -1 : 1);

/** What `SinkPlant.rowsOf` gives if it is as it should be. */
export function expectedRows(records: readonly LogRecord[], as: SentAs): Row[] {
  const { gateway, historical } = as;
  const rows = records.map((record) => {
    const wrapper = expectedOf(record, historical, { ...ORIGIN, gateway });
    const { log, stream, partition, offset, device, id = null, topic, reason = null } = wrapper;
    const payload = Buffer.from(record.payload);
    return {
      ...{ gateway, log, stream, part: partition, offset: `${offset}`, device, id, topic, reason },
      historical: historical === true,
      received: `${wrapper.receivedAt}`,
      measured: wrapper.deviceTime === undefined ? null : `${wrapper.deviceTime}`,
      payload: payload.toString('hex'),
      is_text: wrapper.encoding === undefined && !payload.includes(0),
    };
  });
  return rows.sort(byPlace);
}

/** Nothing gets into the tables: what comes waits before its commit. */
export interface Hold {
  /** Waits until somebody waits. */
  waitedFor(): Promise<void>;
  release(): Promise<void>;
}

/** A database, and the sinks and gateways of one test. */
export class SinkPlant {
  readonly postgres: Postgres;
  readonly #links: CloudLink[] = [];
  readonly #sinks: SinkProcess[] = [];

  private constructor(postgres: Postgres) {
    this.postgres = postgres;
  }

  static async start(folder: string): Promise<SinkPlant> {
    return new SinkPlant(await Postgres.create(join(folder, 'postgres'), await freePort()));
  }

  /** The uplink's way to a far side. */
  async linkTo(url: string): Promise<CloudLink> {
    const open = await openCloud({
      ...{ url, clientId: 'gateway', username: '', password: undefined, saslMechanism: 'plain' },
      ...{ protocolVersion: 5, keepaliveSeconds: 30, connectTimeoutMs: 5000, ackTimeoutMs: 20_000 },
      ...{ clock: systemClock, tls: {} },
    });
    const link = await open(new AbortController().signal);
    this.#links.push(link);
    return link;
  }

  async startSink(from: string, args: readonly string[] = []): Promise<SinkProcess> {
    const sink = await SinkProcess.start({ from, postgres: this.postgres.url, args });
    this.#sinks.push(sink);
    return sink;
  }

  /** Ends links and sinks. */
  async clear(): Promise<void> {
    for (const link of this.#links.splice(0)) await link.close();
    for (const sink of this.#sinks.splice(0)) await sink.kill9();
  }

  /** What is in the table of a gateway, the payload in hexadecimal. */
  async rowsOf(gateway: string): Promise<Row[]> {
    const rows = await this.postgres.query(
      `SELECT gateway, log, stream, part, "offset"::text, device, id, topic, historical,
              (extract(epoch FROM received_at) * 1000)::bigint::text AS received,
              (extract(epoch FROM device_time) * 1000)::bigint::text AS measured,
              reason, encode(payload, 'hex') AS payload, is_text
       FROM headgate_records WHERE gateway = $1`,
      [gateway],
    );
    return rows.sort(byPlace);
  }

  storedOf(gateway: string): Promise<number> {
    const sql = `SELECT count(*) FROM headgate_records WHERE gateway = '${gateway}'`;
    return this.postgres.count(sql);
  }

  async untilStored(gateway: string, count: number, withinMs = 30_000): Promise<void> {
    let last = 0;
    const isThere = async () => {
      // The database may be away.
      last = await this.storedOf(gateway).catch(() => -1);
      return last === count;
    };
    await until(`${count} records of ${gateway}`, isThere, withinMs).catch((error: Error) => {
      throw new Error(`${error.message}, there are ${last}`);
    });
  }

  async holdTables(): Promise<Hold> {
    const client = new pg.Client({ connectionString: this.postgres.url });
    // It ends with the database.
    client.on('error', () => {});
    await client.connect();
    await client.query('BEGIN; LOCK TABLE headgate_records IN EXCLUSIVE MODE');
    const sql = 'SELECT count(*) FROM pg_locks WHERE NOT granted';
    const isWaited = async () => (await this.postgres.count(sql)) > 0;
    return {
      waitedFor: () => until('the sink waits for the commit', isWaited),
      release: () => client.end(),
    };
  }

  /**
   * In every shape, each as a gateway of its own, all of it twice, and once as historical. All to
   * `topic`, if it is given.
   */
  async sendEveryShape(link: CloudLink, name: string, topic?: string): Promise<void> {
    const send = async (as: SentAs) => {
      const messages = cloudMessages(EVERY_CASE, as);
      await sendAll(
        link,
        messages.map((message) => ({ ...message, topic: topic ?? message.topic })),
      );
    };
    for (const shape of SHAPES) {
      const gateway = `${name} ${shape}`;
      await send({ gateway, shape });
      await this.untilStored(gateway, EVERY_CASE.length, 60_000);
      await send({ gateway, shape });
      await send({ gateway, shape, historical: true });
    }
  }
}
