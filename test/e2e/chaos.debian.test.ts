import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import type { RecordJson } from '../../src/base/record-json.ts';
import { allClosed, auditOf, sumsOf } from '../support/audited.ts';
import { freePort } from '../support/free-port.ts';
import {
  cleanUp,
  GatewayProcess,
  headgate,
  Running,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { LossyProxy } from '../support/lossy-proxy.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { PacedSensors } from '../support/paced-sensors.ts';
import { Postgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { WallClockFile } from '../support/wall-clock-file.ts';

/**
 * All that goes wrong on the way to the cloud, in an order that the seed gives, while readings come
 * in: devices → gateway → a bad link → Debian's mosquitto → headgate-sink → PostgreSQL. In the end
 * the database has each record that the gateway stored, once, as it was stored.
 *
 * `SEED=… SHAPE=raw|batch ROUNDS=… npm run test:chaos`
 *
 * A broker that loses its memory takes along what it has acknowledged and not handed on: no gateway
 * can know of that. So `emptied` lets nothing more be acknowledged, waits until the sink has stored
 * all that was, and lets the gateway come back only when the sink has subscribed again.
 */
const SEED = Number(process.env['SEED'] ?? 20261126);
const SHAPE = process.env['SHAPE'] ?? 'batch';
const ROUNDS = Number(process.env['ROUNDS'] ?? 2);
const DEVICES = 20;
const ACK_TIMEOUT_MS = 1_500;
const SINK = join(import.meta.dirname, '../../dist/deploy/cloud/main.js');
const STREAMS = ['readings', 'alerts', 'audit', 'dead-letter'];

const folder = temporaryFolder();
const random = seededRandom(SEED);
const clock = new WallClockFile(folder);
let far: Mosquitto;
let postgres: Postgres;
let sink: Running;
let proxy: LossyProxy;
let gateway: GatewayProcess;
let sensors: PacedSensors;
let port = 0;
let sentinels = 0;

async function startGateway(): Promise<void> {
  const env = {
    HEADGATE_GATEWAY_ID: 'chaos',
    HEADGATE_UPLINK_URL: `mqtt://127.0.0.1:${proxy.port}`,
    HEADGATE_UPLINK_SHAPE: SHAPE,
    HEADGATE_UPLINK_LINGER_MS: '100',
    HEADGATE_UPLINK_ACK_TIMEOUT_MS: String(ACK_TIMEOUT_MS),
    HEADGATE_UPLINK_RECONNECT_MIN_MS: '50',
    HEADGATE_UPLINK_RECONNECT_MAX_MS: '500',
    HEADGATE_UPLINK_KEEPALIVE_SECONDS: '5',
    HEADGATE_AUDIT_BUCKET_MS: '5000',
    HEADGATE_AUDIT_LATE_MS: '1000',
    HEADGATE_LOG_SEGMENT_BYTES: '1048576',
    ...clock.env,
  };
  gateway = await GatewayProcess.start({ folder: join(folder, 'data'), port, env });
}

async function startFar(name: string): Promise<void> {
  const port = far?.port ?? (await freePort());
  far = new Mosquitto(join(folder, name), port, ['max_queued_bytes 0']);
  await far.start();
}

async function startSink(): Promise<void> {
  sink = new Running(process.execPath, [
    SINK,
    ...['--from', `mqtt://127.0.0.1:${far.port}`, '--postgres', postgres.url, '--create-table'],
  ]);
  await until('the sink has subscribed', () => subscriptions() > 0, 30_000);
}

function subscriptions(): number {
  return sink.stderr.split('connected, ').length - 1;
}

const isUp = ({ uplink }: { uplink: { link: string } }) => uplink.link === 'up';
const isDown = ({ uplink }: { uplink: { link: string } }) => uplink.link === 'down';

/** The link is up, and something new has been acknowledged over it. */
async function flows(): Promise<void> {
  const { forwarded } = await gateway.status();
  await gateway.until('records flow', (now) => isUp(now) && now.forwarded > forwarded + DEVICES);
}

/**
 * What the broker had taken before this is called is in the database when it resolves: a record of
 * another gateway goes the same way behind it, and does not go over the link.
 */
async function sinkHasAll(): Promise<void> {
  sentinels += 1;
  const client = await connectAsync(`mqtt://127.0.0.1:${far.port}`);
  const record = {
    gateway: 'sentinel',
    log: '00',
    stream: 'readings',
    partition: 0,
    offset: sentinels,
    device: 'sentinel',
    topic: 'sentinel',
    receivedAt: systemClock.wallMs(),
    payload: 'it has come this far',
  };
  await client.publishAsync('headgate/sentinel/readings', JSON.stringify(record), { qos: 1 });
  await client.endAsync();
  const sql = `SELECT count(*) FROM headgate_records WHERE gateway = 'sentinel'`;
  await until('the sentinel is stored', async () => (await postgres.count(sql)) === sentinels);
}

const TROUBLES: Readonly<Record<string, () => Promise<void>>> = {
  /** In the middle of a publish: a few bytes more and the link is gone. */
  cut: async () => {
    for (let i = 0; i < 3; i++) {
      await flows();
      const open = proxy.connections.at(-1);
      proxy.cut(1 + Math.floor(random() * 4_000));
      await until('it is cut', () => open?.isOpen === false);
    }
  },

  /** Half open: no FIN, no answer, for longer than the gateway waits; then all comes through. */
  silent: async () => {
    proxy.freeze('silent');
    await gateway.until('it is given up', isDown);
    await wait(random() * 1_000);
    proxy.thaw();
  },

  away: async () => {
    proxy.freeze('refused');
    await gateway.until('it is given up', isDown);
    await wait(random() * 3_000);
    proxy.thaw();
  },

  /** The cloud has it, and the gateway never hears so. */
  unanswered: async () => {
    proxy.dropAnswers();
    await gateway.until('it is given up', isDown);
  },

  emptied: async () => {
    proxy.freeze('silent');
    await sinkHasAll();
    const before = subscriptions();
    await far.crash();
    await startFar(`far-${sentinels}`);
    await until('the sink is back', () => subscriptions() > before, 30_000);
    proxy.cut();
    proxy.thaw();
  },

  /** 2 % of the segments are lost, and the other side is far away. */
  weather: async () => {
    proxy.change({ delayMs: 150, lossShare: 0.02 });
    await wait(4_000 + random() * 2_000);
    proxy.change({ delayMs: 0, lossShare: 0 });
  },

  killed: async () => {
    await gateway.kill9();
    await startGateway();
  },

  sinkKilled: async () => {
    sink.kill('SIGKILL');
    await sink.ended;
    await startSink();
  },

  /** The clock is set while it runs: hours ahead, then a day back, then right again. */
  clock: async () => {
    for (const seconds of [3 * 3_600, -86_400, 0]) {
      clock.set(seconds);
      await flows();
    }
  },
};

/** Each of them as often as there are rounds, in an order that the seed gives. */
function script(): string[] {
  const names = Array.from({ length: ROUNDS }, () => Object.keys(TROUBLES)).flat();
  const order = names.map((name) => ({ name, at: random() }));
  return order.sort((a, b) => a.at - b.at).map(({ name }) => name);
}

beforeAll(async () => {
  console.info(`seed ${SEED}, shape ${SHAPE}`);
  await startFar('far');
  postgres = await Postgres.create(join(folder, 'postgres'), await freePort());
  await startSink();
  proxy = await LossyProxy.start({ toPort: far.port, seed: SEED });
  port = await freePort();
  await startGateway();
  sensors = new PacedSensors({ port, devices: DEVICES, everyMs: 40, repeatShare: 0.1, random });
});

afterAll(async () => {
  await sensors?.stop();
  await proxy?.close();
  await postgres?.stop('immediate');
  await far?.stop();
  await cleanUp();
});

/** The identity, and all that a record says, as one text. */
type Stored = Map<string, string>;

const FIELDS = ['device', 'id', 'topic', 'receivedAt', 'deviceTime', 'reason'] as const;

async function inLog(): Promise<Stored> {
  const stored: Stored = new Map();
  for (const stream of STREAMS) {
    const { code, lines, stderr } = await headgate([
      'log',
      'read',
      stream,
      '--data',
      gateway.data.root,
    ]);
    if (code !== 0) throw new Error(stderr);
    for (const line of lines) {
      const record = JSON.parse(line) as RecordJson;
      const payload = Buffer.from(record.payload, record.encoding ?? 'utf8').toString('hex');
      const fields = FIELDS.map((name) => record[name] ?? null);
      const key = `${stream}/${record.partition}/${record.offset}`;
      stored.set(key, JSON.stringify([...fields, payload]));
    }
  }
  return stored;
}

async function inDatabase(): Promise<Stored> {
  const rows = await postgres.query(`
    SELECT stream || '/' || part || '/' || "offset" AS key, device, id, topic,
           (extract(epoch FROM received_at) * 1000)::bigint::text AS received,
           (extract(epoch FROM device_time) * 1000)::bigint::text AS measured,
           reason, encode(payload, 'hex') AS payload
    FROM headgate_records WHERE gateway = 'chaos'`);
  const stored: Stored = new Map();
  for (const { key, device, id, topic, received, measured, reason, payload } of rows) {
    const times = [Number(received), measured === null ? null : Number(measured)];
    const fields = [device, id, topic, ...times, reason, payload];
    // The key of the table holds `log` too: a second one would be a record that came twice.
    if (stored.has(String(key))) throw new Error(`${key} is there under two logs`);
    stored.set(String(key), JSON.stringify(fields));
  }
  return stored;
}

function differences(log: Stored, database: Stored): string[] {
  const all = new Set([...log.keys(), ...database.keys()]);
  const unlike = [...all].filter((key) => log.get(key) !== database.get(key));
  return unlike.map((key) => `${key}: log ${log.get(key)}, database ${database.get(key)}`);
}

describe('a bad link, a far broker that forgets, kills and a clock that jumps', () => {
  it('goes through all of it', async () => {
    for (const name of script()) {
      await flows();
      await wait(random() * 500);
      const startMs = systemClock.monoMs();
      await TROUBLES[name]?.();
      await flows();
      console.info(`${name}: ${Math.round(systemClock.monoMs() - startMs)} ms`);
    }
    await sensors.stop();
    expect(sensors.acked.size).toBeGreaterThan(DEVICES * 100);
    expect(sensors.resent).toBeGreaterThan(0);
  }, 300_000);

  it('balances to the last record', async () => {
    await gateway.until('the cloud has all', ({ backlog }) => backlog === 0);
    const sums = sumsOf(await allClosed(gateway.data.root));
    expect(sums.stored).toBe(sensors.acked.size);
    expect(sums).toMatchObject({ cloudAcked: sums.stored, backlog: 0, expired: 0, lost: 0 });
    const { code, report } = await auditOf(gateway.data.root);
    expect({ code, faults: report.unbalanced }).toEqual({ code: 0, faults: [] });
    // What was lost on the way back came again: otherwise nothing of this was tried.
    expect(sums.forwarded).toBeGreaterThan(sums.cloudAcked);
    const jumped = `SELECT count(*) FROM headgate_records
      WHERE received_at > now() + interval '2 hours' OR received_at < now() - interval '20 hours'`;
    expect(await postgres.count(jumped)).toBeGreaterThan(0);
  });

  it('has each stored record in the database once, as it was stored', async () => {
    let left: string[] = [];
    const isSame = async () => {
      left = differences(await inLog(), await inDatabase());
      return left.length === 0;
    };
    await until('both have the same', isSame, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${left.length} differ, ${left.slice(0, 5).join('; ')}`);
    });
    expect(await postgres.count('SELECT count(*) FROM headgate_rejected')).toBe(0);
    // And these are the readings that the devices were promised.
    const rows = await postgres.query(`
      SELECT id, convert_from(payload, 'UTF8') AS payload FROM headgate_records
      WHERE gateway = 'chaos' AND stream = 'readings'`);
    expect(rows).toHaveLength(sensors.acked.size);
    expect(new Map(rows.map(({ id, payload }) => [id, payload]))).toEqual(sensors.acked);
  });
});
