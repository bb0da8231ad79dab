import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HeadgateError } from '../../../src/base/errors.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { statusRoute } from '../../../src/local-socket.ts';
import { type Control, type ControlLimits, openControl } from '../../../src/ops/control.ts';
import type { Handler } from '../../../src/ops/control-call.ts';
import { askControl } from '../../../src/ops/control-client.ts';
import { nodeFiles } from '../../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';
import { until } from '../../support/until.ts';

let folder: string;
let socket: string;
let control: Control | undefined;
let said: Array<readonly [fields: Parameters<Logger['warn']>[0], message: string]>;

beforeEach(async () => {
  said = [];
  folder = await makeTemporaryFolder('headgate-control-');
  socket = `${folder}/control.sock`;
});

afterEach(async () => {
  await control?.close();
  control = undefined;
  await removeFolder(folder);
});

async function open(): Promise<void> {
  control = await openLimited(
    statusRoute(() => ({ up: true })),
    {},
  );
}

function openLimited(handler: Handler, limits: Partial<ControlLimits>): Promise<Control> {
  const logger = {
    ...silentLogger,
    warn: (...line: Parameters<Logger['warn']>) => void said.push(line),
  };
  return openControl({ files: nodeFiles, path: socket, handlers: [handler], limits, logger });
}

function statusOf(method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const ask = request({ socketPath: socket, method, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    ask.on('error', reject);
    ask.end();
  });
}

it('answers its own user and group, and nobody else', async () => {
  const before = process.umask();
  await open();
  expect(await askControl(socket, '/status')).toEqual({ up: true });
  expect(((await stat(socket)).mode & 0o777).toString(8)).toBe('660');
  expect(process.umask()).toBe(before);
});

it('takes the place of a socket that a killed daemon left', async () => {
  await open();
  const left = control;
  await open();
  expect(await askControl(socket, '/status')).toEqual({ up: true });
  await left?.close();
});

it('has no other paths and no other methods', async () => {
  await open();
  expect(await statusOf('GET', '/status')).toBe(200);
  expect(await statusOf('GET', '/other')).toBe(404);
  expect(await statusOf('POST', '/status')).toBe(404);
});

it('closes when every answer has ended, and not before', async () => {
  const done: string[] = [];
  let isAsked = false;
  const handler: Handler = async ({ signal, path }) => {
    isAsked = true;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    done.push(path.join('/'));
    return true;
  };
  control = await openLimited(handler, {});
  const asked = request({ socketPath: socket, path: '/slow' });
  const gone = new Promise((resolve) => asked.on('error', resolve));
  asked.end();
  await until('it is asked', () => isAsked);
  await control.close();
  expect(done).toEqual(['slow']);
  await gone;
});

it('closes although an answer never ends', async () => {
  let isAsked = false;
  const handler: Handler = async () => {
    isAsked = true;
    await new Promise(() => {});
    return true;
  };
  control = await openLimited(handler, { closeMs: 20 });
  const asked = request({ socketPath: socket, path: '/never' });
  const gone = new Promise((resolve) => asked.on('error', resolve));
  asked.end();
  await until('it is asked', () => isAsked);
  await control.close();
  await gone;
});

/** Writes at once, and reads nothing of the answers until it is told to. */
function rawClient(text: string) {
  const client = connect(socket);
  const got = { text: '', isClosed: false };
  client.pause().setEncoding('utf8');
  client.on('data', (part) => {
    got.text += part;
  });
  client.on('close', () => {
    got.isClosed = true;
  });
  client.on('error', () => {});
  client.write(text);
  return { client, got };
}

it('answers the requests of a connection one after the other', async () => {
  let [now, most] = [0, 0];
  const asked: string[] = [];
  const handler: Handler = async ({ answer, path }) => {
    now += 1;
    most = Math.max(most, now);
    asked.push(path.join('/'));
    await new Promise((resolve) => setImmediate(resolve));
    now -= 1;
    answer.end(path.join('/'));
    return true;
  };
  control = await openLimited(handler, {});
  const texts = [1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\nHost: g\r\n\r\n`);
  const { client, got } = rawClient(texts.join(''));
  client.resume();
  await until('all are answered', () => /\r\n\r\n3$/.test(got.text));
  expect(asked).toEqual(['1', '2', '3']);
  expect(most).toBe(1);
  client.destroy();
});

it('ends a connection with more requests at once than are sensible', async () => {
  let calls = 0;
  const handler: Handler = async ({ signal }) => {
    calls += 1;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    return true;
  };
  control = await openLimited(handler, {});
  const { client, got } = rawClient('GET /a HTTP/1.1\r\nHost: g\r\n\r\n'.repeat(9));
  client.resume();
  await until('it is ended', () => got.isClosed);
  expect(calls).toBeLessThanOrEqual(1);
});

it.each([
  ['that begins no request', ''],
  ['that does not end its request', 'GET /a HTTP/1.1\r\nHost:'],
  ['that owes a body', 'PUT /a HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n{'],
])('ends a connection %s', async (_, text) => {
  const handler: Handler = async (call) => {
    await call.body();
    return true;
  };
  control = await openLimited(handler, { requestMs: 50 });
  const { client, got } = rawClient(text);
  client.resume();
  await until('it is ended', () => got.isClosed);
});

it('ends a connection that does not take its answer', async () => {
  let isGone = false;
  const handler: Handler = async ({ answer, signal, taken }) => {
    answer.end('x'.repeat(4_000_000));
    await taken();
    isGone = signal.aborted;
    return true;
  };
  control = await openLimited(handler, { stallMs: 50 });
  const { client } = rawClient('GET /a HTTP/1.1\r\nHost: g\r\n\r\n');
  await until('it is ended', () => isGone);
  client.destroy();
});

it('ends a connection that takes nothing of an answer that goes on', async () => {
  let left: number | undefined;
  const handler: Handler = async ({ answer, signal, drained }) => {
    const before = answer.listenerCount('drain');
    while (!signal.aborted) if (!answer.write('x'.repeat(100_000))) await drained();
    left = answer.listenerCount('drain') - before;
    return true;
  };
  control = await openLimited(handler, { stallMs: 50 });
  const { client } = rawClient('GET /a HTTP/1.1\r\nHost: g\r\n\r\n');
  await until('it is ended', () => left !== undefined);
  expect(left).toBe(0);
  client.destroy();
});

const eio = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
const MET = 'a request on the local socket met an error';

it.each([
  ['of the system', eio],
  ['with a code of ours', new HeadgateError('LOG_FORMAT', 'page 3')],
])('logs what it answers 500 to: an error %s', async (_, error) => {
  control = await openLimited(() => Promise.reject(error), {});
  expect(await statusOf('GET', '/a?b=1')).toBe(500);
  expect(said).toEqual([[{ path: '/a?b=1', error }, MET]]);
});

it('logs why it breaks off an answer that has begun', async () => {
  const handler: Handler = async ({ answer }) => {
    answer.writeHead(200).flushHeaders();
    throw eio;
  };
  control = await openLimited(handler, {});
  const { client, got } = rawClient('GET /a HTTP/1.1\r\nHost: g\r\n\r\n');
  client.resume();
  await until('it is broken off', () => got.isClosed);
  expect(got.text).toMatch(/^HTTP\/1.1 200 OK/);
  expect(said).toEqual([[{ path: '/a', error: eio }, MET]]);
});

it('logs nothing of what a client does wrong, or of one that goes', async () => {
  let isAsked = false;
  const handler: Handler = async ({ method, body }) => {
    if (method === 'GET') throw new HeadgateError('STREAM_UNKNOWN', 'no stream a');
    isAsked = true;
    await body();
    return true;
  };
  control = await openLimited(handler, {});
  expect(await statusOf('GET', '/a')).toBe(404);
  const { client } = rawClient('PUT /a HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n{');
  await until('it is asked', () => isAsked);
  client.destroy();
  await until('it is gone', () => client.closed);
  await control.close();
  expect(said).toEqual([]);
});

it('is NOT_RUNNING where nobody answers', async () => {
  await expect(askControl(socket, '/status')).rejects.toMatchObject({ code: 'NOT_RUNNING' });
});
