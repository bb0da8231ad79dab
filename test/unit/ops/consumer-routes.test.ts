import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../../src/base/errors.ts';
import { checkpointKey, handledOffsets } from '../../../src/log/checkpoint.ts';
import type { ConsumerRow } from '../../../src/log/named-consumers.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { LocalSocket, type Reply, recordsOf } from '../../support/local-socket.ts';

const MAY = Date.UTC(2026, 4, 4, 12);
const MINE = '/consumers/mine/streams/readings';

let files: FakeFiles;
let boot: Boot;
let socket: LocalSocket;

beforeEach(async () => {
  files = new FakeFiles();
  boot = await Boot.start(files, 1, { mono: 1_000, wall: MAY });
  socket = await LocalSocket.open(files, boot);
  for (let i = 0; i < 10; i++) await boot.put(i % 2, `${i}`);
});

afterEach(async () => {
  await socket.close();
  await boot.stop();
});

function rowIn({ status, text }: Reply): ConsumerRow {
  expect(status, text).toBe(200);
  return JSON.parse(text) as ConsumerRow;
}

function positionsIn(reply: Reply): number[] {
  return rowIn(reply).partitions.map(({ position }) => position);
}

async function payloads(query: string): Promise<string[]> {
  const reply = await socket.ask('GET', `/streams/readings/records?${query}`);
  return recordsOf(reply).map(({ payload }) => payload);
}

describe('a consumer', () => {
  it('is there once it has a position, and begins at the earliest until then', async () => {
    expect((await socket.ask('GET', MINE)).status).toBe(404);
    expect(await payloads('consumer=mine&limit=2')).toEqual(['0', '1']);
    const row = rowIn(await socket.ask('PUT', MINE, { positions: { 1: 3 } }));
    expect(row).toEqual({
      consumer: 'mine',
      stream: 'readings',
      log: boot.journal.logId,
      own: false,
      lag: 7,
      partitions: [
        { partition: 0, position: 0, earliest: 0, end: 5, lag: 5 },
        { partition: 1, position: 3, earliest: 0, end: 5, lag: 2 },
      ],
    });
    expect(rowIn(await socket.ask('GET', MINE))).toEqual(row);
    expect(JSON.parse((await socket.ask('GET', '/consumers')).text)).toEqual([row]);
    expect(await payloads('consumer=mine')).toEqual(['0', '2', '4', '6', '7', '8', '9']);
  });

  it('goes on in another life of the daemon', async () => {
    await socket.ask('PUT', MINE, { positions: { 0: 4, 1: 5 } });
    const { state } = socket;
    await socket.close();
    socket = await LocalSocket.open(files, boot, state);
    expect(await payloads('consumer=mine')).toEqual(['8']);
  });

  it.each([
    [{ seek: 'earliest' }, [0, 0]],
    [{ seek: 'latest' }, [5, 5]],
    [{ seek: 3 }, [3, 3]],
    [{ seek: '3' }, [3, 3]],
    [{ seek: 99 }, [5, 5]],
    [{ seek: '3s' }, [3, 3]],
    [{ seek: '2s' }, [4, 3]],
    [{ seek: new Date(MAY + 3_000).toISOString() }, [1, 1]],
    [{ seek: 'latest', partition: 1 }, [2, 5]],
    [{ positions: { 0: 5 } }, [5, 2]],
  ])('moves: %j', async (body, positions) => {
    await socket.ask('PUT', MINE, { positions: { 0: 2, 1: 2 } });
    expect(positionsIn(await socket.ask('PUT', MINE, body))).toEqual(positions);
  });

  it('moves as a whole or not at all, and never beyond the end', async () => {
    await socket.ask('PUT', MINE, { positions: { 0: 1, 1: 1 } });
    const refused = await socket.ask('PUT', MINE, { positions: { 0: 2, 1: 6 } });
    expect(refused.status).toBe(409);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'OFFSET_BEYOND_END' });
    expect(positionsIn(await socket.ask('GET', MINE))).toEqual([1, 1]);
    const handled = await handledOffsets(socket.state, boot.journal.logId);
    expect(handled.get('readings')).toEqual([1, 1]);
  });

  it('of another log begins again, and is not listed', async () => {
    const text = JSON.stringify({ log: 'ffffffff', offsets: [5, 5] });
    await socket.state.write(new Map([[checkpointKey('mine', 'readings'), text]]));
    expect((await socket.ask('GET', MINE)).status).toBe(404);
    expect((await socket.ask('GET', '/consumers')).text).toBe('[]\n');
    expect(await payloads('consumer=mine')).toHaveLength(10);
    expect(positionsIn(await socket.ask('PUT', MINE, { positions: { 0: 2 } }))).toEqual([2, 0]);
  });

  it('can be forgotten, once', async () => {
    await socket.ask('PUT', MINE, { positions: { 0: 2 } });
    expect(await socket.ask('DELETE', MINE)).toMatchObject({ status: 204, text: '' });
    expect((await socket.ask('DELETE', MINE)).status).toBe(404);
    expect([...socket.state.stored.keys()]).toEqual([]);
  });

  it.each(['detect', 'uplink'])(
    "of the gateway's own is listed and can't be moved: %s",
    async (own) => {
      const text = JSON.stringify({ log: boot.journal.logId, offsets: [3, 4] });
      await socket.state.write(new Map([[checkpointKey(own, 'readings'), text]]));
      const path = `/consumers/${own}/streams/readings`;
      expect(rowIn(await socket.ask('GET', path))).toMatchObject({ own: true, lag: 3 });
      for (const method of ['PUT', 'DELETE']) {
        const body = method === 'PUT' ? { seek: 'earliest' } : undefined;
        const reply = await socket.ask(method, path, body);
        expect(reply.status).toBe(403);
        expect(JSON.parse(reply.text)).toMatchObject({ code: 'CONSUMER_RESERVED' });
      }
      expect(socket.state.stored.get(checkpointKey(own, 'readings'))).toBe(text);
    },
  );

  it('is one of 256 at most', async () => {
    const path = (i: number) => `/consumers/c${i}/streams/readings`;
    for (let i = 0; i < 256; i++) await socket.ask('PUT', path(i), { positions: { 0: 1 } });
    const refused = await socket.ask('PUT', path(256), { positions: { 0: 1 } });
    expect(refused.status).toBe(409);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'CONSUMER_LIMIT' });
    expect((await socket.ask('PUT', path(0), { positions: { 0: 2 } })).status).toBe(200);
  });
});

it('positions of another log, and of streams that are gone, take nobody room', async () => {
  const path = (i: number) => `/consumers/c${i}/streams/readings`;
  const foreign = JSON.stringify({ log: 'ffffffff', offsets: [5, 5] });
  const own = JSON.stringify({ log: boot.journal.logId, offsets: [5, 5] });
  const keys = Array.from({ length: 255 }, (_, i) => checkpointKey(`old${i}`, 'readings'));
  const uplink = checkpointKey('uplink', 'readings');
  await socket.state.write(new Map([...keys, uplink].map((key) => [key, foreign])));
  await socket.state.write(new Map([[checkpointKey('c', 'gone'), own]]));
  await socket.state.write(new Map([[checkpointKey('c1', 'readings'), foreign]]));
  expect((await socket.ask('PUT', path(0), { positions: { 0: 1 } })).status).toBe(200);
  expect([...socket.state.stored.keys()]).toEqual([uplink, checkpointKey('c0', 'readings')]);
  for (let i = 1; i < 256; i++) await socket.ask('PUT', path(i), { positions: { 0: 1 } });
  expect(JSON.parse((await socket.ask('GET', '/consumers')).text)).toHaveLength(256);
  // One that only another log has had is a new one here.
  await socket.state.write(new Map([[checkpointKey('c256', 'readings'), foreign]]));
  expect((await socket.ask('PUT', path(256), { positions: { 0: 1 } })).status).toBe(409);
});

describe('what is not right has a code and a status', () => {
  it.each<[ask: string, body: unknown, status: number, code: ErrorCode]>([
    [`PUT ${MINE}`, { positions: {} }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { a: 1 } }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { 0: 1, '00': 0 } }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { 0: -1 } }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { 0: 1.5 } }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { 0: '1' } }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { 0: 1 }, seek: 'latest' }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { positions: { 2: 0 } }, 404, 'PARTITION_UNKNOWN'],
    [`PUT ${MINE}`, { seek: 'latest', partition: 2 }, 404, 'PARTITION_UNKNOWN'],
    [`PUT ${MINE}`, { seek: 'latest', partition: 65_535 }, 404, 'PARTITION_UNKNOWN'],
    [`PUT ${MINE}`, { seek: 'latest', partition: 65_536 }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { seek: 'soon' }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { seek: '0:1' }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, { seek: -1 }, 400, 'REQUEST_INVALID'],
    [`PUT ${MINE}`, [], 400, 'REQUEST_INVALID'],
    ['PUT /consumers/mine/streams/other', { seek: 'latest' }, 404, 'STREAM_UNKNOWN'],
    ['PUT /consumers/a%2Fb/streams/readings', { seek: 0 }, 400, 'REQUEST_INVALID'],
    ['PUT /consumers/..x/streams/readings', { seek: 0 }, 400, 'REQUEST_INVALID'],
    [`PUT /consumers/${'x'.repeat(65)}/streams/readings`, { seek: 0 }, 400, 'REQUEST_INVALID'],
    ['PUT /consumers', {}, 404, 'PATH_UNKNOWN'],
    [`PATCH ${MINE}`, {}, 404, 'PATH_UNKNOWN'],
    ['GET /consumers/mine', undefined, 404, 'PATH_UNKNOWN'],
    [`GET ${MINE}/more`, undefined, 404, 'PATH_UNKNOWN'],
    ['GET /consumers/nobody/streams/readings', undefined, 404, 'CONSUMER_UNKNOWN'],
  ])('%s %j', async (ask, body, status, code) => {
    const [method = '', path = ''] = ask.split(' ');
    const reply = await socket.ask(method, path, body);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.text)).toMatchObject({ code, ...ERRORS[code] });
    expect([...socket.state.stored.keys()]).toEqual([]);
  });

  it('a body that is no JSON, or too large', async () => {
    expect((await socket.send('PUT', MINE, '{')).status).toBe(400);
    const large = JSON.stringify({ seek: 'x'.repeat(70_000) });
    const reply = await socket.send('PUT', MINE, large);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('65536');
  });
});
