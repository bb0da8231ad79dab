import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Books } from '../../src/audit/books.ts';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { newCounters } from '../../src/base/counters.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { Checkpoints } from '../../src/checkpoints.ts';
import { Forwarding } from '../../src/forwarding.ts';
import { checkpointKey } from '../../src/log/checkpoint.ts';
import type { Journal } from '../../src/log/journal.ts';
import { textsOfNamedFiles } from '../../src/ops/named-files.ts';
import { booking } from '../../src/uplink-books.ts';
import { configOf } from '../support/config-loading.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { append, openTestJournal, readAll, reading } from '../support/journals.ts';
import { memoryState } from '../support/memory-state.ts';
import { until } from '../support/until.ts';
import { ScriptedBroker } from './uplink/scripted-broker.ts';

// From the two stores of a gateway to a real broker.

const cloud = new ScriptedBroker();
const files = new FakeFiles();
let telemetry: Journal;
let events: Journal;
let running: Forwarding[] = [];
let saving: Checkpoints[] = [];

const one = (name: string) => ({ name, partitions: 1 });

beforeEach(async () => {
  for (const path of files.paths()) files.vanish(path);
  // `old` is of an earlier configuration.
  const streams = ['old', 'readings', 'metres'].map(one);
  telemetry = await openTestJournal(files, { streams });
  const own = ['alerts', 'dead-letter', 'audit'].map(one);
  events = await openTestJournal(files, { folder: '/data/log/events', streams: own });
  for (const book of [cloud.topics, cloud.connections, cloud.logins, cloud.sessions]) {
    book.length = 0;
  }
  cloud.clientIds.length = 0;
  await cloud.open();
});

afterEach(async () => {
  for (const forwarding of running) await forwarding.stop();
  for (const checkpoints of saving) await checkpoints.stop();
  running = [];
  saving = [];
  await cloud.close();
  await telemetry.close();
  await events.close();
});

async function store(stream: string, count = 1): Promise<void> {
  const journal = ['alerts', 'dead-letter', 'audit'].includes(stream) ? events : telemetry;
  for (let i = 0; i < count; i++) await append(journal, 0, reading('d', '{}'), stream);
}

async function start(uplink = 'checkpointMs: 10', state = memoryState(), logger = silentLogger) {
  const streams = `readings: { topics: [a/<device>] }, metres: { topics: [b/<device>] }`;
  const config = configOf(`streams: { ${streams} }
uplink: { url: '${cloud.url}', topic: '{stream}', ${uplink} }`);
  const checkpoints = new Checkpoints({ state, logger });
  saving.push(checkpoints);
  const forwarding = await Forwarding.start({
    books: new Books({ bucketMs: 60_000 }),
    checkpoints,
    config,
    texts: await textsOfNamedFiles(files, config),
    gatewayId: 'gw',
    stores: { telemetry, events },
    state,
    files,
    clock: systemClock,
    random: seededRandom(1),
    logger,
    counters: newCounters(),
  });
  running.push(forwarding);
  checkpoints.begin(config.uplink.checkpointMs);
  return { forwarding, state };
}

const offsetsOf = (state: ReturnType<typeof memoryState>, stream: string) =>
  JSON.parse(state.stored.get(checkpointKey('uplink', stream)) ?? '{}').offsets;

it('sends alerts first, dead letters last, and what only the log knows as well', async () => {
  const order = ['alerts', 'old', 'readings', 'metres', 'audit', 'dead-letter'];
  for (const stream of order.toReversed()) await store(stream, 2);
  const { forwarding } = await start('window: 1');
  await until('all is sent', () => forwarding.backlog() === 0);
  // Whichever is read first begins.
  const [first = '', ...rest] = cloud.topics;
  expect(rest).toEqual(rest.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)));
  expect([first, ...rest].toSorted()).toEqual([...order, ...order].toSorted());
});

it('sends only the streams that are named, if any are', async () => {
  for (const stream of ['alerts', 'readings', 'metres']) await store(stream);
  const { forwarding } = await start('streams: [metres, alerts]');
  await until('all is sent', () => forwarding.backlog() === 0);
  expect(cloud.topics.toSorted()).toEqual(['alerts', 'metres']);
});

it('says who it is, with the first line of the password file, and wants no session', async () => {
  const file = await files.open('/etc/password', 'write');
  await file.write(Buffer.from('hunter2\r\nsecond line'), 0);
  await start(`username: plant, passwordFile: /etc/password`);
  await until('it has come', () => cloud.clientIds.length > 0);
  expect(cloud.logins).toEqual([{ user: 'plant', password: 'hunter2' }]);
  expect(cloud.clientIds).toEqual(['headgate-gw']);
  expect(cloud.sessions).toEqual([false]);
});

it('stores where it begins, then its progress, then where it ends', async () => {
  await store('readings', 3);
  cloud.locked = true;
  const { forwarding, state } = await start();
  expect(offsetsOf(state, 'readings')).toEqual([0]);
  cloud.locked = false;
  await until('the progress is stored', () => offsetsOf(state, 'readings')?.[0] === 3);
  await store('readings', 2);
  await until('all is sent', () => forwarding.backlog() === 0);
  await forwarding.stop();
  expect(offsetsOf(state, 'readings')).toEqual([5]);
  // It goes on from there.
  cloud.topics.length = 0;
  await store('readings');
  const again = await start('checkpointMs: 3600000', state);
  await until('all is sent', () => again.forwarding.backlog() === 0);
  expect(cloud.topics).toEqual(['readings']);
  await again.forwarding.stop();
  expect(offsetsOf(state, 'readings')).toEqual([6]);
});

it('tries again to store what could not be stored, and says so', async () => {
  await store('readings');
  const state = memoryState();
  const write = vi.spyOn(state, 'write').mockRejectedValueOnce(new Error('ENOSPC'));
  const warn = vi.fn<typeof silentLogger.warn>();
  await start('checkpointMs: 10', state, { ...silentLogger, warn });
  expect(warn.mock.calls.map(([, text]) => text)).toEqual([
    'the progress of the uplink and the books could not be saved',
  ]);
  await until('it is stored', () => offsetsOf(state, 'readings') !== undefined);
  expect(write.mock.calls.length).toBeGreaterThan(1);
});

it('stores where it ends after what is being stored, not into it', async () => {
  const { forwarding, state } = await start();
  const written: Array<() => void> = [];
  const write = state.write.bind(state);
  vi.spyOn(state, 'write').mockImplementation(async (entries) => {
    await new Promise<void>((resolve) => written.push(resolve));
    await write(entries);
  });
  await store('readings', 3);
  await until('the progress is being stored', () => written.length > 0);
  await until('all is sent', () => forwarding.backlog() === 0);
  let isStopped = false;
  const stopped = forwarding.stop().then(() => {
    isStopped = true;
  });
  await until('the link is closed', () => forwarding.status().lastError === 'stopped');
  for (let i = 0; i < 20; i++) await turn();
  expect([written.length, isStopped]).toEqual([1, false]);
  await until('it has stopped', () => {
    for (const one of written.splice(0)) one();
    return isStopped;
  });
  await stopped;
  expect(offsetsOf(state, 'readings')).toEqual([3]);
});

it('names what retention drops before the cloud has had it', async () => {
  await store('readings', 4);
  const { forwarding } = await start();
  await until('all is sent', () => forwarding.backlog() === 0);
  await store('readings', 2);
  await until('all is sent', () => forwarding.backlog() === 0);
  const range = { stream: 'readings', partition: 0 };
  expect(forwarding.unforwarded([{ ...range, offset: 2, count: 10 }])).toEqual([
    { ...range, offset: 6, count: 6 },
  ]);
  expect(forwarding.unforwarded([{ ...range, offset: 0, count: 6 }])).toEqual([]);
  expect(forwarding.unforwarded([{ ...range, stream: 'unknown', offset: 0, count: 6 }])).toEqual(
    [],
  );
});

it('books no acknowledgement of what retention had dropped: it was counted as expired', () => {
  const books = new Books({ bucketMs: 60_000 });
  const stream = { name: 'readings', log: 'a1', takesMessages: true };
  const head = { booked: [9], expiredTo: [5], forwards: true };
  const { books: own } = books.open(stream, head);
  const book = booking(books, 'readings');
  const record = {
    ...{ stream: 'readings', partition: 0, device: 'd', topic: 't', payload: new Uint8Array() },
    ...{ monoMs: 0, boot: '00', runMs: 0, receivedAtMs: 0 },
  };
  // Together, and apart.
  const both = book?.([4, 5].map((offset) => ({ ...record, offset })));
  const dropped = book?.([{ ...record, offset: 4 }]);
  const counts = () => own.buckets.get(0)?.counts;
  dropped?.();
  expect([counts()?.forwarded, counts()?.cloudAcked]).toEqual([3, 0]);
  both?.();
  expect([counts()?.forwarded, counts()?.cloudAcked]).toEqual([3, 1]);
});

it('sets aside what is too large, once, also when it is killed before a checkpoint', async () => {
  await store('readings');
  await append(telemetry, 0, reading('d', `"${'x'.repeat(4000)}"`), 'readings');
  await store('readings');
  const never = 'maxBytes: 2000, checkpointMs: 3600000, streams: [readings]';
  const { forwarding, state } = await start(never);
  await until('all is done', () => forwarding.backlog() === 0);
  const letters = () => readAll(files, events, 'dead-letter');
  expect((await letters()).map(({ reason }) => reason)).toEqual(['CLOUD_TOO_LARGE']);
  expect(cloud.topics).toEqual(['readings', 'readings']);
  // What a kill leaves: the state as it was at the start.
  const left = memoryState(state.stored);
  expect(offsetsOf(left, 'readings')).toEqual([0]);
  const again = await start(never, left);
  await until('all is done again', () => again.forwarding.backlog() === 0);
  expect(await letters()).toHaveLength(1);
  await again.forwarding.stop();
  expect(offsetsOf(left, 'readings')).toEqual([3]);
});
