import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../../src/base/errors.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, reading } from '../../support/journals.ts';
import { type Events, LocalSocket, recordsOf, untilRecords } from '../../support/local-socket.ts';
import { until } from '../../support/until.ts';

const MAY = Date.UTC(2026, 4, 4, 12);
const RECORDS = '/streams/readings/records';
const ZERO = '/streams/readings/partitions/0/records';

let files: FakeFiles;
let boot: Boot;
let socket: LocalSocket;
const open: Events[] = [];

beforeEach(async () => {
  files = new FakeFiles();
  boot = await Boot.start(files, 1, { mono: 1_000, wall: MAY });
  socket = await LocalSocket.open(files, boot);
});

afterEach(async () => {
  for (const events of open.splice(0)) events.end();
  await socket.close();
  await boot.stop();
});

async function put(count: number, begin = 0): Promise<void> {
  for (let i = begin; i < begin + count; i++) await boot.put(i % 2, `${i}`);
}

async function follow(path: string, headers: Readonly<Record<string, string>> = {}) {
  const events = await socket.follow(path, headers);
  open.push(events);
  return events;
}

async function payloadsAt(path: string): Promise<string[]> {
  return recordsOf(await socket.ask('GET', path)).map(({ payload }) => payload);
}

it('lists the streams', async () => {
  await put(3);
  const { status, text } = await socket.ask('GET', '/streams');
  expect(status).toBe(200);
  expect(JSON.parse(text)).toEqual([
    {
      stream: 'readings',
      store: 'telemetry',
      log: boot.journal.logId,
      partitions: 2,
      records: 3,
      earliest: [0, 0],
      next: [2, 1],
    },
  ]);
});

describe('a page', () => {
  it('says where the next one begins, and pages give every record once', async () => {
    await put(25);
    const all: string[] = [];
    let from = 'earliest';
    for (let page = 0; page < 7; page++) {
      const reply = await socket.ask('GET', `${ZERO}?from=${from}&limit=2`);
      expect(reply.headers).toMatchObject({
        'content-type': 'application/x-ndjson',
        'headgate-log': boot.journal.logId,
        'headgate-end': '13',
      });
      from = String(reply.headers['headgate-next']);
      all.push(...recordsOf(reply).map(({ payload }) => payload));
    }
    expect(from).toBe('13');
    expect(all).toEqual(Array.from({ length: 13 }, (_, i) => `${2 * i}`));
  });

  it('of all partitions is in the order in which they were stored', async () => {
    await put(9);
    const first = await socket.ask('GET', `${RECORDS}?limit=4`);
    expect(first.headers).toMatchObject({ 'headgate-next': '0:2,1:2', 'headgate-end': '0:5,1:4' });
    const rest = await payloadsAt(`${RECORDS}?from=${first.headers['headgate-next']}`);
    expect([...recordsOf(first).map(({ payload }) => payload), ...rest]).toEqual(
      Array.from({ length: 9 }, (_, i) => `${i}`),
    );
  });

  it.each([
    ['from=latest', []],
    ['from=3', ['6', '7']],
    ['from=99', []],
    ['from=1:2', ['0', '2', '4', '5', '6', '7']],
    ['from=0:4,1:4', []],
    [`from=${new Date(MAY + 6_000).toISOString()}`, ['5', '6', '7']],
    ['from=2026-05-04T14:00:06+02:00', ['5', '6', '7']],
    ['from=2026-05-04T14:00:06%2B02:00', ['5', '6', '7']],
    ['from=2026-05-04+14:00:06.000+02:00', ['5', '6', '7']],
    ['from=2026-05-04+12:00', ['0', '1', '2', '3', '4', '5', '6', '7']],
    ['from=2s', ['5', '6', '7']],
    ['from=3h&limit=1', ['0']],
  ])('begins where it is told: %s', async (query, payloads) => {
    await put(8);
    expect(await payloadsAt(`${RECORDS}?${query}`)).toEqual(payloads);
  });

  it('has the corrected time of records from before the clock was set', async () => {
    boot.clock.wall = 5_000;
    await put(2);
    boot.clock.wall = MAY;
    await put(1, 2);
    const times = recordsOf(await socket.ask('GET', RECORDS)).map((r) => [r.receivedAt, r.time]);
    expect(times).toEqual([
      [6_000, MAY - 1_000],
      [7_000, MAY],
      [MAY + 1_000, undefined],
    ]);
  });

  it.each(['payloads', 'topics'])('ends after 256 KiB of %s', async (where) => {
    const large = 'x'.repeat(30_000);
    for (let i = 0; i < 12; i++) {
      if (where === 'payloads') await boot.put(0, large);
      else {
        boot.clock.advance(1_000);
        const more = { topic: large, monoMs: boot.clock.mono };
        await append(boot.journal, 0, reading('d', '', more));
      }
    }
    expect(await payloadsAt(`${ZERO}?limit=1000`)).toHaveLength(9);
    expect(await payloadsAt(`${ZERO}?limit=1000&from=9`)).toHaveLength(3);
  });

  it('waits for a first record if it is asked to, and gives up in time', async () => {
    await put(1);
    const waiting = socket.ask('GET', `${ZERO}?from=1&wait=30000`);
    // One of another partition wakes it, and is none of it.
    await boot.put(1, 'other');
    await boot.put(0, 'came');
    expect(recordsOf(await waiting).map(({ payload }) => payload)).toEqual(['came']);
    const inVain = await socket.ask('GET', `${ZERO}?from=latest&wait=20`);
    expect(inVain).toMatchObject({ status: 200, text: '' });
    expect(inVain.headers['headgate-next']).toBe('2');
  });
});

describe('events', () => {
  it('come as they are stored, merged or of one partition, and from where it is told', async () => {
    await put(4);
    const all = await follow(RECORDS);
    const one = await follow(`${ZERO}?from=latest`);
    await untilRecords(all, 4);
    await put(4, 4);
    await untilRecords(all, 8);
    await untilRecords(one, 2);
    expect(all.ids()).toEqual(['0:0', '1:0', '0:1', '1:1', '0:2', '1:2', '0:3', '1:3']);
    expect(all.records().map(({ payload }) => payload)).toEqual(
      Array.from({ length: 8 }, (_, i) => `${i}`),
    );
    expect(one.ids()).toEqual(['0:2', '0:3']);
    expect(all.answer.headers['content-type']).toBe('text/event-stream');
  });

  it('go on after the last one that a client had', async () => {
    await put(6);
    const all = await follow(`${RECORDS}?from=latest`, { 'last-event-id': '1:1' });
    const one = await follow(ZERO, { 'last-event-id': '0:1' });
    const end = await follow(RECORDS, { 'last-event-id': '1:2' });
    await untilRecords(all, 2);
    await untilRecords(one, 1);
    await put(1, 6);
    await untilRecords(end, 1);
    await untilRecords(all, 3);
    expect(all.ids()).toEqual(['0:2', '1:2', '0:3']);
    expect(one.ids().slice(0, 1)).toEqual(['0:2']);
    expect(end.ids()).toEqual(['0:3']);
  });

  it('wait for a slow reader, which holds nothing and nobody up, and misses nothing', async () => {
    const slow = await follow(RECORDS);
    slow.answer.pause();
    const text = 'y'.repeat(20_000);
    files.bytesRead = 0;
    for (let i = 0; i < 200; i++) await boot.put(i % 2, `${i} ${text}`, 1);
    // 4 MB are stored; of these the socket has taken what its buffers hold, and no more was read.
    expect(files.bytesRead).toBeLessThan(2_000_000);
    slow.answer.resume();
    await untilRecords(slow, 200);
    const numbers = slow.records().map(({ payload }) => Number(payload.split(' ')[0]));
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it('end for a client that takes nothing for too long', async () => {
    await socket.close();
    socket = await LocalSocket.open(files, boot, undefined, { stallMs: 50 });
    // In JSON each byte is six: more than the buffers between the two hold.
    for (let i = 0; i < 10; i++) await boot.put(0, '\u0001'.repeat(30_000));
    const ask = `GET ${RECORDS} HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n\r\n`;
    const stuck = Array.from({ length: 8 }, () => socket.pipeline([ask]));
    await Promise.all(stuck.map((client) => new Promise((done) => client.once('readable', done))));
    await until('there is room', async () => (await socket.ask('GET', RECORDS)).status === 200);
    for (const client of stuck) client.destroy();
  });

  it('end when the daemon stops, and at once when the client goes', async () => {
    const some = await Promise.all(Array.from({ length: 8 }, () => follow(RECORDS)));
    expect((await socket.ask('GET', RECORDS)).status).toBe(503);
    some[0]?.end();
    await until('there is room', async () => (await socket.ask('GET', RECORDS)).status === 200);
    await socket.close();
    await until('all have ended', () => some.every((events) => events.isOver()));
    socket = await LocalSocket.open(files, boot);
  });
});

it('a page that is not taken holds its place among the readers', async () => {
  // In JSON each byte is six: more than the buffers between the two hold.
  for (let i = 0; i < 10; i++) await boot.put(0, '\u0001'.repeat(30_000));
  const ask = `GET ${RECORDS} HTTP/1.1\r\nHost: g\r\n\r\n`;
  const clients = Array.from({ length: 8 }, () => socket.pipeline([ask]));
  await Promise.all(clients.map((client) => new Promise((done) => client.once('readable', done))));
  const { status, text } = await socket.ask('GET', RECORDS);
  expect(status).toBe(503);
  expect(JSON.parse(text)).toMatchObject({ code: 'READER_LIMIT' });
  for (const client of clients) client.resume();
  await until('there is room', async () => (await socket.ask('GET', RECORDS)).status === 200);
  for (const client of clients) client.destroy();
});

it('requests that wait behind another one end with their connection', async () => {
  const ask = `GET ${RECORDS} HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n\r\n`;
  const clients = Array.from({ length: 4 }, () => socket.pipeline([ask, ask]));
  await Promise.all(clients.map((client) => new Promise((done) => client.once('data', done))));
  for (const client of clients) client.destroy();
  await until('there is room for eight', async () => {
    const eight = await Promise.all(Array.from({ length: 8 }, () => follow(RECORDS)));
    for (const one of eight) one.end();
    return eight.every(({ answer }) => answer.statusCode === 200);
  });
});

describe('what is not right has a code and a status', () => {
  it('names the range that is right', async () => {
    const reply = await socket.ask('GET', `${RECORDS}?limit=0`);
    expect(reply.text).toContain('limit is a whole number from 1 to 1000');
  });

  it.each<[string, number, ErrorCode]>([
    ['/streams/radings/records', 404, 'STREAM_UNKNOWN'],
    ['/streams/readings/partitions/2/records', 404, 'PARTITION_UNKNOWN'],
    ['/streams/readings/partitions/65535/records', 404, 'PARTITION_UNKNOWN'],
    ['/streams/readings/partitions/65536/records', 400, 'REQUEST_INVALID'],
    ['/streams/readings/partitions/x/records', 400, 'REQUEST_INVALID'],
    ['/streams/readings', 404, 'PATH_UNKNOWN'],
    ['/streams/readings/partitions/0', 404, 'PATH_UNKNOWN'],
    ['/streams/readings/records/0', 404, 'PATH_UNKNOWN'],
    ['/%ff', 400, 'REQUEST_INVALID'],
    [`${ZERO}?from=4`, 409, 'OFFSET_BEYOND_END'],
    [`${RECORDS}?from=0:4`, 409, 'OFFSET_BEYOND_END'],
    [`${RECORDS}?from=2:0`, 404, 'PARTITION_UNKNOWN'],
    [`${RECORDS}?from=0:1,0:2`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=0:1:2`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=0:`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=-1`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=1e3`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=99999999999999999999`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=yesterday`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?limit=0`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?limit=1001`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?limit=ten`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?wait=30001`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?form=1`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=1&from=2`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?from=1&consumer=c`, 400, 'REQUEST_INVALID'],
    [`${RECORDS}?consumer=a/b`, 400, 'REQUEST_INVALID'],
  ])('GET %s', async (path, status, code) => {
    await put(6);
    const reply = await socket.ask('GET', path);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.text)).toMatchObject({ code, ...ERRORS[code] });
  });

  it.each(['0', '0:3', '2:0', 'x:1', '0:1:2', ''])('Last-Event-ID %j', async (id) => {
    await put(6);
    const events = await follow(RECORDS, { 'last-event-id': id });
    expect(events.answer.statusCode).toBeGreaterThanOrEqual(400);
  });

  it('a request line without end, another method', async () => {
    expect((await socket.send('GET', `/${'x'.repeat(9_000)}`)).status).toBe(431);
    expect((await socket.ask('POST', '/streams')).status).toBe(404);
  });
});
