import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { hashesOf } from '../support/folder-tree.ts';
import {
  cleanUp,
  GatewayProcess,
  headgate,
  MAIN,
  Running,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { Cloud, TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

async function publishSome(gateway: GatewayProcess, from: number, count: number): Promise<void> {
  const client = await TestClient.connect(gateway.port);
  const payload = (i: number) => JSON.stringify({ id: `r-${i}`, value: i });
  for (let i = from; i < from + count; i++) {
    expect(await client.publish(`sensors/d${i % 3}/t`, payload(i))).toBe(true);
  }
  await client.end();
}

interface Read {
  readonly id: string;
  readonly partition: number;
  readonly offset: number;
}

async function recordsOf(folder: string): Promise<Read[]> {
  const args = ['log', 'read', 'readings', '--from', 'earliest', '--format', 'ndjson'];
  const { lines } = await headgate([...args, '--data', folder]);
  return lines.map((line) => JSON.parse(line) as Read);
}

const idsOf = async (folder: string) => (await recordsOf(folder)).map(({ id }) => id).sort();
const idsTo = (count: number) => Array.from({ length: count }, (_, i) => `r-${i}`).sort();

/** A gateway with ten readings, stopped, and its backup. */
async function madeBackup(): Promise<{ folder: string; file: string }> {
  const gateway = await GatewayProcess.start();
  await publishSome(gateway, 0, 10);
  expect(await gateway.stop()).toBe(0);
  const file = join(temporaryFolder(), 'a.backup');
  const made = await headgate(['backup', file, '--data', gateway.data.root]);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  return { folder: gateway.data.root, file };
}

test('of a stopped gateway: all is there again, and new offsets begin elsewhere', async () => {
  const { folder, file } = await madeBackup();
  const there = join(temporaryFolder(), 'new');
  const restored = await headgate(['restore', file, '--data', there]);
  expect(restored).toMatchObject({ code: 0, stderr: '' });
  expect(await idsOf(there)).toEqual(idsTo(10));
  const before = await recordsOf(folder);
  expect(await recordsOf(there)).toEqual(before);

  const again = await GatewayProcess.start({ folder: there });
  expect(await again.status()).toMatchObject({ log: { telemetry: { lost: [] } } });
  // What was stored before is known: it is not stored again.
  await publishSome(again, 8, 4);
  const { backlog, duplicates } = await again.status();
  expect({ backlog, duplicates }).toEqual({ backlog: 0, duplicates: 2 });
  const next = (await recordsOf(there)).filter(({ id }) => ['r-10', 'r-11'].includes(id));
  for (const { offset } of next) expect(offset).toBeGreaterThan(2 ** 40);
  expect(await again.stop()).toBe(0);
  expect(again.output()).not.toMatch(/lost|damaged/);
  const verified = await headgate(['log', 'verify', '--data', there]);
  expect(verified.code).toBe(0);
  // The same backup, restored once more, goes on elsewhere again.
  const third = join(temporaryFolder(), 'third');
  expect((await headgate(['restore', file, '--data', third])).code).toBe(0);
  const other = await GatewayProcess.start({ folder: third });
  await publishSome(other, 20, 3);
  await other.stop();
  const taken = new Set((await recordsOf(there)).map((r) => `${r.partition}/${r.offset}`));
  const fresh = (await recordsOf(third)).filter(({ id }) => /^r-2\d$/.test(id));
  expect(fresh).toHaveLength(3);
  for (const one of fresh) expect(taken.has(`${one.partition}/${one.offset}`)).toBe(false);
}, 120_000);

test('of a gateway under load: all that was acknowledged before is in it', async () => {
  // Segments of the smallest size are packed and dropped while the backup is made.
  const config = 'log: { segmentBytes: 1048576, retention: { maxBytes: 1099511627776 } }';
  const gateway = await GatewayProcess.start({ config });
  const clients = await Promise.all([0, 1, 2, 3].map(() => TestClient.connect(gateway.port)));
  const acked: string[] = [];
  let isOver = false;
  const filler = 'x'.repeat(600);
  const load = clients.map(async (client, c) => {
    for (let i = 0; !isOver; i++) {
      const id = `c${c}-${i}`;
      const payload = JSON.stringify({ id, value: i, filler });
      if (await client.publish(`sensors/d${c}/t`, payload)) acked.push(id);
    }
  });
  const file = join(temporaryFolder(), 'live.backup');
  await until('some are there', () => acked.length > 1000, 60_000);
  const before = [...acked];
  expect(await headgate(['backup', file, '--data', gateway.data.root])).toMatchObject({ code: 0 });
  isOver = true;
  await Promise.all(load);
  for (const client of clients) await client.end();
  await gateway.kill9();
  const there = temporaryFolder();
  expect(await headgate(['restore', file, '--data', there])).toMatchObject({ code: 0, stderr: '' });
  const ids = new Set(await idsOf(there));
  expect(before.filter((id) => !ids.has(id))).toEqual([]);
  expect(ids.size).toBe((await recordsOf(there)).length);
  expect((await headgate(['log', 'verify', '--data', there])).code).toBe(0);
  const again = await GatewayProcess.start({ folder: there });
  await again.stop();
  expect(again.output()).not.toMatch(/lost|damaged/);
}, 180_000);

test('the far side keeps each record of before, between and after, and drops none', async () => {
  const cloud = new Cloud();
  await cloud.open();
  const config = `gateway: { id: g }\nuplink: { url: "${cloud.url}", checkpointMs: 50 }`;
  const gateway = await GatewayProcess.start({ config });
  await publishSome(gateway, 0, 10);
  await gateway.until('all is sent', ({ backlog }) => backlog === 0);
  const file = join(temporaryFolder(), 'a.backup');
  expect((await headgate(['backup', file, '--data', gateway.data.root])).code).toBe(0);
  // These the cloud has, and the backup has not.
  await publishSome(gateway, 10, 10);
  await gateway.until('all is sent', ({ backlog }) => backlog === 0);
  await gateway.kill9();
  const there = temporaryFolder();
  expect((await headgate(['restore', file, '--data', there])).code).toBe(0);
  const again = await GatewayProcess.start({ config, folder: there });
  await publishSome(again, 20, 10);
  await again.until('all is sent', ({ backlog }) => backlog === 0);
  // As a sink does: one of each identity, the first that came.
  const kept = new Map<string, string | undefined>();
  for (const { gateway: name, log, stream, partition, offset, id } of cloud.heard) {
    const identity = `${name}/${log}/${stream}/${partition}/${offset}`;
    if (stream === 'readings' && !kept.has(identity)) kept.set(identity, id);
  }
  expect([...kept.values()].sort()).toEqual(idsTo(30));
  expect((await headgate(['audit', '--data', there])).code).toBe(0);
  const lag = await headgate(['consumer', 'lag', 'uplink', '--json', '--data', there]);
  expect(lag.code).toBe(0);
  expect(lag.stdout).not.toMatch(/"lag":[1-9]/);
  await again.stop();
  expect(again.output()).not.toMatch(/lost|damaged/);
  await cloud.close();
}, 60_000);

test('what had waited is what waits, and no more', async () => {
  const config =
    'uplink: { url: "mqtt://127.0.0.1:9", reconnectMinMs: 3600000, reconnectMaxMs: 3600000 }';
  const gateway = await GatewayProcess.start({ config });
  await publishSome(gateway, 0, 7);
  const { backlog } = await gateway.status();
  expect(backlog).toBe(7);
  const file = join(temporaryFolder(), 'a.backup');
  expect((await headgate(['backup', file, '--data', gateway.data.root])).code).toBe(0);
  await gateway.stop();
  const there = temporaryFolder();
  expect((await headgate(['restore', file, '--data', there])).code).toBe(0);
  const again = await GatewayProcess.start({ config, folder: there });
  expect((await again.status()).backlog).toBe(7);
  await publishSome(again, 7, 3);
  expect((await again.status()).backlog).toBe(10);
  await again.stop();
}, 60_000);

test('of a stream that is new after it waits what was stored, and nothing is lost', async () => {
  const cloud = new Cloud();
  await cloud.open();
  const uplink = (url: string) => `uplink: { url: "${url}" }\n`;
  const before = await GatewayProcess.start({ config: uplink(cloud.url) });
  await publishSome(before, 0, 3);
  await before.until('all is sent', ({ backlog }) => backlog === 0);
  await before.stop();
  const file = join(temporaryFolder(), 'a.backup');
  expect((await headgate(['backup', file, '--data', before.data.root])).code).toBe(0);
  const there = temporaryFolder();
  expect((await headgate(['restore', file, '--data', there])).code).toBe(0);
  const streams =
    "streams: { readings: { topics: ['sensors/<device>/#'] }, " +
    "late: { topics: ['late/<device>/#'] } }";
  const about = (url: string) => ({ config: uplink(url) + streams });
  const publish = async (port: number, id: string) => {
    const client = await TestClient.connect(port);
    expect(await client.publish('late/a/t', `{"id":"${id}","value":1}`)).toBe(true);
    await client.end();
  };
  const offline = await GatewayProcess.start({ ...about('mqtt://127.0.0.1:9'), folder: there });
  await publish(offline.port, 'one');
  expect((await offline.status()).backlog).toBe(1);
  await offline.stop();
  const online = await GatewayProcess.start({ ...about(cloud.url), folder: there });
  await publish(online.port, 'two');
  await online.until('all is sent', ({ backlog }) => backlog === 0);
  await online.stop();
  expect(cloud.heard.filter(({ stream }) => stream === 'late').map(({ id }) => id)).toEqual(
    expect.arrayContaining(['one', 'two']),
  );
  expect(offline.output() + online.output()).not.toMatch(/lost|damaged/);
  await cloud.close();
}, 60_000);

test('through pipes, as tar and gzip know it', async () => {
  const { folder } = await madeBackup();
  const made = spawnSync(process.execPath, [MAIN, 'backup', '-', '--data', folder]);
  expect(made.status).toBe(0);
  const listed = spawnSync('tar', ['-tzf', '-'], { input: made.stdout });
  expect(listed.stdout.toString().split('\n')[0]).toBe('backup.json');
  expect(listed.stdout.toString()).toContain('log/telemetry/0000000000000001.segment');
  const there = temporaryFolder();
  const args = [MAIN, 'restore', '-', '--data', there];
  expect(spawnSync(process.execPath, args, { input: made.stdout }).status).toBe(0);
  expect(await idsOf(there)).toEqual(idsTo(10));
}, 60_000);

test('a file that is cut off or has a wrong byte restores nothing', async () => {
  const { file } = await madeBackup();
  const whole = readFileSync(file);
  const plain = gunzipSync(whole);
  const bad = join(temporaryFolder(), 'bad.backup');
  const there = temporaryFolder();
  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  // Inside of what is packed: only the sums of the manifest can tell.
  const at = (part: number) => Math.floor(plain.length * part);
  const inState = plain.indexOf('cursor/');
  const cases = [
    whole.subarray(0, whole.length - 1),
    whole.subarray(0, Math.floor(whole.length / 2)),
    Buffer.alloc(0),
    Buffer.from('no backup at all'),
    flipped(whole, Math.floor(whole.length / 2)),
    gzipSync(plain.subarray(0, at(0.7))),
    gzipSync(flipped(plain, plain.indexOf('r-7'))),
    gzipSync(flipped(plain, inState > 0 ? inState : at(0.1))),
    gzipSync(Buffer.from(plain.toString('latin1').replace('"format":1', '"format":9'), 'latin1')),
  ];
  for (const [i, bytes] of cases.entries()) {
    writeFileSync(bad, bytes);
    const answer = await headgate(['restore', bad, '--data', there]);
    expect(answer, `case ${i}`).toMatchObject({ code: 1, stdout: '' });
    expect(answer.stderr).toMatch(/BACKUP_INVALID|DATA_VERSION/);
    expect(readdirSync(there)).toEqual([]);
  }
  const none = await headgate(['restore', '/nowhere', '--data', there]);
  expect(none.code).toBe(1);
  expect(readdirSync(there)).toEqual([]);
}, 120_000);

test('what is no backup ends at once, though standard input stays open', async () => {
  const there = temporaryFolder();
  const stdio = ['pipe', 'ignore', 'pipe'] as const;
  const child = spawn(process.execPath, [MAIN, 'restore', '-', '--data', there], {
    stdio: [...stdio],
  });
  try {
    let said = '';
    child.stderr?.on('data', (text: Buffer) => {
      said += text.toString();
    });
    let code: number | null | undefined;
    child.once('close', (ended) => {
      code = ended;
    });
    // It may be gone before all is written.
    child.stdin?.on('error', () => {});
    child.stdin?.write('no backup at all');
    await until('it has ended', () => code !== undefined, 20_000);
    expect(code).toBe(1);
    expect(said).toContain('BACKUP_INVALID');
    expect(readdirSync(there)).toEqual([]);
  } finally {
    child.kill('SIGKILL');
  }
}, 60_000);

test('a folder that is not empty is left alone, or set aside; one in use is neither', async () => {
  const { folder, file } = await madeBackup();
  const before = hashesOf(folder);
  const refused = await headgate(['restore', file, '--data', folder]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('RESTORE_NOT_EMPTY') });
  expect(hashesOf(folder)).toEqual(before);
  const gateway = await GatewayProcess.start({ folder });
  const busy = await headgate(['restore', file, '--data', folder, '--force']);
  expect(busy).toMatchObject({ code: 1, stderr: expect.stringContaining('DATA_IN_USE') });
  await publishSome(gateway, 10, 1);
  expect(await gateway.stop()).toBe(0);
  const forced = await headgate(['restore', file, '--data', folder, '--force']);
  expect(forced.code).toBe(0);
  expect(forced.stdout).toContain('before-restore-1');
  expect(await idsOf(folder)).toEqual(idsTo(10));
  expect(await idsOf(join(folder, 'before-restore-1'))).toEqual(idsTo(11));
  expect((await headgate(['restore', file])).code).toBe(2);
}, 60_000);

test('a restore that is killed leaves nothing that starts, and can be done again', async () => {
  const { file } = await madeBackup();
  const there = temporaryFolder();
  // The rest of what it reads does not come.
  const bytes = Math.floor(readFileSync(file).length * 0.6);
  const command = `${process.execPath} ${MAIN} restore - --data ${there}`;
  const running = new Running('/bin/sh', [
    '-c',
    `(head -c ${bytes} ${file}; sleep 60) | ${command}`,
  ]);
  const part = join(there, 'restore.part');
  await until('it has begun', () => existsSync(join(part, 'log', 'events')), 20_000);
  running.kill('SIGKILL');
  await running.ended;
  expect(existsSync(part)).toBe(true);
  expect(existsSync(join(there, 'log'))).toBe(false);
  const started = await headgate(['run', '--data', there, '--port', '0']);
  expect(started.code).toBe(1);
  expect(started.stderr + started.stdout).toContain('RESTORE_UNFINISHED');
  expect((await headgate(['restore', file, '--data', there])).code).toBe(0);
  expect(existsSync(part)).toBe(false);
  expect(await idsOf(there)).toEqual(idsTo(10));
  mkdirSync(part);
  expect((await headgate(['run', '--data', there, '--port', '0'])).code).toBe(1);
}, 60_000);
