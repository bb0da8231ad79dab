import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { RecordJson } from '../../src/base/record-json.ts';
import type { ConsumerRow } from '../../src/log/named-consumers.ts';
import {
  type Answer,
  answerOf,
  cleanUp,
  GatewayProcess,
  headgate,
  MAIN,
  Running,
  startHeadgate,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// Whatever reads the log: the command line by time, exports, dumps, consumers, and a stranger's own
// program as docs/consumers.md has it.

const EACH = 30;
const DEVICES = ['attic', 'barn'];

let gateway: GatewayProcess;
let data: readonly string[];
/** Between the first half of the readings and the second. */
let middle = '';

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  data = ['--data', gateway.data.root];
  const client = await TestClient.connect(gateway.port);
  const publish = (from: number, to: number) =>
    Promise.all(
      DEVICES.flatMap((device) =>
        Array.from({ length: to - from }, (_, i) =>
          client.publish(`sensors/${device}/t`, JSON.stringify({ id: `${device}-${from + i}` })),
        ),
      ),
    );
  await publish(0, EACH / 2);
  const half = await headgate(['log', 'read', 'readings', ...data]);
  const lastMs = Math.max(...recordsIn(half).map(({ receivedAt }) => receivedAt));
  middle = new Date(lastMs + 1).toISOString();
  await until('the clock is beyond', () => Date.now() > lastMs + 1);
  await publish(EACH / 2, EACH);
  await client.end();
});

afterAll(cleanUp);

function recordsIn({ lines }: Answer): RecordJson[] {
  return lines.map((line) => JSON.parse(line) as RecordJson);
}

async function idsRead(...args: string[]): Promise<(string | undefined)[]> {
  return recordsIn(await headgate(['log', 'read', 'readings', ...args, ...data])).map(
    ({ id }) => id,
  );
}

function rowIn({ code, stdout, stderr }: Answer): ConsumerRow | undefined {
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as ConsumerRow[])[0];
}

describe('consumer, on a live gateway', () => {
  const consumer = (...args: string[]) => headgate(['consumer', ...args, ...data]);

  it('reads, commits, seeks and lags', async () => {
    const peek = await consumer('read', 'bill', 'readings', '--limit', '5');
    expect(recordsIn(peek)).toHaveLength(5);
    expect((await consumer('lag', 'bill')).code).toBe(2);
    const first = await consumer('read', 'bill', 'readings', '--limit', '7', '--commit');
    expect(first.lines.slice(0, 5)).toEqual(peek.lines);
    expect(rowIn(await consumer('lag', 'bill', '--json'))).toMatchObject({ lag: 53 });
    const rest = await consumer('read', 'bill', 'readings', '--commit');
    const ids = [...recordsIn(first), ...recordsIn(rest)].map(({ id }) => id);
    expect(ids).toEqual(await idsRead());
    expect(rowIn(await consumer('lag', 'bill', 'readings', '--json'))).toMatchObject({ lag: 0 });
    const back = rowIn(await consumer('seek', 'bill', 'readings', middle, '--json'));
    expect(back?.lag).toBe(EACH);
    const { partition, end } = back?.partitions.find((one) => one.end > 3) ?? {
      partition: -1,
      end: -1,
    };
    const place = ['--partition', String(partition), '--offset'];
    const row = rowIn(await consumer('commit', 'bill', 'readings', ...place, '3', '--json'));
    expect(row?.partitions[partition]).toMatchObject({ position: 3, lag: end - 3 });
    const beyond = await consumer('commit', 'bill', 'readings', ...place, String(end + 1));
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toContain('OFFSET_BEYOND_END');
    expect((await consumer('ls')).stdout).toMatch(/^bill +readings +\d+ {2}/m);
    expect((await consumer('rm', 'bill', 'readings')).code).toBe(0);
    expect((await consumer('lag', 'bill')).stderr).toContain('CONSUMER_UNKNOWN');
  });

  it("leaves the gateway's own alone", async () => {
    const { code, stderr } = await consumer('seek', 'detect', 'readings', 'latest');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^headgate: CONSUMER_RESERVED: /);
  });

  it('--follow goes on with what comes', async () => {
    const args = ['consumer', 'read', 'new', 'readings', '--follow', '--commit', ...data];
    const reading = startHeadgate(args);
    await until('all there is', () => reading.stdout.split('\n').length === 2 * EACH + 1);
    const client = await TestClient.connect(gateway.port);
    await client.publish('sensors/late/t', '{"id":"late"}');
    await until('what came', () => reading.stdout.includes('"id":"late"'));
    const isCommitted = async () => rowIn(await consumer('lag', 'new', '--json'))?.lag === 0;
    await until('it is committed', isCommitted);
    reading.kill('SIGINT');
    expect((await answerOf(reading)).stderr).toBe('');
    await client.end();
  });
});

describe('consumer read --commit', () => {
  let own: GatewayProcess;
  let words: string[];
  const records = 300;

  beforeAll(async () => {
    own = await GatewayProcess.start();
    words = ['--data', own.data.root];
    const client = await TestClient.connect(own.port);
    // More than a pipe holds.
    const text = 'x'.repeat(1_000);
    const ids = Array.from({ length: records }, (_, i) => i);
    await Promise.all(ids.map((id) => client.publish('sensors/d/t', JSON.stringify({ id, text }))));
    await client.end();
  });

  /** What a consumer of that name has handled. */
  async function handled(name: string): Promise<number> {
    const { code, stdout } = await headgate(['consumer', 'lag', name, '--json', ...words]);
    if (code === 2) return 0;
    return records - ((JSON.parse(stdout) as ConsumerRow[])[0]?.lag ?? 0);
  }

  function startTo(stdout: 'pipe' | number, name: string) {
    const args = ['consumer', 'read', name, 'readings', '--commit', ...words];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', stdout, 'ignore'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    return { child, ended };
  }

  it('commits what was taken', async () => {
    const file = join(temporaryFolder(), 'out');
    const out = openSync(file, 'w');
    await startTo(out, 'file').ended;
    closeSync(out);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(records + 1);
    expect(await handled('file')).toBe(records);
  });

  it('does not commit what a full disk refuses', async () => {
    const full = openSync('/dev/full', 'w');
    expect(await startTo(full, 'full').ended).toBe(1);
    closeSync(full);
    expect(await handled('full')).toBe(0);
  });

  it.each(['nothing', 'its first lines'])('does not commit to who takes %s', async (what) => {
    const { child, ended } = startTo('pipe', 'gone');
    if (what === 'nothing') child.stdout?.destroy();
    else child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await ended).toBe(0);
    expect(await handled('gone')).toBe(0);
  });
});

/** The program on the page, as its reader would take it from there. */
function programOnThePage(): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/consumers.md'), 'utf8');
  const program = page.split('```js\n')[1]?.split('```')[0] ?? '';
  expect(program).toContain('positions');
  const file = join(temporaryFolder(), 'consume.mjs');
  writeFileSync(file, program);
  return file;
}

it('a program of a stranger, killed again and again, sees each record, in order', async () => {
  const own = await GatewayProcess.start();
  const program = programOnThePage();
  const file = join(temporaryFolder(), 'work.txt');
  writeFileSync(file, '');
  const work = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  const start = () => new Running(process.execPath, [program, own.data.socket, 'stranger', file]);
  const client = await TestClient.connect(own.port);
  const lives: number[] = [];
  let sent = 0;
  let stranger = start();
  for (let life = 0; life < 5; life++) {
    const begin = work().length;
    for (let i = 0; i < 150; i++, sent++) {
      void client.publish(`sensors/d${sent % 5}/t`, JSON.stringify({ id: `m-${sent}` }));
    }
    // In the middle of whatever it does.
    await until('it works', () => work().length > begin + 30 * life);
    stranger.kill('SIGKILL');
    await stranger.ended;
    lives.push(work().length);
    stranger = start();
  }
  const distinct = () => new Set(work()).size;
  await until('everything is seen', () => distinct() === sent, 30_000);
  stranger.kill('SIGKILL');
  const lines = work();
  // A page that was done and not committed comes again: no more than that, each time.
  expect(lines.length - sent).toBeLessThanOrEqual(lives.length * 100);
  for (const [i, begin] of [0, ...lives].entries()) {
    const life = lines
      .slice(begin, lives[i] ?? lines.length)
      .map((line) => line.split(' ')[0] ?? '');
    for (const partition of ['0', '1', '2', '3']) {
      const offsets = life
        .filter((place) => place.startsWith(`${partition}:`))
        .map((place) => Number(place.split(':')[1]));
      expect(offsets).toEqual(offsets.map((_, n) => (offsets[0] ?? 0) + n));
    }
  }
  await client.end();
  expect(await own.stop()).toBe(0);
});

describe.each(['live', 'stopped'])('on a %s gateway', (state) => {
  beforeAll(async () => {
    if (state === 'stopped') expect(await gateway.stop()).toBe(0);
  });

  it('log read --since and --until: what is in one range is in no other', async () => {
    const all = await idsRead();
    const before = await idsRead('--until', middle);
    const after = await idsRead('--since', middle);
    expect(before).toHaveLength(EACH);
    expect(after.length).toBeGreaterThanOrEqual(EACH);
    expect([...before, ...after]).toEqual(all);
    expect(await idsRead('--since', '1h', '--device', 'late')).toEqual(['late']);
    expect(await idsRead('--until', '1h')).toEqual([]);
  });

  it('log export: ndjson as read prints it, csv, and a file that is whole', async () => {
    const read = await headgate(['log', 'read', 'readings', ...data]);
    expect((await headgate(['log', 'export', 'readings', ...data])).stdout).toBe(read.stdout);
    const out = join(temporaryFolder(), 'readings.csv');
    const args = ['log', 'export', 'readings', '--format', 'csv', '--until', middle];
    const { code, stdout } = await headgate([...args, '--out', out, ...data]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(existsSync(`${out}.part`)).toBe(false);
    const rows = readFileSync(out, 'utf8').split('\r\n');
    expect(rows).toHaveLength(1 + EACH + 1);
    expect(rows[0]).toBe(
      'stream,partition,offset,device,id,topic,receivedAt,time,deviceTime,reason,payload,encoding',
    );
    expect(rows.filter((row) => row.includes(',attic,attic-3,'))[0]).toMatch(
      /^readings,\d,\d+,attic,attic-3,sensors\/attic\/t,(\d+),\1,,,"\{""id"":""attic-3""\}",$/,
    );
    expect((await headgate([...args, ...data])).stdout).toBe(rows.join('\r\n'));
    const wrong = await headgate(['log', 'export', 'nothing', '--out', `${out}2`, ...data]);
    expect(wrong.stderr).toContain('STREAM_UNKNOWN');
    expect(existsSync(`${out}2`) || existsSync(`${out}2.part`)).toBe(false);
    const folder = temporaryFolder();
    const socket = join(folder, 'socket');
    const server = createServer().listen(socket);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    for (const [named, says] of [
      [join(folder, 'none/x.csv'), `there is no folder ${folder}/none`],
      [folder, `${folder} is no file`],
      [socket, `${socket} is no file`],
    ] as const) {
      const refused = await headgate([...args, '--out', named, ...data]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`OUT_UNWRITABLE: --out: ${says}`);
    }
    expect(readdirSync(folder)).toEqual(['socket']);
  });

  it('log dump: a line for each file and block, and the records if asked', async () => {
    const { code, lines } = await headgate(['log', 'dump', '--store', 'telemetry', ...data]);
    expect(code).toBe(0);
    expect(lines[0]).toMatch(
      /^telemetry 0000000000000001\.segment: active, \d+ bytes, boot [0-9a-f]{16} /,
    );
    expect(lines[1]).toMatch(
      /^ {2}1:1 block 0 data \w+, \d+ records, \d+ of \d+ bytes \(.*readings\/\d@0\+/,
    );
    expect(lines.at(-1)).toMatch(/^ {2}1:\d+ end$/);
    const records = await headgate(['log', 'dump', '--records', ...data]);
    expect(records.lines.filter((line) => line.startsWith('    '))).toHaveLength(2 * EACH + 1);
    expect(records.stdout).toContain('events 0000000000000001.segment: active');
  });
});

it('consumers need a daemon, and say so', async () => {
  for (const words of [['ls'], ['lag', 'bill'], ['read', 'bill', 'readings']]) {
    const { code, stderr } = await headgate(['consumer', ...words, ...data]);
    expect(code).toBe(2);
    expect(stderr).toContain('NOT_RUNNING');
  }
});

describe('a wrong command line ends with 2 and says what is right', () => {
  it.each([
    { args: ['log', 'read', 'readings', '--since', 'now'], says: '--since: now is neither a time' },
    {
      args: ['log', 'read', 'readings', '--since', '2026-02-30'],
      says: '--since: 2026-02-30 is neither',
    },
    { args: ['log', 'read', 'readings', '--since', '1h', '--from', '3'], says: 'either' },
    { args: ['log', 'export', 'readings', '--format', 'text'], says: 'ndjson or csv' },
    { args: ['log', 'dump', '--store', 'other'], says: 'telemetry, events' },
    { args: ['log', 'dump', '--segment', 'x'], says: '--segment' },
    { args: ['log', 'dump', '--segment', '99'], says: 'there is no segment 99' },
    { args: ['consumer'], says: 'no command consumer; there are: consumer ls, consumer read' },
    { args: ['consumer', 'read', 'bill'], says: 'usage: headgate consumer read NAME STREAM' },
    { args: ['consumer', 'commit', 'bill', 'readings'], says: '--partition is missing' },
    { args: ['consumer', 'seek', 'bill', 'readings'], says: 'earliest|latest|OFFSET|TIME' },
  ])('headgate $args', async ({ args, says }) => {
    const { code, stdout, stderr } = await headgate([...args, ...data]);
    expect(code, stderr).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^headgate: USAGE: /);
    expect(stderr).toContain(says);
  });
});
