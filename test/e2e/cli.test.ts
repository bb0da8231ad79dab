import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordJson } from '../../src/base/record-json.ts';
import {
  type Answer,
  answerOf,
  cleanUp,
  GatewayProcess,
  headgate,
  MAIN,
  startHeadgate,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';
import { usageOf } from '../support/usage-of.ts';

// The command line as it is written down: others script against it.

const BINARY = Buffer.from([0x00, 0xff, 0x10]);
const DEVICES = ['attic', 'barn', 'cellar'];
const EACH = 40;

let gateway: GatewayProcess;
let data: readonly string[];
/** As every record names it that is sent to a cloud. */
let logId: string;

/** What `log read` must print of a payload that was sent to `readings`, in one device's order. */
function payloadsOf(device: string): string[] {
  return Array.from({ length: EACH }, (_, i) => JSON.stringify({ id: `${device}-${i}`, v: i }));
}

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  data = ['--data', gateway.data.root];
  logId = (await gateway.status()).log.telemetry.id;
  expect(logId).toMatch(/^[0-9a-f]{8}$/);
  const client = await TestClient.connect(gateway.port);
  for (const device of DEVICES) {
    const topic = `sensors/${device}/t`;
    const all = await Promise.all(payloadsOf(device).map((text) => client.publish(topic, text)));
    expect(all).not.toContain(false);
  }
  await client.publish('sensors/attic/t', payloadsOf('attic')[0] ?? '');
  await client.publish('sensors/dark/t', BINARY);
  await client.end();
});

afterAll(cleanUp);

function recordsIn({ lines }: Answer): RecordJson[] {
  return lines.map((line) => JSON.parse(line) as RecordJson);
}

describe('status', () => {
  const numbers = [
    ...['received', 'duplicates', 'stored', 'deadLettered', 'rejected', 'forwarded', 'backlog'],
    ...['lostAfterAck', 'alerts', 'bytesWritten', 'rssBytes'],
  ];
  const flash = [
    ...['writtenTodayBytes', 'payloadTodayBytes', 'amplification', 'amplificationSinceStart'],
    ...['projectedBytesPerDay', 'budgetBytesPerDay', 'lingerMs'],
  ];

  it('--json is one object with every name that is promised', async () => {
    const { code, lines } = await headgate(['status', ...data, '--json']);
    expect(code).toBe(0);
    expect(lines).toHaveLength(1);
    const status = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    for (const name of numbers) expect(status[name], name).toBeTypeOf('number');
    const wear = status['flash'] as Record<string, unknown>;
    for (const name of flash) expect(wear[name], name).toBeTypeOf('number');
    expect(wear).toMatchObject({ overBudget: false, budgetBytesPerDay: 0 });
    expect(wear['writtenTodayBytes']).toBeGreaterThan(status['bytesWritten'] as number);
    const sent = DEVICES.length * EACH;
    expect(status).toMatchObject({ received: sent + 2, stored: sent, duplicates: 1 });
    expect(status).toMatchObject({ deadLettered: 1, rejected: 0, health: 'ok', backlog: 0 });
  });

  it('says the same in words', async () => {
    const { code, stdout } = await headgate(['status', ...data]);
    expect(code).toBe(0);
    for (const name of numbers) expect(stdout).toContain(name);
    expect(stdout).toMatch(/^received +122$/m);
    expect(stdout).toMatch(/^flash +\d+\.\d MB in the last 24 h of running, .* of payload$/m);
    expect(stdout).toMatch(/^ {2}life +not known yet: it is told after ten minutes of running$/m);
  });

  it('ends with 2 and NOT_RUNNING when no daemon answers', async () => {
    const folder = temporaryFolder();
    const { code, stdout, stderr } = await headgate(['status', '--data', folder]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^headgate: NOT_RUNNING: .*\n {2}Start it with `headgate run`/);
    expect(stderr).toContain(folder);
  });

  it('--json gives an error as JSON, beside what standard error says', async () => {
    const folder = temporaryFolder();
    const { code, lines, stderr } = await headgate(['status', '--data', folder, '--json']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^headgate: NOT_RUNNING: /);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      error: {
        code: 'NOT_RUNNING',
        cause: expect.stringContaining(folder),
        mend: expect.stringContaining('headgate run'),
      },
    });
  });
});

const PROMISED = [
  'stream',
  'partition',
  'offset',
  'device',
  'id',
  'topic',
  'receivedAt',
  'payload',
];

describe.each(['live', 'stopped'])('log, on a %s gateway', (state) => {
  const read = (...args: string[]) => headgate(['log', 'read', ...args, ...data]);

  beforeAll(async () => {
    if (state === 'stopped') expect(await gateway.stop()).toBe(0);
  });

  it('read readings --from earliest --format ndjson', async () => {
    const answer = await read('readings', '--from', 'earliest', '--format', 'ndjson');
    expect(answer.code, answer.stderr).toBe(0);
    const records = recordsIn(answer);
    expect(records).toHaveLength(DEVICES.length * EACH);
    for (const record of records) {
      expect(Object.keys(record)).toEqual(PROMISED);
      expect(record.stream).toBe('readings');
      expect(record.topic).toBe(`sensors/${record.device}/t`);
      expect(record.id).toBe((JSON.parse(record.payload) as { id: string }).id);
      expect(Math.abs(record.receivedAt - Date.now())).toBeLessThan(60_000);
      expect(Number.isInteger(record.receivedAt)).toBe(true);
    }
    for (const device of DEVICES) {
      const own = records.filter((record) => record.device === device);
      expect(own.map(({ payload }) => payload)).toEqual(payloadsOf(device));
      expect(new Set(own.map(({ partition }) => partition)).size).toBe(1);
    }
    for (const partition of new Set(records.map((record) => record.partition))) {
      const offsets = records.filter((r) => r.partition === partition).map((r) => r.offset);
      expect(offsets).toEqual(offsets.map((_, i) => i));
    }
  });

  it('read gives bytes that are no text as base64, and says so', async () => {
    const [record, ...others] = recordsIn(await read('dead-letter'));
    expect(others).toEqual([]);
    const payload = BINARY.toString('base64');
    expect(record).toMatchObject({ device: 'dark', payload, encoding: 'base64' });
    expect(record).toMatchObject({ stream: 'dead-letter', reason: 'PAYLOAD_NOT_A_READING' });
    expect(record).not.toHaveProperty('id');
  });

  it('read --device, --partition, --from and --limit choose', async () => {
    const barn = recordsIn(await read('readings', '--device', 'barn'));
    expect(barn.map(({ payload }) => payload)).toEqual(payloadsOf('barn'));
    const partition = barn[0]?.partition ?? -1;
    const last = barn.at(-1)?.offset ?? -1;
    const rest = recordsIn(
      await read('readings', '--partition', String(partition), '--from', String(last)),
    );
    expect(rest[0]).toMatchObject({ partition, offset: last });
    expect(rest.every((record) => record.partition === partition)).toBe(true);
    expect(recordsIn(await read('readings', '--limit', '7'))).toHaveLength(7);
    const raw = await read('readings', '--device', 'barn', '--limit', '2', '--format', 'raw');
    expect(raw.lines).toEqual(payloadsOf('barn').slice(0, 2));
  });

  it('ls --json and ls', async () => {
    const { code, lines } = await headgate(['log', 'ls', ...data, '--json']);
    expect(code).toBe(0);
    const rows = JSON.parse(lines[0] ?? '') as Array<Record<string, unknown>>;
    const row = (stream: string) => rows.find((one) => one['stream'] === stream);
    expect(row('readings')?.['log']).toBe(logId);
    expect(row('readings')).toMatchObject({ store: 'telemetry', partitions: 4, records: 120 });
    expect(row('dead-letter')).toMatchObject({ store: 'events', partitions: 1, records: 1 });
    expect(row('alerts')).toMatchObject({ records: 0 });
    const words = await headgate(['log', 'ls', ...data]);
    expect(words.stdout).toMatch(/^readings +telemetry +4 +120 +[0-9a-f]{8} /m);
    expect(words.stdout).toContain(logId);
  });

  it('tail prints the last records', async () => {
    const args = ['log', 'tail', 'readings', '-n', '3', '--format', 'ndjson', ...data];
    const records = recordsIn(await headgate(args));
    expect(records.map(({ payload }) => payload)).toEqual(payloadsOf('cellar').slice(-3));
    const text = await headgate(['log', 'tail', 'readings', '--lines', '1', ...data]);
    expect(text.lines).toHaveLength(1);
    expect(text.stdout).toContain('sensors/cellar/t {"id":"cellar-39","v":39}');
  });

  it('tail finds the last records of a device, however long ago they came', async () => {
    const args = ['log', 'tail', 'readings', '--device', 'attic', '--format', 'raw', ...data];
    for (const lines of [1, 7, EACH, EACH + 1]) {
      const { lines: found } = await headgate([...args, '--lines', String(lines)]);
      expect(found, String(lines)).toEqual(payloadsOf('attic').slice(-lines));
    }
  });

  it('tail spells out what would break a line or steer a terminal', async () => {
    const { stdout } = await headgate(['log', 'tail', 'dead-letter', ...data]);
    expect(stdout).toMatch(/ sensors\/dark\/t \[PAYLOAD_NOT_A_READING\] \\x00\ufffd\\x10\n$/);
  });

  it('verify --json prints what is promised, and ends with 0 on a whole log', async () => {
    const { code, lines } = await headgate(['log', 'verify', '--json', ...data]);
    expect(code).toBe(0);
    const found = JSON.parse(lines[0] ?? '') as Record<string, number>;
    expect(found).toMatchObject({ records: 121, corruptBlocks: 0, lostOffsets: 0, tornBytes: 0 });
    expect(found['blocks']).toBeGreaterThan(1);
    expect((await headgate(['log', 'verify', ...data])).stdout).toContain('The log is whole.');
  });

  it.each(['read', 'tail'])('%s refuses a partition that is not there', async (name) => {
    const said = await usageOf(['log', name, 'readings', '--partition', '4', ...data]);
    expect(said).toContain('--partition: readings has the partitions 0 to 3');
    expect((await headgate(['log', name, 'readings', '--partition', '3', ...data])).code).toBe(0);
    const one = await usageOf(['log', name, 'dead-letter', '--partition', '1', ...data]);
    expect(one).toContain('dead-letter has the partition 0 alone');
  });

  it('names a stream that is not there', async () => {
    const { code, stderr } = await read('radings');
    expect(code).toBe(2);
    expect(stderr).toContain('STREAM_UNKNOWN');
    expect(stderr).toContain('radings');
  });
});

describe('log, where there is none', () => {
  it.each([['ls'], ['read', 'readings'], ['tail', 'readings'], ['verify']])(
    '%s ends with 2',
    async (...words) => {
      const { code, stderr } = await headgate(['log', ...words, '--data', temporaryFolder()]);
      expect(code).toBe(2);
      expect(stderr).toContain('NO_LOG');
    },
  );
});

describe('a pipe that its reader closes', () => {
  it('ends log read without a word, with 0', async () => {
    const busy = await GatewayProcess.start();
    const client = await TestClient.connect(busy.port);
    // Far more than a pipe holds, so that the reader is gone before the end.
    const payload = JSON.stringify({ fill: 'x'.repeat(8_000) });
    await Promise.all(Array.from({ length: 100 }, () => client.publish('sensors/long/t', payload)));
    await client.end();
    const command = `"${process.execPath}" "${MAIN}" log read readings --data "${busy.data.root}"`;
    const script = `${command} | head -n 2; echo "exit \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    const lines = stdout.trimEnd().split('\n');
    expect(stderr).toBe('');
    expect(lines).toHaveLength(3);
    expect(lines[2]).toBe('exit 0');
    expect(await busy.stop()).toBe(0);
  });

  it('does not change the exit code of a command that has more to say', async () => {
    const env = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, i) => [`HEADGATE_NO_SUCH_${i}`, '1']),
    );
    const command = `"${process.execPath}" "${MAIN}" check`;
    const script = `${command} 2>&1 | head -n 1; echo "exit \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...env },
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^there is no variable HEADGATE_NO_SUCH_0 .*\nexit 1\n$/);
  });
});

describe('log tail --follow', () => {
  it('goes on with new records, and ends when it is interrupted', async () => {
    const own = await GatewayProcess.start();
    const client = await TestClient.connect(own.port);
    await client.publish('sensors/a/t', '1');
    const args = ['log', 'tail', 'readings', '--follow', '--format', 'raw'];
    const tail = startHeadgate([...args, '--data', own.data.root]);
    await until('the first', () => tail.stdout === '1\n');
    await client.publish('sensors/b/t', '2');
    await until('the second', () => tail.stdout === '1\n2\n');
    tail.kill('SIGINT');
    await tail.ended;
    expect(tail.stderr).toBe('');
    await client.end();
    expect(await own.stop()).toBe(0);
  });
});

describe('sim', () => {
  it('publishes what it was asked for, retransmits too, and says so', async () => {
    const own = await GatewayProcess.start();
    const plan = ['--devices', '3', '--every', '1', '--count', '20', '--repeats', '50'];
    const { code, stdout, stderr } = await headgate([
      ...['sim', '--port', String(own.port), ...plan, '--seed', '7'],
    ]);
    expect(code, stderr).toBe(0);
    const said = /^acknowledged 60, sent twice (\d+)\n$/.exec(stdout);
    const repeats = Number(said?.[1]);
    expect(repeats).toBeGreaterThan(10);
    const { stored, duplicates, received } = await own.status();
    expect({ stored, duplicates, received }).toEqual({
      stored: 60,
      duplicates: repeats,
      received: 60 + repeats,
    });
    expect(await own.stop()).toBe(0);
  });

  it('takes an IPv6 address as its host', async () => {
    const sim = startHeadgate(['sim', '--host', '::1', '--port', '1']);
    await until('it complains', () => sim.stderr.includes('; trying again'));
    sim.kill('SIGINT');
    const { stderr } = await answerOf(sim);
    expect(stderr).toContain('5 sensors publish to mqtt://[::1]:1; seed 1\n');
    // Refused by the machine, or there is no IPv6 here: either way the address was understood.
    expect(stderr).toMatch(/ECONNREFUSED|EADDRNOTAVAIL|ENETUNREACH|EAFNOSUPPORT/);
  });

  it('says so when no gateway is there, and ends with 1', async () => {
    const sim = startHeadgate(['sim', '--port', '1', '--devices', '20']);
    await until('it complains', () => sim.stderr.includes('; trying again'));
    sim.kill('SIGINT');
    const { code, stdout, stderr } = await answerOf(sim);
    expect(code).toBe(1);
    expect(stdout).toBe('acknowledged 0, sent twice 0\n');
    expect(stderr.trim().split('\n')).toEqual([
      '20 sensors publish to mqtt://127.0.0.1:1; seed 1',
      expect.stringContaining('ECONNREFUSED'),
    ]);
  });

  it('with so much to say, it waits for a gateway no longer than it is told', async () => {
    const { code, stderr } = await headgate(['sim', '--port', '1', '--count', '1', '--wait', '1']);
    expect(code).toBe(1);
    expect(stderr).toContain('no gateway answered at mqtt://127.0.0.1:1: is it running');
  });

  it('goes on until it is interrupted', async () => {
    const own = await GatewayProcess.start();
    const args = ['sim', '--port', String(own.port), '--devices', '2', '--every', '10'];
    const sim = startHeadgate(args);
    await own.until('readings come in', ({ stored }) => stored > 5);
    sim.kill('SIGTERM');
    const { code, stdout } = await answerOf(sim);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^acknowledged \d+, sent twice \d+\n$/);
    expect(await own.stop()).toBe(0);
  });
});
